"""`make stack-env`: write the stack's secrets, made at random, and gather what it is built of."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.processes import InfrastructureError
from infrastructure.s3proxy.jars import JARS

if TYPE_CHECKING:
    from collections.abc import Mapping

S3PROXY = JARS.home / "image"
FILE = Path(__file__).resolve().parents[1] / ".env"
DEFAULTS = {
    "MLFLOW_TRACKING_USERNAME": "admin",
    "KAFKA_PORT": "9092",
    "MLFLOW_PORT": "5000",
    "REGISTRY_PORT": "8080",
    "PROMETHEUS_PORT": "9090",
    "GRAFANA_PORT": "3000",
}
"""What compose.yaml takes where `.env` says nothing."""
HEAD = """\
# Written by `make stack-env`, for compose.yaml. Keep it: the volumes know these secrets.
# Remove the file and the volumes together (`make stack-down VOLUMES=1`) to begin anew.
"""


def made() -> dict[str, str]:
    """Return new values of all that the stack needs to be told."""
    return {
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "S3_IDENTITY": secrets.token_hex(10),
        "S3_CREDENTIAL": secrets.token_hex(20),
        "MLFLOW_TRACKING_PASSWORD": secrets.token_hex(16),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(
            secrets.token_bytes(32)
        ).decode(),
        "WEBHOOK_SECRET": secrets.token_hex(32),
        "GRAFANA_PASSWORD": secrets.token_hex(16),
        "KAFKA_CLUSTER_ID": base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="),
        **DEFAULTS,
    }


def write(path: Path, changes: Mapping[str, str] | None = None) -> bool:
    """Write the file, readable by its owner alone; keep one that is there, and say False."""
    values = {**made(), **(changes or {})}
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    path.write_text(HEAD + "".join(f"{name}={value}\n" for name, value in values.items()))
    return True


def gather_s3proxy() -> None:
    """Lay out what the image of the S3 store is built from, jars and all."""
    libraries = JARS.ensure(os.environ)
    shutil.rmtree(S3PROXY, ignore_errors=True)
    shutil.copytree(libraries, S3PROXY)
    for name in ("Containerfile", "logback.xml", "start.sh"):
        shutil.copy(JARS.pom.with_name(name), S3PROXY)


def main() -> int:
    """Write `.env` beside compose.yaml, and gather what the image of the S3 store is built from."""
    try:
        gather_s3proxy()
    except InfrastructureError as error:
        print(error, file=sys.stderr)
        return 1
    if "--no-secrets" in sys.argv[1:]:
        return 0
    if write(FILE):
        print(f"wrote {FILE} with random secrets; next: make stack-up")
    else:
        print(f"{FILE} is there and stays as it is")
    return 0


if __name__ == "__main__":
    sys.exit(main())
