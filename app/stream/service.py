"""One instance of the stream: starts its parts in order, runs until told to stop, ends them."""

import logging
import threading
import time
import uuid
from collections.abc import Callable

import structlog
from quixstreams.kafka import ConnectionConfig

from app.domain.errors import AccessDenied, DsModelsError, FeedError
from app.domain.plans import Announcement
from app.stream import topology
from app.stream.circuit_breaker import CircuitBreaker
from app.stream.condition import condition
from app.stream.failures import FOREIGN, mapped
from app.stream.feed import RegistryFeed
from app.stream.fence import Fence, RegistryEnd
from app.stream.garbage_collector import free_what_was_dropped, settle_garbage_collector
from app.stream.hot_swap import HotSwap, ModelSource
from app.stream.micro_batches import MicroBatchApplication
from app.stream.options import FETCH, StreamOptions
from app.stream.prediction_sink import PredictionSink
from app.stream.status_reports import StatusReports
from app.stream.transaction_output import TransactionOutput
from app.telemetry.http import OperatorPort
from app.telemetry.metrics import HoldReason, Metrics, State
from app.topics import announcements
from app.topics.lag import Lag
from app.topics.records import RecordDecoder
from app.topics.resumes import Resumes

log = structlog.get_logger()

_LOAD_AHEAD_MS = 300_000  # a plan for a later day needs no memory now


class StreamService:
    """An instance of the stream.

    Args:
        options: How it runs.
        decoder: Reads records.
        source: Where models come from.
        clock_ms: Unix milliseconds; decides only what is warmed, never what a record gets.
        denied: Told that Kafka did not allow something; returns an error that says it better.
    """

    def __init__(
        self,
        options: StreamOptions,
        decoder: RecordDecoder,
        source: ModelSource,
        clock_ms: Callable[[], float] = lambda: time.time() * 1000,
        denied: Callable[[AccessDenied], DsModelsError] = lambda error: error,
    ) -> None:
        self._options = options
        self._denied = denied
        self._clock_ms = clock_ms
        self._warmed_at = float("-inf")
        self._follows_live = False
        self._turned_at = time.monotonic()
        self._changed = threading.Event()
        self._metrics = Metrics(self.state, clock_ms)
        self._client = client = {
            **options.client,
            "logger": logging.getLogger("librdkafka"),
        }
        self._models = HotSwap(
            source,
            options.models_folder,
            keep=options.models_kept,
            on_load=settle_garbage_collector,
            on_drop=free_what_was_dropped,
            on_try=self._tried,
            on_swap=self._metrics.swapped,
        )
        self._feed = RegistryFeed(
            client,
            options.announcements_topic,
            announcements.reader(options.model_name),
            on_announced=self._load_early,
            on_void=lambda _void: self._metrics.plan_was_voided(),
            on_ignored=self._metrics.ignored,
        )
        self._end = RegistryEnd(client, options.announcements_topic)
        self._fence = Fence(
            self._feed,
            self._end,
            timeout_s=options.fence_timeout_s,
            stale_after_s=options.feed_stale_after_s,
            on_pass=self._metrics.fence_passed,
            on_late=self._metrics.plan_was_late,
        )
        self._lag = Lag(client, options.source_topic, options.consumer_group)
        self._app = self._application(options)
        output = TransactionOutput(
            self._app,
            source_topic=options.source_topic,
            signals_topic=options.signals_topic,
            letters_topic=options.letters_topic,
            partitions=options.partitions,
            queue=10 * options.max_batch,
        )
        self._resumes = Resumes(client, options.status_topic, options.consumer_group)
        self._breaker = CircuitBreaker(
            options.breaker_share,
            options.breaker_window,
            opened=self._resumes.wait,
            resumed=self._resumes.came,
        )
        self._sink = PredictionSink(
            self._models,
            output,
            self._fence.answered,
            options.hold_retry_s,
            breaks=self._breaker.holds,
            on_hold=self._held,
        )
        topology.build(self._app, options.source_topic, decoder, self._fence, self._sink)

    def run(self) -> None:
        """Read the announcements, load what is in force, join the group, answer records.

        Blocks until SIGTERM or SIGINT; must be called on the main thread.

        Raises:
            DsModelsError: The instance can't go on; its class says why. Nothing is lost.
        """
        port = OperatorPort(
            self._options.http_host,
            self._options.http_port,
            self._metrics.registry,
            why_not_alive=self._why_not_alive,
            why_not_ready=lambda: self.state().waits_for,
        )
        log.info("operator_port.listens", address=port.address)
        if self._options.http_address_file is not None:
            port.write_address(self._options.http_address_file)
        reports = StatusReports(
            self._client, self._options.status_topic, port.address, self.state, self._changed
        )
        try:
            with port, reports:
                self._feed.start()
                self._models.start()
                self._get_ready()
                self._app.open_producer()
                self._app.run()
        except Exception as error:  # noqa: BLE001 - raised again, unless it stopped as asked
            self._raise_what_ended_it(error)
        finally:
            self._feed.close()
            self._end.close()
            self._lag.close()
            self._resumes.close()
            self._models.close()
        log.info("stream.stopped")

    def state(self) -> State:
        """Say what the instance is like now. Any thread may ask; it asks the broker for the lag."""
        return condition(
            self._feed.table,
            round(self._clock_ms()),
            table_is_read=self._follows_live,
            loaded=self._models.loaded(),
            why_not_loaded=self._models.why_not,
            hold=self._sink.holds,
            feed_staleness_s=self._fence.staleness_s,
            lag=self._lag(self._app.owned),
        )

    def _tried(self, seconds: float, loaded: bool) -> None:
        self._metrics.load_tried(seconds, loaded=loaded)
        self._changed.set()

    def _held(self, reason: HoldReason) -> None:
        self._metrics.held(reason)
        self._changed.set()

    def _why_not_alive(self) -> str | None:
        still_s = time.monotonic() - self._turned_at
        if self._follows_live and still_s > self._options.max_poll_interval_ms / 1000:
            return f"the stream has not turned for {still_s:.0f} s"
        return None

    def _raise_what_ended_it(self, error: Exception) -> None:
        """Raise the first failure, as ours; what only went wrong while leaving is told."""
        if self._app.left_the_loop:
            if self._app.failure is None:
                log.warning("stream.left_untidily", error=repr(error))
                return
            error = self._app.failure
        ours = mapped(error) if isinstance(error, FOREIGN) else error
        if isinstance(ours, AccessDenied):
            ours = self._denied(ours)
        if ours is error:
            raise error
        raise ours from error

    def _get_ready(self) -> None:
        """Do what is slow before joining the group: others would wait for us."""
        moved_at, position = time.monotonic(), self._feed.position
        while (table := self._fence.table(as_of=time.monotonic())) is None:
            if self._feed.position > position:  # a long history takes its time
                moved_at, position = time.monotonic(), self._feed.position
            if time.monotonic() - moved_at > self._options.feed_stale_after_s:
                raise FeedError("the announcements could not be read to their end")
            time.sleep(0.1)  # a broker that refuses at once would be asked without a pause
        plan = table.at(round(self._clock_ms()))
        if plan is not None:
            self._models.wait_for(plan.announcement, self._options.first_load_timeout_s)
        if table.staged is not None:  # it may be in force as soon as we have joined
            self._models.wait_for(table.staged.announcement, self._options.first_load_timeout_s)
        self._follows_live = True
        settle_garbage_collector()

    def _load_early(self, announcement: Announcement) -> None:
        """Begin to load a version when it is read of; of the past, only what records need."""
        if self._follows_live:
            self._models.want(announcement)
            self._changed.set()

    def _committed(self, seconds: float) -> None:
        answered = self._sink.take_produced()
        if answered is not None:
            self._breaker.answered(len(answered.appended_ms), sum(answered.letters.values()))
            self._metrics.committed(answered, seconds)

    def _before_poll(self) -> None:
        self._turned_at = time.monotonic()
        self._fence.check()
        self._models.check()
        if self._turned_at - self._warmed_at >= 1.0:
            self._warmed_at = self._turned_at
            self._keep_warm()

    def _keep_warm(self) -> None:
        """Have loaded what is in force now and what will be: before a record needs it."""
        now_ms, table = round(self._clock_ms()), self._feed.table
        for plan in table.due(now_ms, now_ms + _LOAD_AHEAD_MS):
            self._models.want(plan.announcement)
        if table.staged is not None:
            self._models.want(table.staged.announcement)

    def _application(self, options: StreamOptions) -> MicroBatchApplication:
        return MicroBatchApplication(
            max_batch=options.max_batch,
            linger_s=options.linger_s,
            before_poll=self._before_poll,
            on_commit=self._committed,
            on_rebalance=self._metrics.rebalanced,
            drop_batch=lambda: self._sink.clear(),  # noqa: PLW0108 - the sink is made later
            broker_address=ConnectionConfig.from_librdkafka_dict(options.client),
            consumer_group=options.consumer_group,
            processing_guarantee=options.guarantee,
            auto_offset_reset="earliest",
            auto_create_topics=False,
            state_dir=options.models_folder.parent / "state",  # unused: the topics are the truth
            use_changelog_topics=False,
            consumer_poll_timeout=options.poll_timeout_s,
            broker_availability_timeout=options.broker_timeout_s,
            loglevel=None,
            consumer_extra_config={
                **FETCH,
                **_static_member(options.group_instance_id),
                "session.timeout.ms": options.session_timeout_ms,
                "heartbeat.interval.ms": options.session_timeout_ms // 5,
                "max.poll.interval.ms": options.max_poll_interval_ms,
            },
            producer_extra_config={
                "delivery.report.only.error": True,
                "message.max.bytes": 4_194_304,  # the topics decide
                "queue.buffering.max.messages": 10 * options.max_batch,
                **(
                    {
                        "transaction.timeout.ms": options.transaction_timeout_ms,
                        # Unique, and of a prefix that permissions can be given for.
                        "transactional.id": f"{options.consumer_group}-{uuid.uuid4()}",
                    }
                    if options.guarantee == "exactly-once"
                    else {}
                ),
            },
        )


def _static_member(name: str) -> dict[str, str]:
    return {"group.instance.id": name} if name else {}
