"""Runs a job's steps in their order, as GitHub's runner does; the first that fails is the last."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from infrastructure.processes import InfrastructureError, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infrastructure.workflow.expressions import Values
    from infrastructure.workflow.workflow_file import Job, Step

ROOT = Path(__file__).parents[2]
_BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # what `shell: bash` means there
_GRACE_S = 30
_NOT_INHERITED = ("KAFKA_", "MLFLOW_", "MAKE", "MFLAGS", "GITHUB_")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a step.

    Attributes:
        why: Of one that was skipped.
        code: The exit code of one that ran.
    """

    step: Step
    state: Literal["passed", "failed", "skipped"]
    why: str = ""
    code: int = 0
    seconds: float = 0.0


def run(
    job: Job,
    values: Values,
    inherited: Mapping[str, str],
    folder: Path,
    begins: Callable[[Step], None],
) -> Iterator[Done]:
    """Run the steps, with their output on ours; yield what became of each.

    A step has the environment of this process but what names servers: as on GitHub it gets that
    from the file alone.

    Args:
        job: Of a workflow file.
        values: What its expressions may name; outputs are added.
        inherited: The environment of this process.
        folder: An empty one, for the files that steps write to; `summary.md` is the summary.
        begins: Told of each step before it runs.

    Raises:
        InfrastructureError: An expression is not known here, or a step writes what is no output.
    """
    base = {k: v for k, v in inherited.items() if not k.startswith(_NOT_INHERITED)}
    values.env.update({name: values.text(value) for name, value in job.env.items()})
    values.outputs.update({step.id: {} for step in job.steps if step.id})
    failed = False
    for number, step in enumerate(job.steps, start=1):
        if why := _skipped(step, values, failed=failed):
            yield Done(step, "skipped", why)
            continue
        begins(step)
        own = {name: values.text(value) for name, value in step.env.items()}
        outputs = folder / f"outputs-{number}"
        outputs.touch()
        files = {
            "CI": "true",
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        }
        script = folder / f"step-{number}.sh"
        script.write_text(values.text(step.run or ""))
        began = time.monotonic()
        code = _ended(script, {**base, **values.env, **own, **files})
        failed = code != 0
        if step.id:
            values.outputs[step.id] = dict(_pairs(outputs))
        state: Literal["passed", "failed"] = "failed" if failed else "passed"
        yield Done(step, state, code=code, seconds=time.monotonic() - began)


def _ended(script: Path, environment: Mapping[str, str]) -> int:
    """Run a script to its end, and end whatever it leaves behind; return its exit code."""
    command = (*_BASH, str(script))
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.wait()
    except BaseException:  # Ctrl+C, or the end of this process: what runs may have to tidy up
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
        raise
    finally:
        Process(process.pid, command).end(grace=0)


def _skipped(step: Step, values: Values, *, failed: bool) -> str | None:
    """Say why a step does not run here."""
    if failed:
        return "a step before it failed"
    if step.run is None:
        return f"{step.uses} runs on GitHub alone"
    if step.condition is not None and not values.holds(step.condition):
        return f"not so: {step.condition}"
    return None


def _pairs(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text().splitlines():
        name, equals, value = line.partition("=")
        if not equals or "<<" in name:
            raise InfrastructureError(f"a step wrote `{line}`, which is no NAME=VALUE")
        yield name, value
