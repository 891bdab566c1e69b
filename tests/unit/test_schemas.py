"""What commands print for programs has a schema, and each schema belongs to a command."""

from collections.abc import Iterator
from typing import Any

import click
import pytest
import typer.main
from jsonschema import Draft202012Validator

from app import cli
from tests.harness.terminal import SCHEMAS, schema, schema_file


def commands(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, name)
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield (*words, name), command


COMMANDS = dict(commands(typer.main.get_command(cli.app)))
WITH_JSON = [
    words
    for words, command in COMMANDS.items()
    if any("--json" in option.opts for option in command.params)
]


@pytest.mark.parametrize("words", WITH_JSON, ids=" ".join)
def test_a_command_with_json_has_a_schema_that_describes_it(words: tuple[str, ...]) -> None:
    found = schema(*words)
    Draft202012Validator.check_schema(found)
    assert f"{' '.join(words)} --json`" in found["title"]


def test_every_schema_is_of_a_command() -> None:
    assert set(SCHEMAS.glob("*.json")) == {schema_file(*words) for words in WITH_JSON}


def test_every_command_has_help_and_says_what_it_does() -> None:
    for words, command in COMMANDS.items():
        assert isinstance(command.help, str), words
        assert len(command.get_short_help_str(200)) > 20, words
        for option in command.params:
            if not option.hidden and not isinstance(option, click.Argument):
                assert option.help, (words, option.name)
