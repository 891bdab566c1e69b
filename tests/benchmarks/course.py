"""The course: the input and the models that all contestants of a run share, on a real broker."""

import contextlib
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

from confluent_kafka.admin import AdminClient

from app import settings
from app.bootstrap import parts
from app.domain.digest import artifact_digest
from app.domain.plans import Announcement, Plan
from app.domain.records import FEATURES
from app.registry import announcer
from app.registry.trusted_types import TRUSTED_TYPES
from app.tools.producing.produce import Summary, produce
from app.tools.producing.series import sample
from app.tools.producing.simulated_records import records
from infrastructure.kafka.choice import choose
from models.treasury_price_model import Kind, TreasuryPriceModel, table_of

Guarantee = Literal["exactly-once", "at-least-once"]

PARTITIONS = 4
_MODEL = "benchmark"
_SERIES = 64  # keys: enough of them for partitions of about the same length
_TRAINED_ON = 5_000  # months


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that was saved as MLflow does it, and announced on a topic of its own.

    Attributes:
        folder: With its artifact.
        topic: Of the announcement.
        plan: What was announced.
    """

    folder: Path
    topic: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Lane:
    """What one contestant has for itself in one round: a group and output topics.

    Attributes:
        environment: The settings of an instance of the stream that runs in this lane.
    """

    entry: Entry
    guarantee: Guarantee
    environment: dict[str, str]

    @property
    def settings(self) -> settings.Settings:
        return settings.read(self.environment)

    @property
    def client(self) -> dict[str, Any]:
        """What every Kafka client is configured with."""
        return parts.kafka(self.settings)


class Course:
    """Topics with names of their own on one broker; deleted at the end of the context.

    Args:
        bootstrap_servers: Of the broker.
        folder: Empty; artifacts, logs and instances go there.
    """

    def __init__(self, bootstrap_servers: str, folder: Path) -> None:
        self.folder = folder
        self.client: dict[str, Any] = {"bootstrap.servers": bootstrap_servers}
        self._unique = uuid.uuid4().hex[:8]
        self._lanes = 0
        self._environment = {
            settings.CONFIG_FOLDER: str(folder / "config"),
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "DS_MODELS_MODEL__NAME": _MODEL,
            "DS_MODELS_MODEL__CACHE_DIR": str(folder / "cache"),
            "DS_MODELS_TOPICS__RECORDS": self._name("records"),
            "DS_MODELS_TOPICS__STATUS": self._name("status"),
            "DS_MODELS_TOPICS__REDRIVEN": self._name("redriven"),
            "DS_MODELS_TOPICS__PARTITIONS": str(PARTITIONS),
            "DS_MODELS_POLICY__URI_SCHEMES": "file",
            "DS_MODELS_LOG__FORMAT": "json",
        }
        (folder / "config").mkdir()  # empty: the defaults are what is measured
        ours = ("RECORDS", "STATUS", "REDRIVEN")
        self._topics = [self._environment[f"DS_MODELS_TOPICS__{name}"] for name in ours]

    def __enter__(self) -> Self:
        self._create(settings.read(self._environment), *self._topics)
        return self

    def __exit__(self, *_: object) -> None:
        self._delete(self._topics)

    @property
    def records(self) -> str:
        """The input topic."""
        return self._environment["DS_MODELS_TOPICS__RECORDS"]

    def produce(
        self,
        count: int,
        *,
        rate: float | None = None,
        on_progress: Callable[[int], None] = lambda _records: None,
    ) -> Summary:
        """Append so many good records of about 150 bytes; return once all are acknowledged."""
        samples = islice(records(0, series=_SERIES), count)
        return produce(self.client, self.records, samples, rate=rate, on_progress=on_progress)

    def enter(self, kind: Kind) -> Entry:
        """Train a model, save it, and announce it. Takes seconds: it imports MLflow."""
        folder, topic = self.folder / kind, self._name(f"registry-{kind}")
        _save(TreasuryPriceModel(kind), folder)
        made = settings.read({**self._environment, "DS_MODELS_TOPICS__ANNOUNCEMENTS": topic})
        self._create(made, topic)
        self._topics.append(topic)
        announcement = Announcement(
            model_name=_MODEL,
            model_version="1",
            model_uri=str(folder),
            digest=artifact_digest(folder),
            features=FEATURES,
            guard_ms=made.announcements.guard_ms,
            event_id=str(uuid.uuid4()),
        )
        return Entry(folder, topic, announcer.announce(self.client, topic, announcement))

    @contextlib.contextmanager
    def lane(self, entry: Entry, guarantee: Guarantee) -> Iterator[Lane]:
        """Make the output topics of one contestant in one round; delete them at the end."""
        self._lanes += 1
        outputs = [self._name(f"{name}-{self._lanes}") for name in ("signals", "letters")]
        lane = Lane(
            entry,
            guarantee,
            {
                **self._environment,
                "KAFKA_CONSUMER_GROUP": self._name(f"group-{self._lanes}"),
                "DS_MODELS_STREAM__GUARANTEE": guarantee,
                "DS_MODELS_TOPICS__ANNOUNCEMENTS": entry.topic,
                "DS_MODELS_TOPICS__SIGNALS": outputs[0],
                "DS_MODELS_TOPICS__DEAD_LETTERS": outputs[1],
            },
        )
        self._create(lane.settings, *outputs)
        try:
            yield lane
        finally:
            self._delete(outputs)

    def _create(self, made: settings.Settings, *topics: str) -> None:
        specs = [spec for spec in parts.topic_specs(made) if spec.name in topics]
        parts.topic_catalog(made).create(specs)

    def _delete(self, topics: list[str]) -> None:
        # Named, because what it promised ends with it; quiet, because that is told as a purge.
        admin = AdminClient({**self.client, "log_level": 3})
        for deleted in admin.delete_topics(topics).values():
            deleted.result(timeout=30)

    def _name(self, what: str) -> str:
        return f"benchmark-{self._unique}-{what}"


@contextlib.contextmanager
def prepared() -> Iterator[tuple[Course, str]]:
    """Give a course and the description of its broker; leave nothing behind, nor at SIGTERM."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="ds-models-benchmark-") as name:
        folder = Path(name, "course")
        folder.mkdir()
        with (
            choose(os.environ, Path(name, "kafka"), owned=True) as broker,
            Course(broker.bootstrap_servers, folder) as course,
        ):
            yield course, broker.description


def _save(model: TreasuryPriceModel, folder: Path) -> None:
    """Fit the model and write it as training registers it, without a server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow.sklearn  # noqa: PLC0415 - takes seconds
    from mlflow.models import infer_signature  # noqa: PLC0415

    features, prices = sample(_TRAINED_ON, seed=0)
    table = table_of(features)
    model.fit(table, prices)
    example = table[:3]
    mlflow.sklearn.save_model(
        model.estimator,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED_TYPES),
        signature=infer_signature(example, model.predict(example)),
        input_example=example,
        pip_requirements=["scikit-learn"],  # said by us, or MLflow spends seconds on finding out
    )
