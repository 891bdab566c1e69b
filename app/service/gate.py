"""The gate: who calls, and not too often.

Everything is behind it but the health of the service, the files of its page, which hold no secrets,
and webhooks, which are signed instead.
"""

import asyncio
import math
from contextlib import AbstractAsyncContextManager, nullcontext
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.errors import DatabaseUnavailable
from app.service.metrics import ServiceMetrics
from app.service.problems import Problem, answer
from app.service.rate import Rate
from app.service.roles import DEVELOPER, Caller
from app.service.tokens import Tokens
from app.service.webhooks import PATH as WEBHOOKS
from app.service.wrong_tokens import WrongTokens

OPEN = frozenset({"/healthz", "/readyz", "/", WEBHOOKS})
OPEN_FOLDER = "/assets/"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Gate:
    """Lets a request in that has a valid token, and says in its state who called.

    Args:
        app: What is behind it.
        tokens: Which there are.
        rate: How often each may call.
        wrong: How many wrong tokens an address may send.
        dev: Let everybody in who calls this machine by a name of its own, and no page of others.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        rate: Rate,
        wrong: WrongTokens,
        metrics: ServiceMetrics,
        *,
        dev: bool,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._rate = rate
        self._wrong = wrong
        self._metrics = metrics
        self._dev = dev
        self._in_turn = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or say why not."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            request = Request(scope)
            try:
                caller = self._developer(request) if self._dev else await self._caller(request)
                request.state.caller = caller
                self._require_patience(caller)
            except (Problem, DatabaseUnavailable) as error:
                await answer(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _caller(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise self._unauthorized("there is no token", "Bearer")
        address = "" if request.client is None else request.client.host  # no proxy's word for it
        # Tokens from where many were wrong are checked one by one: they take one thread and one
        # connection of the database, whoever guesses, and those of others are not kept waiting.
        turn: AbstractAsyncContextManager[None] = (
            self._in_turn if self._wrong.many(address) else nullcontext()
        )
        async with turn:
            found = await run_in_threadpool(self._tokens.caller, token.strip())
        if isinstance(found, str):
            self._require_few(address)
            raise self._unauthorized(found, 'Bearer error="invalid_token"')
        return found

    def _require_few(self, address: str) -> None:
        wait_s = self._wrong.wait_s(address)
        if wait_s > 0:
            self._metrics.refused("too_many_wrong_tokens")
            raise Problem(
                429,
                "TooManyWrongTokens",
                "too many wrong tokens came from this address",
                "Send a valid token, which is let in at once, or wait as long as Retry-After says.",
                {"Retry-After": str(math.ceil(wait_s))},
            )

    def _unauthorized(self, why: str, challenge: str) -> Problem:
        self._metrics.refused("unauthorized")
        return Problem(
            401,
            "Unauthorized",
            why,
            "Send `Authorization: Bearer TOKEN`; `python -m app token create` makes one.",
            {"WWW-Authenticate": challenge},
        )

    def _developer(self, request: Request) -> Caller:
        """Return who calls a service that asks for no token.

        A page of somebody else's, open in a browser on this machine, can reach it as well: it
        betrays itself by its origin, or by the name that it made resolve to this machine.
        """
        places = [
            f"//{request.headers.get('host', '')}",
            request.headers.get("origin", "//localhost"),
        ]
        for place in places:
            try:
                host = urlsplit(place).hostname
            except ValueError:
                host = None
            if host not in LOOPBACK:
                self._metrics.refused("unauthorized")
                raise Problem(
                    403,
                    "Forbidden",
                    "with --dev only this machine may call, by a name of its own",
                    "Call http://localhost, or run the service without --dev and use a token.",
                )
        return DEVELOPER

    def _require_patience(self, caller: Caller) -> None:
        wait_s = self._rate.wait_s(caller.name)
        if wait_s > 0:
            self._metrics.refused("too_many_requests")
            raise Problem(
                429,
                "TooManyRequests",
                f"the token {caller.name!r} calls too often",
                "Wait as long as Retry-After says (`service.requests_per_s`, `service.burst`).",
                {"Retry-After": str(math.ceil(wait_s))},
            )


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_FOLDER)
