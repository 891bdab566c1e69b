"""Load a model in a process of its own: `python -m app.registry.verify FOLDER POLICY`.

What a broken or hostile artifact does, it does to this process and not to the one that announces.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from app.domain.errors import DsModelsError, ModelRefused
from app.registry.policy import Policy

_LOADS = "app.registry.verify: it loads"  # an exit code of 0 may be the model's own doing


def verify(folder: Path, policy: Policy, timeout_s: float = 120.0) -> None:
    """Return if the model in `folder` loads under the policy and predicts its input example.

    Raises:
        ModelRefused: It does not, or not within `timeout_s` seconds.
    """
    command = [sys.executable, "-m", "app.registry.verify", str(folder)]
    command.append(json.dumps(asdict(policy)))
    try:
        run = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelRefused(f"loading it takes longer than {timeout_s:.0f} s") from error
    if run.returncode == 0 and _LOADS in run.stdout.splitlines():
        return
    lines = run.stderr.strip().splitlines()
    if run.returncode <= 0 or not lines:
        raise ModelRefused(f"loading it ends the process with {run.returncode}")
    raise ModelRefused(lines[-1])


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
