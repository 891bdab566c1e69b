"""Train a model, register it in MLflow, and announce it to every instance that serves.

python models/train_and_register_model.py --kind linear
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.domain.errors import DsModelsError
from models.command_line import DEFAULT_PICKLE, AsJson, Months, Seed, run, show
from models.register_model_in_mlflow import Alias, FlavorOption, register
from models.train_and_pickle_model import KindOption, Output, facts, save, train

if TYPE_CHECKING:
    from app.settings import Settings

Announce = Annotated[bool, typer.Option(help="Put the version in force once it is registered.")]


def main(
    *,
    kind: KindOption = "forest",
    months: Months = 5_000,
    seed: Seed = 0,
    output: Output = DEFAULT_PICKLE,
    flavor: FlavorOption = "skops",
    alias: Alias = True,
    announce: Announce = True,
    as_json: AsJson = False,
) -> None:
    """Train a model, register it in MLflow, and announce it to every instance that serves."""
    from app import settings  # noqa: PLC0415 - imports pydantic

    read = settings.read()  # before minutes of training: it may be wrong
    model = train(kind, months, seed)
    save(model, output)
    registered = register(model, read, flavor=flavor, move_alias=alias)
    told = {**facts(model, output), **asdict(registered)}
    try:
        if announce:
            told |= _announce(read, registered.name, registered.version)
    except DsModelsError:
        announced_by_hand = f"python -m app announce {registered.name} {registered.version}"
        typer.echo(f"registered, but not announced; later: `{announced_by_hand}`", err=True)
        raise
    finally:
        show(told, as_json=as_json)  # the version is there, even if nobody could be told of it


def _announce(settings: Settings, name: str, version: str) -> dict[str, Any]:
    from app.bootstrap.announcing import announce_version  # noqa: PLC0415 - imports the Kafka client
    from app.domain.times import instant  # noqa: PLC0415

    plan = announce_version(settings, name, version)
    return {"announced_at_offset": plan.offset, "effective": instant(plan.effective_ms)}


if __name__ == "__main__":
    run(main)
