"""Look at the plans, at what is in force, and at the instances."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.service.allowed import needs
from app.service.documents import InForce, Instances, Plans
from app.service.parts import Parts
from app.service.roles import Role
from app.service.routes.common import refusals

_Newest = Annotated[
    int | None,
    Query(
        ge=1,
        le=10_000,
        description="Only so many, the newest, and whatever is in force, coming or staged.",
        examples=[20],
    ),
]
_NOW = frozenset({"in force", "coming", "staged"})


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["plans"], dependencies=[needs(Role.READER)])

    @routes.get("/plans", summary="The history of plans", responses=refusals())
    def plans(newest: _Newest = None) -> Plans:
        """Every plan, void and staged version, when and why, in the order of the topic."""
        rows = [dict(row) for row in parts.history()]
        older = 0 if newest is None else max(0, len(rows) - newest)
        return Plans(plans=[row for row in rows[:older] if row["status"] in _NOW] + rows[older:])

    @routes.get("/in-force", summary="What is in force", responses=refusals())
    def in_force() -> InForce:
        """The plan in force now, and those that will be."""
        return InForce.model_validate(parts.in_force())

    @routes.get("/instances", summary="The instances", responses=refusals())
    def instances() -> Instances:
        """What each instance serves, loads or waits for, as it says itself."""
        return Instances(instances=[dict(row) for row in parts.instances()])

    return routes
