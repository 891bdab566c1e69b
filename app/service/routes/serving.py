"""Stage a version, promote one, and roll back."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response

from app.domain.errors import Refused
from app.service.allowed import changes
from app.service.audit import Change
from app.service.documents import Promotion, RolledBack, StagedVersion, Unstaged
from app.service.idempotency import Answer, Claim, digest
from app.service.parts import Parts
from app.service.roles import Role
from app.service.routes.common import Name, VersionNumber, Why, refusals
from app.service.routes.repeatable import IdempotencyKey, once
from app.service.routes.versions import found

InsteadOf = Annotated[
    str | None,
    Query(
        pattern=r"^[1-9][0-9]{0,8}$",
        description="Refused unless this version is in force: two who roll back at once, or one "
        "who asks twice, don't go back and forth.",
        examples=["2"],
    ),
]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["serving"])
    serving = parts.serving

    def moved(
        request: Request,
        change: Change,
        key: str | None,
        asked: str,
        work: Callable[[Claim], Answer],
    ) -> Response:
        answer = once(parts, request, change, key, asked, work)
        parts.look_again()
        return answer

    @routes.post(
        "/models/{name}/versions/{version}/stage",
        summary="Stage a version",
        responses=refusals(404, 409),
    )
    def stage(
        name: Name,
        version: VersionNumber,
        change: Annotated[Change, changes(parts.audit, "version.stage", Role.PROMOTER)],
        why: Why = None,  # noqa: ARG001 - the change has read it; this is for the description
    ) -> StagedVersion:
        """Loaded and kept warm by all instances; what is in force stays so. Takes seconds.

        It is loaded once before, in a process of its own. `/api/v1/instances` says how far all are.
        """
        _require_ours(parts, name)
        found(parts.catalog, name, version)
        staged = serving.stage(version, change.why)
        return StagedVersion(
            model=name, version=version, offset=staged.offset, digest=staged.announcement.digest
        )

    @routes.post("/models/{name}/unstage", summary="Unstage", responses=refusals(409))
    def unstage(
        name: Name,
        change: Annotated[Change, changes(parts.audit, "version.unstage", Role.PROMOTER)],
        why: Why = None,  # noqa: ARG001 - as above
    ) -> Unstaged:
        """Have instances forget what is staged."""
        _require_ours(parts, name)
        return Unstaged(model=name, offset=serving.unstage(change.why or "no reason was given"))

    @routes.post(
        "/models/{name}/versions/{version}/promote",
        summary="Promote a version",
        status_code=202,
        response_model=Promotion,
        responses=refusals(404, 409),
    )
    def promote(
        request: Request,
        name: Name,
        version: VersionNumber,
        change: Annotated[Change, changes(parts.audit, "version.promote", Role.PROMOTER)],
        idempotency_key: IdempotencyKey = None,
        why: Why = None,  # noqa: ARG001 - as above
    ) -> Response:
        """Move the alias to it: it comes into force once all instances have it loaded.

        `/api/v1/reconciler` says what that waits for, `/api/v1/in-force` when it is so.
        """
        _require_ours(parts, name)
        found(parts.catalog, name, version)

        def work(_claim: Claim) -> Answer:
            done = serving.promote(version, change.caller.name, change.why)
            return _accepted(Promotion(**asdict(done)))

        asked = digest("promote", name, version, change.why or "")
        return moved(request, change, idempotency_key, asked, work)

    @routes.post(
        "/models/{name}/rollback",
        summary="Roll back",
        status_code=202,
        response_model=RolledBack,
        responses=refusals(404, 409),
    )
    def rollback(
        request: Request,
        name: Name,
        change: Annotated[Change, changes(parts.audit, "version.rollback", Role.PROMOTER)],
        instead_of: InsteadOf = None,
        idempotency_key: IdempotencyKey = None,
        why: Why = None,  # noqa: ARG001 - as above
    ) -> Response:
        """Move the alias to the version that was in force before the present one."""
        _require_ours(parts, name)

        def work(_claim: Claim) -> Answer:
            rollback, done, plan = serving.roll_back(change.caller.name, change.why, instead_of)
            change.target = f"{name}/{done.version}"
            return _accepted(
                RolledBack(
                    **asdict(done),
                    instead_of=rollback.present.announcement.model_version,
                    as_at_offset=rollback.target.offset,
                    offset=None if plan is None else plan.offset,
                )
            )

        asked = digest("rollback", name, change.why or "", instead_of or "")
        return moved(request, change, idempotency_key, asked, work)

    return routes


def _accepted(document: Promotion) -> Answer:
    headers = {"Content-Type": "application/json", "Location": "/api/v1/in-force"}
    return Answer(202, headers, orjson.dumps(document.model_dump()))


def _require_ours(parts: Parts, name: str) -> None:
    if name != parts.serving.model:
        raise Refused(
            f"this service puts versions of {parts.serving.model} in force, not of {name}"
        )
