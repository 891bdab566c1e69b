"""One fake-gcs-server: Google Cloud Storage's API over a folder. It asks nobody who calls."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from infrastructure.fake_gcs.program import PROGRAM, VERSION
from infrastructure.local_server import LocalServer
from infrastructure.processes import (
    LOOPBACK,
    InfrastructureError,
    free_ports,
    http_status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class FakeGcs(LocalServer):
    """A store on a free port of 127.0.0.1, with its buckets and its log in `data_folder`."""

    name: ClassVar[str] = "fake-gcs-server"
    bucket: ClassVar[str] = "models"
    """The bucket that is there from the start."""
    credential: ClassVar[None] = None

    def __init__(self, data_folder: Path, *, owned: bool = False) -> None:
        super().__init__(data_folder, owned=owned)
        (self._port,) = free_ports(1)

    @property
    def address(self) -> str:
        """The endpoint, `http://127.0.0.1:port`."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def description(self) -> str:
        """What runs, and where, in one line."""
        return f"fake-gcs-server {VERSION}, {self.address}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of MLflow needs to use it."""
        return {"STORAGE_EMULATOR_HOST": self.address, "GOOGLE_CLOUD_PROJECT": "local"}

    def uri(self, path: str) -> str:
        """Return a place in the bucket, as MLflow reads it."""
        return f"gs://{self.bucket}/{path}"

    def prepare(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Make the bucket if there is none yet, and return the command."""
        if not PROGRAM.exists():
            raise InfrastructureError("fake-gcs-server is not there; `make gcs-test` builds it")
        buckets = self.data_folder / "buckets"
        (buckets / self.bucket).mkdir(parents=True, exist_ok=True)
        return [
            *(str(PROGRAM), "-scheme", "http", "-host", LOOPBACK, "-port", str(self._port)),
            *("-backend", "filesystem", "-filesystem-root", str(buckets)),
            *("-public-host", f"{LOOPBACK}:{self._port}", "-external-url", self.address),
            *("-log-level", "warn"),
        ], dict(os.environ)

    def answers(self) -> bool:
        """Say whether it lists its buckets."""
        return http_status(self._port, "/storage/v1/b") == HTTPStatus.OK
