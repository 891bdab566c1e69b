"""`registry`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer

from app.commands.terminal import predict_with_one_thread, read_settings


def registry(
    dev: Annotated[
        bool,
        typer.Option(
            "--dev", help="Ask for no token, and serve this machine alone: for trying it out."
        ),
    ] = False,
    address_file: Annotated[
        Path | None,
        typer.Option(help="Write the address to this file, once it listens.", dir_okay=False),
    ] = None,
) -> None:
    """Serve models, versions, plans and predictions over HTTP, until SIGTERM or Ctrl+C.

    `[service]` of the settings says where. Every request but for the page itself,
    `/healthz`, `/readyz` and the signed webhook needs a
    token, which `token create` makes. Any number of services may share one database.

    Exit codes: 0 stopped as asked; 2 a setting is wrong, or the port is taken; 10 its database
    can't be used. MLflow and Kafka may be away when it starts: what needs them answers 503.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # until the server has handlers of its own
        signal.signal(number, lambda *_: sys.exit(0))
    predict_with_one_thread()

    import structlog  # noqa: PLC0415

    from app.bootstrap import serving_registry  # noqa: PLC0415
    from app.service import server  # noqa: PLC0415

    settings = read_settings()
    host, port = settings.service.host, settings.service.port
    if dev:
        server.require_loopback(host)
        structlog.get_logger().warning(
            "registry.open_to_all",
            meaning="--dev: whoever is on this machine may do everything, without a token",
        )
    with (
        server.listen(host, port) as listening,
        serving_registry.registry_service(settings, dev=dev) as app,
    ):
        server.serve(app, listening, address_file)
