"""Predict rows by the version in force, or by one that is named."""

import math
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from app.service.allowed import needs
from app.service.documents import Predicted, Row
from app.service.parts import Parts
from app.service.predicting import Predictions
from app.service.problems import Problem, not_found
from app.service.roles import Role
from app.service.routes.common import Name, refusals
from app.service.routes.versions import found

_EXAMPLE = {
    "id": "UST-2024-05",
    "month": "2024-05",
    "treasury_print_volume": 1250000.0,
    "interest_rate": 4.5,
    "inflation_rate": 2.1,
    "previous_month_price": 101.25,
}
_ANY_RECORD = {"type": "object", "description": "A record, as README.md describes it."}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [_ANY_RECORD, {"type": "array", "items": _ANY_RECORD}]},
                "example": [_EXAMPLE],
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["predict"], dependencies=[needs(Role.READER)])

    @routes.post(
        "/models/{name}/predict",
        summary="Predict rows",
        responses=refusals(404, 408, 413),
        openapi_extra=_BODY,
    )
    async def predict(
        request: Request,
        name: Name,
        version: Annotated[
            str | None,
            Query(
                pattern=r"^[1-9][0-9]{0,8}$",
                description="Without it, the version in force.",
                examples=["1"],
            ),
        ] = None,
    ) -> Predicted:
        """One record, or an array of them; or a record a line, as `application/x-ndjson`.

        Each line, or element, is read as the value of a Kafka message would be: what is bad gets
        its reason, and the others get their price.
        """
        body = await request.body()
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
        rows = rows_of(body, kind.lower(), parts.bounds.rows)
        return await run_in_threadpool(_predict, parts, name, version, rows)

    return routes


def rows_of(body: bytes, kind: str, most: int) -> list[bytes]:
    r"""Cut a body into rows, each byte for byte as it was sent.

    Raises:
        Problem: 400, it is no JSON; 413, there are more than `most`; 415, it is something else.

    >>> rows_of(b'[{"a": 1} , 2]', "application/json", 10)
    [b'{"a": 1}', b'2']
    >>> rows_of(b'{"a": NaN}\n[\n', "application/x-ndjson", 10)
    [b'{"a": NaN}', b'[']
    """
    if kind == "application/x-ndjson":
        rows = [line.removesuffix(b"\r") for line in body.removesuffix(b"\n").split(b"\n")]
    elif kind != "application/json":
        raise Problem(
            415,
            "UnsupportedMediaType",
            f"{kind[:100]!r} can't be read",
            "Send application/json, or application/x-ndjson with a record a line.",
        )
    elif body.lstrip(b" \t\r\n").startswith(b"["):
        try:
            rows = [bytes(row) for row in _split(body)]
        except (ValueError, RecursionError) as error:
            raise Problem(
                400,
                "NotJson",
                f"the body is no JSON: {error}"[:300],
                "Correct it; or send a record a line as application/x-ndjson: then each is judged "
                "alone.",
            ) from error
    else:
        rows = [body]
    if len(rows) > most:
        raise Problem(
            413,
            "TooManyRows",
            f"{len(rows):,} rows are more than {most:,}",
            "Send fewer at once (`service.max_rows`).",
        )
    return rows


def _predict(parts: Parts, name: str, version: str | None, rows: list[bytes]) -> Predicted:
    named = None if version is None else found(parts.catalog, name, version)
    predictions = parts.predictor.predict(name, named, rows)
    if predictions is None:
        raise not_found(f"version of {name} in force")
    answers = [_row(predictions, at) for at in range(len(rows))]
    parts.metrics.predicted(len(rows) - len(predictions.rejected), len(predictions.rejected))
    return Predicted(
        model=name, version=predictions.version, plan_offset=predictions.plan_offset, rows=answers
    )


def _row(predictions: Predictions, at: int) -> Row:
    record, price = predictions.records[at], float(predictions.prices[at])
    why = predictions.rejected.get(at)
    return Row(
        id=None if record is None else record.id,
        month=None if record is None else record.month,
        predicted_price=price if why is None and math.isfinite(price) else None,
        reason=None if why is None else why.reason.value,
        message=None if why is None else why.message,
    )
