"""Retire a version, and reinstate it."""

import time
from typing import Annotated

from fastapi import APIRouter

from app.domain.promoting import said_of
from app.service.allowed import changes
from app.service.audit import Change
from app.service.documents import Retirement
from app.service.parts import Parts
from app.service.problems import not_found
from app.service.roles import Role
from app.service.routes.common import Name, VersionNumber, Why, refusals
from app.service.routes.versions import found
from app.service.withdrawing import retire as withdraw


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["serving"])

    @routes.post(
        "/models/{name}/versions/{version}/retire",
        summary="Retire a version",
        responses=refusals(404, 409),
    )
    def retire(
        name: Name,
        version: VersionNumber,
        change: Annotated[Change, changes(parts.audit, "version.retire", Role.PROMOTER)],
        why: Why = None,  # noqa: ARG001 - the change has read it; this is for the description
    ) -> Retirement:
        """From now on nobody stages, promotes or announces it, here or by the command line.

        Refused for one that is in force or will be, that is staged, or that an alias names. Takes a
        second. Plans that name it can be replayed as before.
        """
        facts = found(parts.catalog, name, version)
        now_ms = round(time.time() * 1000)
        said = facts.retired or said_of("retired", change.caller.name, now_ms, change.why)
        withdraw(parts, facts, said)
        return Retirement(name=name, version=version, retired=said)

    @routes.post(
        "/models/{name}/versions/{version}/reinstate",
        summary="Reinstate a version",
        responses=refusals(404),
    )
    def reinstate(
        name: Name,
        version: VersionNumber,
        change: Annotated[Change, changes(parts.audit, "version.reinstate", Role.PROMOTER)],  # noqa: ARG001
        why: Why = None,  # noqa: ARG001 - as above
    ) -> Retirement:
        """Take its retirement back."""
        if not parts.catalog.retire(name, version, None):
            raise not_found(f"version {version} of {name}")
        return Retirement(name=name, version=version, retired=None)

    return routes
