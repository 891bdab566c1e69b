"""What is said when the answer is no: problem details (RFC 9457), with what to do next.

Nothing of the inside is told: no trace, no path of this machine.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.domain.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    DsModelsError,
    FeedError,
    ModelRefused,
    ModelUnavailable,
    Refused,
    TopicsError,
)
from app.domain.secrets import without_passwords

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
_PLACE = re.compile(r"(?<![\w:/.\]])/(?:[^\s/'\":;,]+/)+[^\s'\":;,]*")

_KINDS: tuple[tuple[type[DsModelsError], int, str], ...] = (
    (ModelRefused, 422, "Send, or name, a version that can serve; the detail says what is wrong."),
    (ModelUnavailable, 503, "Try again; if it lasts, bring MLflow or its artifacts back."),
    (BrokerUnavailable, 503, "Try again; if it lasts, bring Kafka back."),
    (FeedError, 503, "Try again; if it lasts, look at the announcement topic."),
    (TopicsError, 503, "Make the topics: `python -m app topics create`."),
    (DatabaseUnavailable, 503, "Try again; if it lasts, bring the service's database back."),
    (Refused, 409, "Nothing was changed; the detail says what would do instead."),
)


class Problem(HTTPException):
    """Raised to answer with problem details.

    Args:
        status: Of HTTP.
        error: What is wrong, as one word for programs.
        detail: The same for people.
        next_step: What to do about it.
        headers: Of the answer.
        more: Members of the details beside the usual ones.
    """

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        next_step: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.error = error
        self.next_step = next_step
        self.more = more

    def response(self, path: str, request_id: str | None) -> Response:
        """Return the answer to a request for `path`."""
        details = {
            "type": f"urn:ds-models:problem:{self.error}",
            "title": HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "detail": self.detail,
            "instance": path,
            "error": self.error,
            "next": self.next_step,
            "request_id": request_id,
            **self.more,
        }
        body = orjson.dumps(details, default=str)
        return Response(body, self.status_code, self.headers, MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """Return what is said of an exception.

    >>> problem_of(Refused("a plan names it")).status_code
    409
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):  # of the framework: no such route, no such method
        word = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
        said = "Read /openapi.json for what there is."
        return Problem(error.status_code, word, str(error.detail), said, error.headers)
    for kind, status, next_step in _KINDS:
        if isinstance(error, kind):
            retry = (
                {"Retry-After": str(RETRY_AFTER_S)}
                if status == HTTPStatus.SERVICE_UNAVAILABLE
                else {}
            )
            return Problem(status, type(error).__name__, speakable(error), next_step, retry)
    return Problem(
        500, "Unexpected", "the service failed", "Report it with the request_id; the log has more."
    )


def _invalid(error: RequestValidationError) -> Problem:
    wrong = [
        {"where": ".".join(map(str, one["loc"])), "what": one["msg"]} for one in error.errors()
    ]
    said = "; ".join(f"{one['where']}: {one['what']}" for one in wrong)
    return Problem(
        422, "InvalidRequest", said[:1000], "Correct what the detail names.", invalid=wrong[:20]
    )


def speakable(error: Exception) -> str:
    """Return what an error says without passwords and without paths of this machine.

    >>> speakable(ValueError("can't read '/tmp/a/MLmodel' of models:/m/1"))
    "can't read '…' of models:/m/1"
    """
    return said_safely(str(error))


def said_safely(text: str) -> str:
    """Return a text as `speakable` does."""
    return _PLACE.sub("…", without_passwords(text))[:1000]


def not_found(what: str) -> Problem:
    """Return what is said of something that is not there."""
    return Problem(404, "NotFound", f"there is no {what}", "List what there is, and name one.")


def answer(request: Request, error: Exception) -> Response:
    """Return the answer to a request that raised this."""
    problem = problem_of(error)
    if problem.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request.failed", path=request.url.path, exc_info=error)
    return problem.response(request.url.path, getattr(request.state, "request_id", None))
