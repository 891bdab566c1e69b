"""Dependencies of routes: the role that each needs, and the audit record of each change."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.service.audit import Audit, Change
from app.service.problems import Problem
from app.service.roles import Caller, Role

_bearer = HTTPBearer(
    auto_error=False,  # the gate has looked already; this is for the description
    scheme_name="token",
    bearerFormat="NAME.SECRET",
    description="`python -m app token create NAME --role ROLE` makes one.",
)
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
_MOST = 1_000  # characters of a reason


def needs(role: Role) -> Any:
    """Return the dependency of a route that changes nothing.

    Raises (per request):
        Problem: 403, the caller's role is too small.
    """

    def check(request: Request, _token: _Bearer) -> Caller:
        return _require(request, role)

    return Depends(check)


def changes(audit: Audit, action: str, role: Role) -> Any:
    """Return the dependency of a route that changes something: its audit record.

    Args:
        audit: Where records go.
        action: What is changed, as `version.upload`.
        role: Who may.

    Raises (per request):
        Problem: 403, the caller's role is too small; that is recorded too.
        DatabaseUnavailable: There can be no record.
    """

    def record(request: Request, _token: _Bearer) -> Iterator[Change]:
        change = Change(
            caller=request.state.caller,
            action=action,
            target=plain("/".join(map(str, request.path_params.values()))),
            why=plain(request.query_params.get("why", "")) or None,
            request_id=request.state.request_id,
        )
        with audit.of(change):
            _require(request, role)
            yield change

    return Depends(record, scope="function")


def plain(text: str) -> str:
    r"""Return what a database and a log can hold of a text.

    >>> plain("a\x00b")
    'a b'
    """
    return "".join(sign if sign.isprintable() else " " for sign in text)[:_MOST].strip()


def _require(request: Request, role: Role) -> Caller:
    caller: Caller = request.state.caller
    if not caller.role.may(role):
        raise Problem(
            403,
            "RoleTooSmall",
            f"this needs the role {role.value}; the token {caller.name!r} has {caller.role.value}",
            f"Ask for a token with the role {role.value}.",
        )
    return caller
