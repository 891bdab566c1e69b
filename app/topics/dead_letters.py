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
    """

    key: bytes | None
    value: bytes | None
    source_topic: str
    source_partition: int
    source_offset: int
    rejection: Rejection


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
            pairs.append((f"ds_omitted_{part}_bytes", str(len(content)).encode()))
            pairs.append((f"ds_omitted_{part}_sha256", digest))
            kept[part] = None
    return kept["key"], kept["value"], pairs


def headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Return the headers to produce with the letter's own key and value."""
    return [
        (_REASON, letter.rejection.reason.value.encode()),
        (_MESSAGE, letter.rejection.message.encode("utf-8", "backslashreplace")),
        (_TOPIC, letter.source_topic.encode()),
        (_PARTITION, str(letter.source_partition).encode()),
        (_OFFSET, str(letter.source_offset).encode()),
    ]


def decode(
    key: bytes | None, value: bytes | None, pairs: Iterable[tuple[str, bytes | None]]
) -> DeadLetter:
    """Read a letter back.

    Raises:
        ValueError: A header is missing or not ours.
    """
    found = {name: (text or b"").decode("utf-8", "replace") for name, text in pairs}
    try:
        return DeadLetter(
            key=key,
            value=value,
            source_topic=found[_TOPIC],
            source_partition=int(found[_PARTITION]),
            source_offset=int(found[_OFFSET]),
            rejection=Rejection(Reason(found[_REASON]), found[_MESSAGE]),
        )
    except KeyError as missing:
        raise ValueError(f"the header {missing} is missing") from missing
