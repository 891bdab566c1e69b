"""Load a model in a process of its own: `python -m app.registry.verify FOLDER POLICY`.

What a broken or hostile artifact does, it does to this process and not to the one that announces.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from app.domain.errors import DsModelsError, ModelRefused, ModelUnavailable
from app.registry.policy import Policy

_LOADS = "app.registry.verify: it loads"  # an exit code of 0 may be the model's own doing
_LOOK_S = 0.25


def verify(
    folder: Path,
    policy: Policy,
    timeout_s: float = 120.0,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Return if the model in `folder` loads under the policy and predicts its input example.

    Args:
        folder: With the model.
        policy: What may be loaded.
        timeout_s: How long that may take.
        stopped: Says that nobody wants to know any more; the process is ended then.

    Raises:
        ModelRefused: It does not, or not within `timeout_s` seconds.
        ModelUnavailable: It was stopped before.
    """
    command = [sys.executable, "-m", "app.registry.verify", str(folder)]
    command.append(json.dumps(asdict(policy)))
    until = time.monotonic() + timeout_s
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            output, said = _ended(process, until, stopped)
        except BaseException:
            process.kill()
            raise
    if process.returncode == 0 and _LOADS in output.splitlines():
        return
    lines = said.strip().splitlines()
    if process.returncode <= 0 or not lines:
        raise ModelRefused(f"loading it ends the process with {process.returncode}")
    raise ModelRefused(lines[-1])


def _ended(
    process: subprocess.Popen[str], until: float, stopped: Callable[[], bool]
) -> tuple[str, str]:
    """Wait for the end of a process; return what it wrote to its output, and to its errors."""
    began = time.monotonic()
    while True:
        try:
            return process.communicate(timeout=_LOOK_S)
        except subprocess.TimeoutExpired as error:
            if stopped():
                raise ModelUnavailable(
                    "it was told to stop before the model was verified"
                ) from error
            if time.monotonic() > until:
                raise ModelRefused(f"loading it takes longer than {until - began:.0f} s") from error


def main() -> int:
    """Load the model in the folder named on the command line; return the exit code."""
    from app.registry.mlflow_models import MlflowModels  # noqa: PLC0415 - takes seconds

    try:
        policy = Policy(**json.loads(sys.argv[2]))
        MlflowModels(tracking_uri="", policy=policy).load(Path(sys.argv[1]))
    except DsModelsError as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201 - read by `verify`
        return error.exit_code
    print(f"\n{_LOADS}", flush=True)  # noqa: T201 - read by `verify`
    return 0


if __name__ == "__main__":
    sys.exit(main())
