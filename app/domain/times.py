"""Moments as people and programs write them, and as Unix milliseconds."""

from datetime import UTC, datetime


def instant(unix_ms: int) -> str:
    """Return Unix milliseconds as RFC 3339 in UTC.

    >>> instant(1_700_000_000_123)
    '2023-11-14T22:13:20.123Z'
    """
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def second(unix_ms: int) -> str:
    """Return Unix milliseconds as a time for a table: UTC, to the second.

    >>> second(1_700_000_000_123)
    '2023-11-14 22:13:20Z'
    """
    return instant(unix_ms // 1000 * 1000).replace("T", " ").replace(".000Z", "Z")


def moment(unix_ms: int) -> str | None:
    """Return what `instant` does, None for a time that no calendar has: a foreign clock's.

    >>> moment(10**16)
    """
    try:
        return instant(unix_ms)
    except (ValueError, OverflowError, OSError):
        return None


def parse(text: str) -> int:
    """Read a time of ISO 8601: Unix milliseconds. Without a zone it is UTC, a day its midnight.

    Raises:
        ValueError: It is none.

    >>> parse("2026-11-25T07:26:18.961+01:00"), parse("2026-11-25")
    (1795587978961, 1795564800000)
    """
    found = datetime.fromisoformat(text)
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
