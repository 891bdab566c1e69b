"""What MLflow calls when somebody moves an alias: outside of the gate, since it has no token."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app.service.documents import WebhookAnswer
from app.service.parts import Parts
from app.service.problems import Problem
from app.service.routes.common import refusals
from app.service.webhooks import PATH, Webhooks

_EXAMPLE = {
    "entity": "model_version_alias",
    "action": "created",
    "timestamp": "2026-11-25T06:26:18.961000+00:00",
    "data": {"name": "treasury-price-model", "alias": "champion", "version": "2"},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    },
    "security": [],
}


def router(parts: Parts, webhooks: Webhooks) -> APIRouter:
    """Return the route. What strangers send costs it neither a thread nor the database."""
    routes = APIRouter(tags=["operator"])

    @routes.post(
        PATH,
        summary="A webhook of MLflow",
        responses=refusals(403, 408, 413, always=(400, 422, 503)),
        openapi_extra=_BODY,
    )
    async def taken(
        request: Request,
        x_mlflow_signature: Annotated[
            str,
            Header(
                pattern=r"^v1,[A-Za-z0-9+/]{43}=$",
                description="`v1,BASE64`: HMAC-SHA256 of `DELIVERY_ID.TIMESTAMP.BODY`.",
                examples=["v1,X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="],
            ),
        ],
        x_mlflow_timestamp: Annotated[
            str,
            Header(
                pattern=r"^[0-9]{1,12}$",
                description="Unix seconds; at most five minutes from now.",
                examples=["1795587978"],
            ),
        ],
        x_mlflow_delivery_id: Annotated[
            str,
            Header(
                pattern=r"^[A-Za-z0-9_-]{1,64}$",
                description="Taken once, by whichever service.",
                examples=["5f0c1f6e-2b1c-4b52-9a50-6d0b3a6f5c7e"],
            ),
        ],
    ) -> WebhookAnswer:
        """A hint that an alias was moved: the reconciler of this service looks at once.

        What it says is not read, and nothing is lost with it: the reconciler looks from time to
        time all the same. There is no such route without `service.webhook_secret`.
        """
        webhooks.require_recent(x_mlflow_timestamp)
        try:
            body = await request.body()
        except ClientDisconnect as error:
            raise Problem(
                400, "BodyBrokenOff", "the body was broken off", "Send it again."
            ) from error
        webhooks.require_signed(x_mlflow_delivery_id, x_mlflow_timestamp, body, x_mlflow_signature)
        known = webhooks.is_known(x_mlflow_delivery_id)
        if known or not await run_in_threadpool(
            webhooks.take, x_mlflow_delivery_id, x_mlflow_timestamp
        ):
            return WebhookAnswer(outcome="repeated")
        parts.look_again()
        return WebhookAnswer(outcome="taken")

    return routes
