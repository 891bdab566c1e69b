"""What the README says is what the product does."""

import json
import re
from pathlib import Path

import msgspec
import pytest
import typer.main

from app import cli
from app.domain import errors
from app.domain.records import Reason
from app.topics import announcements, dead_letters, signals
from app.topics.messages import Message
from app.topics.records import Record, RecordDecoder

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def example(after: str) -> bytes:
    """Return the first block of JSON after a text."""
    found = re.search(r"```json\n(.*?)```", README[README.index(after) :], re.DOTALL)
    assert found is not None
    return found[1].encode()


def test_the_example_of_a_record_is_one() -> None:
    assert isinstance(RecordDecoder().decode(example("**A record**")), Record)


def test_the_example_of_a_signal_is_one_with_all_its_fields() -> None:
    value = example("**A signal**")
    assert json.loads(msgspec.json.encode(signals.decode(value))) == json.loads(value)


def test_the_example_of_a_dead_letter_is_one() -> None:
    block = re.search(r"```\n(ds_reason.*?)```", README, re.DOTALL)
    assert block is not None
    pairs = [line.split(maxsplit=1) for line in block[1].splitlines()]
    letter = dead_letters.decode(b"", b"", [(name, text.encode()) for name, text in pairs])
    assert letter.rejection.reason is Reason.MISSING_FIELD
    assert [name for name, _ in dead_letters.headers(letter)] == [name for name, _ in pairs]


def test_the_example_of_an_announcement_is_one() -> None:
    value = example("**An announcement**")
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", b"/ds-models"),
        ("ce_type", announcements.EVENT_TYPE.encode()),
        ("content-type", b"application/json"),
    ]
    name = json.loads(value)["model_name"]
    plan = announcements.decode(Message(0, 0, name.encode(), value, headers), name)
    assert not isinstance(plan, announcements.Ignored), plan
    assert announcements.EVENT_TYPE in README


def test_every_reason_of_a_dead_letter_is_in_the_table() -> None:
    assert re.findall(r"^\| `([a-z_]+)` \|", README, re.MULTILINE) == [r.value for r in Reason]


def test_every_exit_code_is_in_the_table() -> None:
    codes = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.DsModelsError)
    }
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)} == codes


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_script_that_is_named_exists(page: Path) -> None:
    group = typer.main.get_command(cli.app)
    commands = set(getattr(group, "commands", {}))
    text = page.read_text()
    assert set(re.findall(r"python -m app ([a-z-]+)", text)) <= commands
    for script in re.findall(r"python (models/\w+\.py)", text):
        assert (ROOT / script).is_file()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets |= {"kafka-up", "kafka-down", "mlflow-up", "mlflow-down"}
    for line in re.findall(r"(?:^|`|&& )make ([a-z -]+[a-z])", text, re.MULTILINE):
        assert set(line.split()) <= targets, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_nothing_is_left_to_be_done() -> None:
    mark = "TO" + "DO"
    files = [
        p for folder in ("app", "models", "infrastructure") for p in (ROOT / folder).rglob("*.py")
    ]
    assert [str(p) for p in files if mark in p.read_text() or "FIXME" in p.read_text()] == []
