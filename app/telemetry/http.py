"""The operator's port: `/metrics`, `/healthz` and `/readyz`, and nothing else."""

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from app.domain.errors import SettingsError


class OperatorPort:
    """Answers on a port, in threads of its own, until it is closed. A context manager.

    Args:
        host: The address to listen on.
        port: The port; 0 for any that is free.
        registry: What `/metrics` shows.
        why_not_alive: Why the instance must be started anew, None if it need not.
        why_not_ready: Why it could not answer a record now, None if it could.

    Raises:
        SettingsError: The port is taken, or the address is not of this machine.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        *,
        why_not_alive: Callable[[], str | None],
        why_not_ready: Callable[[], str | None],
    ) -> None:
        self._registry = registry
        self._checks = {"/healthz": why_not_alive, "/readyz": why_not_ready}
        try:
            self._server = make_server(host, port, self._answer, _Server, _Handler)
        except (OSError, OverflowError) as error:
            raise SettingsError(
                f"http.host and http.port: {host}:{port} can't be listened on ({error}); "
                "name another, or 0 for any free port"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="operator-port", daemon=True
        )

    @property
    def address(self) -> str:
        """Where it answers, as a URL."""
        return f"http://{self._server.server_name}:{self._server.server_port}"

    def write_address(self, file: Path) -> None:
        """Write the address to a file, at once as a whole: whoever sees the file can read it.

        Raises:
            SettingsError: The file can't be written.
        """
        write_address(self.address, file)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = request["PATH_INFO"]
        if request["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            status, kind, body = "405 Method Not Allowed", "text/plain", b"GET only\n"
        elif path == "/metrics":
            status, kind, body = "200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry)
        elif path in self._checks:
            why = self._checks[path]()
            status = "200 OK" if why is None else "503 Service Unavailable"
            kind, body = "application/json", json.dumps({"ok": why is None, "why": why}).encode()
        else:
            status, kind = "404 Not Found", "text/plain"
            body = b"there are /metrics, /healthz and /readyz\n"
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [b"" if request["REQUEST_METHOD"] == "HEAD" else body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without looking this machine's name up: that can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = map(str, self.server_address[:2])  # type: ignore[assignment]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = 10  # a client that says nothing must not keep a thread for ever

    def log_message(self, *_: object) -> None:
        """Say nothing: a scrape every few seconds is no event."""

    def address_string(self) -> str:
        """Return the client's address, not its name."""
        return str(self.client_address[0])


def write_address(address: str, file: Path) -> None:
    """Write an address to a file, at once as a whole: whoever sees the file can read it.

    Raises:
        SettingsError: The file can't be written.
    """
    try:
        new = file.with_name(f"{file.name}.new")
        new.write_text(address)
        new.replace(file)
    except OSError as error:
        raise SettingsError(f"the address can't be written to {file}: {error}") from error
