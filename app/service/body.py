"""Bodies: bounded while they arrive, in size and in time; large ones are written to disk."""

import asyncio
import hashlib
from pathlib import Path
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.service import webhooks
from app.service.problems import Problem

_AT_ONCE = 1 << 20


class _Limits(Protocol):
    @property
    def body_bytes(self) -> int: ...
    @property
    def upload_bytes(self) -> int: ...
    @property
    def body_s(self) -> float: ...


class BodyLimit:
    """Breaks off a body that is too large or too slow: the route that reads it gets a Problem."""

    def __init__(self, app: ASGIApp, limits: _Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on with a body that ends at the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most, within_s = self._limits_of(scope)
        until = asyncio.get_running_loop().time() + within_s
        seen, ended = 0, False

        async def receive_some() -> Message:
            nonlocal seen, ended
            if ended:
                return await receive()
            if not seen:
                _require_announced(scope, most)
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError as error:
                raise _broken_off(408, "BodyTooSlow", "the body takes too long") from error
            seen += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if seen > most:
                raise _too_large(most)
            return message

        await self._app(scope, receive_some, send)

    def _limits_of(self, scope: Scope) -> tuple[int, float]:
        limits = self._limits
        if scope["path"] == webhooks.PATH:  # anybody may send one
            return (
                min(limits.body_bytes, webhooks.MOST_BYTES),
                min(limits.body_s, webhooks.MOST_S),
            )
        return (limits.upload_bytes if _is_upload(scope) else limits.body_bytes), limits.body_s


async def to_file(request: Request, file: Path) -> str:
    """Write the body of a request to a file; return its SHA-256 in hexadecimal digits.

    Raises:
        Problem: It is too large, too slow, or was broken off.
    """
    whole = hashlib.sha256()
    pending = bytearray()
    with file.open("wb") as target:

        def write(part: bytes) -> None:
            whole.update(part)
            target.write(part)

        try:
            async for part in request.stream():
                pending += part
                if len(pending) >= _AT_ONCE:
                    await run_in_threadpool(write, bytes(pending))
                    pending.clear()
        except ClientDisconnect as error:
            raise _broken_off(400, "BodyBrokenOff", "the body was broken off") from error
        await run_in_threadpool(write, bytes(pending))
    return whole.hexdigest()


def _is_upload(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] == "POST" and path.startswith("/api/") and path.endswith("/versions")


def _require_announced(scope: Scope, most: int) -> None:
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    if announced.isdigit() and int(announced[:20]) > most:
        raise _too_large(most)


def _too_large(most: int) -> Problem:
    return _broken_off(
        413,
        "BodyTooLarge",
        f"the body is larger than {most:,} bytes",
        "Send less (`service.max_body_mb`, `service.max_upload_mb`).",
    )


def _broken_off(status: int, error: str, detail: str, next_step: str = "Send it again.") -> Problem:
    return Problem(status, error, detail, next_step, {"Connection": "close"})
