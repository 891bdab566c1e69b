"""The wire format of `model.status`: what each instance says of itself, the newest word of each.

The topic is compacted and has one partition. The key is the instance's name; an instance that ends
in order takes its word back with a null.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from app.topics.messages import Message

Doing = Literal["starting", "serving", "holding"]


class Version(msgspec.Struct, frozen=True):
    """A model version, and the offset of the plan that names it."""

    model: str
    version: str
    offset: int


class Staging(msgspec.Struct, frozen=True):
    """A version that is staged: where, and why it is not loaded yet; null if it is."""

    model: str
    version: str
    offset: int
    why_not: str | None


class Report(msgspec.Struct, frozen=True):
    """What an instance says of itself.

    Attributes:
        instance: Unique among all instances that ever were.
        address: Of its metrics and health.
        app_version: Of this software.
        started_ms: Unix milliseconds, by its own clock.
        every_ms: How often it reports at least; one that is silent for longer is not live.
        doing: `holding` while records wait, or would wait if they came.
        why: Why it is not serving, None if it is.
        reason: Why records wait, as one of a few words for programs; None if none do.
        since_ms: Since when it does that, in Unix milliseconds by its own clock.
        in_force: What it serves: the plan in force, once its version is loaded.
        loaded: Its loaded versions.
        lag: Records not answered yet, by partition that it owns.
        staged: What it has read to be staged, None if nothing is.
    """

    instance: str
    address: str
    app_version: str
    started_ms: int
    every_ms: int
    doing: Doing
    why: str | None
    since_ms: int
    in_force: Version | None
    loaded: list[Version]
    lag: dict[int, int]
    reason: str | None = None
    staged: Staging | None = None


class Heard(msgspec.Struct, frozen=True):
    """The newest report of an instance, and when the broker took it (Unix milliseconds)."""

    report: Report
    appended_ms: int

    def is_live(self, now_ms: int) -> bool:
        """Say whether it was heard within three of its periods, by the clock of whoever asks.

        >>> heard = Heard(Report("a", "", "", 0, 5_000, "serving", None, 0, None, [], {}), 1_000)
        >>> heard.is_live(16_000), heard.is_live(16_001)
        (True, False)
        """
        return now_ms - self.appended_ms <= 3 * self.report.every_ms


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Report).decode
"""Bytes to a report. Raises ValueError."""


def newest(messages: Iterable[Message]) -> list[Heard]:
    """Return the newest report of each instance that has not taken it back, by name.

    What is no report is passed over: the topic may hold those of another version.
    """
    found: dict[bytes | None, Heard] = {}
    for message in messages:
        found.pop(message.key, None)
        if message.value is None:
            continue
        try:
            found[message.key] = Heard(decode(message.value), message.appended_ms)
        except msgspec.MsgspecError:
            continue
    return sorted(found.values(), key=lambda heard: heard.report.instance)
