"""The Java programs that local servers need, found or named in one line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.processes import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST_JAVA = 17
INSTALL = f"apt-get install openjdk-{OLDEST_JAVA}-jre-headless maven"


def find_java(environment: Mapping[str, str]) -> str:
    """Return the path of `java`: of JAVA_HOME if that is set, otherwise of PATH. Starts it once.

    Raises:
        InfrastructureError: There is none, or it is older than 17.
    """
    if home := environment.get("JAVA_HOME"):
        java: str | None = shutil.which("java", path=str(Path(home) / "bin"))
    else:
        java = shutil.which("java", path=environment.get("PATH", ""))
    if java is None:
        raise InfrastructureError(f"java {OLDEST_JAVA} or newer is missing: {INSTALL}")
    answer = subprocess.run(  # `-version` goes to standard error
        [java, "-version"], capture_output=True, text=True, check=False, env=dict(environment)
    )
    found = major_version(answer.stderr)
    if found is None or found < OLDEST_JAVA:
        raise InfrastructureError(
            f"{java} is Java {found or 'of an unknown version'}, {OLDEST_JAVA} or newer is needed: "
            f"{INSTALL}"
        )
    return java


def find_maven(environment: Mapping[str, str]) -> str:
    """Return the path of `mvn`, which brings jars.

    Raises:
        InfrastructureError: There is none in PATH.
    """
    maven = shutil.which("mvn", path=environment.get("PATH", ""))
    if maven is None:
        raise InfrastructureError(f"mvn (Apache Maven) is missing: {INSTALL}")
    return maven


def major_version(answer: str) -> int | None:
    """Read the major version from what `java -version` says; None if it says nothing of the kind.

    >>> major_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> major_version('java version "1.8.0_401"')
    8
    >>> major_version('openjdk version "25-ea" 2025-09-16')
    25
    """
    match = re.search(r'version "(?:1\.)?(\d+)', answer)
    return int(match[1]) if match else None


def main() -> int:
    """Name each missing program in a line of its own; return the exit code."""
    missing = 0
    for find in (find_java, find_maven):
        try:
            find(os.environ)
        except InfrastructureError as error:
            print(error, file=sys.stderr)
            missing = 1
    return missing


if __name__ == "__main__":
    sys.exit(main())
