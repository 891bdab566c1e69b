"""Look at registered models."""

from fastapi import APIRouter

from app.service.allowed import needs
from app.service.documents import Model, Models, model_of
from app.service.parts import Parts
from app.service.problems import not_found
from app.service.roles import Role
from app.service.routes.common import (
    Limit,
    Name,
    PageToken,
    bad_page_token,
    closed,
    opened,
    refusals,
)


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["models"], dependencies=[needs(Role.READER)])
    catalog = parts.catalog

    @routes.get("/models", summary="List models", responses=refusals())
    def list_models(limit: Limit = 50, page_token: PageToken = None) -> Models:
        try:
            page = catalog.models(limit, opened("models", page_token))
        except ValueError as error:
            raise bad_page_token() from error
        return Models(
            models=[model_of(one) for one in page.items],
            next_page_token=closed("models", page.next_token),
        )

    @routes.get("/models/{name}", summary="Show a model", responses=refusals(404))
    def show_model(name: Name) -> Model:
        facts = catalog.model(name)
        if facts is None:
            raise not_found(f"model {name}")
        return model_of(facts)

    return routes
