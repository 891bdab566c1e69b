"""What looks at the group and its instances, and tells them to go on."""

import time
from collections.abc import Callable, Iterable

from app.bootstrap import history, parts
from app.bootstrap.clock import now_ms
from app.domain.plans import Plan, PlanTable, Staged
from app.settings import Settings
from app.tools.watching import resume as resuming
from app.tools.watching.staging import Progress, progress_of, turn_of
from app.tools.watching.status import Status, status_of
from app.topics import reading, resumes, status
from app.topics.lag import Lag, require_group
from app.topics.status import Heard


def status_look(settings: Settings, between_s: float = 0.4) -> Callable[[], Status]:
    """Return what looks at the group, the plans and the instances, as often as it is called.

    Args:
        settings: Of the application.
        between_s: The time between two questions for the lag: their difference is its trend.

    Raises:
        BrokerUnavailable: Kafka is away; the look raises it too.
        TopicsError: A topic is missing; likewise.
    """
    topics, group, client = settings.topics, settings.kafka.consumer_group, parts.kafka(settings)
    partitions = parts.topic_catalog(settings).partition_counts().get(topics.records, 0)
    require_group(client, group)
    lag = Lag(client, topics.records, group, keep_s=0.0)

    def look() -> Status:
        started, before = time.monotonic(), lag(range(partitions), timeout_s=5.0)
        plans = history.entries(settings)
        instances = status.newest(reading.read(client, topics.status))
        time.sleep(max(0.0, started + between_s - time.monotonic()))
        elapsed_s = time.monotonic() - started
        return status_of(
            now_ms(),
            group,
            PlanTable.of(plans),
            instances,
            before,
            lag(range(partitions), timeout_s=5.0),
            elapsed_s,
            partitions,
        )

    return look


def staging_look(settings: Settings, staged: Staged) -> Callable[[], list[Progress]]:
    """Return what looks how far each live instance is with a staged version.

    Which instances are live goes by the broker's clock, whatever this machine's says.

    Raises:
        BrokerUnavailable: Kafka is away; the look raises it too.
        TopicsError: The status topic is missing; likewise.
    """
    return _progress_look(
        settings,
        staged.appended_ms,
        lambda instances, at_ms: progress_of(instances, at_ms, staged.offset),
    )


def turn_look(settings: Settings, plan: Plan) -> Callable[[], list[Progress]]:
    """Return what looks whether each live instance serves the version of a plan.

    Which instances are live goes by the broker's clock, whatever this machine's says.

    Raises:
        BrokerUnavailable: Kafka is away; the look raises it too.
        TopicsError: The status topic is missing; likewise.
    """
    return _progress_look(
        settings,
        plan.appended_ms,
        lambda instances, at_ms: turn_of(instances, at_ms, plan),
    )


def _progress_look(
    settings: Settings, appended_ms: int, judge: Callable[[list[Heard], int], list[Progress]]
) -> Callable[[], list[Progress]]:
    client, topic = parts.kafka(settings), settings.topics.status
    clock_ms = _brokers_clock(appended_ms)

    def look() -> list[Progress]:
        instances = status.newest(reading.read(client, topic))
        return judge(instances, clock_ms(instances))

    return look


def _brokers_clock(appended_ms: int) -> Callable[[Iterable[Heard]], int]:
    """Return what tells the least that the broker's clock must show now.

    Args:
        appended_ms: When the broker appended something that was read before this call.
    """
    began = time.monotonic()

    def at_least_ms(heard: Iterable[Heard]) -> int:
        elapsed_ms = round((time.monotonic() - began) * 1000)
        return max([appended_ms + elapsed_ms, *(one.appended_ms for one in heard)])

    return at_least_ms


def resume(settings: Settings, why: str | None, wait_s: float) -> dict[str, bool]:
    """Let instances go on that their circuit breaker holds; return which did, by name.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: The status topic is missing.
    """
    topic, group = settings.topics.status, settings.kafka.consumer_group
    parts.require_broker(settings)

    def held() -> set[str]:
        instances = status.newest(reading.read(parts.kafka(settings), topic))
        return resuming.held_by_breaker(instances, now_ms())

    def say() -> None:
        resumes.send(parts.kafka(settings), topic, resumes.Resume(group, why))

    return resuming.resume(held, say, wait_s)
