"""A stack's backup: what is refused before anything is touched."""

import stat
from pathlib import Path

import pytest

from infrastructure.processes import InfrastructureError
from infrastructure.stack import environment, restore
from infrastructure.stack.backup import SUMS, backup, digest
from infrastructure.stack.containers import Stack


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder as a backup leaves it, with one file."""
    folder = tmp_path / "today"
    folder.mkdir()
    file = folder / "mlflow.sql"
    file.write_text("select 1;\n")
    (folder / SUMS).write_text(f"{digest(file)}  {file.name}\n")
    return folder


def test_a_whole_backup_is_taken(copied: Path) -> None:
    restore.verify(copied)


def test_a_file_that_was_changed_or_is_missing_is_named(copied: Path) -> None:
    file = copied / "mlflow.sql"
    file.write_text("select 2;\n")
    with pytest.raises(InfrastructureError, match=r"mlflow\.sql is missing, or not what was"):
        restore.verify(copied)
    file.unlink()
    with pytest.raises(InfrastructureError, match=r"mlflow\.sql is missing, or not what was"):
        restore.verify(copied)


def test_a_folder_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="no whole backup"):
        restore.verify(tmp_path)


def test_the_secrets_are_taken_over_for_their_owner_alone(tmp_path: Path) -> None:
    kept, ours = tmp_path / "kept.env", tmp_path / ".env"
    environment.write(kept)
    restore.take_secrets(kept, ours)
    assert ours.read_text() == kept.read_text()
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600


def test_other_ports_stay_and_other_secrets_are_named_but_not_shown(tmp_path: Path) -> None:
    kept, ours = tmp_path / "kept.env", tmp_path / ".env"
    environment.write(kept)
    text = kept.read_text().replace("MLFLOW_PORT=5000", "MLFLOW_PORT=5001")
    ours.write_text(text)
    restore.take_secrets(kept, ours)
    assert ours.read_text() == text
    ours.unlink()
    environment.write(ours)
    with pytest.raises(InfrastructureError, match="POSTGRES_PASSWORD") as refused:
        restore.take_secrets(kept, ours)
    assert "MLFLOW_PORT" not in str(refused.value)
    values = ours.read_text() + kept.read_text()
    secrets = {line.split("=", 1)[1] for line in values.splitlines() if "PASSWORD=" in line}
    assert not [secret for secret in secrets if secret in str(refused.value)]


def test_a_folder_that_is_there_is_not_written(tmp_path: Path, copied: Path) -> None:
    with pytest.raises(InfrastructureError, match="is there already"):
        backup(Stack(tmp_path / ".env"), tmp_path / ".env", copied)


def test_without_a_stack_the_command_that_starts_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="make stack-up"):
        backup(Stack(tmp_path / ".env"), tmp_path / ".env", tmp_path / "today")
