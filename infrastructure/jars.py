"""A local server's jars: named by its pom.xml, brought once by Maven where git ignores them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.java import find_maven
from infrastructure.processes import InfrastructureError, locked

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOCAL = Path(__file__).resolve().parents[1] / ".local"
_STAMP = ".complete"


@dataclass(frozen=True, slots=True)
class Jars:
    """What one server needs.

    Attributes:
        name: Of the server; the property `<name>.version` in its pom.xml says which one it is.
        pom: That file.
    """

    name: str
    pom: Path

    @property
    def home(self) -> Path:
        """The folder that everything of this server lies in."""
        return _LOCAL / self.name

    @property
    def version(self) -> str:
        """The server's version as pom.xml names it."""
        match = re.search(rf"<{self.name}\.version>([^<]+)<", self.pom.read_text())
        if match is None:
            raise InfrastructureError(f"{self.pom} names no {self.name}.version")
        return match[1]

    def ensure(self, environment: Mapping[str, str], home: Path | None = None) -> Path:
        """Return the folder of the jars; bring them if they are not there yet.

        The first time takes seconds to minutes and needs the network, later ones read one small
        file. A changed pom.xml brings them anew. Safe among processes: one brings them, the others
        wait, and nobody sees a folder that is half full.

        Raises:
            InfrastructureError: Maven is missing, or failed; the line names its log.
        """
        home = home or self.home
        folder = home / f"libs-{self.version}"
        stamp = hashlib.sha256(self.pom.read_bytes()).hexdigest()
        if _is_complete(folder, stamp):
            return folder
        with locked(home / "libs.lock"):
            if not _is_complete(folder, stamp):
                partial = home / "libs.partial"
                shutil.rmtree(partial, ignore_errors=True)
                self._copy(environment, partial, log=home / "maven.log")
                (partial / _STAMP).write_text(stamp)
                shutil.rmtree(folder, ignore_errors=True)
                partial.replace(folder)
        return folder

    def main(self) -> int:
        """Bring the jars and print their folder; return the exit code."""
        try:
            print(self.ensure(os.environ))
        except InfrastructureError as error:
            print(error, file=sys.stderr)
            return 1
        return 0

    def _copy(self, environment: Mapping[str, str], folder: Path, *, log: Path) -> None:
        command = [
            find_maven(environment),
            "--batch-mode",
            "--no-transfer-progress",
            "-Dstyle.color=never",
            f"--file={self.pom}",
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
            raise InfrastructureError(f"Maven could not bring the jars of {self.name}, see {log}")


def _is_complete(folder: Path, stamp: str) -> bool:
    try:
        return (folder / _STAMP).read_text() == stamp
    except FileNotFoundError:
        return False
