"""Look at the plans, at what is in force, and at the instances."""

from fastapi import APIRouter

from app.service.allowed import needs
from app.service.documents import InForce, Instances, Plans
from app.service.parts import Parts
from app.service.roles import Role
from app.service.routes.common import refusals


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["plans"], dependencies=[needs(Role.READER)])

    @routes.get("/plans", summary="The history of plans", responses=refusals())
    def plans() -> Plans:
        """Every plan, void and staged version, when and why, in the order of the topic."""
        return Plans(plans=[dict(row) for row in parts.history()])

    @routes.get("/in-force", summary="What is in force", responses=refusals())
    def in_force() -> InForce:
        """The plan in force now, and those that will be."""
        return InForce.model_validate(parts.in_force())

    @routes.get("/instances", summary="The instances", responses=refusals())
    def instances() -> Instances:
        """What each instance serves, loads or waits for, as it says itself."""
        return Instances(instances=[dict(row) for row in parts.instances()])

    return routes
