"""`python -m infrastructure.fake_gcs.program` has Go build fake-gcs-server into .local."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infrastructure.processes import InfrastructureError, locked

MODULE = "github.com/fsouza/fake-gcs-server"
VERSION = "v1.52.3"
HOME = Path(__file__).resolve().parents[2] / ".local" / "fake-gcs" / VERSION
PROGRAM = HOME / "fake-gcs-server"


def build() -> Path:
    """Build it unless it is there, and return it. Takes a minute or more.

    Raises:
        InfrastructureError: Go is missing, or failed.
    """
    go = shutil.which("go")
    if go is None:
        raise InfrastructureError("go is missing: it builds the server of the test")
    with locked(HOME.with_suffix(".lock")):
        if not PROGRAM.exists():
            command = [go, "install", f"{MODULE}@{VERSION}"]
            environment = {**os.environ, "GOBIN": str(HOME)}
            if subprocess.run(command, env=environment, check=False).returncode:
                raise InfrastructureError("Go could not build fake-gcs-server, see above")
    return PROGRAM


if __name__ == "__main__":
    try:
        print(build())
    except InfrastructureError as error:
        sys.exit(str(error))
