"""Where real parts are chosen: settings in, working parts out.

What is slow to import is imported by the function that needs it, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from app.domain.records import Range
from app.topics import catalog, connection

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterator, Sequence

    from app.backup.making import Progress as BackupProgress
    from app.backup.manifest import Manifest
    from app.backup.restoring import Restorer
    from app.domain.plans import Plan, Void
    from app.domain.rollback import Rollback
    from app.registry.mlflow_models import MlflowModels
    from app.registry.policy import Policy
    from app.settings import Settings
    from app.stream.hot_swap import ModelSource
    from app.stream.service import StreamService
    from app.tools.config_check import Check, Wrong
    from app.tools.inspect import Decode, Row
    from app.tools.json_edits import Edits
    from app.tools.letter_counts import LetterCounts
    from app.tools.letters import LetterSelection
    from app.tools.redrive import Redrive
    from app.tools.selection import Selection
    from app.tools.status import Status
    from app.tools.tracing import Bar, Tracer
    from app.tools.voiding import Voided
    from app.topics.announcements import Entry, Ignored
    from app.topics.reading import Progress
    from app.topics.records import RecordDecoder
    from app.topics.redriven import Marks

log = structlog.get_logger()


def kafka(settings: Settings) -> dict[str, Any]:
    """Return what every Kafka client is configured with."""
    return connection.client_config(settings.kafka.bootstrap_servers)


def topic_specs(settings: Settings) -> list[catalog.TopicSpec]:
    """Return what our topics must be."""
    topics = settings.topics
    stamped = catalog.LOG_APPEND_TIME
    answers = {**stamped, **catalog.ROOM_FOR_ANSWERS}

    def spec(name: str, required: dict[str, str]) -> catalog.TopicSpec:
        return catalog.TopicSpec(name, topics.partitions, topics.replication, required)

    return [
        catalog.TopicSpec(
            topics.announcements,
            partitions=1,
            replication=topics.replication,
            required={**stamped, **catalog.KEPT_FOR_EVER},
            exact=True,
        ),
        catalog.TopicSpec(
            topics.status,
            partitions=1,
            replication=topics.replication,
            required={**stamped, **catalog.NEWEST_OF_EACH_KEY},
            exact=True,
        ),
        catalog.TopicSpec(
            topics.redriven,
            partitions=1,
            replication=topics.replication,
            required={**stamped, **catalog.ALL_KEYS_KEPT},
        ),
        spec(topics.records, {**stamped, **catalog.ROOM_FOR_RECORDS}),
        spec(topics.signals, answers),
        spec(topics.dead_letters, answers),
    ]


def topic_catalog(settings: Settings) -> catalog.TopicCatalog:
    """Return the cluster's topics.

    Raises:
        BrokerUnavailable: No broker answers.
    """
    connection.require_broker(settings.kafka.bootstrap_servers)
    return catalog.TopicCatalog(kafka(settings))


def models(settings: Settings) -> MlflowModels:
    """Return MLflow's models. Takes seconds: it imports MLflow."""
    from app.registry.mlflow_models import MlflowModels  # noqa: PLC0415

    return MlflowModels(settings.mlflow.tracking_uri, settings.mlflow.timeout_s, policy(settings))


def policy(settings: Settings) -> Policy:
    """Return the policy on what is loaded."""
    from app.registry.policy import Policy  # noqa: PLC0415

    wanted = settings.policy
    return Policy(
        flavors=wanted.flavors,
        code_paths=wanted.code_paths,
        models=wanted.models,
        uri_schemes=wanted.uri_schemes,
        uri_hosts=wanted.uri_hosts,
        max_artifact_bytes=round(wanted.max_artifact_mb * 1_000_000),
    )


def _verify(settings: Settings) -> Callable[[Path], None]:
    from app.registry.verify import verify  # noqa: PLC0415

    return lambda folder: verify(folder, policy(settings))


def announce_version(  # the arguments are those of the command
    settings: Settings,
    name: str,
    version: str,
    *,
    effective_from_ms: int | None = None,
    check: bool = True,
) -> Plan:
    """Verify a registered version and append its plan.

    Raises:
        ModelError: The version can't be had, or can't serve.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    from app.registry import announcer  # noqa: PLC0415

    _require_announcement_topic(settings)
    announcement = announcer.prepare(
        models(settings),
        name,
        version,
        guard_ms=settings.announcements.guard_ms,
        effective_from_ms=effective_from_ms,
        check=_verify(settings) if check else None,
    )
    return announcer.announce(kafka(settings), settings.topics.announcements, announcement)


def roll_back(
    settings: Settings, *, why: str | None, check: bool, dry_run: bool
) -> tuple[Rollback, Plan | None]:
    """Announce the version that was in force before the present one.

    Args:
        settings: Of the application.
        why: For people.
        check: Load the model first, in a process of its own.
        dry_run: Do all but announce.

    Returns:
        What it does, and the new plan; None if it was not announced.

    Raises:
        Refused: There is nothing to go back to, or its files are not those that served.
        ModelError: The version can't be had, or can't serve.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    from app.domain.errors import Refused  # noqa: PLC0415
    from app.domain.plans import PlanTable  # noqa: PLC0415
    from app.domain.rollback import rollback_of  # noqa: PLC0415
    from app.registry import announcer  # noqa: PLC0415

    _require_announcement_topic(settings)
    table = PlanTable.of(_entries(settings))
    rollback = rollback_of(table, round(time.time() * 1000))
    served = rollback.target.announcement
    announcement = announcer.prepare(
        models(settings),
        served.model_name,
        served.model_version,
        guard_ms=settings.announcements.guard_ms,
        check=_verify(settings) if check else None,
        why=why,
    )
    if announcement.digest != served.digest:
        raise Refused(
            f"the files of version {served.model_version} are not those that served: they have "
            f"{announcement.digest}, those had {served.digest}. If you trust them: python -m app "
            f"announce {served.model_name} {served.model_version}"
        )
    if dry_run:
        return rollback, None
    topic = settings.topics.announcements
    return rollback, announcer.announce(kafka(settings), topic, announcement)


def void(settings: Settings, offset: int, why: str, *, even_if_last: bool, dry_run: bool) -> Voided:
    """Void the plan at `offset`; with `dry_run` only say what that would change.

    Raises:
        Refused: It can't be voided.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    from app.tools.voiding import void_plan  # noqa: PLC0415
    from app.topics import announcements, appending  # noqa: PLC0415

    def append(wanted: Void) -> tuple[int, int]:
        message = announcements.encode_void(wanted)
        return appending.append(kafka(settings), settings.topics.announcements, *message)

    _require_announcement_topic(settings)
    return void_plan(
        lambda: announced(settings),
        None if dry_run else append,
        model_name=settings.model.name,
        offset=offset,
        why=why,
        even_if_last=even_if_last,
    )


def _require_announcement_topic(settings: Settings) -> None:
    specs = [s for s in topic_specs(settings) if s.name == settings.topics.announcements]
    catalog.require(topic_catalog(settings).findings(specs))


def announced(settings: Settings) -> list[Entry | Ignored]:
    """Read the whole announcement topic.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: The topic is missing.
    """
    from app.topics import announcements, reading  # noqa: PLC0415

    connection.require_broker(settings.kafka.bootstrap_servers)
    messages = reading.read(kafka(settings), settings.topics.announcements)
    return announcements.read_all(messages, settings.model.name)


def _entries(settings: Settings) -> list[Entry]:
    """Read all plans and the voids that count."""
    from app.topics.announcements import Ignored  # noqa: PLC0415

    return [entry for entry in announced(settings) if not isinstance(entry, Ignored)]


def as_worker(settings: Settings) -> Settings:
    """Return the settings of a worker: its parent alone asks for its metrics."""
    http = settings.http.model_copy(update={"host": "127.0.0.1", "port": 0})
    return settings.model_copy(update={"http": http})


def run_workers(
    settings: Settings, count: int, stop: threading.Event, address_file: Path | None = None
) -> int:
    """Run so many instances in processes of their own until `stop` is set.

    Returns:
        The exit code.

    Raises:
        SettingsError: The port for metrics is taken.
    """
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    from app.telemetry.http import OperatorPort  # noqa: PLC0415
    from app.telemetry.merged import Merged  # noqa: PLC0415
    from app.tools.workers import Workers  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="ds-models-workers-") as name:
        folder = Path(name)

        def command(number: int) -> list[str]:
            file = folder / str(number)
            file.unlink(missing_ok=True)  # that of the one before it
            options = ["--worker", str(number), "--address-file", str(file)]
            return [sys.executable, "-m", "app", "run", *options]

        def addresses() -> dict[int, str | None]:
            files = {number: folder / str(number) for number in range(1, count + 1)}
            return {n: file.read_text() if file.exists() else None for n, file in files.items()}

        merged = Merged(addresses)
        registry = CollectorRegistry()
        registry.register(merged)
        port = OperatorPort(
            settings.http.host,
            settings.http.port,
            registry,
            why_not_alive=merged.why_not_alive,
            why_not_ready=merged.why_not_ready,
        )
        log.info("operator_port.listens", address=port.address)
        if address_file is not None:
            port.write_address(address_file)
        with port:
            return Workers(command, count).run(stop)


def stream_service(
    settings: Settings, source: ModelSource | None = None, address_file: Path | None = None
) -> StreamService:
    """Return an instance of the stream, ready to run; its models come from MLflow by default.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: A topic is missing or breaks a promise.
    """
    from app.stream.options import StreamOptions  # noqa: PLC0415
    from app.stream.service import StreamService  # noqa: PLC0415
    from app.stream.workspace import own_folder  # noqa: PLC0415

    topics = topic_catalog(settings)
    catalog.require(topics.findings(topic_specs(settings)))
    options = StreamOptions(
        bootstrap_servers=settings.kafka.bootstrap_servers,
        consumer_group=settings.kafka.consumer_group,
        model_name=settings.model.name,
        source_topic=settings.topics.records,
        signals_topic=settings.topics.signals,
        letters_topic=settings.topics.dead_letters,
        announcements_topic=settings.topics.announcements,
        status_topic=settings.topics.status,
        partitions=topics.partition_counts(),
        models_folder=own_folder(settings.model.cache_dir),
        guarantee=settings.stream.guarantee,
        max_batch=settings.stream.max_batch,
        linger_s=settings.stream.linger_ms / 1000,
        poll_timeout_s=settings.stream.poll_timeout_s,
        hold_retry_s=settings.stream.hold_retry_s,
        fence_timeout_s=settings.stream.fence_timeout_s,
        feed_stale_after_s=settings.stream.feed_stale_after_s,
        session_timeout_ms=settings.kafka.session_timeout_ms,
        max_poll_interval_ms=settings.kafka.max_poll_interval_ms,
        transaction_timeout_ms=settings.kafka.transaction_timeout_ms,
        broker_timeout_s=settings.kafka.broker_timeout_s,
        breaker_share=settings.breaker.share,
        breaker_window=settings.breaker.window,
        http_host=settings.http.host,
        http_port=settings.http.port,
        http_address_file=address_file,
        models_kept=settings.model.kept,
        first_load_timeout_s=settings.model.first_load_timeout_s,
    )
    return StreamService(options, decoder(settings), source or models(settings))


def status_look(settings: Settings, between_s: float = 0.4) -> Callable[[], Status]:
    """Return what looks at the group, the plans and the instances, as often as it is called.

    Args:
        settings: Of the application.
        between_s: The time between two questions for the lag: their difference is its trend.

    Raises:
        BrokerUnavailable: Kafka is away; the look raises it too.
        TopicsError: A topic is missing; likewise.
    """
    from app.domain.plans import PlanTable  # noqa: PLC0415
    from app.tools.status import status_of  # noqa: PLC0415
    from app.topics import reading, status  # noqa: PLC0415
    from app.topics.lag import Lag  # noqa: PLC0415

    topics, group, client = settings.topics, settings.kafka.consumer_group, kafka(settings)
    partitions = topic_catalog(settings).partition_counts().get(topics.records, 0)
    lag = Lag(client, topics.records, group, keep_s=0.0)

    def look() -> Status:
        started, before = time.monotonic(), lag(range(partitions), timeout_s=5.0)
        plans = _entries(settings)
        instances = status.newest(reading.read(client, topics.status))
        time.sleep(max(0.0, started + between_s - time.monotonic()))
        elapsed_s = time.monotonic() - started
        return status_of(
            round(time.time() * 1000),
            group,
            PlanTable.of(plans),
            instances,
            before,
            lag(range(partitions), timeout_s=5.0),
            elapsed_s,
            partitions,
        )

    return look


def resume(settings: Settings, why: str | None, wait_s: float) -> dict[str, bool]:
    """Let instances go on that their circuit breaker holds; return which did, by name.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: The status topic is missing.
    """
    from app.tools import resume  # noqa: PLC0415
    from app.topics import reading, resumes, status  # noqa: PLC0415

    topic, group = settings.topics.status, settings.kafka.consumer_group
    connection.require_broker(settings.kafka.bootstrap_servers)

    def held() -> set[str]:
        instances = status.newest(reading.read(kafka(settings), topic))
        return resume.held_by_breaker(instances, round(time.time() * 1000))

    def say() -> None:
        resumes.send(kafka(settings), topic, resumes.Resume(group, why))

    return resume.resume(held, say, wait_s)


def letter_counts(
    settings: Settings, selection: LetterSelection, samples: int, on_progress: Callable[[int], None]
) -> LetterCounts:
    """Count the dead letters that are selected, and those of them that were redriven.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: A topic is missing.
    """
    from app.tools.letter_counts import count  # noqa: PLC0415
    from app.tools.letters import chosen  # noqa: PLC0415
    from app.topics import reading  # noqa: PLC0415

    connection.require_broker(settings.kafka.bootstrap_servers)
    topic = settings.topics.dead_letters
    marks = _marks(settings)
    messages = reading.read(kafka(settings), topic)
    return count(topic, chosen(messages, selection, on_progress), marks, samples)


def redrive(
    settings: Settings,
    selection: LetterSelection,
    edits: Edits,
    *,
    max_tries: int,
    even_if_bad: bool,
) -> Redrive:
    """Return what sends the dead letters that are selected again.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: A topic is missing or breaks a promise.
    """
    from app.tools.letters import chosen  # noqa: PLC0415
    from app.tools.redrive import Redrive  # noqa: PLC0415
    from app.tools.redrive_judge import Judge  # noqa: PLC0415
    from app.tools.redrive_writer import RedriveWriter  # noqa: PLC0415
    from app.topics import reading, redriven  # noqa: PLC0415

    topics, client, found = settings.topics, kafka(settings), topic_catalog(settings)
    names = (topics.records, topics.dead_letters, topics.redriven)
    catalog.require(found.findings([s for s in topic_specs(settings) if s.name in names]))
    partitions = found.partition_counts()[topics.records]
    return Redrive(
        letters_topic=topics.dead_letters,
        records_topic=topics.records,
        judge=Judge(edits, decoder(settings), topics.records, max_tries, even_if_bad),
        letters=lambda tell: chosen(reading.read(client, topics.dead_letters), selection, tell),
        marks=lambda: _marks(settings),
        writer=lambda: RedriveWriter(
            client,
            transactional_id=redriven.transactional_id(topics.dead_letters),
            records_topic=topics.records,
            partitions=partitions,
            marks_topic=topics.redriven,
            transaction_timeout_ms=settings.kafka.transaction_timeout_ms,
        ),
    )


def _marks(settings: Settings) -> Marks:
    from app.topics import reading, redriven  # noqa: PLC0415

    messages = reading.read(kafka(settings), settings.topics.redriven)
    return redriven.Marks.of(messages, settings.topics.dead_letters)


def back_up(settings: Settings, folder: Path, progress: BackupProgress) -> Manifest:
    """Write a backup of our topics and the group's offsets into a new folder.

    Raises:
        BackupError: It can't be made.
        TopicsError: A topic is missing.
        BrokerUnavailable: Kafka is away.
    """
    from app.backup import making  # noqa: PLC0415
    from app.backup.roles import ROLES  # noqa: PLC0415
    from app.tools.announcement_history import instant  # noqa: PLC0415

    connection.require_broker(settings.kafka.bootstrap_servers)
    what = making.What(
        topics={role: getattr(settings.topics, role.name) for role in ROLES},
        group=settings.kafka.consumer_group,
        model=settings.model.name,
        guarantee=settings.stream.guarantee,
    )
    return making.back_up(
        kafka(settings), what, folder, lambda: instant(round(time.time() * 1000)), progress
    )


def restorer(settings: Settings, progress: BackupProgress) -> Restorer:
    """Return what restores backups to the topics and the group of the settings.

    Raises:
        BrokerUnavailable: Kafka is away.
    """
    from app.backup.restoring import Restorer, Where  # noqa: PLC0415
    from app.backup.roles import ROLES  # noqa: PLC0415

    connection.require_broker(settings.kafka.bootstrap_servers)
    specs = {spec.name: spec for spec in topic_specs(settings)}
    topics = {role.name: specs[getattr(settings.topics, role.name)] for role in ROLES}
    return Restorer(kafka(settings), Where(topics, settings.kafka.consumer_group), progress)


def create_topics(settings: Settings) -> list[str]:
    """Make our topics that are missing; return their names.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: It refuses one.
    """
    return topic_catalog(settings).create(topic_specs(settings))


def config_checks(settings: Settings, timeout_s: float) -> list[Check]:
    """Return what looks at everything that the settings name; nothing is asked before it is run.

    Args:
        settings: Of the application.
        timeout_s: The longest that one check may take.
    """
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    from app.telemetry.http import OperatorPort  # noqa: PLC0415
    from app.tools.config_check import Check, Wrong, check_folder  # noqa: PLC0415

    servers, name = settings.kafka.bootstrap_servers, settings.model.name
    answer_s = 0.8 * min(timeout_s, 10.0)

    def broker() -> str:
        connection.require_broker(servers, answer_s)
        return f"a broker answers at {servers}"

    def topic(spec: catalog.TopicSpec) -> Callable[[], str | Sequence[Wrong]]:
        def look() -> str | Sequence[Wrong]:
            quiet = {**kafka(settings), "log_level": 0}
            found = catalog.TopicCatalog(quiet, answer_s).findings([spec])
            wrong = [
                Wrong(f"{one.setting} is {one.found}, must be {one.needed}", one.remedy)
                for one in found
            ]
            return wrong or "keeps every promise"

        return look

    def server() -> str:
        models(settings).require_answer()
        return f"it answers at {settings.mlflow.tracking_uri}"

    def model() -> str | Sequence[Wrong]:
        aliases = models(settings).aliases(name)
        if aliases is None:
            remedy = "python models/train_and_register_model.py, or set model.name"
            return [Wrong(f"MLflow has no registered model {name}", remedy)]
        return ", ".join(
            ["registered", *(f"{alias} is version {v}" for alias, v in sorted(aliases.items()))]
        )

    def port() -> str:
        http = settings.http
        nobody = OperatorPort(
            http.host,
            http.port,
            CollectorRegistry(),
            why_not_alive=lambda: None,
            why_not_ready=lambda: None,
        )
        with nobody:
            port = f"port {http.port}" if http.port else "any free port"
            return f"{http.host}, {port}: can be listened on"

    look_at_server = (
        "start it (make mlflow-up), set MLFLOW_TRACKING_URI, or, if it answers 403, name this "
        "host in its --allowed-hosts"
    )
    topics = [
        Check(f"topic {spec.name}", topic(spec), "let this client describe topics", "Kafka broker")
        for spec in topic_specs(settings)
    ]
    return [
        Check("Kafka broker", broker, "start it (make kafka-up) or set KAFKA_BOOTSTRAP_SERVERS"),
        *topics,
        Check("MLflow server", server, look_at_server),
        Check("registered model", model, look_at_server, "MLflow server"),
        Check(
            "model cache",
            lambda: check_folder(settings.model.cache_dir, policy(settings).max_artifact_bytes),
            "name another model.cache_dir",
        ),
        Check("operator port", port, "set http.port to a free one, or to 0; or an instance has it"),
    ]


def decoder(settings: Settings) -> RecordDecoder:
    """Return what reads records, with the ranges of the settings."""
    from app.topics.records import RecordDecoder  # noqa: PLC0415

    ranges = {feature: Range(*bounds) for feature, bounds in settings.records.ranges.items()}
    return RecordDecoder(ranges, settings.records.max_bytes)


def topic_decoders(settings: Settings) -> dict[str, Decode]:
    """Return what reads each of our topics, for people."""
    from app.tools.inspect import decoders  # noqa: PLC0415

    names = settings.topics
    return decoders(
        records=names.records,
        signals=names.signals,
        dead_letters=names.dead_letters,
        announcements=names.announcements,
        status=names.status,
        record_decoder=decoder(settings),
        model_name=settings.model.name,
    )


def topic_rows(
    settings: Settings,
    topic: str,
    wanted: Selection,
    partitions: Collection[int] | None,
    on_progress: Progress,
) -> Iterator[Row]:
    """Yield what is wanted of a topic.

    Args:
        settings: Of the application.
        topic: Any.
        wanted: Of its messages.
        partitions: Only these; None for all.
        on_progress: Told how much is read.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: There is no such topic or partition.
    """
    from app.tools.inspect import row_of  # noqa: PLC0415
    from app.tools.selection import select  # noqa: PLC0415
    from app.topics.reading import TopicReader  # noqa: PLC0415

    connection.require_broker(settings.kafka.bootstrap_servers)
    known = topic_decoders(settings)
    if topic == settings.topics.announcements:
        wanted = replace(wanted, from_beginning=True)  # what voids and repetitions refer to
    with TopicReader(kafka(settings), topic, partitions=partitions) as reader:
        yield from select(reader, wanted, lambda message: row_of(message, known), on_progress)


def tracer(settings: Settings, bar: Bar, *, to_end: bool) -> Tracer:
    """Return what finds the way of a record.

    Args:
        settings: Of the application.
        bar: Shows how much is read.
        to_end: Look for a second answer too.

    Raises:
        BrokerUnavailable: Kafka is away.
    """
    from app.tools.tracing import Tracer  # noqa: PLC0415

    topics = settings.topics
    connection.require_broker(settings.kafka.bootstrap_servers)
    return Tracer(
        kafka(settings),
        records=topics.records,
        answers=(topics.signals, topics.dead_letters),
        group=settings.kafka.consumer_group,
        decoders=topic_decoders(settings),
        entries=lambda: _entries(settings),
        slack_ms=settings.announcements.guard_ms,
        bar=bar,
        to_end=to_end,
    )
