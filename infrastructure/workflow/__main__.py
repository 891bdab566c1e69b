"""`python -m infrastructure.workflow`: the steps of the workflow file, run on this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from infrastructure.processes import InfrastructureError
from infrastructure.workflow import steps, workflow_file
from infrastructure.workflow.expressions import Values
from infrastructure.workflow.scene import scene

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrastructure.workflow.steps import Done

FILE = steps.ROOT / ".github" / "workflows" / "train-and-deploy-model.yml"
FOLDER = Path(".local/workflow")
_SECRET = re.compile(r"\bsecrets\.(\w+)")
_MARKS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "skipped": "[dim]·[/]"}
console = Console(highlight=False)


def main(
    file: Annotated[Path, typer.Argument(help="The workflow file.")] = FILE,
    run_number: Annotated[
        int, typer.Option(min=1, help="What `github.run_number` is: the seed of all that is drawn.")
    ] = 1,
    folder: Annotated[Path, typer.Option(help="For logs, outputs and the summary.")] = FOLDER,
) -> None:
    """Run the steps of the workflow file against a real MLflow and a real broker.

    Those that MLFLOW_TRACKING_URI and KAFKA_BOOTSTRAP_SERVERS name, or else local ones with an
    instance of the stream that serves a first version. Ends with the exit code of the step that
    failed.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    job = workflow_file.read(file)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with scene(
        os.environ, folder.absolute(), lambda text: say(f"[green]✓[/] {text}")
    ) as environment:
        done = play(job, file, run_number, folder.absolute(), environment)
    console.rule()
    for one in done:
        say(described(one))
    if (folder / "summary.md").exists():
        say(f"What GitHub would show on the page of the run: {folder / 'summary.md'}")
    sys.exit(next((one.code for one in done if one.state == "failed"), 0))


def play(
    job: workflow_file.Job,
    file: Path,
    run_number: int,
    folder: Path,
    environment: Mapping[str, str],
) -> list[Done]:
    """Run all steps; show each as it begins and ends."""
    secrets = {name: environment.get(name, "") for name in _SECRET.findall(file.read_text())}
    done = []
    for one in steps.run(
        job,
        Values(secrets, run_number),
        environment,
        folder,
        begins=lambda step: console.rule(f"[bold]{step.name}[/]", align="left"),
    ):
        say(described(one))
        done.append(one)
    return done


def described(done: Done) -> str:
    """Return what became of a step, in one line."""
    said = {
        "passed": f"{done.seconds:.1f} s",
        "failed": f"exit code {done.code}, {done.seconds:.1f} s",
        "skipped": f"[dim]skipped: {done.why}[/]",
    }
    return f"{_MARKS[done.state]} {done.step.name} {said[done.state]}"


def say(text: str) -> None:
    """Print a line, at once: what a step prints comes in between."""
    console.print(text, soft_wrap=True)
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        typer.run(main)
    except InfrastructureError as error:
        console.print(f"[red]error[/]: {error}", soft_wrap=True)
        sys.exit(1)
