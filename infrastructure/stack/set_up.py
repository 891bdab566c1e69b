"""What is done once before the stack serves: bucket, topics, webhook. Repeating it does no harm.

It waits for the broker, MLflow and the store itself; compose.yaml says why.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 300.0
NO_BROKER, MLFLOW_AWAY = 5, 7


def make_bucket(artifacts: str) -> bool:
    """Make the bucket that an S3 address names, if it is not there; say whether the store answers.

    Raises:
        botocore.exceptions.ClientError: The store does not allow it.
    """
    import boto3  # noqa: PLC0415 - only in the image
    from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415

    place = urlsplit(artifacts)
    if place.scheme != "s3":
        print(f"no bucket to make for {artifacts}")
        return True
    client = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"))
    try:
        there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    except EndpointConnectionError as error:
        print(error)
        return False
    if place.netloc not in there:
        client.create_bucket(Bucket=place.netloc)
    print(f"the bucket {place.netloc} is there")
    return True


def command(*arguments: str) -> bool:
    """Run a command of ours; say whether what it needs was there.

    Raises:
        SystemExit: It failed for another reason, with its exit code.
    """
    done = subprocess.run(["ds-models", *arguments], check=False)  # noqa: S607 - the image's
    if done.returncode in {NO_BROKER, MLFLOW_AWAY}:
        return False
    if done.returncode != 0:
        sys.exit(done.returncode)
    return True


def main() -> int:
    """Do each in turn; return 1 when something that it needs did not come in time."""
    steps: list[Callable[[], bool]] = [
        lambda: make_bucket(os.environ["ARTIFACTS"]),
        lambda: command("topics", "create"),
        lambda: command("webhook", "install", "--url", os.environ["REGISTRY"]),
    ]
    deadline = time.monotonic() + PATIENCE_S
    for step in steps:
        while not step():
            if time.monotonic() > deadline:
                return 1
            time.sleep(2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
