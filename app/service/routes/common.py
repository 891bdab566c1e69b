"""What routes share: names in paths, pages of lists, and which refusals each may answer with."""

import base64
import json
from typing import Annotated, Any

from fastapi import Path, Query

from app.service.problems import MEDIA_TYPE, Problem

Name = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]{0,199}$",
        description="A registered model.",
        examples=["treasury-price-model"],
    ),
]
VersionNumber = Annotated[
    str, Path(pattern=r"^[1-9][0-9]{0,8}$", description="Its version.", examples=["1"])
]
Limit = Annotated[int, Query(ge=1, le=200, description="The most of one page.", examples=[50])]
PageToken = Annotated[
    str | None,
    Query(
        max_length=500,
        description="`next_page_token` of the page before; without it, the first page.",
    ),
]
Why = Annotated[
    str | None,
    Query(
        max_length=1_000,
        description="Why, for whoever reads the history.",
        examples=["retrained on May"],
    ),
]

DIGEST_HEADER = "X-Artifact-Digest"
ZIP_BODY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

_SAID = {
    400: "The request can't be read.",
    401: "There is no valid token.",
    403: "The role of the token is too small.",
    404: "There is no such thing.",
    408: "The body takes too long.",
    409: "As things are, it can't be.",
    413: "The body is too large.",
    422: "What was sent is refused.",
    429: "The token calls too often, or too many wrong ones came from this address.",
    503: "MLflow, Kafka or the database is away; Retry-After says when to try again.",
}
_ALWAYS = (400, 401, 403, 422, 429, 503)


def refusals(*statuses: int, always: tuple[int, ...] = _ALWAYS) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI describes refusals: those of all routes behind the gate, and these."""
    return {
        status: {
            "description": _SAID[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in sorted({*always, *statuses})
    }


def closed(of: str, token: str | None) -> str | None:
    """Return a page token that opens only the list that it is of.

    >>> opened("models", closed("models", "abc"))
    'abc'
    """
    if token is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([of, token]).encode()).decode().rstrip("=")


def opened(of: str, token: str | None) -> str | None:
    """Return what is in a page token.

    Raises:
        Problem: 400, it is none, or of another list.
    """
    if token is None:
        return None
    try:
        whose, inside = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError):
        whose, inside = None, None
    if whose != of or not isinstance(inside, str):
        raise bad_page_token()
    return inside


def bad_page_token() -> Problem:
    """Return what is said of a page token that is none."""
    return Problem(
        400,
        "BadPageToken",
        "page_token is none of this list",
        "Take next_page_token of the page before, or leave it out for the first page.",
    )
