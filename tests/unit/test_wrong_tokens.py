"""Guesses at tokens: how many an address may send, and what the others cost."""

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

from starlette.types import Message, Receive, Scope, Send

from app.service import rate
from app.service.gate import Gate
from app.service.metrics import ServiceMetrics
from app.service.rate import Rate
from app.service.roles import Caller, Role
from app.service.wrong_tokens import WrongTokens

if TYPE_CHECKING:
    from app.service.tokens import Tokens

GUESSER, ANOTHER = "10.0.0.1", "10.0.0.2"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_a_minute_an_address_has_all_its_tries_again() -> None:
    clock = Clock()
    wrong = WrongTokens(20, clock)
    assert [wrong.wait_s(GUESSER) for _ in range(20)] == [0.0] * 20
    assert wrong.wait_s(GUESSER) > 0
    assert wrong.many(GUESSER)
    clock.now = 60.0
    assert not wrong.many(GUESSER)
    assert [wrong.wait_s(GUESSER) for _ in range(20)] == [0.0] * 20


def test_addresses_without_end_take_no_memory_without_end() -> None:
    wrong = WrongTokens(20, Clock())
    for number in range(rate._KEPT + 100):
        wrong.wait_s(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(wrong._rate._buckets) == rate._KEPT


def test_a_network_that_one_caller_has_whole_counts_as_one_address() -> None:
    wrong = WrongTokens(1, Clock())
    wrong.wait_s("2001:db8::1")
    assert wrong.many("2001:db8::ffff:2")
    assert not wrong.many("2001:db8:0:1::1")
    wrong.wait_s("::1")
    assert not wrong.many("0.0.0.1")


class SlowTokens:
    """The check of a guess takes until `go`; tells the first, and how many there are at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = threading.Event()
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def caller(self, text: str) -> Caller | str:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        if text == "guess":
            self.asked.set()
            assert self.go.wait(30)
        with self._lock:
            self.at_once -= 1
        return Caller("me", Role.READER) if text == "good" else "there is no such token"


async def nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})


async def ask(gate: Gate, token: str, address: str) -> int:
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
        "client": (address, 1),
    }
    await gate(scope, receive, send)
    return statuses[0]


def test_guesses_are_checked_one_by_one_and_keep_nobody_elsewhere_waiting() -> None:
    tokens, wrong = SlowTokens(), WrongTokens(1, Clock())
    gate = Gate(
        nothing,
        cast("Tokens", tokens),
        Rate(1000, 1000, Clock()),
        wrong,
        ServiceMetrics(),
        dev=False,
    )

    async def play() -> None:
        assert await ask(gate, "wrong", GUESSER) == 401
        guesses = [asyncio.create_task(ask(gate, "guess", GUESSER)) for _ in range(5)]
        assert await asyncio.to_thread(tokens.asked.wait, 30)
        assert await ask(gate, "good", ANOTHER) == 204
        assert await ask(gate, "wrong", ANOTHER) == 401
        same_place = asyncio.create_task(ask(gate, "good", GUESSER))
        tokens.most_at_once = 0
        tokens.go.set()
        assert await asyncio.gather(*guesses) == [429] * 5
        assert await same_place == 204  # it waited its turn, and was let in
        assert tokens.most_at_once == 1

    asyncio.run(play())
