"""One MLflow tracking server: a SQLite store, artifacts served by the server, one worker."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import signal
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar

from infrastructure.local_server import LocalServer
from infrastructure.mlflow_server.webhook_key import kept_key
from infrastructure.processes import LOOPBACK, accepts_connections, free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # seven more processes, which nothing of ours uses
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # webhooks to programs on this machine, soon after they are installed
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
}
# relative to the working folder, the data folder: no character needs escaping
_OWN_STORE = "sqlite:///mlflow.db"


@dataclass(frozen=True, slots=True)
class Login:
    """The administrator of a server that asks who calls."""

    name: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """What a request says, as `Authorization`."""
        return "Basic " + base64.b64encode(f"{self.name}:{self.password}".encode()).decode()


class MLflowServer(LocalServer):
    """A server on a free port of 127.0.0.1, with its data and its log in `data_folder`.

    `settings` are environment variables for this server; no other `MLFLOW_…` variable of the
    caller's reaches it. It sends webhooks to this machine too; what their secrets are encrypted
    with is made once. `store_uri` names another database than the SQLite file in `data_folder`, as
    SQLAlchemy reads it; `artifacts` another place for the files that it serves than a folder there,
    as MLflow reads it. With a `login` it asks each caller for a name and a password (MLflow's
    `basic-auth`, which needs Flask-WTF), and this is the first that it knows.

    A start takes about 7 s, nearly all of it two imports of mlflow: one by its command line and one
    by the worker.
    """

    name: ClassVar[str] = "MLflow"
    # The server's command line hands SIGTERM to its worker; SIGKILL would leave that behind.
    death_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self,
        data_folder: Path,
        *,
        owned: bool = False,
        settings: Mapping[str, str] | None = None,
        store_uri: str = _OWN_STORE,
        artifacts: str = "artifacts",
        login: Login | None = None,
    ) -> None:
        super().__init__(data_folder, owned=owned)
        (self._port,) = free_ports(1)
        self._settings = {**_SETTINGS, **_of_login(login), **(settings or {})}
        self._store_uri = store_uri
        self._artifacts = artifacts
        self._login = login

    @property
    def tracking_uri(self) -> str:
        """The server's address as MLflow clients take it, `http://127.0.0.1:port`."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def address(self) -> str:
        """The same as `tracking_uri`."""
        return self.tracking_uri

    @property
    def description(self) -> str:
        """What runs, and where, in one line."""
        return f"MLflow {version('mlflow')}, local, {self.tracking_uri}"

    def prepare(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the command of the server; it makes its own database and folders."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MLFLOW_", "_MLFLOW_"))
        }
        hosts = [f"{host}:{self._port}" for host in (LOOPBACK, "localhost")]
        command = [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--host", LOOPBACK, "--port", str(self._port), "--workers", "1"),
            *("--backend-store-uri", self._store_uri),
            *(() if self._login is None else ("--app-name", "basic-auth")),
            *("--serve-artifacts", "--artifacts-destination", self._artifacts),
            *("--allowed-hosts", ",".join(hosts)),
            *("--cors-allowed-origins", ",".join(f"http://{host}" for host in hosts)),
            # A stop waits for a request under way, not for a connection that is only kept open.
            *("--uvicorn-opts", "--timeout-graceful-shutdown 3"),
        ]
        key = kept_key(self.data_folder)
        return command, {
            **inherited,
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": key,
            **self._settings,
        }

    def answers(self) -> bool:
        """Say whether the server is healthy and its store answers a search."""
        if not accepts_connections(self._port) or self._get("/health") != b"OK":
            return False
        found = self._get("/api/2.0/mlflow/experiments/search?max_results=1")
        return found is not None and "experiments" in json.loads(found)

    def _get(self, path: str) -> bytes | None:
        # http.client, because it does not send 127.0.0.1 through a proxy of the environment
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=5)
        headers = {} if self._login is None else {"Authorization": self._login.header}
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.read() if response.status == http.client.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def _of_login(login: Login | None) -> dict[str, str]:
    """Return the variables by which a server that asks who calls knows its administrator."""
    if login is None:
        return {}
    return {
        "MLFLOW_AUTH_ADMIN_USERNAME": login.name,
        "MLFLOW_AUTH_ADMIN_PASSWORD": login.password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
    }
