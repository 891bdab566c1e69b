"""`python -m infrastructure.demo`: a model goes live, and a better one replaces it under flow."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from app import settings
from app.bootstrap import parts
from app.domain.errors import DsModelsError
from app.tools.producing.produce import Summary, produce
from app.tools.producing.simulated_records import records
from infrastructure.demo import account, report
from infrastructure.demo.stage import Stage
from infrastructure.processes import InfrastructureError, wait_until

if TYPE_CHECKING:
    from app.settings import Settings

FOLDER = Path(".local/demo")
console = Console(highlight=False)


def main(
    *,
    rate: Annotated[float, typer.Option(min=1, help="Records a second.")] = 2_000,
    bad: Annotated[float, typer.Option(min=0, max=1, help="The share of bad records.")] = 0.01,
    seconds: Annotated[
        float, typer.Option(min=5, help="How long to watch before and after the swap.")
    ] = 15,
    keep: Annotated[bool, typer.Option(help="Leave everything running at the end.")] = False,
) -> None:
    """Start everything, send records, put two versions live one after the other, and add up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    started = time.monotonic()
    with Stage(FOLDER.absolute(), keep=keep) as stage:
        with console.status("starting Kafka and MLflow"):
            stage.start_servers()
        say(f"{stage.broker.description}\n{stage.mlflow.description}")
        read = settings.read(stage.environment)
        stage.script("-m", "app", "topics", "create")
        with console.status("starting two instances of the stream"):
            stage.start_instance()
            stage.start_instance()
            stage.wait_for("partitions.assigned", instances=2)
        say(f"topics are made, two instances share the partitions of {read.topics.records}")
        good = play(stage, read, rate, bad, seconds)
        console.print(f"\nThat took {time.monotonic() - started:.0f} s.")
        if keep:
            report.how_to_go_on(console, stage, stage.keep())
        else:
            for code, took in stage.stop_instances():
                say(f"an instance left its group and ended with exit code {code} in {took:.1f} s")
            report.how_to_go_on_after(console)
    sys.exit(0 if good else 1)


def play(stage: Stage, read: Settings, rate: float, bad: float, seconds: float) -> bool:
    """Send records while versions come and go; return whether the account adds up."""
    flow = Flow(read, rate, bad)
    flow.start()
    stage.wait_for("stream.holds", instances=2)
    say(f"{rate:,.0f} records a second flow; no model is announced, so both instances hold")
    announced = put_in_force(stage, train(stage, "linear", months=600))
    stage.wait_for("stream.resumed", instances=2)
    say(f"{announced}: the instances load it and catch up")
    caught_up(read, flow)
    steady_from = time.time()
    watch(seconds, "watching version 1 answer")
    announced = put_in_force(stage, train(stage, "forest", months=5_000), "--when-loaded")
    say(f"{announced}: both had loaded it aside while version 1 answered")
    watch(seconds, "watching version 2 answer")
    produced = flow.stop()
    with console.status("waiting for the last answers"):
        wait_until(
            lambda: len(account.take(read).answered) >= produced.records,
            seconds=60,
            what="every record to be answered",
        )
    taken = account.take(read)
    report.account(console, taken, produced, account.swaps(read), steady_from * 1000)
    return taken.adds_up and report.letters_agree(taken, produced)


class Flow:
    """Records that flow in the background until told to stop."""

    def __init__(self, read: Settings, rate: float, bad: float) -> None:
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._summary: Summary | None = None
        self.sent = 0
        self._thread = threading.Thread(target=self._run, args=(read, rate, bad), daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> Summary:
        """Send no more; return what was sent once all of it is acknowledged."""
        self._stop.set()
        self._thread.join()
        if self._summary is None:
            raise InfrastructureError(f"the records could not be sent: {self._failure}")
        return self._summary

    def _run(self, read: Settings, rate: float, bad: float) -> None:
        try:
            self._summary = produce(
                parts.kafka(read),
                read.topics.records,
                records(2026, bad, max_bytes=read.records.max_bytes),
                rate=rate,
                on_progress=lambda sent: setattr(self, "sent", sent),
                stopped=self._stop.is_set,
            )
        except DsModelsError as failure:
            self._failure = failure


def train(stage: Stage, kind: str, months: int) -> dict[str, Any]:
    """Train and register with the script that a data scientist uses."""
    with console.status(f"training a {kind} model on {months:,} months, registering"):
        made: dict[str, Any] = stage.script(
            "models/train_and_register_model.py",
            *("--kind", kind, "--months", str(months), "--output", str(FOLDER / f"{kind}.pkl")),
            "--no-announce",
        )
    return made


def put_in_force(stage: Stage, made: dict[str, Any], *options: str) -> str:
    """Announce a version with the command that everybody uses."""
    with console.status(f"announcing version {made['version']}"):
        plan = stage.script("-m", "app", "announce", made["name"], made["version"], *options)
    return (
        f"version {made['version']} ({made['kind']}, RMSE {made['rmse']:.2f}) is announced, "
        f"in force from {plan['effective_from'][11:23]}"
    )


def caught_up(read: Settings, flow: Flow) -> None:
    """Block until what was sent up to now is answered."""
    sent = flow.sent
    with console.status("catching up"):
        wait_until(lambda: len(account.take(read).answered) >= sent, seconds=60, what="the backlog")


def watch(seconds: float, what: str) -> None:
    """Let time pass, visibly: what is shown is what happens in it."""
    with console.status(what):
        time.sleep(seconds)


def say(text: str) -> None:
    """Print a step of the story."""
    for line in text.splitlines():
        console.print(f"[green]✓[/] {line}", soft_wrap=True)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (InfrastructureError, DsModelsError) as error:
        console.print(f"[red]error[/]: {error}", soft_wrap=True)
        sys.exit(1)
