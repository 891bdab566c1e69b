"""Who calls, and what this service is about: what a page needs before it asks for more."""

from typing import Annotated

from fastapi import APIRouter

from app.service.allowed import needs
from app.service.documents import Me
from app.service.parts import Parts
from app.service.roles import Caller, Role
from app.service.routes.common import refusals


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["operator"])

    @routes.get("/me", summary="Who am I?", responses=refusals())
    def me(caller: Annotated[Caller, needs(Role.READER)]) -> Me:
        """The name and role of the token, and the model that the stream serves."""
        return Me(
            name=caller.name,
            role=caller.role,
            dev=parts.dev,
            model=parts.serving.model,
            alias=parts.serving.alias,
        )

    return routes
