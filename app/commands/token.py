"""`token create`, `token list` and `token revoke`."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.terminal import AsJson, print_rows, read_settings, screen_console
from app.service.roles import Role

if TYPE_CHECKING:
    from app.service.tokens import Token

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS = 10 * 366 * 86_400_000


def _duration_ms(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    lasts = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if not 0 < lasts <= _LONGEST_MS:
        raise typer.BadParameter(f"{text!r} is no time such as 30m, 12h or 90d, up to ten years")
    return lasts


def create(
    name: Annotated[str, typer.Argument(help="Who has it; stands in each audit record.")],
    role: Annotated[
        Role, typer.Option(help="What it may do: each role has what the ones before have.")
    ] = Role.READER,
    expires_in: Annotated[
        int | None,
        typer.Option(parser=_duration_ms, metavar="TIME", help="As 30m, 12h or 90d; else never."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token of the registry service, and print it: nobody can see it again.

    Exit code 8 if there is, or was, a token of this name.
    """
    from app.bootstrap import serving_registry  # noqa: PLC0415

    settings = read_settings()
    token, text = serving_registry.create_token(settings, name, role, expires_in)
    if as_json:
        print_rows([{**_row(token), "token": text}])
        return
    until = _row(token)["expires"] or "it is revoked"
    typer.echo(text)
    typer.echo(f"{name} is {role.value} until {until}. The token is not shown again.", err=True)


def show(as_json: AsJson = False) -> None:
    """Show every token that there is or was, without its secret."""
    from rich.table import Table  # noqa: PLC0415

    from app.bootstrap import serving_registry  # noqa: PLC0415

    with serving_registry.token_store(read_settings()) as tokens:
        rows = [_row(token) for token in tokens.all()]
    if as_json:
        print_rows(rows)
        return
    table = Table("name", "role", "state", "created", "expires", "revoked")
    for row in rows:
        table.add_row(*(row[column.header] or "" for column in table.columns))  # type: ignore[index]
    screen_console().print(table if rows else "There is no token.")


def revoke(
    name: Annotated[str, typer.Argument(help="Of the token.")], as_json: AsJson = False
) -> None:
    """Take a token out of use at once, for good.

    Exit code 8 if there is none of this name.
    """
    from app.bootstrap import serving_registry  # noqa: PLC0415

    row = _row(serving_registry.revoke_token(read_settings(), name))
    if as_json:
        print_rows([row])
    else:
        typer.echo(f"{row['name']} is revoked, since {row['revoked']}.")


def _row(token: Token) -> dict[str, Any]:
    from app.domain.times import moment  # noqa: PLC0415

    def when(unix_ms: int | None) -> str | None:
        return None if unix_ms is None else moment(unix_ms)

    return {
        "name": token.name,
        "role": token.role.value,
        "state": token.state(round(time.time() * 1000)),
        "created": when(token.created_ms),
        "expires": when(token.expires_ms),
        "revoked": when(token.revoked_ms),
    }
