"""Register the pickled model in MLflow, with how it was made, how good it is, and a signature.

    python models/register_model_in_mlflow.py

Registering puts no version in force: that is what an announcement does.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.domain.errors import ModelError, ModelRefused, ModelUnavailable
from app.domain.records import FEATURES
from app.domain.secrets import without_passwords
from app.registry.mlflow_errors import reason
from models.command_line import DEFAULT_PICKLE, AsJson, run, show, tell_workflow
from models.treasury_price_model import TreasuryPriceModel, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.settings import Settings
    from models.treasury_price_model import Evaluation

REQUIREMENTS = ("scikit-learn", "skops", "numpy", "pandas")
"""What serving needs. Said by us, or MLflow spends seconds on finding out."""

Flavor = Literal["skops", "pyfunc"]

FlavorOption = Annotated[
    Flavor,
    typer.Option(
        help="`pyfunc` registers a PythonModel of our own, whose code is pickled with it: it "
        "serves only where `policy.flavors` allows that."
    ),
]
Pickle = Annotated[Path, typer.Option("--pickle", help="The model. Open only a file of your own.")]
Alias = Annotated[bool, typer.Option(help="Move the alias of the settings to the new version.")]


@dataclass(frozen=True, slots=True)
class Registered:
    """A version that was registered.

    Attributes:
        alias: What points to it, None if it was left where it was.
        uri: What MLflow loads it by.
    """

    name: str
    version: str
    alias: str | None
    run_id: str
    uri: str


def main(
    pickle_path: Pickle = DEFAULT_PICKLE,
    flavor: FlavorOption = "skops",
    alias: Alias = True,
    as_json: AsJson = False,
) -> None:
    """Register the pickled model in MLflow, with parameters, metrics, plot and signature."""
    from app import settings  # noqa: PLC0415 - imports pydantic

    model = load(pickle_path)
    registered = register(model, settings.read(), flavor=flavor, move_alias=alias)
    show(asdict(registered), as_json=as_json)
    tell_workflow({"name": registered.name, "version": registered.version})


def load(path: Path) -> TreasuryPriceModel:
    """Read the pickle that training left. It can run code: never one that somebody sent.

    Raises:
        ModelUnavailable: It is not there.
        ModelRefused: It is no model of ours, or was not evaluated.
    """
    try:
        model = pickle.loads(path.read_bytes())  # noqa: S301 - the file that training just made
    except FileNotFoundError as error:
        raise ModelUnavailable(
            f"there is no model at {path}; `python models/train_and_pickle_model.py` makes one"
        ) from error
    except Exception as error:  # a broken pickle can raise anything
        raise ModelRefused(f"{path} can't be read: {type(error).__name__}: {error}") from error
    if not isinstance(model, TreasuryPriceModel) or model.evaluation is None:
        raise ModelRefused(f"{path} holds no evaluated TreasuryPriceModel; train it again")
    return model


def register(
    model: TreasuryPriceModel, settings: Settings, *, flavor: Flavor = "skops", move_alias: bool
) -> Registered:
    """Log the model in a run of its own and make it the next version of `settings.model.name`.

    Raises:
        ModelUnavailable: MLflow is away; found out within its time-out.
        ModelRefused: The model was not evaluated, or needs types that are not trusted.
        ModelError: The plot can't be drawn.
    """
    if model.evaluation is None:
        raise ModelRefused("the model was not evaluated")
    figure = _plot(model.evaluation, model.kind)
    with _mlflow(settings.mlflow.tracking_uri, settings.mlflow.timeout_s) as mlflow:
        mlflow.set_tracking_uri(settings.mlflow.tracking_uri)
        mlflow.set_experiment(settings.model.experiment)
        with mlflow.start_run(run_name=f"{model.kind}-seed-{model.seed}") as active:
            mlflow.log_params(model.parameters)
            mlflow.log_metrics(model.evaluation.metrics)
            mlflow.log_figure(figure, "predicted_vs_actual.png")
            uri = _log_model(mlflow, model, model.evaluation, flavor)
        # It tells its progress as prose on standard error.
        with contextlib.redirect_stderr(io.StringIO()):
            found = mlflow.register_model(uri, settings.model.name, tags=_tags(model))
        client = mlflow.MlflowClient()
        client.update_registered_model(
            settings.model.name, f"Predicts the price of a month from {', '.join(FEATURES)}."
        )
        client.update_model_version(
            settings.model.name, found.version, _description(model, model.evaluation)
        )
        if move_alias:
            client.set_registered_model_alias(
                settings.model.name, settings.model.alias, found.version
            )
        return Registered(
            name=settings.model.name,
            version=str(found.version),
            alias=settings.model.alias if move_alias else None,
            run_id=active.info.run_id,
            uri=f"models:/{settings.model.name}/{found.version}",
        )


@contextlib.contextmanager
def _mlflow(tracking_uri: str, timeout_s: float) -> Iterator[Any]:
    """Give MLflow, quiet and impatient; say in our words what goes wrong with it."""
    _require_answer(tracking_uri, timeout_s)
    for name, value in {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(timeout_s))),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",  # files come by the server alone
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: PLC0415 - reads the environment, and takes seconds
    import mlflow.pyfunc  # noqa: PLC0415
    import mlflow.sklearn  # noqa: PLC0415

    try:
        yield mlflow
    except (mlflow.exceptions.MlflowException, OSError) as error:  # OSError: its HTTP client's
        said = without_passwords(f"MLflow at {tracking_uri}: {reason(error)}")
        raise ModelUnavailable(said) from error


def _require_answer(tracking_uri: str, timeout_s: float) -> None:
    """Return if the server answers anything, before seconds go into importing its client."""
    if not tracking_uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{tracking_uri}/health", timeout=timeout_s).close()  # noqa: S310
    except urllib.error.HTTPError:
        return  # somebody is there; what it has to say comes with the first real request
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ModelUnavailable(
            f"MLflow does not answer at {without_passwords(tracking_uri)} ({reason}); "
            "start it (`make mlflow-up`) or set MLFLOW_TRACKING_URI"
        ) from error


def _log_model(
    mlflow: Any, model: TreasuryPriceModel, evaluation: Evaluation, flavor: Flavor
) -> str:
    """Log what serving needs, without any module of ours; return its URI."""
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import ColSpec, DataType, Schema  # noqa: PLC0415

    common: dict[str, Any] = {
        "name": "model",
        "signature": ModelSignature(
            inputs=Schema([ColSpec(DataType.double, name) for name in FEATURES]),
            outputs=Schema([ColSpec(DataType.double)]),
        ),
        "input_example": table_of(evaluation.features[:3]),
        "pip_requirements": [f"{name}=={installed(name)}" for name in ("mlflow", *REQUIREMENTS)],
    }
    if flavor == "pyfunc":
        from models.treasury_price_pyfunc import pickled_with_its_code  # noqa: PLC0415

        with pickled_with_its_code(model) as python_model:
            info = mlflow.pyfunc.log_model(python_model=python_model, **common)
    else:
        info = mlflow.sklearn.log_model(
            model.estimator,
            serialization_format="skops",
            skops_trusted_types=_needed_types(model.estimator),
            **common,
        )
    return str(info.model_uri)


def _needed_types(estimator: Any) -> list[str]:
    """Return which of the types that we trust the file needs: what it asks for is no more.

    Raises:
        ModelRefused: It needs others.
    """
    import skops.io  # noqa: PLC0415

    from app.registry.trusted_types import TRUSTED_TYPES  # noqa: PLC0415

    needed: list[str] = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    if foreign := sorted(set(needed) - set(TRUSTED_TYPES)):
        raise ModelRefused(f"the model needs types that we don't trust: {', '.join(foreign)}")
    return needed


def _plot(evaluation: Evaluation, kind: str) -> Any:
    """Draw predicted over actual prices; on the diagonal they are the same."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise ModelError("drawing needs matplotlib: install `ds-models[training]`") from error
    figure = Figure(figsize=(6, 6), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a display, and without pyplot's global state
    axes = figure.add_subplot()
    axes.scatter(evaluation.actual, evaluation.predicted, s=8, alpha=0.4)
    both = (evaluation.actual, evaluation.predicted)
    ends = [min(prices.min() for prices in both), max(prices.max() for prices in both)]
    axes.plot(ends, ends, color="black", linewidth=1)
    axes.set(
        xlabel="actual price",
        ylabel="predicted price",
        title=f"{kind}: RMSE {evaluation.metrics['rmse']:.2f} on {len(evaluation.actual)} months",
    )
    return figure


def _tags(model: TreasuryPriceModel) -> dict[str, str]:
    return {"kind": model.kind, "features": ",".join(FEATURES), "data": "synthetic"}


def _description(model: TreasuryPriceModel, evaluation: Evaluation) -> str:
    quality = ", ".join(f"{name} {value:.3f}" for name, value in evaluation.metrics.items())
    return (
        f"A {model.kind} model of {model.rows} synthetic months (seed {model.seed}); "
        f"on {len(evaluation.actual)} months held out: {quality}."
    )


if __name__ == "__main__":
    run(main)
