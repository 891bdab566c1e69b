"""`webhook install`, `webhook list`, `webhook remove` and `webhook test`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from app.commands.status import NOT_WELL
from app.commands.terminal import AsJson, print_rows, read_settings, screen_console
from app.domain.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.registry.mlflow_webhooks import Webhook

_AFTER_INSTALL = (
    "MLflow sends it within MLFLOW_WEBHOOK_CACHE_TTL, 60 s by default. Start MLflow with a fixed\n"
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY, or it can't read the secret after its next start."
)


def _service_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise typer.BadParameter(f"{text!r} is no address such as https://registry.example:8080")
    return text


def install(
    url: Annotated[
        str,
        typer.Option(
            parser=_service_url,
            metavar="http://HOST:PORT",
            help="The registry service, as MLflow reaches it.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Have MLflow tell the registry service when somebody moves an alias.

    It signs with `service.webhook_secret`. Repeat it after a change of the secret or the address:
    there is one webhook of ours for a model.

    Exit code 8 if MLflow does not allow the address, 7 if it is away, 2 if there is no secret.
    """
    from app.bootstrap import webhooks  # noqa: PLC0415

    settings = read_settings()
    made, is_new = webhooks.install(settings, url)
    if as_json:
        print_rows([_row(made, made.name)])
        return
    typer.echo(f"{made.name} is {'made' if is_new else 'brought up to date'}: {made.url}")
    typer.echo(_AFTER_INSTALL, err=True)


def show(as_json: AsJson = False) -> None:
    """Show every webhook that MLflow has, without its secret.

    Exit code 7 if MLflow is away.
    """
    from app.bootstrap import webhooks  # noqa: PLC0415

    settings = read_settings()
    ours = webhooks.name_of(settings)
    _print(webhooks.of_mlflow(settings).all(), ours, as_json=as_json)


def remove(as_json: AsJson = False) -> None:
    """Take our webhook out of MLflow; the reconciler looks from time to time all the same.

    Exit code 8 if there is none, 7 if MLflow is away.
    """
    from app.bootstrap import webhooks  # noqa: PLC0415

    settings = read_settings()
    ours = webhooks.name_of(settings)
    removed = webhooks.of_mlflow(settings).remove(ours)
    if not removed:
        raise _not_there(ours)
    if as_json:
        print_rows([_row(one, ours) for one in removed])
    else:
        typer.echo(f"{ours} is removed.")


def try_out(as_json: AsJson = False) -> None:
    """Have MLflow send a webhook now, and say whether the registry service took it.

    Exit code 8 if it did not, or there is no webhook of ours; 7 if MLflow is away.
    """
    from app.bootstrap import webhooks  # noqa: PLC0415

    settings = read_settings()
    ours = webhooks.name_of(settings)
    tried = webhooks.of_mlflow(settings).try_out(ours)
    if tried is None:
        raise _not_there(ours)
    if as_json:
        row = {"name": ours, "taken": tried.taken, "status": tried.status, "answer": tried.answer}
        print_rows([row])
    elif tried.taken:
        typer.echo(f"{ours}: the service took it ({tried.status}).")
    else:
        said = "nobody answered" if tried.status is None else f"it answered {tried.status}"
        typer.echo(f"{ours}: not taken, {said}: {tried.answer}", err=True)
    if not tried.taken:
        raise typer.Exit(NOT_WELL)


def _not_there(ours: str) -> Refused:
    return Refused(f"MLflow has no webhook {ours}; `python -m app webhook install` makes it")


def _print(found: Sequence[Webhook], ours: str, *, as_json: bool) -> None:
    from rich.table import Table  # noqa: PLC0415

    from app.tools.plain_text import printable  # noqa: PLC0415

    if as_json:
        print_rows([_row(one, ours) for one in found])
        return
    table = Table("name", "url", "events", "status")
    for one in found:
        name = f"{one.name} (ours)" if one.name == ours else one.name
        table.add_row(*map(printable, (name, one.url, ", ".join(one.events), one.status)))
    screen_console().print(table if found else "There is no webhook.")


def _row(one: Webhook, ours: str) -> dict[str, Any]:
    return {
        "name": one.name,
        "url": one.url,
        "events": list(one.events),
        "status": one.status,
        "ours": one.name == ours,
    }
