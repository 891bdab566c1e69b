"""The command line: `python -m app`, or `ds-models` where the project is installed."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.domain.errors import DsModelsError

if TYPE_CHECKING:
    from app.domain.plans import Plan
    from app.settings import Settings

app = typer.Typer(
    name="ds-models",
    help="Live machine-learning models inside a Kafka stream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
topics_app = typer.Typer(help="The Kafka topics.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")

_TABLE_FITS = 140  # columns of a terminal; on a narrower one each message is a line
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


def main() -> None:
    """Run a command; end with the exit code of the error that it raises."""
    try:
        app()
    except DsModelsError as error:
        _say_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def run() -> None:
    """Run one instance of the stream until SIGTERM or Ctrl+C.

    Exit codes: 0 stopped as asked; 1 unexpected; 2 settings; 3 topics; 4 the announcements can't
    be followed; 5 no broker; 6 the group went on without us; 7 model. After any of them the next
    instance goes on where this one stopped, and nothing is lost.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # until the stream has handlers of its own
        signal.signal(number, lambda *_: sys.exit(0))
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[threads] = "1"  # a sum must not depend on who comes first

    from app import bootstrap  # noqa: PLC0415

    bootstrap.stream_service(_settings()).run()


@app.command()
def announce(
    model: Annotated[str, typer.Argument(help="The registered model's name.")],
    version: Annotated[str, typer.Argument(help="Its version in MLflow.")],
    effective_from: Annotated[
        datetime | None,
        typer.Option(
            help="Not in force before this time (UTC unless it says otherwise). The very first "
            "plan answers earlier records all the same: there is no other."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Load the model first, in a process of its own.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Put a model version in force on every instance, from the same moment.

    It is in force once its guard has passed, or at `--effective-from` if that is later.
    """
    from app import bootstrap  # noqa: PLC0415

    settings = _settings()
    _require_our_model(settings, model)
    instant = None
    if effective_from is not None:
        aware = effective_from if effective_from.tzinfo else effective_from.replace(tzinfo=UTC)
        instant = round(aware.timestamp() * 1000)
    plan = bootstrap.announce_version(
        settings, model, version, effective_from_ms=instant, check=verify
    )
    _show_plan(plan, as_json)


@app.command()
def announcements(as_json: AsJson = False) -> None:
    """Show every announcement, when each takes effect, and which is in force now."""
    from app import bootstrap  # noqa: PLC0415
    from app.tools.announcement_history import history, show  # noqa: PLC0415

    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    rows = history(bootstrap.announced(_settings()), now_ms)
    _print_rows(rows) if as_json else show(rows)


@app.command()
def produce(
    count: Annotated[int | None, typer.Option(min=1, help="How many; endless if not said.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Records a second; else as fast as it goes.")
    ] = None,
    bad: Annotated[
        float, typer.Option(min=0, max=1, help="The share of bad records, of every kind.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same records.")] = 0,
    series: Annotated[int, typer.Option(min=1, help="How many keys.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Write test records to the input topic; Ctrl+C ends it with a summary all the same."""
    from app import bootstrap  # noqa: PLC0415
    from app.tools.produce_command import produce_with_progress  # noqa: PLC0415

    settings = _settings()
    summary = produce_with_progress(
        bootstrap.kafka(settings),
        settings.topics.records,
        count,
        rate=rate,
        bad_share=bad,
        seed=seed,
        series=series,
        max_bytes=settings.records.max_bytes,
    )
    if as_json:
        _print_rows([summary.as_dict()])
    else:
        summary.show()


@app.command()
def inspect(
    topic: Annotated[str, typer.Argument(help="Any topic; ours are decoded.")],
    limit: Annotated[int | None, typer.Option("--max", min=1, help="The most messages.")] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what is still to come.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a topic holds, from the earliest message, as a `read_committed` reader sees it."""
    from rich.console import Console  # noqa: PLC0415

    from app import bootstrap  # noqa: PLC0415
    from app.tools import inspect as inspection  # noqa: PLC0415
    from app.tools import tables  # noqa: PLC0415
    from app.topics import reading  # noqa: PLC0415

    settings = _settings()
    known = bootstrap.topic_decoders(settings)
    messages = reading.read(bootstrap.kafka(settings), topic, limit=limit, follow=follow)
    rows = (inspection.row_of(message, known) for message in messages)
    console = Console(highlight=False)
    if as_json:
        for row in rows:
            typer.echo(tables.json_line(row))
    elif follow or console.width < _TABLE_FITS:
        for row in rows:
            console.print(tables.line(row), soft_wrap=True)
    else:
        console.print(tables.table(rows, title=topic))


@topics_app.command("create")
def topics_create(as_json: AsJson = False) -> None:
    """Create the topics that are missing; report existing ones that break a promise (exit 3)."""
    _topics(create=True, as_json=as_json)


@topics_app.command("check")
def topics_check(as_json: AsJson = False) -> None:
    """Report topics that are missing or break a promise (exit 3); change nothing."""
    _topics(create=False, as_json=as_json)


def _topics(*, create: bool, as_json: bool) -> None:
    from app import bootstrap  # noqa: PLC0415
    from app.tools.topic_report import report, show  # noqa: PLC0415

    settings = _settings()
    topics, specs = bootstrap.topic_catalog(settings), bootstrap.topic_specs(settings)
    created = topics.create(specs) if create else []
    findings = topics.findings(specs)
    rows = report(specs, created, findings)
    _print_rows(rows) if as_json else show(rows)
    if findings:
        raise typer.Exit(3)


def _settings() -> Settings:
    from app import logs, settings  # noqa: PLC0415

    found = settings.read()
    logs.set_up(found.log.level, found.log.format)
    return found


def _require_our_model(settings: Settings, model: str) -> None:
    if model != settings.model.name:
        raise typer.BadParameter(
            f"this application serves {settings.model.name!r} ([model] name in the settings)",
            param_hint="MODEL",
        )


def _show_plan(plan: Plan, as_json: bool) -> None:
    from app.tools.announcement_history import instant  # noqa: PLC0415

    announced = plan.announcement
    row = {
        "model": announced.model_name,
        "version": announced.model_version,
        "offset": plan.offset,
        "effective_from": instant(plan.effective_ms),
        "digest": announced.digest,
    }
    if as_json:
        _print_rows([row])
    else:
        typer.echo(
            f"Announced {announced.model_name} version {announced.model_version} at offset "
            f"{plan.offset}; in force from {instant(plan.effective_ms)}."
        )


def _print_rows(rows: list[dict[str, Any]]) -> None:
    import orjson  # noqa: PLC0415

    for row in rows:
        typer.echo(orjson.dumps(row).decode())


def _say_error(error: DsModelsError) -> None:
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error[/] ({type(error).__name__})", end=": ")
    console.print(str(error), markup=False)
