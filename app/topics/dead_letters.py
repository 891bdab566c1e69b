"""The wire format of `treasury.data.dead-letters`: the original bytes, and headers that say why.

Key and value are those of the record, untouched, so that a letter can be sent again as it is; what
we add is in the headers. Only what no topic of ours could take (a record that was small when it
was compressed) is left out, and its size and digest are said instead.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.records import Reason, Rejection

_REASON = "ds_reason"
_MESSAGE = "ds_message"
_TOPIC = "ds_source_topic"
_PARTITION = "ds_source_partition"
_OFFSET = "ds_source_offset"
_OMITTED = "ds_omitted_"

TRIES = "ds_redrive_tries"
"""Of a record and of its dead letter: how often the record has been redriven."""

_MOST_DIGITS = 9  # of a count that we believe
_TOO_LARGE = 2**63  # for an offset

ROOM = 1_500_000
"""Bytes of key and value together that fit into a message of our outputs, with its headers."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be answered with a signal.

    Attributes:
        key: The record's key, byte for byte.
        value: The record's value, byte for byte; None if it was null.
        source_topic: Where the record stands, with its partition and offset.
        rejection: Why.
        tries: How often the record had been redriven before.
        omitted: `key`, `value`: what was left out of a letter that was read back.
    """

    key: bytes | None
    value: bytes | None
    source_topic: str
    source_partition: int
    source_offset: int
    rejection: Rejection
    tries: int = 0
    omitted: frozenset[str] = frozenset()


def encode(
    letter: DeadLetter,
) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Return the key, value and headers of the message to produce.

    >>> rejection = Rejection(Reason.TOO_LARGE, "too large")
    >>> key, value, pairs = encode(DeadLetter(b"k", b"x" * 2_000_000, "t", 0, 5, rejection))
    >>> key, value, [name for name, _ in pairs][-2:]
    (b'k', None, ['ds_omitted_value_bytes', 'ds_omitted_value_sha256'])
    """
    kept: dict[str, bytes | None] = {"key": letter.key, "value": letter.value}
    pairs = headers(letter)
    for part in sorted(kept, key=lambda name: len(kept[name] or b""), reverse=True):
        if sum(len(content or b"") for content in kept.values()) > ROOM:
            content = kept[part] or b""
            digest = hashlib.sha256(content).hexdigest().encode()
            pairs.append((f"{_OMITTED}{part}_bytes", str(len(content)).encode()))
            pairs.append((f"{_OMITTED}{part}_sha256", digest))
            kept[part] = None
    return kept["key"], kept["value"], pairs


def headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Return the headers to produce with the letter's own key and value."""
    pairs = [
        (_REASON, letter.rejection.reason.value.encode()),
        (_MESSAGE, letter.rejection.message.encode("utf-8", "backslashreplace")),
        (_TOPIC, letter.source_topic.encode()),
        (_PARTITION, str(letter.source_partition).encode()),
        (_OFFSET, str(letter.source_offset).encode()),
    ]
    if letter.tries:
        pairs.append((TRIES, str(letter.tries).encode()))
    return pairs


def tries_in(pairs: Iterable[tuple[str, bytes | None]]) -> int:
    """Return how often a record was redriven, as its headers say it; 0 if they don't.

    >>> tries_in([(TRIES, b"2")]), tries_in([]), tries_in([(TRIES, b"-1")])
    (2, 0, 0)
    """
    said = [text for name, text in pairs if name == TRIES and text]
    known = said and said[-1].isdigit() and len(said[-1]) <= _MOST_DIGITS
    return int(said[-1]) if known else 0


def decode(
    key: bytes | None, value: bytes | None, pairs: Iterable[tuple[str, bytes | None]]
) -> DeadLetter:
    """Read a letter back.

    Raises:
        ValueError: A header is missing or not ours.
    """
    kept = list(pairs)
    found = {name: (text or b"").decode("utf-8", "replace") for name, text in kept}
    try:
        return DeadLetter(
            key=key,
            value=value,
            source_topic=found[_TOPIC],
            source_partition=_number(found[_PARTITION]),
            source_offset=_number(found[_OFFSET]),
            rejection=Rejection(Reason(found[_REASON]), found[_MESSAGE]),
            tries=tries_in(kept),
            omitted=frozenset(
                part for part in ("key", "value") if f"{_OMITTED}{part}_bytes" in found
            ),
        )
    except KeyError as missing:
        raise ValueError(f"the header {missing} is missing") from missing


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number < _TOO_LARGE:
        raise ValueError(f"{text} is no place on a topic")
    return number
