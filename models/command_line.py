"""How the training scripts are called, what they print, and how they end."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.domain.errors import DsModelsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_PICKLE = Path("models/pickles/treasury_price_model.pkl")
"""Relative to the root of the repository, where the scripts are called."""

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed, the same model.")]
Months = Annotated[
    int, typer.Option(min=50, help="Months of synthetic history; the last fifth is held out.")
]


def run(command: Callable[..., None]) -> None:
    """Run a script's only command; end with the exit code of the error that it raises."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(command)
    try:
        app()
    except DsModelsError as error:
        typer.secho("error", fg="red", bold=True, err=True, nl=False)
        typer.echo(f" ({type(error).__name__}): {error}", err=True)
        sys.exit(error.exit_code)


def show(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the facts: as one line of JSON, or as a table of two columns."""
    if as_json:
        import orjson  # noqa: PLC0415

        typer.echo(orjson.dumps(facts).decode())
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        text = f"{value:,.4f}" if isinstance(value, float) else str(value)
        table.add_row(name.replace("_", " "), text)
    Console(highlight=False).print(table)


def tell_workflow(outputs: Mapping[str, str], summary: str = "") -> None:
    """Append to the files that a step of a workflow is given; do nothing anywhere else.

    Args:
        outputs: For the steps after it; each value is one line.
        summary: Markdown, for the page of the run.
    """
    told = {
        "GITHUB_OUTPUT": "".join(f"{name}={value}\n" for name, value in outputs.items()),
        "GITHUB_STEP_SUMMARY": summary,
    }
    for variable, text in told.items():
        if path := os.environ.get(variable):
            with Path(path).open("a") as file:
                file.write(text)
