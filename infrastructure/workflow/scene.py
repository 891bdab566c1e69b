"""What the workflow finds in production: MLflow, a broker, and a stream that serves a version."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from infrastructure.demo.stage import Stage
from infrastructure.kafka import choice as kafka_choice
from infrastructure.mlflow_server import choice as mlflow_choice
from infrastructure.processes import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_FIRST = ("--kind", "linear", "--months", "5000")


@contextmanager
def scene(
    environment: Mapping[str, str], folder: Path, say: Callable[[str], None]
) -> Iterator[Mapping[str, str]]:
    """Have all that the steps need until the end of the block; yield the environment with it.

    If both servers are named, that is what is there, and nothing is started.

    Raises:
        InfrastructureError: One of the two is named, or something can't be started.
    """
    variables = (kafka_choice.VARIABLE, mlflow_choice.VARIABLE)
    named = [name for name in variables if environment.get(name)]
    if len(named) == len(variables):
        yield environment
        return
    if named:
        raise InfrastructureError(f"{named[0]} is set: set both of {', '.join(variables)}, or none")
    with Stage(folder, keep=False) as stage:
        say("starting Kafka and MLflow")
        stage.start_servers()
        stage.script("-m", "app", "topics", "create")
        stage.start_instance()
        say("training and announcing a first version, linear")
        made = stage.script(
            "models/train_and_register_model.py", *_FIRST, "--output", str(folder / "first.pkl")
        )
        stage.wait_for("model.loaded", instances=1, version=made["version"])
        say(f"an instance of the stream serves version {made['version']}")
        yield stage.environment
        stage.stop_instances()
