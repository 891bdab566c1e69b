"""S3Proxy's jars: `python -m infrastructure.s3proxy.jars` brings them and prints their folder."""

from __future__ import annotations

import sys
from pathlib import Path

from infrastructure.jars import Jars

JARS = Jars("s3proxy", Path(__file__).with_name("pom.xml"))

if __name__ == "__main__":
    sys.exit(JARS.main())
