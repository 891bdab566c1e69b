"""A bucket's objects as one tar file, over the S3 protocol: `read` prints it, `write` takes it.

The store's own files would not do: S3Proxy keeps what S3 says of an object beside it, where tar and
most copies don't look. Run in MLflow's container, which knows the store.
"""

from __future__ import annotations

import os
import sys
import tarfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


def read(client: Any, bucket: str, out: BinaryIO) -> None:
    """Write a tar of all objects, one after the other."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for found in (one for page in pages for one in page.get("Contents", ())):
            got = client.get_object(Bucket=bucket, Key=found["Key"])
            entry = tarfile.TarInfo(found["Key"])
            entry.size = got["ContentLength"]
            entry.mtime = int(got["LastModified"].timestamp())
            tar.addfile(entry, got["Body"])


def write(client: Any, bucket: str, source: BinaryIO) -> None:
    """Put each object of a tar, and make the bucket if it is not there."""
    if bucket not in {one["Name"] for one in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
    with tarfile.open(fileobj=source, mode="r|") as tar:
        for entry in tar:
            body = tar.extractfile(entry)
            if body is not None:
                # A tar that is a stream has files that fail when asked whether they can seek.
                client.upload_fileobj(SimpleNamespace(read=body.read), bucket, entry.name)


def main() -> None:
    """Do what the first argument says, with the bucket of `ARTIFACTS`."""
    import boto3  # noqa: PLC0415 - only in the image

    does: dict[str, Callable[[Any, str], None]] = {
        "read": lambda client, bucket: read(client, bucket, sys.stdout.buffer),
        "write": lambda client, bucket: write(client, bucket, sys.stdin.buffer),
    }
    client = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"))
    does[sys.argv[1]](client, urlsplit(os.environ["ARTIFACTS"]).netloc)


if __name__ == "__main__":
    main()
