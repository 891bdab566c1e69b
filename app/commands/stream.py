"""`run`."""

from __future__ import annotations

import os
import signal
import sys

from app.commands.terminal import read_settings


def run() -> None:
    """Run one instance of the stream until SIGTERM or Ctrl+C.

    Exit codes: 0 stopped as asked; 1 unexpected; 2 settings; 3 topics; 4 the announcements can't
    be followed; 5 no broker; 6 the group went on without us; 7 model. After any of them the next
    instance goes on where this one stopped, and nothing is lost.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # until the stream has handlers of its own
        signal.signal(number, lambda *_: sys.exit(0))
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[threads] = "1"  # a sum must not depend on who comes first

    from app import bootstrap  # noqa: PLC0415

    bootstrap.stream_service(read_settings()).run()
