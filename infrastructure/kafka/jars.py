"""The broker's jars: `python -m infrastructure.kafka.jars` brings them and prints their folder."""

from __future__ import annotations

import sys
from pathlib import Path

from infrastructure.jars import Jars

JARS = Jars("kafka", Path(__file__).with_name("pom.xml"))

if __name__ == "__main__":
    sys.exit(JARS.main())
