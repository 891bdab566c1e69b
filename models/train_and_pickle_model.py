"""Train a model on synthetic history, print how good it is, and pickle it.

python models/train_and_pickle_model.py --kind forest --months 5000
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Annotated, Any

import typer

from app.domain.errors import ModelError
from models.command_line import DEFAULT_PICKLE, AsJson, Months, Seed, run, show
from models.treasury_price_model import Kind, TreasuryPriceModel, table_of

HELD_OUT = 0.2  # the share of the months that tells how good the model is

KindOption = Annotated[Kind, typer.Option(help="What to train.")]
Output = Annotated[Path, typer.Option(help="Where the pickle goes.")]


def main(
    kind: KindOption = "forest",
    months: Months = 5_000,
    seed: Seed = 0,
    output: Output = DEFAULT_PICKLE,
    as_json: AsJson = False,
) -> None:
    """Train a model on synthetic history, print how good it is, and pickle it."""
    model = train(kind, months, seed)
    save(model, output)
    show(facts(model, output), as_json=as_json)


def train(kind: Kind, months: int, seed: int) -> TreasuryPriceModel:
    """Train on the first months and evaluate on the rest.

    The split is by time and not by chance: neighbouring months are alike, so a month between two
    that were learnt would be no test.
    """
    from app.tools.producing.series import sample  # noqa: PLC0415 - imports numpy

    features, prices = sample(months, seed)
    table = table_of(features)
    known = round(months * (1 - HELD_OUT))
    model = TreasuryPriceModel(kind, seed).fit(table[:known], prices[:known])
    model.evaluation = model.evaluate(table[known:], prices[known:])
    return model


def save(model: TreasuryPriceModel, path: Path) -> None:
    """Write the pickle; a reader sees the old one or the new one, never a part.

    Raises:
        ModelError: The file can't be written.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(pickle.dumps(model))
        unfinished.replace(path)
    except OSError as error:
        raise ModelError(f"the model can't be saved: {error}") from error


def facts(model: TreasuryPriceModel, path: Path) -> dict[str, Any]:
    """Return what a person wants to know of a model that was trained."""
    metrics = model.evaluation.metrics if model.evaluation else {}
    return {**model.parameters, **metrics, "pickle": str(path)}


if __name__ == "__main__":
    run(main)
