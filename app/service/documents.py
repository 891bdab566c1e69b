"""What the routes answer with, as OpenAPI describes it. Times are RFC 3339 in UTC."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.times import instant
from app.registry.mlflow_catalog import ModelFacts, RunFacts, VersionFacts

EXAMPLE_DIGEST = "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class ProblemDetails(_Document):
    """Why the answer is no (RFC 9457)."""

    type: str = Field(examples=["urn:ds-models:problem:NotFound"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no version 7 of treasury-price-model"])
    instance: str = Field(examples=["/api/v1/models/treasury-price-model/versions/7"])
    error: str = Field(description="What is wrong, for programs.", examples=["NotFound"])
    next: str = Field(description="What to do.", examples=["List what there is, and name one."])
    request_id: str | None = Field(description="In the log too.", examples=["9f86d081884c7d65"])


class Model(_Document):
    """A registered model."""

    name: str = Field(examples=["treasury-price-model"])
    description: str = Field(examples=["Predicts the price of a month."])
    created: str = Field(examples=["2026-11-25T06:26:18.961Z"])
    updated: str = Field(examples=["2026-11-25T06:26:18.961Z"])
    aliases: dict[str, str] = Field(
        description="The version of each alias.", examples=[{"champion": "2"}]
    )


class Version(_Document):
    """A version of a model, as a list shows it."""

    name: str = Field(examples=["treasury-price-model"])
    version: str = Field(examples=["2"])
    description: str = Field(examples=["A forest model of 400 synthetic months (seed 0)."])
    created: str = Field(examples=["2026-11-25T06:26:18.961Z"])
    created_by: str | None = Field(
        description="Who uploaded it, or trained it, as far as MLflow knows.", examples=["ci"]
    )
    why: str | None = Field(description="Why it was uploaded.", examples=["retrained on May"])
    status: str = Field(examples=["READY"])
    run_id: str | None = Field(examples=["3b1f0c5d9e8a47b6a1c2d3e4f5061728"])
    tags: dict[str, str] = Field(examples=[{"kind": "forest"}])
    retired: str | None = Field(
        description="Who retired it, when and why: it must not be served.", examples=[None]
    )


class VersionInFull(Version):
    """A version of a model, with all that is known of it."""

    aliases: list[str] = Field(examples=[["champion"]])
    metrics: dict[str, float | None] = Field(
        description="Of its training run; null if not finite.", examples=[{"rmse": 1.94}]
    )
    parameters: dict[str, str] = Field(examples=[{"kind": "forest", "trees": "100"}])
    signature: dict[str, Any] | None = Field(
        description="What it takes and gives, as MLflow writes it; null if it does not say.",
        examples=[{"inputs": [{"name": "interest_rate", "type": "double"}], "outputs": None}],
    )
    digest: str | None = Field(
        description="Of its files; null if the policy does not allow fetching them.",
        examples=[EXAMPLE_DIGEST],
    )
    digest_unknown: str | None = Field(description="Why there is no digest.", examples=[None])


class Models(_Document):
    """A page of models."""

    models: list[Model]
    next_page_token: str | None = Field(description="Null on the last page.", examples=[None])


class Versions(_Document):
    """A page of versions, the newest first."""

    versions: list[Version]
    next_page_token: str | None = Field(description="Null on the last page.", examples=[None])


class Compared(_Document):
    """One value of two versions."""

    name: str = Field(examples=["rmse"])
    left: Any = Field(description="Null if it has none.", examples=[3.38])
    right: Any = Field(description="Null if it has none.", examples=[1.94])
    differs: bool = Field(examples=[True])


class Comparison(_Document):
    """Two versions side by side; each list has the names of both, in alphabetical order."""

    model: str = Field(examples=["treasury-price-model"])
    left: str = Field(examples=["1"])
    right: str = Field(examples=["2"])
    metrics: list[Compared]
    parameters: list[Compared]
    signature: list[Compared] = Field(description="Each column of the inputs and outputs.")


class Uploaded(_Document):
    """A new version."""

    name: str = Field(examples=["treasury-price-model"])
    version: str = Field(examples=["3"])
    digest: str = Field(examples=[EXAMPLE_DIGEST])


class Deleted(_Document):
    """A version that is gone."""

    name: str = Field(examples=["treasury-price-model"])
    version: str = Field(examples=["3"])
    plans: list[int] = Field(
        description="Offsets of the plans that named it: they can't be replayed.", examples=[[]]
    )


_PROMOTED = "promoted by ci at 2026-11-25 06:26:18Z: it is better on May"


class StagedVersion(_Document):
    """A version that instances load and keep warm."""

    model: str = Field(examples=["treasury-price-model"])
    version: str = Field(examples=["2"])
    offset: int = Field(description="On the announcement topic.", examples=[1])
    digest: str = Field(examples=[EXAMPLE_DIGEST])


class Unstaged(_Document):
    """A version that is staged no more."""

    model: str = Field(examples=["treasury-price-model"])
    offset: int | None = Field(description="Where it was; null if none was.", examples=[1])


class Promotion(_Document):
    """An alias that was moved."""

    model: str = Field(examples=["treasury-price-model"])
    version: str = Field(description="That the alias names now.", examples=["2"])
    alias: str = Field(examples=["champion"])
    before: str | None = Field(description="That it named before.", examples=["1"])
    said: str = Field(description="Who, when and why, as MLflow has it.", examples=[_PROMOTED])


class RolledBack(Promotion):
    """An alias that was moved to the version before."""

    instead_of: str = Field(description="The version in force.", examples=["2"])
    as_at_offset: int = Field(description="Of the plan that had put it in force.", examples=[0])
    offset: int | None = Field(
        description="Of the new plan, if it had to be announced at once: one of the same version "
        "was still to come. Else null.",
        examples=[None],
    )


class Retirement(_Document):
    """Whether a version may be served."""

    name: str = Field(examples=["treasury-price-model"])
    version: str = Field(examples=["1"])
    retired: str | None = Field(
        description="Who retired it, when and why; null if it may be served.",
        examples=["retired by ann at 2026-11-25 06:26:18Z: trained on wrong rows"],
    )


class Row(_Document):
    """The answer to a row: a price, or the reason why there is none."""

    id: str | None = Field(examples=["UST-2024-05"])
    month: str | None = Field(examples=["2024-05"])
    predicted_price: float | None = Field(examples=[102.7])
    reason: str | None = Field(description="As of a dead letter.", examples=[None])
    message: str | None = Field(description="The same for people.", examples=[None])


class Predicted(_Document):
    """The answers to rows, in their order."""

    model: str = Field(examples=["treasury-price-model"])
    version: str = Field(description="Which predicted.", examples=["2"])
    plan_offset: int | None = Field(
        description="Of the plan in force; null if the version was named.", examples=[1]
    )
    rows: list[Row]


class Plans(_Document):
    """What stands on the announcement topic, in its order."""

    plans: list[dict[str, Any]] = Field(
        description="A row as `python -m app announcements --json` prints it.",
        examples=[
            [
                {
                    "offset": 0,
                    "status": "in force",
                    "model": "treasury-price-model",
                    "version": "1",
                    "announced": "2026-11-25T06:26:18.961Z",
                    "effective": "2026-11-25T06:26:19.961Z",
                    "guard_ms": 1000,
                    "digest": EXAMPLE_DIGEST,
                    "run_id": None,
                    "why": "the first",
                }
            ]
        ],
    )


class PlanInForce(_Document):
    """A plan that is in force or will be."""

    model: str = Field(examples=["treasury-price-model"])
    version: str = Field(examples=["1"])
    offset: int = Field(examples=[0])
    effective: str = Field(examples=["2026-11-25T06:26:19.961Z"])


class InForce(_Document):
    """What is in force, and what will be."""

    at: str = Field(examples=["2026-11-25T06:30:00.000Z"])
    in_force: PlanInForce | None
    coming: list[PlanInForce] = Field(description="In the order of their times.", examples=[[]])


class Instances(_Document):
    """What each instance says of itself."""

    instances: list[dict[str, Any]] = Field(
        description="As `instances` of `python -m app status --json`.",
        examples=[[{"instance": "a-1", "doing": "serving", "live": True}]],
    )


class ReconcilerState(_Document):
    """The reconciler of this service."""

    runs_here: bool = Field(
        description="False without `service.reconcile`: it may run elsewhere.", examples=[True]
    )
    wanted: str | None = Field(
        description="The version that the alias in MLflow names, null if it names none.",
        examples=["2"],
    )
    agrees: bool | None = Field(
        description="Whether the newest plan names that; null if nobody has looked.",
        examples=[True],
    )
    why: str = Field(
        description="What it does, or waits for.", examples=["version 2 is announced at offset 3"]
    )
    looked: str | None = Field(
        description="When it last saw both.", examples=["2026-11-25T06:26:18.961Z"]
    )
    failure: str | None = Field(
        description="What failed last, however long ago.",
        examples=["ModelUnavailable: MLflow does not answer"],
    )
    failed: str | None = Field(description="When.", examples=["2026-11-25T06:20:00.000Z"])


class WebhookAnswer(_Document):
    """What became of a webhook."""

    outcome: Literal["taken", "repeated"] = Field(
        description="`repeated` changes nothing: it was taken before.", examples=["taken"]
    )


class AuditRecord(_Document):
    """A change that was asked for, and what became of it."""

    id: int = Field(examples=[17])
    at: str = Field(examples=["2026-11-25T06:26:18.961Z"])
    who: str = Field(description="The name of the token.", examples=["ci"])
    role: str = Field(examples=["publisher"])
    action: str = Field(examples=["version.upload"])
    target: str = Field(examples=["treasury-price-model/3"])
    why: str | None = Field(examples=["retrained on May"])
    outcome: Literal["started", "done", "repeated", "refused", "failed"] = Field(
        description="`started` for good is of a service that was killed: it may have been made.",
        examples=["done"],
    )
    status: int | None = Field(description="Of a refusal or a failure.", examples=[None])
    detail: str | None = Field(examples=[None])
    request_id: str | None = Field(examples=["9f86d081884c7d65"])


class AuditRecords(_Document):
    """A page of audit records, the newest first."""

    records: list[AuditRecord]
    next_page_token: str | None = Field(description="Null on the last page.", examples=["16"])


class Health(_Document):
    """Whether the service is well."""

    ok: bool = Field(examples=[True])
    why: str | None = Field(description="What is away.", examples=[None])


def model_of(facts: ModelFacts) -> Model:
    """Return a model as it is answered."""
    return Model(
        name=facts.name,
        description=facts.description,
        created=instant(facts.created_ms),
        updated=instant(facts.updated_ms),
        aliases=dict(facts.aliases),
    )


def version_of(facts: VersionFacts) -> dict[str, Any]:
    """Return the fields of a version as they are answered."""
    return {
        "name": facts.name,
        "version": facts.version,
        "description": facts.description,
        "created": instant(facts.created_ms),
        "created_by": facts.created_by,
        "why": facts.why,
        "status": facts.status,
        "run_id": facts.run_id,
        "tags": dict(facts.tags),
        "retired": facts.retired,
    }


def metrics_of(run: RunFacts) -> dict[str, float | None]:
    """Return metrics as JSON has them: it has no infinity.

    >>> metrics_of(RunFacts({"rmse": 1.5, "r2": float("nan")}, {}, None))
    {'r2': None, 'rmse': 1.5}
    """
    return {n: v if math.isfinite(v) else None for n, v in sorted(run.metrics.items())}


def compared(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Compared]:
    """Return the values of two mappings side by side, by name.

    >>> [(c.name, c.differs) for c in compared({"a": 1, "b": 2}, {"b": 2})]
    [('a', True), ('b', False)]
    """
    rows = []
    for name in sorted(set(left) | set(right)):
        one, other = left.get(name), right.get(name)
        differs = one != other or (name in left) != (name in right)
        rows.append(Compared(name=name, left=one, right=other, differs=differs))
    return rows


def columns_of(signature: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns of a signature by name, so that two can be compared.

    >>> columns_of({"inputs": [{"name": "rate", "type": "double"}], "outputs": [{"type": "long"}]})
    {'inputs.rate': {'type': 'double'}, 'outputs.0': {'type': 'long'}}
    """
    columns: dict[str, Any] = {}
    for part, written in (signature or {}).items():
        for number, column in enumerate(written or ()):
            name = column.get("name", number)
            columns[f"{part}.{name}"] = {k: v for k, v in column.items() if k != "name"}
    return columns
