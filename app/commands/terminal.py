"""What all commands share: the settings that they read, and how they speak."""

from __future__ import annotations

import getpass
import io
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from app.domain.errors import DsModelsError
    from app.settings import Settings
    from app.topics.starts import Start

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


_MOST = 1_000  # characters of a reason


def why_option(help_text: str) -> Any:
    """Return the option `--why`: a text that a message can carry."""
    return typer.Option("--why", metavar="TEXT", help=help_text, callback=_reason)


def _reason(text: str | None) -> str | None:
    if text is None:
        return None
    if not text.strip() or len(text) > _MOST:
        raise typer.BadParameter(f"say why, in 1 to {_MOST} characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter("it is not UTF-8") from error
    return text.strip()


def who_am_i() -> str:
    """Return who runs this command, as this machine knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in a container
        return f"user {os.getuid()}"


def predict_with_one_thread() -> None:
    """Make predictions repeatable: a sum must not depend on which thread comes first.

    To be called before numpy is imported.
    """
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[threads] = "1"


def read_settings(**said: Any) -> Settings:
    """Read the settings and set up the logs that they ask for.

    Args:
        said: Fields of every event.

    Raises:
        SettingsError: A key is unknown or a value is wrong.
    """
    from app import logs, settings  # noqa: PLC0415

    found = settings.read()
    logs.set_up(found.log.level, found.log.format, **said)
    return found


def require_our_model(settings: Settings, model: str) -> None:
    """Return if a command is about the model that this application serves."""
    if model != settings.model.name:
        raise typer.BadParameter(
            f"this application serves {settings.model.name!r} ([model] name in the settings)",
            param_hint="MODEL",
        )


def print_rows(rows: Iterable[dict[str, Any]]) -> None:
    """Print one JSON object a line."""
    from app.tools.json_lines import encode  # noqa: PLC0415

    for row in rows:
        typer.echo(encode(row).decode())


def instant_ms(text: str) -> int:
    """Read an option that is a time: Unix milliseconds."""
    from app.domain import times  # noqa: PLC0415

    try:
        return times.parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-11-25T06:26:18Z") from error


def start_of(text: str) -> Start:
    """Read the option `--from`."""
    from app.topics import starts  # noqa: PLC0415

    try:
        return starts.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--from") from error


def screen_console() -> Console:
    """Return what prints for people; what their terminal has no character for becomes `?`."""
    from rich.console import Console  # noqa: PLC0415

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False)


def say_error(error: DsModelsError) -> None:
    """Tell a person what is wrong, on standard error."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error[/] ({type(error).__name__})", end=": ")
    console.print(str(error), markup=False)
