"""The command line: `python -m app`, or `ds-models` where the project is installed."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

import typer

from app.commands import (
    backup,
    config,
    dead_letters,
    messages,
    plans,
    promote,
    reconcile,
    records,
    redrive,
    registry,
    resume,
    rollback,
    staging,
    status,
    stream,
    token,
    topics,
    trace,
    void,
    webhook,
)
from app.commands.terminal import say_error
from app.domain.errors import DsModelsError

app = typer.Typer(
    name="ds-models",
    help="Live machine-learning models inside a Kafka stream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
app.command()(stream.run)
app.command()(status.status)
app.command()(resume.resume)
app.command()(staging.stage)
app.command()(staging.unstage)
app.command()(plans.announce)
app.command()(plans.announcements)
app.command()(promote.promote)
app.command()(reconcile.reconcile)
app.command()(rollback.rollback)
app.command()(void.void)
app.command()(records.produce)
app.command()(messages.inspect)
app.command()(dead_letters.dead_letters)
app.command()(redrive.redrive)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(trace.trace)
app.command()(registry.registry)

config_app = typer.Typer()
app.add_typer(config_app, name="config")
config_app.callback(invoke_without_command=True)(config.show)
config_app.command()(config.check)

topics_app = typer.Typer(help="The Kafka topics.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")
topics_app.command()(topics.create)
topics_app.command()(topics.check)
topics_app.command()(topics.acls)

token_app = typer.Typer(help="Tokens of the registry service.", no_args_is_help=True)
app.add_typer(token_app, name="token")
token_app.command()(token.create)
token_app.command(name="list")(token.show)
token_app.command()(token.revoke)

webhook_app = typer.Typer(
    help="The webhook by which MLflow tells of a moved alias.", no_args_is_help=True
)
app.add_typer(webhook_app, name="webhook")
webhook_app.command()(webhook.install)
webhook_app.command(name="list")(webhook.show)
webhook_app.command()(webhook.remove)
webhook_app.command(name="test")(webhook.try_out)


def main() -> NoReturn:
    """Run a command; end with its exit code, or that of the error that it raises."""
    code: str | int | None = 1
    try:
        app()
    except SystemExit as ended:
        code = ended.code
    except DsModelsError as error:
        say_error(error)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # noqa: BLE001 - told, as the interpreter would
        if not _says_that_it_is_full(error):
            sys.excepthook(*sys.exc_info())
    _end_at_once(code if isinstance(code, int) else int(code is not None))


def _end_at_once(code: int) -> NoReturn:
    """End the process, whatever its other threads do.

    An interpreter that ends waits for the threads of a download that is under way, and those of an
    S3 client then wait for ever (docs/decisions/0015).
    """
    try:
        sys.stdout.flush()
    except OSError as error:  # or who reads it has gone
        code = code or 1
        _says_that_it_is_full(error)
    os._exit(code)


def _says_that_it_is_full(error: Exception) -> bool:
    """Tell a person that a disk is full, if that is it: a trace of calls wouldn't help."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
    return full
