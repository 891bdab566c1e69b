"""The whole service on one screen: the layers around it, its routes, and what it says of errors."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from app.domain.errors import DsModelsError
from app.service.body import BodyLimit
from app.service.documents import ProblemDetails
from app.service.gate import Gate
from app.service.outside import Outside
from app.service.parts import Parts
from app.service.problems import answer
from app.service.routes import (
    artifacts,
    audit,
    dead_letters,
    me,
    models,
    operator,
    page,
    plans,
    predict,
    reconciler,
    retirements,
    serving,
    uploads,
    versions,
    webhooks,
)
from app.service.routes.common import DIGEST_HEADER

Application = FastAPI
API = "/api/v1"
_ROUTERS = (
    models,
    versions,
    uploads,
    artifacts,
    predict,
    serving,
    retirements,
    plans,
    dead_letters,
    reconciler,
    audit,
    me,
)


def application(parts: Parts) -> FastAPI:
    """Return the service as an ASGI application.

    A request passes the layers from the last that is added to the first.
    """
    app = FastAPI(
        title="ds-models registry",
        version="1",
        description="Models, their versions, the plans that put them in force, and predictions.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat whatever host was asked for
        exception_handlers={
            DsModelsError: _say,
            HTTPException: _say,
            RequestValidationError: _say,
        },
    )
    for routes in _ROUTERS:
        app.include_router(routes.router(parts), prefix=API)
    app.include_router(operator.router(parts))
    app.include_router(page.router())
    if parts.webhooks is not None:
        app.include_router(webhooks.router(parts, parts.webhooks))
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]

    app.add_middleware(BodyLimit, limits=parts.bounds)
    app.add_middleware(
        Gate,
        tokens=parts.tokens,
        rate=parts.rate,
        wrong=parts.wrong_tokens,
        metrics=parts.metrics,
        dev=parts.dev,
    )
    if parts.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=parts.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Digest",
                "Content-Type",
                "Idempotency-Key",
                DIGEST_HEADER,
            ],
            expose_headers=[DIGEST_HEADER, "X-Request-Id", "Retry-After"],
        )
    app.add_middleware(Outside, metrics=parts.metrics)
    return app


async def _say(request: Request, error: Exception) -> Response:
    return answer(request, error)


def _described(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        schemas = described["components"]["schemas"]
        schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = described
    return app.openapi_schema
