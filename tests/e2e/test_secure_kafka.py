"""A broker with TLS, SCRAM and ACLs: the least permissions suffice, and each is needed."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AclBindingFilter

from app import settings
from app.bootstrap import access, parts, redriving, serving_registry, streaming, watching
from app.domain.errors import AccessDenied, SettingsError
from app.domain.records import Reason, Rejection
from app.registry import announcer
from app.settings import Settings
from app.tools.letters.chosen import LetterSelection
from app.tools.producing.produce import produce
from app.tools.producing.samples import Sample
from app.tools.redriving.json_edits import Edits
from app.topics import dead_letters, reading, resumes, signals
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
            access.grant(self.settings(SUPER_USER), principal, [permission])
            until(lambda: self.root.describe_acls(which).result(10), what="it is given back")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("secure")
    with SecureBroker(folder / "kafka", PASSWORDS) as broker:
        made = Site(broker, folder)
        admin = ("topics", "acls", "--role", "admin", "--principal", "User:admin", "--apply")
        code, rows = app_json(made.environment(SUPER_USER), *admin)
        assert (code, {row["applied"] for row in rows}) == (0, {True})
        code, rows = app_json(made.environment("admin"), "topics", "create")
        assert (code, {row["status"] for row in rows}) == (0, {"created"})
        for role in set(ROLES) - {"admin"}:  # by the admin, who may
            wanted = access.needed(made.settings("admin"), role)
            access.grant(made.settings("admin"), f"User:{role}", wanted)
        yield made


# --- the least suffices ---


def test_with_the_least_permissions_each_record_is_answered_once(site: Site) -> None:
    site.announce("1")
    observer = site.settings("observer")
    client, topics = parts.kafka(observer), observer.topics
    instances = Instance(site.environment("stream"), site.folder / "stream.log")
    with instances as instance:
        produced = app(
            site.environment("producer"), "produce", "--count", "500", "--bad", "0.1", "--json"
        )
        assert produced.returncode == 0, produced.stderr
        instance.wait_until_assigned()

        def answered() -> Counter[tuple[int, int]] | None:
            found = [signals.decode(m.value or b"") for m in reading.read(client, topics.signals)]
            letters = [
                dead_letters.decode(m.key, m.value, m.headers)
                for m in reading.read(client, topics.dead_letters)
            ]
            places = Counter((s.source_partition, s.source_offset) for s in [*found, *letters])
            return places if len(places) >= 500 else None

        places = until(answered, what="500 answers")
        status, rows = app_json(site.environment("observer"), "status")
        assert (status, rows[0]["instances"][0]["doing"]) == (0, "serving"), rows
        inspected = app(site.environment("observer"), "inspect", topics.signals, "--max", "1")
        assert (inspected.returncode, inspected.stderr) == (0, "")
        assert instance.stop() == 0, instance.tail()
    sent = Counter((m.partition, m.offset) for m in reading.read(client, topics.records))
    assert places == sent
    assert set(places.values()) == {1}
    said = (site.folder / "stream.log").read_text() + produced.stdout + str(rows)
    assert not [password for password in PASSWORDS.values() if password in said]


def test_a_certificate_alone_lets_one_in_where_the_broker_takes_that(site: Site) -> None:
    changes = {
        "KAFKA_BOOTSTRAP_SERVERS": site.broker.tls_address,
        "DS_MODELS_KAFKA__SECURITY_PROTOCOL": "SSL",
    }
    login = "DS_MODELS_KAFKA__SASL_"
    environment = {k: v for k, v in site.environment("stream").items() if not k.startswith(login)}
    parts.require_broker(settings.read({**environment, **changes}))
