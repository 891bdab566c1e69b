"""The workflow files in `.github`: what GitHub would refuse, and what only a run would show."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import settings
from infrastructure.workflow import workflow_file
from infrastructure.workflow.expressions import Values

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPLOY = ROOT / ".github" / "workflows" / "train-and-deploy-model.yml"
CI = ROOT / ".github" / "workflows" / "ci.yml"
ON = True  # what YAML 1.1 makes of a bare `on`


def written(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


def all_steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in written(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_follows_the_schema_of_workflows(path: Path) -> None:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_its_steps_run_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for step in all_steps(path):
        commands = step.get("run", "")
        assert set(re.findall(r"\bmake ([a-z-]+)", commands)) <= targets
        for file in re.findall(r"(?:models|\.ci)/[\w.]+", commands):
            assert (ROOT / file).is_file(), file
    assert any("run" in step for step in all_steps(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_may_only_read_ends_in_time_and_uses_actions_of_github_of_a_named_version(
    path: Path,
) -> None:
    assert written(path)["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 45 for job in written(path)["jobs"].values())
    used = {step["uses"] for step in all_steps(path) if "uses" in step}
    assert all(re.fullmatch(r"actions/(checkout|setup-python)@v\d+", action) for action in used)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_step_has_an_expression_in_its_commands_so_none_prints_a_secret(path: Path) -> None:
    for step in all_steps(path):
        assert "${{" not in step.get("run", "")
        for secret in re.findall(r"secrets\.(\w+)", path.read_text()):
            assert not re.search(rf"(echo|printf|cat)\b.*{secret}", step.get("run", ""))


def test_it_deploys_on_a_push_to_main_and_on_mondays_one_at_a_time() -> None:
    found = written(DEPLOY)
    assert found[ON]["push"] == {"branches": ["main"]}
    (schedule,) = found[ON]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* 1", schedule["cron"])
    assert found["concurrency"]["cancel-in-progress"] is False


def test_nothing_is_promoted_but_what_the_gate_let_pass() -> None:
    names = [(step.id, step.run or "") for step in workflow_file.read(DEPLOY).steps]
    gate = next(n for n, (_, run) in enumerate(names) if "models/evaluate_model.py" in run)
    promote = next(n for n, (_, run) in enumerate(names) if "app promote" in run)
    assert gate < promote
    condition = workflow_file.read(DEPLOY).steps[promote].condition
    assert condition == f"steps.{names[gate][0]}.outputs.verdict == 'passed'"
    registers = next(run for _, run in names if "register_model" in run)
    assert "--no-alias" in registers


@pytest.mark.parametrize(
    ("secrets", "protocol", "login"),
    [
        ({}, "PLAINTEXT", ("", "", "")),
        (
            {
                "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
                "KAFKA_SASL_USERNAME": "registry",
                "KAFKA_SASL_PASSWORD": "a password",
            },
            "SASL_SSL",
            ("SCRAM-SHA-512", "registry", "a password"),
        ),
    ],
)
def test_its_environment_is_one_that_the_settings_take_with_a_login_and_without(
    secrets: dict[str, str], protocol: str, login: tuple[str, str, str]
) -> None:
    values = Values({"KAFKA_BOOTSTRAP_SERVERS": "broker:9092", **secrets}, 7)
    given = {name: values.text(text) for name, text in workflow_file.read(DEPLOY).env.items()}
    kafka = settings.read(given).kafka
    assert kafka.bootstrap_servers == "broker:9092"
    assert kafka.security_protocol == protocol
    assert (kafka.sasl_mechanism, kafka.sasl_username, kafka.sasl_password) == login


def test_ci_runs_what_a_developer_runs_then_the_image_and_the_stack() -> None:
    assert set(written(CI)[ON]) == {"push", "pull_request"}
    commands = [step["run"] for step in all_steps(CI) if "run" in step]
    assert commands == [".ci/run", "make image", "make image-test", "make stack-test"]
