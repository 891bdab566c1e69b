"""Look at the reconciler of this service."""

from fastapi import APIRouter

from app.service.allowed import needs
from app.service.documents import ReconcilerState
from app.service.parts import Parts
from app.service.problems import said_safely
from app.service.roles import Role
from app.service.routes.common import refusals


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["plans"], dependencies=[needs(Role.READER)])

    @routes.get("/reconciler", summary="The reconciler", responses=refusals())
    def reconciler() -> ReconcilerState:
        """Whether it runs in this service, what the alias names, and what it does or waits for."""
        found = dict(parts.reconciler())
        for told in ("why", "failure"):
            found[told] = None if found[told] is None else said_safely(found[told])
        return ReconcilerState.model_validate(found)

    return routes
