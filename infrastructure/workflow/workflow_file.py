"""A workflow file of GitHub Actions, as far as it can be run here: one job of steps in bash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from infrastructure.processes import InfrastructureError

if TYPE_CHECKING:
    from pathlib import Path

_OF_JOB = {"runs-on", "timeout-minutes", "env", "steps"}
_OF_STEP = {"name", "id", "if", "env", "run", "uses", "with"}
_BASH = {"run": {"shell": "bash"}}


@dataclass(frozen=True, slots=True)
class Step:
    """One step; nothing in it is resolved.

    Attributes:
        run: What bash runs; None of a step that uses an action.
        uses: The action.
        condition: Its `if`.
    """

    name: str
    id: str | None
    run: str | None
    uses: str | None
    condition: str | None
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """The only job of a workflow."""

    name: str
    env: dict[str, str]
    steps: tuple[Step, ...]


def read(path: Path) -> Job:
    """Read the job of a workflow file.

    Raises:
        InfrastructureError: It can't be read, has several jobs, or says something that would be
            done on GitHub and not here; the message names it.
    """
    try:
        written = yaml.safe_load(path.read_text())
        ((name, job),) = written["jobs"].items()
        steps = job["steps"]
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise InfrastructureError(
            f"{path} is no workflow with one job of steps: {error}"
        ) from error
    if written.get("defaults") != _BASH or "env" in written:
        raise InfrastructureError(
            f"{path}: its steps must run in bash, with an env in the job alone"
        )
    _require_known(f"{path}: the job {name}", job, _OF_JOB)
    return Job(name, _texts(job.get("env")), tuple(_step(path, step) for step in steps))


def _step(path: Path, step: dict[str, Any]) -> Step:
    name = str(step.get("name") or step.get("uses") or step.get("run"))
    _require_known(f"{path}: the step {name}", step, _OF_STEP)
    condition = step.get("if")
    return Step(
        name=name,
        id=step.get("id"),
        run=step.get("run"),
        uses=step.get("uses"),
        condition=None if condition is None else str(condition),
        env=_texts(step.get("env")),
    )


def _texts(env: dict[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (env or {}).items()}


def _require_known(whose: str, found: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(found) - known):
        raise InfrastructureError(f"{whose} has {', '.join(unknown)}, which is not known here")
