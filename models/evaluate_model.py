"""Judge a registered version against the one in force: the quality gate before a promotion.

    python models/evaluate_model.py 7

Puts nothing in force. `docs/quality-gate.md` has the rule.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.domain.errors import ModelRefused, Refused
from models.command_line import AsJson, run, tell_workflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.registry.mlflow_models import MlflowModels
    from app.settings import Settings
    from models.quality_gate import Floats, Judgement

TAG = "ds_models.gate"
"""Of a version: what the quality gate said of it last."""

Version = Annotated[str, typer.Argument(help="The version to judge; it need not have an alias.")]
Tolerance = Annotated[
    float, typer.Option(min=0, help="By what share its RMSE may be above that in force.")
]
Confidence = Annotated[
    float, typer.Option(min=0.5, max=0.999, help="How sure it must be that it is not above that.")
]
Histories = Annotated[
    int, typer.Option(min=10, max=1_000, help="Held out histories of 480 months each.")
]
HoldOutSeed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Another one draws other histories.")
]


@dataclass(frozen=True, slots=True)
class Standing:
    """The version that a candidate would replace.

    Attributes:
        how: `in force`, or the alias that names it.
        digest: Of its files, if it was announced.
    """

    version: str
    how: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A version, and how it was made.

    Attributes:
        version: In MLflow.
        run_id: Of its training; None if MLflow knows none.
        made: The parameters of that run.
        prices: Its own for what is held out, of shape (histories, months), NaN where it gave none.
    """

    version: str
    run_id: str | None
    made: Mapping[str, str]
    prices: Floats


def main(
    version: Version,
    *,
    tolerance: Tolerance = 0.05,
    confidence: Confidence = 0.95,
    histories: Histories = 50,
    hold_out_seed: HoldOutSeed = 0,
    as_json: AsJson = False,
) -> None:
    """Judge a registered version against the one in force; exit code 8 if it is worse.

    Both predict the same histories, which neither was trained on. The verdict becomes a tag of the
    version in MLflow, and its metrics join those of its training run.
    """
    from app import settings  # noqa: PLC0415 - imports pydantic
    from app.bootstrap import parts  # noqa: PLC0415
    from models import gate_report  # noqa: PLC0415
    from models.quality_gate import Rule, hold_out, judge  # noqa: PLC0415 - imports numpy

    read = settings.read()
    models = parts.models(read)
    models.require_answer()
    standing = find_standing(read, models, version)
    held_out = hold_out(histories, hold_out_seed)
    candidate = evaluate(models, read, version, held_out.features())
    opponent = None
    if standing is not None:
        opponent = evaluate(models, read, standing.version, held_out.features(), standing.digest)
    judgement = judge(
        held_out,
        candidate.prices,
        None if opponent is None else opponent.prices,
        Rule(tolerance, confidence),
    )
    record(read, candidate, judgement)
    report = gate_report.Report(
        read.model.name,
        candidate,
        opponent,
        "" if standing is None else standing.how,
        judgement,
        held_out.price.size,
    )
    report.show(as_json=as_json)
    outputs = {"verdict": judgement.verdict, "why": judgement.why}
    tell_workflow(outputs, report.markdown())
    if judgement.verdict == "failed":
        raise Refused(f"version {version} must not take over: {judgement.why}")


def find_standing(settings: Settings, models: MlflowModels, candidate: str) -> Standing | None:
    """Return the version that a candidate would replace; None if it would be the first.

    That is the one in force. Where nothing was announced yet, it is the one that the alias names,
    unless that is the candidate.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: There is no topic of announcements.
        ModelUnavailable: MLflow is away.
    """
    from app.bootstrap import history  # noqa: PLC0415 - imports the Kafka client
    from app.bootstrap.clock import now_ms  # noqa: PLC0415
    from app.domain.plans import PlanTable  # noqa: PLC0415

    plan = PlanTable.of(history.plans_and_voids(settings)).at(now_ms())
    if plan is not None:
        return Standing(plan.announcement.model_version, "in force", plan.announcement.digest)
    alias = settings.model.alias
    named = (models.aliases(settings.model.name) or {}).get(alias)
    return None if named in {None, candidate} else Standing(str(named), alias, None)


def evaluate(
    models: MlflowModels,
    settings: Settings,
    version: str,
    features: Floats,
    digest: str | None = None,
) -> Evaluated:
    """Fetch a version as an instance does, and have it predict.

    Args:
        models: Where it is.
        settings: Of the application.
        version: Of our model.
        features: Shape (histories, months, features).
        digest: What its files must have, if that was announced.

    Raises:
        ModelUnavailable: MLflow is away, or has no such version.
        ModelRefused: It can't be loaded, the policy refuses it, or its files are others.
    """
    from app.domain.digest import artifact_digest  # noqa: PLC0415
    from app.domain.scoring import score  # noqa: PLC0415 - imports numpy

    registered = models.version(settings.model.name, version)
    with tempfile.TemporaryDirectory(prefix="ds-models-") as folder:
        path = models.fetch(registered.uri, Path(folder))
        if digest is not None and artifact_digest(path) != digest:
            raise ModelRefused(f"the files of version {version} are not those that are in force")
        scores = score(models.load(path), features.reshape(-1, features.shape[-1]))
    scores.prices[list(scores.rejected)] = float("nan")
    return Evaluated(
        registered.version,
        registered.run_id,
        _parameters(settings, registered.run_id),
        scores.prices.reshape(features.shape[:-1]),
    )


def record(settings: Settings, candidate: Evaluated, judgement: Judgement) -> None:
    """Leave the verdict with the version in MLflow, and the metrics with its training run.

    Raises:
        ModelUnavailable: MLflow is away.
    """
    from app.domain.times import instant  # noqa: PLC0415
    from app.registry.mlflow_errors import asked  # noqa: PLC0415

    said = f"{judgement.verdict} at {instant(round(time.time() * 1000))}: {judgement.why}"
    metrics = {"gate_rmse": judgement.candidate.rmse, "gate_mae": judgement.candidate.mae}
    if judgement.ratio is not None:
        metrics["gate_ratio"] = judgement.ratio
    client = _client(settings)
    with asked("the verdict", settings.mlflow.tracking_uri):
        client.set_model_version_tag(settings.model.name, candidate.version, TAG, said)
        for name, value in metrics.items() if candidate.run_id else ():
            client.log_metric(candidate.run_id, name, value)


def _parameters(settings: Settings, run_id: str | None) -> dict[str, str]:
    from app.registry.mlflow_errors import Absent, asked  # noqa: PLC0415

    try:
        with asked("the training run", settings.mlflow.tracking_uri):
            return dict(_client(settings).get_run(run_id).data.params) if run_id else {}
    except Absent:
        return {}


def _client(settings: Settings) -> Any:
    import mlflow  # noqa: PLC0415 - takes seconds

    return mlflow.MlflowClient(settings.mlflow.tracking_uri)


if __name__ == "__main__":
    run(main)
