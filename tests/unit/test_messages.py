"""A message of the client, and what the client can't read of it."""

from typing import Any

import pytest

from app.topics.messages import Message, message_of


class KafkaMessage:
    """A message whose headers the client gives, or fails to."""

    def __init__(self, headers: Any) -> None:
        self._headers = headers

    def offset(self) -> int:
        return 5

    def timestamp(self) -> tuple[int, int]:
        return 2, 1_700_000_000_123

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 3

    def headers(self) -> Any:
        if isinstance(self._headers, Exception):
            raise self._headers
        return self._headers


@pytest.mark.parametrize("headers", [[("h", b"1"), ("h", None)], []])
def test_a_message_is_taken_with_all_its_headers(headers: list[tuple[str, bytes | None]]) -> None:
    taken = message_of(KafkaMessage(headers))
    assert taken == Message(5, 1_700_000_000_123, b"k", b"v", tuple(headers), "t", 3)


@pytest.mark.parametrize(
    "refusal", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), SystemError("no name")]
)
def test_a_header_whose_name_is_no_text_costs_the_headers_and_not_the_reader(
    refusal: Exception,
) -> None:
    taken = message_of(KafkaMessage(refusal))
    assert (taken.value, taken.headers) == (b"v", ())
