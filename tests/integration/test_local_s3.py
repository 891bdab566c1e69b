from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infrastructure.s3proxy.jars import JARS
from infrastructure.s3proxy.server import S3Proxy
from infrastructure.stack import objects

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Proxy]:
    with S3Proxy(tmp_path_factory.mktemp("s3 with a späce"), owned=True) as running:
        yield running


@pytest.fixture
def s3(store: S3Proxy) -> Any:
    return store.client()


def test_an_object_survives_a_kill_and_a_start(store: S3Proxy, s3: Any) -> None:
    s3.put_object(Bucket=store.bucket, Key="a/kept.txt", Body=b"kept")
    store.kill()
    store.start()
    listed = s3.list_objects_v2(Bucket=store.bucket, Prefix="a/")["Contents"]
    assert [found["Key"] for found in listed] == ["a/kept.txt"]
    assert s3.get_object(Bucket=store.bucket, Key="a/kept.txt")["Body"].read() == b"kept"
    assert (store.buckets / store.bucket / "a" / "kept.txt").read_text() == "kept"


def test_another_credential_is_refused(store: S3Proxy) -> None:
    stranger = store.client("x" * 40)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.list_objects_v2(Bucket=store.bucket)


def test_its_credential_is_in_no_command_line_and_no_log_and_its_file_is_its_owner_s_alone(
    store: S3Proxy, s3: Any
) -> None:
    s3.list_buckets()
    assert store._child is not None
    assert store.credential not in Path(f"/proc/{store._child.pid}/cmdline").read_text()
    assert store.credential not in store.log.read_text()
    assert (store.data_folder / "s3proxy.properties").stat().st_mode & 0o777 == 0o600


def test_its_jars_lie_beside_the_broker_s_and_a_command_names_their_folder(store: S3Proxy) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infrastructure.s3proxy.jars"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == JARS.home / f"libs-{JARS.version}"
    assert JARS.home.parts[-2:] == (".local", "s3proxy")


def test_a_bucket_is_copied_by_way_of_one_file(store: S3Proxy, s3: Any, tmp_path: Path) -> None:
    kept = {"copied/a.txt": b"", "copied/deep/b c.bin": os.urandom(9_000_000)}
    for key, body in kept.items():
        s3.put_object(Bucket=store.bucket, Key=key, Body=body)
    file = tmp_path / "objects.tar"
    with file.open("wb") as out:
        objects.read(s3, store.bucket, out)
    with file.open("rb") as source:
        objects.write(s3, "another", source)
    listed = s3.list_objects_v2(Bucket="another", Prefix="copied/")["Contents"]
    assert {
        one["Key"]: s3.get_object(Bucket="another", Key=one["Key"])["Body"].read() for one in listed
    } == kept
