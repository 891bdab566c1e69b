"""A stack's backup: what is refused before anything is touched."""

import stat
from pathlib import Path

import pytest

from infrastructure.processes import InfrastructureError
from infrastructure.stack import environment, restore
from infrastructure.stack.backup import SUMS, backup, digest, keeps_artifacts
from infrastructure.stack.containers import Stack


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder as a backup leaves it."""
    folder = tmp_path / "today"
    for part, names in (
        ("", ("mlflow.sql", "mlflow_login.sql", "stack.env", "artifacts.tar")),
        ("kafka", ("manifest.json", "records-0.gz")),
    ):
        (folder / part).mkdir()
        for name in names:
            (folder / part / name).write_text(f"what {name} has")
        sums = "".join(f"{digest(folder / part / name)}  {name}\n" for name in names)
        (folder / part / SUMS).write_text(sums)
    return folder


def test_a_whole_backup_is_taken(copied: Path) -> None:
    restore.verify(copied)


@pytest.mark.parametrize("name", ["mlflow.sql", "artifacts.tar", "kafka/records-0.gz"])
def test_a_file_that_was_changed_is_named(copied: Path, name: str) -> None:
    (copied / name).write_text("something else")
    with pytest.raises(InfrastructureError, match=f"{name} is missing, or not what was backed up"):
        restore.verify(copied)


@pytest.mark.parametrize(
    "name", ["mlflow_login.sql", "stack.env", "artifacts.tar", "kafka/manifest.json", SUMS]
)
def test_a_file_that_is_missing_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(InfrastructureError, match=name):
        restore.verify(copied)


def test_a_file_that_has_no_sum_and_is_missing_is_named(copied: Path) -> None:
    lines = (copied / SUMS).read_text().splitlines()
    (copied / SUMS).write_text("".join(f"{line}\n" for line in lines if "mlflow.sql" not in line))
    (copied / "mlflow.sql").unlink()
    with pytest.raises(InfrastructureError, match=r"it has no mlflow\.sql"):
        restore.verify(copied)


@pytest.mark.parametrize(
    ("lines", "own"),
    [
        ("", True),
        ("ARTIFACTS=s3://models/team # ours\n", True),
        ("ARTIFACTS=\nS3_ENDPOINT=\n", True),
        ("S3_ENDPOINT=https://s3.example\n", False),
        ("ARTIFACTS='gs://bucket/folder'\n", False),
    ],
)
def test_where_the_artifacts_are_is_what_compose_takes(
    tmp_path: Path, lines: str, own: bool
) -> None:
    file = tmp_path / ".env"
    file.write_text(lines)
    assert keeps_artifacts(Stack(file)) is own


def test_the_secrets_are_taken_over_for_their_owner_alone(tmp_path: Path) -> None:
    kept, ours = tmp_path / "kept.env", tmp_path / ".env"
    environment.write(kept)
    restore.take_secrets(kept, ours)
    assert ours.read_text() == kept.read_text()
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600


def test_other_ports_stay_and_other_secrets_are_named_but_not_shown(tmp_path: Path) -> None:
    kept, ours = tmp_path / "kept.env", tmp_path / ".env"
    environment.write(kept)
    text = kept.read_text().replace("MLFLOW_PORT=5000", "MLFLOW_PORT=5001") + "MLFLOW_WORKERS=2\n"
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
