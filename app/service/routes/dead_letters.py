"""Look at why records have become dead letters lately."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.service.allowed import needs
from app.service.documents import DeadLetters
from app.service.parts import Parts
from app.service.roles import Role
from app.service.routes.common import refusals

_Minutes = Annotated[int, Query(ge=1, le=1_440, description="How far to look back.", examples=[60])]


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["operator"], dependencies=[needs(Role.READER)])

    @routes.get("/dead-letters", summary="Why there are dead letters", responses=refusals())
    def dead_letters(minutes: _Minutes = 60) -> DeadLetters:
        """How many of each reason, the most frequent first; counted every two seconds at most."""
        return DeadLetters.model_validate(parts.dead_letters(minutes))

    return routes
