"""One Azurite: Azure Blob's own emulator over a folder, which asks for signed requests."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from infrastructure.azurite.packages import PROGRAM
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


class Azurite(LocalServer):
    """A store on a free port of 127.0.0.1, with its containers and its log in `data_folder`.

    Its one account's key is made at random with the object. A start takes about 3 s. It makes no
    container.
    """

    name: ClassVar[str] = "Azurite"
    account: ClassVar[str] = "dsmodels"
    container: ClassVar[str] = "models"

    def __init__(self, data_folder: Path, *, owned: bool = False) -> None:
        super().__init__(data_folder, owned=owned)
        (self._port,) = free_ports(1)
        self.credential = base64.b64encode(secrets.token_bytes(64)).decode()

    @property
    def address(self) -> str:
        """The endpoint of the account, `http://127.0.0.1:port/account`."""
        return f"http://{LOOPBACK}:{self._port}/{self.account}"

    @property
    def description(self) -> str:
        """What runs, and where, in one line."""
        return f"Azurite, local Node.js, {self.address}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of MLflow needs to use it."""
        parts = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": self.account,
            "AccountKey": self.credential,
            "BlobEndpoint": self.address,
        }
        joined = ";".join(f"{name}={value}" for name, value in parts.items())
        return {"AZURE_STORAGE_CONNECTION_STRING": joined}

    def uri(self, path: str) -> str:
        """Return a place in the container, as MLflow reads it."""
        return f"wasbs://{self.container}@{self.account}.blob.core.windows.net/{path}"

    def prepare(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the command; the key is in the environment, in no list of processes."""
        node = shutil.which("node")
        if node is None or not PROGRAM.exists():
            raise InfrastructureError("Azurite is not there; `make azure-test` brings it")
        command = [
            *(node, str(PROGRAM), "--blobHost", LOOPBACK, "--blobPort", str(self._port)),
            *("--location", str(self.data_folder), "--disableTelemetry"),
            "--skipApiVersionCheck",  # the client may be newer
        ]
        return command, {**os.environ, "AZURITE_ACCOUNTS": f"{self.account}:{self.credential}"}

    def answers(self) -> bool:
        """Say whether it answers a request, be it with a refusal."""
        return http_status(self._port, f"/{self.account}?comp=list") == HTTPStatus.FORBIDDEN
