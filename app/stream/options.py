"""How an instance runs: the values that its settings have, and what the clients of Kafka get."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FETCH = {
    # By default librdkafka waits a second when its queue is full, and the loop starves.
    "fetch.queue.backoff.ms": 5,
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 131_072,  # bounds the memory that this allows
    "fetch.message.max.bytes": 4_194_304,
}


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How an instance runs. The settings of the same names say more.

    Attributes:
        client: What every Kafka client is configured with.
    """

    client: dict[str, Any] = field(repr=False)
    consumer_group: str
    model_name: str
    source_topic: str
    signals_topic: str
    letters_topic: str
    announcements_topic: str
    status_topic: str
    partitions: dict[str, int]
    models_folder: Path
    guarantee: Literal["exactly-once", "at-least-once"] = "exactly-once"
    max_batch: int = 10_000
    linger_s: float = 0.01
    poll_timeout_s: float = 0.1
    hold_retry_s: float = 0.25
    fence_timeout_s: float = 1.0
    feed_stale_after_s: float = 60.0
    group_instance_id: str = ""
    session_timeout_ms: int = 45_000
    max_poll_interval_ms: int = 300_000
    transaction_timeout_ms: int = 60_000
    broker_timeout_s: float = 120.0
    breaker_share: float = 0.5
    breaker_window: int = 1_000
    http_host: str = "127.0.0.1"
    http_port: int = 0
    http_address_file: Path | None = None
    models_kept: int = 4
    first_load_timeout_s: float = 60.0
