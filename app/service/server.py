"""Serve the application on a port until SIGTERM or Ctrl+C."""

import signal
import socket
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from app.domain.errors import SettingsError
from app.service.gate import LOOPBACK
from app.telemetry.http import write_address

log = structlog.get_logger()
_END_WITHIN_S = 15  # what comes after it, the reconciler's end, has the rest of 20
_CONNECTIONS = 512


def require_loopback(host: str) -> None:
    """Return if only this machine can reach an address.

    Raises:
        SettingsError: Others can: without tokens they could do everything.
    """
    if host not in LOOPBACK:
        raise SettingsError(
            f"--dev asks for no token, so it serves this machine alone: service.host must be one "
            f"of {', '.join(sorted(LOOPBACK))}, not {host!r}"
        )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; connections wait until `serve`.

    Raises:
        SettingsError: The port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"service.host and service.port: {host}:{port} can't be listened on ({error}); "
            "name another, or 0 for any free port"
        ) from error
    # What it accepts inherits this. asyncio sets it only on sockets that it made itself; without it
    # the body of each answer waits 40 ms for the client's word that it has the head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address_of(listening: socket.socket) -> str:
    """Return where a socket listens, as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, listening: socket.socket, address_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT, then end what is under way, for at most 15 seconds.

    Raises:
        SettingsError: The address can't be written to `address_file`.
    """
    address = address_of(listening)
    log.info("registry.listens", address=address)
    if address_file is not None:
        write_address(address, address_file)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises what it caught once more
        signal.signal(number, _nothing)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_END_WITHIN_S,
    )
    uvicorn.Server(config).run(sockets=[listening])
    log.info("registry.stopped")


def _nothing(*_: Any) -> None:
    """Uvicorn has handlers of its own while it serves."""
