"""What a route does once for each `Idempotency-Key`, however often it is sent."""

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Header, Request, Response

from app.service.audit import Change
from app.service.idempotency import Answer, Claim
from app.service.parts import Parts
from app.service.problems import Problem

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="The same key with the same request gives the same answer, once.",
        max_length=255,
    ),
]


def once(
    parts: Parts,
    request: Request,
    change: Change,
    key: str | None,
    request_sha256: str,
    work: Callable[[Claim], Answer],
) -> Response:
    """Do the work, or give the answer that it gave before to the same key. Blocks.

    Args:
        parts: Of the service.
        request: That asks for it.
        change: Its audit record.
        key: Of the request; None to do it anyway.
        request_sha256: Of all that it asks for.
        work: Its claim has no owner if there is no key.

    Raises:
        Problem: The key is none, or another request's, or the same is under way.
        DatabaseUnavailable: The database can't be used; the work was not begun.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(
            400,
            "BadIdempotencyKey",
            "Idempotency-Key must be 1 to 255 printable ASCII characters without spaces",
            "Take a random UUID.",
        )
    if key is None:
        unique = Claim(change.caller.name, request.state.request_id, request_sha256, "")
        answer, again = work(unique), False
    else:
        answer, again = parts.keys.once(
            change.caller.name, key, request_sha256, request.url.path, work
        )
    if again:
        change.outcome = "repeated"
    headers = {**answer.headers, **({"Idempotent-Replayed": "true"} if again else {})}
    return Response(answer.body, answer.status, headers)
