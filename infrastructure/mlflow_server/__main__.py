"""`python -m infrastructure.mlflow_server up|down|status|env`: it outlives the command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from infrastructure.commands import Service, run
from infrastructure.mlflow_server.choice import VARIABLE, choose
from infrastructure.mlflow_server.server import MLflowServer

HOME = Path(__file__).resolve().parents[2] / ".local" / "mlflow"

if __name__ == "__main__":
    service = Service(
        variable=VARIABLE,
        record=HOME / "server.json",
        stop_seconds=MLflowServer.stop_seconds,
        choose=lambda environment: choose(environment, HOME / "data"),
    )
    sys.exit(run(service, "infrastructure.mlflow_server", sys.argv[1:], os.environ))
