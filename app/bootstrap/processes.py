"""Several instances in processes of their own."""

import sys
import tempfile
import threading
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from app.settings import Settings
from app.telemetry.http import OperatorPort
from app.telemetry.merged import Merged
from app.tools.workers import Workers

log = structlog.get_logger()


def as_worker(settings: Settings, number: int) -> Settings:
    """Return the settings of a worker: its parent alone asks for its metrics; a name of its own.

    >>> named = Settings(kafka={"group_instance_id": "pod-0"})
    >>> as_worker(named, 2).kafka.group_instance_id
    'pod-0-2'
    """
    http = settings.http.model_copy(update={"host": "127.0.0.1", "port": 0})
    name = settings.kafka.group_instance_id
    kafka = settings.kafka.model_copy(update={"group_instance_id": name and f"{name}-{number}"})
    return settings.model_copy(update={"http": http, "kafka": kafka})


def run_workers(
    settings: Settings, count: int, stop: threading.Event, address_file: Path | None = None
) -> int:
    """Run so many instances in processes of their own until `stop` is set.

    Returns:
        The exit code.

    Raises:
        SettingsError: The port for metrics is taken.
    """
    with tempfile.TemporaryDirectory(prefix="ds-models-workers-") as name:
        folder = Path(name)

        def command(number: int) -> list[str]:
            file = folder / str(number)
            file.unlink(missing_ok=True)  # that of the one before it
            options = ["--worker", str(number), "--address-file", str(file)]
            return [sys.executable, "-m", "app", "run", *options]

        def addresses() -> dict[int, str | None]:
            files = {number: folder / str(number) for number in range(1, count + 1)}
            return {n: file.read_text() if file.exists() else None for n, file in files.items()}

        merged = Merged(addresses)
        registry = CollectorRegistry()
        registry.register(merged)
        port = OperatorPort(
            settings.http.host,
            settings.http.port,
            registry,
            why_not_alive=merged.why_not_alive,
            why_not_ready=merged.why_not_ready,
        )
        log.info("operator_port.listens", address=port.address)
        if address_file is not None:
            port.write_address(address_file)
        with port:
            return Workers(command, count).run(stop)
