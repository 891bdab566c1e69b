"""The broker's jars: named by pom.xml, brought once by Maven into a folder that git ignores."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.kafka.java import find_maven
from infrastructure.processes import InfrastructureError, locked

if TYPE_CHECKING:
    from collections.abc import Mapping

POM = Path(__file__).with_name("pom.xml")
HOME = Path(__file__).resolve().parents[2] / ".local" / "kafka"
_STAMP = ".complete"


def kafka_version() -> str:
    """Return the broker's version as pom.xml names it."""
    match = re.search(r"<kafka\.version>([^<]+)<", POM.read_text())
    if match is None:
        raise InfrastructureError(f"{POM} names no kafka.version")
    return match[1]


def ensure_jars(environment: Mapping[str, str], home: Path = HOME) -> Path:
    """Return the folder of the broker's jars; bring them if they are not there yet.

    The first time takes seconds to minutes and needs the network, later ones read one small file.
    A changed pom.xml brings them anew. Safe among processes: one brings them, the others wait, and
    nobody sees a folder that is half full.

    Raises:
        InfrastructureError: Maven is missing, or failed; the line names its log.
    """
    folder = home / f"libs-{kafka_version()}"
    stamp = hashlib.sha256(POM.read_bytes()).hexdigest()
    if _is_complete(folder, stamp):
        return folder
    with locked(home / "libs.lock"):
        if not _is_complete(folder, stamp):
            partial = home / "libs.partial"
            shutil.rmtree(partial, ignore_errors=True)
            _copy_dependencies(environment, partial, log=home / "maven.log")
            (partial / _STAMP).write_text(stamp)
            shutil.rmtree(folder, ignore_errors=True)
            partial.replace(folder)
    return folder


def _is_complete(folder: Path, stamp: str) -> bool:
    try:
        return (folder / _STAMP).read_text() == stamp
    except FileNotFoundError:
        return False


def _copy_dependencies(environment: Mapping[str, str], folder: Path, *, log: Path) -> None:
    command = [
        find_maven(environment),
        "--batch-mode",
        "--no-transfer-progress",
        "-Dstyle.color=never",
        f"--file={POM}",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={folder}",
    ]
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise InfrastructureError(f"Maven could not bring the broker's jars, see {log}")


if __name__ == "__main__":
    try:
        print(ensure_jars(os.environ))
    except InfrastructureError as error:
        sys.exit(str(error))
