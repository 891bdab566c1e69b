"""Azurite's packages: named by package-lock.json, brought by npm where git ignores them.

`python -m infrastructure.azurite.packages` brings them: 450 packages, 360 MB. The lock names each
by its version and its hash, and no registry: npm asks the one that it is set up for.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from infrastructure.processes import InfrastructureError, locked

_HERE = Path(__file__).parent
HOME = Path(__file__).resolve().parents[2] / ".local" / "azurite"
PROGRAM = HOME / "node_modules" / ".bin" / "azurite-blob"


def bring() -> Path:
    """Bring what the lock names, and return Azurite's program.

    Raises:
        InfrastructureError: npm is missing, or failed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InfrastructureError("npm is missing: apt-get install nodejs npm")
    with locked(HOME.with_suffix(".lock")):
        HOME.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(_HERE / name, HOME / name)
        command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        if subprocess.run(command, cwd=HOME, stdin=subprocess.DEVNULL, check=False).returncode:
            raise InfrastructureError("npm could not bring Azurite, see above")
    return PROGRAM


if __name__ == "__main__":
    try:
        print(bring())
    except InfrastructureError as error:
        sys.exit(str(error))
