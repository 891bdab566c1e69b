"""`python -m infrastructure.kafka up|down|status|env`: a broker that outlives the command."""

from __future__ import annotations

import os
import sys

from infrastructure.commands import Service, run
from infrastructure.kafka.broker import Broker
from infrastructure.kafka.choice import VARIABLE, choose
from infrastructure.kafka.jars import JARS

if __name__ == "__main__":
    service = Service(
        variable=VARIABLE,
        record=JARS.home / "broker.json",
        stop_seconds=Broker.stop_seconds,
        choose=lambda environment: choose(environment, JARS.home / "data"),
    )
    sys.exit(run(service, "infrastructure.kafka", sys.argv[1:], os.environ))
