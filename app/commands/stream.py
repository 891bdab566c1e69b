"""`run`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer

from app.commands.terminal import predict_with_one_thread, read_settings


def run(
    workers: Annotated[
        int, typer.Option(min=1, help="How many processes; more than partitions stay idle.")
    ] = 1,
    worker: Annotated[int | None, typer.Option(hidden=True)] = None,
    address_file: Annotated[
        Path | None,
        typer.Option(help="Write the address of metrics and health to this file.", dir_okay=False),
    ] = None,
) -> None:
    """Run the stream until SIGTERM or Ctrl+C.

    With `--workers`, so many instances of one group in processes of their own: each is started
    anew when it dies, at first after a second, then ever later up to half a minute; one port
    shows the metrics and the health of all.

    Exit codes: 0 stopped as asked; 1 unexpected; 2 settings; 3 topics; 4 the announcements can't
    be followed; 5 no broker; 6 the group went on without us; 7 model. After any of them the next
    instance goes on where this one stopped, and nothing is lost. (8 is the no of other commands, 9
    of backups, 10 of the database of `registry`.)
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # until the stream has handlers of its own
        signal.signal(number, lambda *_: stop.set() if workers > 1 else sys.exit(0))
    predict_with_one_thread()

    from app.bootstrap import processes, streaming  # noqa: PLC0415

    settings = read_settings() if worker is None else read_settings(worker=worker)
    if workers > 1:
        code = processes.run_workers(settings, workers, stop, address_file)
        raise typer.Exit(code)
    if worker is not None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        settings = processes.as_worker(settings, worker)
    streaming.stream_service(settings, address_file=address_file).run()


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds, and end then."""
    while os.read(0, 1024):  # sys.stdin has a lock, which an interpreter that ends waits for
        pass
    os.kill(os.getpid(), signal.SIGTERM)
