"""The runner of workflow files: what it resolves, what it refuses, and how a job ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.processes import InfrastructureError
from infrastructure.workflow import steps, workflow_file
from infrastructure.workflow.expressions import Values
from infrastructure.workflow.steps import Done
from tests.harness.world import until

HEAD = "defaults: {run: {shell: bash}}\njobs:\n  only:\n    runs-on: ubuntu-latest\n"


def job(folder: Path, text: str) -> workflow_file.Job:
    path = folder / "workflow.yml"
    path.write_text(HEAD + text)
    return workflow_file.read(path)


def ran(folder: Path, text: str, secrets: dict[str, str] | None = None) -> list[Done]:
    inherited = {"PATH": "/usr/bin:/bin", "KAFKA_BOOTSTRAP_SERVERS": "not by the file"}
    values = Values(secrets or {}, run_number=7)
    return list(steps.run(job(folder, text), values, inherited, folder, lambda _: None))


def test_what_one_step_writes_another_one_has_and_secrets_come_by_the_env_alone(
    tmp_path: Path,
) -> None:
    done = ran(
        tmp_path,
        """
    env:
      PLACE: ${{ secrets.PLACE }}
      NUMBER: ${{ github.run_number }}
    steps:
      - id: first
        run: |
          echo "said=$PLACE-$NUMBER${KAFKA_BOOTSTRAP_SERVERS:-}" >> "$GITHUB_OUTPUT"
          echo "## seen" >> "$GITHUB_STEP_SUMMARY"
      - env: {GOT: "${{ steps.first.outputs.said }}, ${{ env.NUMBER }}${{ secrets.NONE }}"}
        run: echo "$GOT" > "$(dirname "$GITHUB_OUTPUT")/got"
""",
        {"PLACE": "here"},
    )
    assert [one.state for one in done] == ["passed", "passed"]
    assert (tmp_path / "got").read_text() == "here-7, 7\n"
    assert (tmp_path / "summary.md").read_text() == "## seen\n"


def test_after_a_step_that_fails_within_a_pipe_none_runs(tmp_path: Path) -> None:
    done = ran(
        tmp_path,
        """
    steps:
      - uses: actions/checkout@v6
      - run: (exit 8) | cat
      - run: touch "$(dirname "$GITHUB_OUTPUT")/reached"
""",
    )
    assert [(one.state, one.code) for one in done] == [
        ("skipped", 0),
        ("failed", 8),
        ("skipped", 0),
    ]
    assert done[0].why == "actions/checkout@v6 runs on GitHub alone"
    assert not (tmp_path / "reached").exists()


@pytest.mark.parametrize(("verdict", "state"), [("passed", "passed"), ("unchanged", "skipped")])
def test_a_step_with_a_condition_runs_only_if_it_holds(
    tmp_path: Path, verdict: str, state: str
) -> None:
    done = ran(
        tmp_path,
        f"""
    steps:
      - id: gate
        run: echo verdict={verdict} >> "$GITHUB_OUTPUT"
      - if: steps.gate.outputs.verdict == 'passed'
        run: "true"
""",
    )
    assert done[1].state == state


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("    continue-on-error: true\n    steps: []\n", "continue-on-error"),
        ("    steps: [{run: 'true', working-directory: x}]\n", "working-directory"),
        ("    steps: []\n  another:\n    steps: []\n", "no workflow with one job"),
        ("    steps: [{run: 'echo ${{ github.token }}'}]\n", "github.token"),
        ("    steps: [{run: 'echo ${{ steps.none.outputs.x }}'}]\n", "steps.none.outputs.x"),
        ("    steps: [{run: 'true', if: always()}]\n", "always()"),
        ("    steps: [{id: a, run: 'echo nothing >> $GITHUB_OUTPUT'}]\n", "`nothing`"),
    ],
)
def test_what_is_not_known_here_is_an_error_that_names_it(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(InfrastructureError) as raised:
        ran(tmp_path, text)
    assert named in str(raised.value)


def test_a_runner_that_is_told_to_end_ends_what_its_step_runs(tmp_path: Path) -> None:
    began, tidied = tmp_path / "began", tmp_path / "tidied"
    step = f"trap 'touch {tidied}; exit 9' INT; touch {began}; tail -f {began} & wait"
    text = f"    steps:\n      - run: {json.dumps(step)}\n      - run: touch {tmp_path}/reached\n"
    job(tmp_path, text)
    arguments = [str(tmp_path / "workflow.yml"), "--folder", str(tmp_path / "folder")]
    with subprocess.Popen(
        [sys.executable, "-m", "infrastructure.workflow", *arguments],
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "given", "MLFLOW_TRACKING_URI": "given"},
        cwd=steps.ROOT,
    ) as runner:
        until(began.exists)
        runner.terminate()
        assert runner.wait(60) == 143
    assert tidied.exists()
    assert not (tmp_path / "reached").exists()
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path) in seen(p)]


def seen(cmdline: Path) -> str:
    try:
        return cmdline.read_text(errors="replace")
    except OSError:
        return ""
