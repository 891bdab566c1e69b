"""Artifacts in a real store: through MLflow's server, straight, corrupt, away; no secret shown."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.tools.producing.simulated_records import records
from app.topics import reading
from infrastructure.azurite import packages as azurite
from infrastructure.azurite.server import Azurite
from infrastructure.fake_gcs import program as fake_gcs
from infrastructure.fake_gcs.server import FakeGcs
from infrastructure.s3proxy.server import S3Proxy
from tests.e2e.stored_versions import StoredVersions, stored_versions
from tests.e2e.test_with_mlflow import MODEL, real_instance, with_mlflow
from tests.harness.instances import Instance
from tests.harness.terminal import app
from tests.harness.world import World, until

COUNT = 100
VALUES = [s.value for _, s in zip(range(COUNT), records(3), strict=False)]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Proxy]:
    with S3Proxy(tmp_path_factory.mktemp("s3"), owned=True) as running:
        yield running


@pytest.fixture(scope="module")
def in_azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredVersions]:
    if not azurite.PROGRAM.exists():
        pytest.skip("Azurite is not there; `make azure-test` brings it")
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - of an extra

    with Azurite(tmp_path_factory.mktemp("azure"), owned=True) as store:
        account = BlobServiceClient.from_connection_string(*store.environment.values())
        account.create_container(store.container)
        with stored_versions(store, tmp_path_factory.mktemp("in-azure")) as made:
            yield made


@pytest.fixture(scope="module")
def in_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredVersions]:
    if not fake_gcs.PROGRAM.exists():
        pytest.skip("fake-gcs-server is not there; `make gcs-test` builds it")
    with (
        FakeGcs(tmp_path_factory.mktemp("gcs"), owned=True) as store,
        stored_versions(store, tmp_path_factory.mktemp("in-gcs")) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def in_s3(s3: S3Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredVersions]:
    with stored_versions(s3, tmp_path_factory.mktemp("in-s3")) as made:
        yield made


def uploaded(stored: StoredVersions, s3: S3Proxy, files: Path, name: str) -> str:
    """Put files, and one more, into the store, and register them; return the new version."""
    (files / "note.txt").write_text(name)
    for file in files.rglob("*"):
        s3.client().upload_file(str(file), s3.bucket, f"{name}/{file.relative_to(files)}")
    return str(stored.client.create_model_version(MODEL, s3.uri(name)).version)


@contextlib.contextmanager
def served(stored: StoredVersions, world: World, log: Path) -> Iterator[Instance]:
    """An instance without any credential, which has answered by what the MLflow server fetched."""
    with_mlflow(world, stored.server.tracking_uri)
    world.environment["AWS_EC2_METADATA_DISABLED"] = "true"  # it would ask beyond this machine
    world.announce(stored.announcement(stored.served))
    with real_instance(world, log) as instance:
        world.send(VALUES)
        world.wait_for_answers(COUNT)
        asked = stored.server.log.read_text()
        assert "/mlflow-artifacts/artifacts/" in asked
        assert "/mlflow-artifacts/presigned/" not in asked  # that leads to the store, past us
        yield instance
        assert instance.stop() == 0


def announce_direct_and_send(stored: StoredVersions, world: World) -> None:
    plan = world.announce(stored.announcement(stored.direct))
    until(lambda: time.time() * 1000 > plan.effective_ms + 100)
    world.send(VALUES)


@contextlib.contextmanager
def straight(stored: StoredVersions, world: World, folder: Path) -> Iterator[Instance]:
    """An instance with credentials, which has fetched the files itself; they are shown nowhere."""
    world.environment |= stored.store.environment
    with real_instance(world, folder / "straight.log") as instance:
        instance.wait_for_event("model.loaded", version=stored.direct)
        found = world.wait_for_answers(2 * COUNT)
        assert {s.model_version for _, s in found.signals} == {stored.served, stored.direct}
        yield instance
        shown = app(world.environment, "config", "--json").stdout
        shown += app(world.environment, "status", "--json").stdout
        assert instance.stop() == 0
    if stored.store.credential is not None:
        assert_not_shown(stored.store.credential, world, folder, shown)


def assert_not_shown(credential: str, world: World, folder: Path, shown: str) -> None:
    assert "tracking_uri" in shown
    assert credential not in shown
    for log in folder.glob("*.log"):
        assert credential not in log.read_text()
    names = world.settings.topics
    for topic in (names.announcements, names.signals, names.dead_letters, names.status):
        messages = list(reading.read(world.client, topic))
        assert topic == names.dead_letters or messages
        assert credential not in repr(messages)


def test_s3_serves_both_ways_is_waited_for_and_what_was_changed_in_it_is_refused(
    in_s3: StoredVersions, s3: S3Proxy, world: World, tmp_path: Path
) -> None:
    assert in_s3.location(in_s3.served).startswith("mlflow-artifacts:/")
    assert in_s3.location(in_s3.direct).startswith("s3://models/direct/")
    for version in (in_s3.served, in_s3.direct):
        place = in_s3.location(version).replace("mlflow-artifacts:", s3.uri("served"))
        key = place.removeprefix(s3.uri("")) + "/MLmodel"
        assert s3.client().head_object(Bucket=s3.bucket, Key=key)
    with served(in_s3, world, tmp_path / "served.log") as instance:
        announce_direct_and_send(in_s3, world)
        failed = instance.wait_for_event("model.not_loaded", version=in_s3.direct)
        assert failed["error"] == "ModelUnavailable"
        instance.wait_until_it_holds("Unable to locate credentials")
    world.environment["AWS_MAX_ATTEMPTS"] = "1"
    with straight(in_s3, world, tmp_path) as instance:
        assert_waits_for_s3_and_refuses_what_was_changed(in_s3, s3, world, instance, tmp_path)


def assert_waits_for_s3_and_refuses_what_was_changed(
    in_s3: StoredVersions, s3: S3Proxy, world: World, instance: Instance, folder: Path
) -> None:
    files = in_s3.fetched(in_s3.direct, folder / "files")
    good, corrupt = (uploaded(in_s3, s3, files, name) for name in ("good", "corrupt"))
    later = [in_s3.announcement(good, guard_ms=5_000), in_s3.announcement(corrupt)]
    s3.client().put_object(Bucket=s3.bucket, Key="corrupt/note.txt", Body=b"changed")

    s3.kill()
    plan = world.announce(later[0])
    world.send(VALUES)
    found = world.wait_for_answers(3 * COUNT)  # while the store is away
    assert Counter(s.model_version for _, s in found.signals)[in_s3.direct] == 2 * COUNT
    failed = instance.wait_for_event("model.not_loaded", version=good)
    assert failed["error"] == "ModelUnavailable"
    s3.start()
    instance.wait_for_event("model.loaded", version=good)
    until(lambda: time.time() * 1000 > plan.effective_ms + 100)
    world.send(VALUES)
    world.wait_for_answers(4 * COUNT)
    world.assert_each_answered_once(model=MODEL)

    plan = world.announce(later[1])
    failed = instance.wait_for_event("model.not_loaded", version=corrupt)
    assert failed["error"] == "ModelRefused"
    assert "announced was sha256:" in failed["why"]
    until(lambda: time.time() * 1000 > plan.effective_ms + 100)
    world.send(VALUES)
    instance.wait_until_it_holds(f"version {corrupt} can't be loaded")
    assert len(world.answers()) == 4 * COUNT


def test_azure_serves_through_mlflow_s_server_without_credentials_and_straight_with_them(
    in_azure: StoredVersions, world: World, tmp_path: Path
) -> None:
    assert in_azure.location(in_azure.served).startswith("mlflow-artifacts:/")
    assert in_azure.location(in_azure.direct).startswith("wasbs://models@dsmodels.")
    with served(in_azure, world, tmp_path / "served.log"):
        pass  # without credentials, Azure's client would look for some beyond this machine
    announce_direct_and_send(in_azure, world)
    with straight(in_azure, world, tmp_path):
        world.assert_each_answered_once(model=MODEL)


def test_google_cloud_storage_serves_through_mlflow_s_server_and_straight(
    in_gcs: StoredVersions, world: World, tmp_path: Path
) -> None:
    assert in_gcs.location(in_gcs.served).startswith("mlflow-artifacts:/")
    assert in_gcs.location(in_gcs.direct).startswith("gs://models/direct/")
    with served(in_gcs, world, tmp_path / "served.log"):
        pass
    announce_direct_and_send(in_gcs, world)
    with straight(in_gcs, world, tmp_path):
        world.assert_each_answered_once(model=MODEL)
