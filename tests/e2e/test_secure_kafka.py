"""A broker with TLS, SCRAM and ACLs: the least permissions suffice, and each is needed."""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AclBindingFilter

from app import settings
from app.bootstrap import (
    access,
    announcing,
    copying,
    history,
    parts,
    redriving,
    serving_registry,
    streaming,
    watching,
)
from app.domain.errors import AccessDenied, SettingsError
from app.domain.records import Reason, Rejection
from app.registry import announcer
from app.settings import Settings
from app.stream.feed import RegistryFeed
from app.tools.letters.chosen import LetterSelection
from app.tools.producing.produce import produce
from app.tools.producing.samples import Sample
from app.tools.redriving.json_edits import Edits
from app.topics import announcements, dead_letters, reading, resumes, signals
from app.topics.access import Permission, binding
from app.topics.permissions import ROLES, TOPICS
from tests.harness import models
from tests.harness.certificates import Authority
from tests.harness.instances import Instance
from tests.harness.models import FolderModels
from tests.harness.secure_broker import SUPER_USER, SecureBroker
from tests.harness.terminal import app, app_json
from tests.harness.world import MODEL, record, until

Command = Callable[[Settings], object]
NOWHERE = (0, 1_000_000)
"""A partition and an offset that no record of these tests has, of letters that they write."""
PASSWORDS = {role: f"the-password-of-{role}" for role in ROLES}


class Site:
    """The broker, with a user for each role who may do the least that the role needs."""

    def __init__(self, broker: SecureBroker, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.root = broker.admin()
        (folder / "config").mkdir()

    def environment(self, user: str) -> dict[str, str]:
        return {
            **self.broker.environment(user),
            "DS_MODELS_CONFIG": str(self.folder / "config"),
            "DS_MODELS_MODEL__NAME": MODEL,
            "DS_MODELS_MODEL__CACHE_DIR": str(self.folder / "cache"),
            "DS_MODELS_TOPICS__PARTITIONS": "2",
            "DS_MODELS_KAFKA__SESSION_TIMEOUT_MS": "6000",
            "DS_MODELS_LOG__FORMAT": "json",
        }

    def settings(self, user: str, **changes: str) -> Settings:
        return settings.read({**self.environment(user), **changes})

    def announce(self, version: str) -> None:
        """Announce as the registry does."""
        wanted = self.settings("registry")
        folder = models.save(self.folder / "artifacts", version)
        plan = models.announcement(MODEL, version, folder)
        announcer.announce(parts.kafka(wanted), wanted.topics.announcements, plan)

    @contextmanager
    def without(self, role: str, permission: Permission) -> Iterator[None]:
        """Take a permission away from a role, for the time of the block."""
        principal = f"User:{role}"
        one = binding(principal, permission)
        which = AclBindingFilter(
            one.restype,
            one.name,
            one.resource_pattern_type,
            one.principal,
            one.host,
            one.operation,
            one.permission_type,
        )
        (deleted,) = self.root.delete_acls([which]).values()
        assert len(deleted.result(10)) == 1
        until(lambda: not self.root.describe_acls(which).result(10), what="it is taken away")
        try:
            yield
        finally:
            (created,) = self.root.create_acls([one]).values()
            created.result(10)
            until(lambda: self.root.describe_acls(which).result(10), what="it is given back")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("secure")
    with SecureBroker(folder / "kafka", PASSWORDS) as broker:
        made = Site(broker, folder)
        admin = ("topics", "acls", "--role", "admin", "--principal", "User:admin", "--apply")
        code, rows = app_json(made.environment(SUPER_USER), *admin)
        assert (code, {row["applied"] for row in rows}) == (0, {True})
        assert len(parts.create_topics(made.settings("admin"))) == len(TOPICS)
        for role in set(ROLES) - {"admin"}:  # by the admin, who may
            wanted = access.needed(made.settings("admin"), role)
            access.grant(made.settings("admin"), f"User:{role}", wanted)
        made.announce("1")
        yield made


def send(found: Settings, values: Sequence[bytes]) -> None:
    samples = [Sample(b"%d" % number, value, "any", None) for number, value in enumerate(values)]
    produce(parts.kafka(found), found.topics.records, samples)


# --- the least suffices ---


def test_with_the_least_permissions_each_record_is_answered_once(site: Site) -> None:
    observer = site.settings("observer")
    client, topics = parts.kafka(observer), observer.topics

    def records() -> set[tuple[int, int]]:
        return {(m.partition, m.offset) for m in reading.read(client, topics.records)}

    before = records()
    with Instance(site.environment("stream"), site.folder / "stream.log") as instance:
        send(site.settings("producer"), [*(record(number) for number in range(500)), b"bad"])

        sent = records() - before
        assert len(sent) == 501

        def answered() -> Counter[tuple[int, int]] | None:
            places: Counter[tuple[int, int]] = Counter()
            for message in reading.read(client, topics.signals):
                signal = signals.decode(message.value or b"")
                places[signal.source_partition, signal.source_offset] += 1
            for message in reading.read(client, topics.dead_letters):
                letter = dead_letters.decode(message.key, message.value, message.headers)
                places[letter.source_partition, letter.source_offset] += 1
            return places if places.keys() >= sent else None

        places = until(answered, what="an answer to each")
        code, rows = app_json(site.environment("observer"), "status")
        assert code == 0
        assert "serving" in [one["doing"] for one in rows[0]["instances"]]
        assert instance.stop() == 0, instance.tail()
    shown = app(site.environment("observer"), "config").stdout
    assert "kafka.sasl_password" in shown
    assert {place for place in sent if places[place] != 1} == set()
    assert places.keys() <= records() | {NOWHERE}
    said = (site.folder / "stream.log").read_text() + str(rows) + shown
    assert not [password for password in PASSWORDS.values() if password in said]


def test_a_certificate_alone_lets_one_in_where_the_broker_takes_that(site: Site) -> None:
    changes = {
        "KAFKA_BOOTSTRAP_SERVERS": site.broker.tls_address,
        "DS_MODELS_KAFKA__SECURITY_PROTOCOL": "SSL",
    }
    login = "DS_MODELS_KAFKA__SASL_"
    environment = {k: v for k, v in site.environment("stream").items() if not k.startswith(login)}
    parts.require_broker(settings.read({**environment, **changes}))


# --- and each of them is needed ---


def start_registry(found: Settings) -> None:
    with serving_registry.registry_service(found, dev=True):
        raise AssertionError("it has started")


def void(found: Settings) -> None:
    announcing.void(found, 0, "as the test wants it", even_if_last=True, dry_run=False)


def read(of: str) -> Command:
    return lambda found: list(reading.read(parts.kafka(found), getattr(found.topics, of)))


def redrive(found: Settings) -> None:
    """Redrive one letter at least."""
    work = redriving.redrive(found, LetterSelection(), Edits(), max_tries=9, even_if_bad=True)
    seen = work.preview(0, lambda _read, _of: None)
    assert work.write(seen, lambda _sent, _of: None, lambda: False).sent


def resume(found: Settings) -> None:
    watching.resume(found, None, 0.0)  # looks who is held
    resumes.send(parts.kafka(found), found.topics.status, resumes.Resume("nobody"))


def back_up(found: Settings) -> None:
    folder = found.model.cache_dir.parent / f"backup-{uuid.uuid4().hex[:6]}"
    copying.back_up(found, folder, lambda _role, _read, _of: None)


def follow(found: Settings) -> None:
    """Read for long: the broker refuses a reader's group only once it is asked for it."""
    deadline = time.monotonic() + 60
    client, topic = parts.kafka(found), found.topics.records
    list(reading.read(client, topic, follow=True, stopped=lambda: time.monotonic() > deadline))


def command(role: str, permission: Permission, of: str) -> Command:
    """Return what a role does that needs this permission."""
    if of == "readers" and role in {"observer", "operator"}:
        return follow
    if role == "observer":
        return read(of if of in TOPICS else "records") if of != "group" else look
    if role == "operator":
        return resume if of == "status" else redrive
    if role == "backup":
        return back_up
    if role == "registry" and of == "announcements":
        return void
    if permission.resource == "cluster":
        return lambda found: access.grant(found, "User:somebody", [permission])
    if role == "admin":
        return parts.create_topics if permission.operation == "CREATE" else check_topics
    return {
        "stream": lambda found: streaming.stream_service(found, FolderModels()),
        "registry": start_registry,
        "producer": lambda found: send(found, [record(0)]),
    }[role]


def look(found: Settings) -> None:
    watching.status_look(found)()


def check_topics(found: Settings) -> None:
    parts.topic_catalog(found).findings(parts.topic_specs(found))


def each() -> Iterator[Any]:
    for role, known in ROLES.items():
        for need in known.needs:
            for operation in need.operations:
                if need.of != "instances":
                    yield pytest.param(role, need.of, operation, id=f"{role}-{need.of}-{operation}")


def permission_of(found: Settings, role: str, of: str, operation: str) -> Permission:
    places = [(need.of, one) for need in ROLES[role].needs for one in need.operations]
    return access.needed(found, role)[places.index((of, operation))]


@pytest.fixture(scope="module")
def work_done(site: Site) -> None:
    """Have something in each topic: who reads an empty one is refused nothing."""
    make_letter(site)
    redrive(site.settings("operator"))
    send(site.settings("producer"), [record(0)])
    observer = site.settings("observer")
    with Instance(site.environment("stream"), site.folder / "before.log") as instance:
        instance.wait_until_assigned()
        until(lambda: all(read(of)(observer) for of in TOPICS), what="something in each topic")
        assert instance.stop() == 0, instance.tail()


def make_letter(site: Site) -> None:
    found = site.settings(SUPER_USER)
    rejection = Rejection(Reason.EMPTY, "as the test wants it")
    made = dead_letters.DeadLetter(b"k", record(0), found.topics.records, *NOWHERE, rejection)
    key, value, headers = dead_letters.encode(made)
    producer = Producer(parts.kafka(found))
    producer.produce(found.topics.dead_letters, value, key, headers=headers)
    assert producer.flush(30) == 0


@pytest.mark.usefixtures("work_done")
@pytest.mark.parametrize(("role", "of", "operation"), list(each()))
def test_without_one_permission_the_error_names_it(
    site: Site, role: str, of: str, operation: str
) -> None:
    found = site.settings(role)
    if operation == "CREATE":
        found = site.settings(role, **{f"DS_MODELS_TOPICS__{of.upper()}": f"new-{of}"})
        access.grant(site.settings("admin"), f"User:{role}", access.needed(found, role))
    permission = permission_of(found, role, of, operation)
    with site.without(role, permission), pytest.raises(AccessDenied) as refused:
        command(role, permission, of)(found)
    assert str(permission) in str(refused.value)
    assert refused.value.exit_code == 5
    if operation == "CREATE":
        parts.create_topics(found)


def use_registry(found: Settings) -> None:
    """Do what the service asks of Kafka, but for MLflow's part."""
    access.require(found, "registry")
    client, topic = parts.kafka(found), found.topics.announcements
    parts.topic_catalog(found).findings(parts.topic_specs(found)[:1])
    version = uuid.uuid4().int % 1_000_000
    folder = models.save(found.model.cache_dir.parent / "staged", str(version))
    plan = models.announcement(MODEL, str(version), folder)
    newest = announcements.newest_plan(history.announced(found))
    staged = announcer.stage(client, topic, replace(plan, replaces=newest))
    watching.staging_look(found, staged)()
    assert announcing.unstage(found, "as the test wants it") == staged.offset
    redriving.recent_letters(found, 60, staged.appended_ms, 30)


WORK: dict[str, Sequence[Command]] = {
    "registry": [use_registry],
    "observer": [look, *map(read, TOPICS)],
    "operator": [redrive, resume],
    "backup": [back_up],
    "admin": [parts.create_topics, check_topics],
}
"""What the test above of all of them together has not shown."""


@pytest.mark.parametrize("role", WORK)
def test_a_role_does_its_work_with_the_least(site: Site, role: str) -> None:
    if role == "operator":
        make_letter(site)
    for work in WORK[role]:
        work(site.settings(role))


def test_an_instance_that_may_begin_no_transaction_ends_and_names_that(site: Site) -> None:
    permission = permission_of(site.settings("stream"), "stream", "instances", "WRITE")
    with site.without("stream", permission):
        done = Instance(site.environment("stream"), site.folder / "no-transaction.log")
        with done as instance:
            assert instance.wait() == 5, instance.tail()
            assert f"AccessDenied: not authorized: this user needs {permission}" in instance.tail()


def test_what_is_taken_away_from_an_instance_that_runs_ends_it_with_its_name(site: Site) -> None:
    site.announce("2")
    permission = permission_of(site.settings("stream"), "stream", "signals", "WRITE")
    with Instance(site.environment("stream"), site.folder / "taken.log") as instance:
        instance.wait_until_assigned()
        with site.without("stream", permission):
            send(site.settings("producer"), [record(1)])
            assert instance.wait() == 5, instance.tail()
    assert f"this user needs {permission} (" in instance.tail()


def test_a_feed_that_may_not_read_any_more_names_that(site: Site) -> None:
    found = site.settings("stream")
    permission = permission_of(found, "stream", "announcements", "READ")
    topic = found.topics.announcements
    feed = RegistryFeed(parts.kafka(found), topic, announcements.reader(MODEL))
    feed.start()
    try:
        assert feed.wait_for(1, 60)
        with site.without("stream", permission), pytest.raises(AccessDenied) as refused:
            feed.wait_for(1_000_000, 60)
    finally:
        feed.close()
    assert str(permission) in str(refused.value)


# --- who is not let in is told why, at once ---


def other_authority(site: Site) -> dict[str, str]:
    return {"DS_MODELS_KAFKA__SSL_CA_FILE": str(Authority(site.folder / "other").file)}


def other_host(site: Site) -> dict[str, str]:
    name = site.broker.bootstrap_servers.replace("127.0.0.1", "localhost")
    return {"KAFKA_BOOTSTRAP_SERVERS": name}


def wrong_password(site: Site) -> dict[str, str]:
    file = site.folder / "wrong"
    file.write_text("guessed")
    return {"DS_MODELS_KAFKA__SASL_PASSWORD_FILE": str(file)}


def foreign_certificate(site: Site) -> dict[str, str]:
    made = Authority(site.folder / "foreign").sign("stranger")
    return {
        "DS_MODELS_KAFKA__SSL_CERTIFICATE_FILE": str(made.certificate),
        "DS_MODELS_KAFKA__SSL_KEY_FILE": str(made.key),
    }


def no_certificate(_site: Site) -> dict[str, str]:
    return {
        "DS_MODELS_KAFKA__SSL_CERTIFICATE_FILE": "",
        "DS_MODELS_KAFKA__SSL_KEY_FILE": "",
    }


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (wrong_password, "kafka.sasl_password"),
        (other_authority, "kafka.ssl_ca_file"),
        (other_host, "another host"),
        (foreign_certificate, "kafka.ssl_certificate_file"),
        (no_certificate, "kafka.ssl_certificate_file"),
    ],
)
def test_who_is_not_let_in_is_told_what_is_wrong(
    site: Site, wrong: Callable[[Site], Mapping[str, str]], named: str
) -> None:
    found = site.settings("observer", **wrong(site))
    with pytest.raises(AccessDenied, match="does not let us in") as refused:
        parts.require_broker(found, 60)
    assert named in str(refused.value)
    assert "guessed" not in str(refused.value)


def test_a_key_that_has_a_password_is_opened_with_it_and_not_with_another(site: Site) -> None:
    made = site.broker.authority.sign("locked", password="of-the-key")  # noqa: S106 - of a test
    given = {
        "DS_MODELS_KAFKA__SSL_CERTIFICATE_FILE": str(made.certificate),
        "DS_MODELS_KAFKA__SSL_KEY_FILE": str(made.key),
    }

    def opened_with(password: str) -> Settings:
        return site.settings("observer", **given, DS_MODELS_KAFKA__SSL_KEY_PASSWORD=password)

    parts.require_broker(opened_with("of-the-key"))
    with pytest.raises(SettingsError, match=r"ssl\.key\.location") as refused:
        parts.require_broker(opened_with("another"))
    assert "another" not in str(refused.value)
