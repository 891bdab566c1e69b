"""The stream with folder models; `FAULT=point:call:action` makes it fail at a named point.

The product has no hooks for this: its methods, and the framework's, are wrapped from outside,
before it starts. The action happens at the `call`-th call of the point.

Points:
    after_add: the batch is in the sink.
    after_produce: its answers are in the producer.
    before_commit: its offsets are in the transaction, which is not committed yet.
    instead_of_commit: the batch stays in hand over the next polls, as with a longer linger;
        commits go on 8 s later.
    in_poll: with the messages that a poll returns.
Actions: `kill` or `stop` (SIGSTOP) the process, `raise` an exception, `slow` down by 3 s, add an
`error` of the consumer to the messages, or `nothing`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError
from quixstreams.internal_consumer import InternalConsumer
from quixstreams.kafka.producer import Producer
from quixstreams.processing import ProcessingContext

from app import logs, settings
from app.bootstrap import streaming
from app.domain.errors import DsModelsError
from app.stream.prediction_sink import PredictionSink
from app.stream.transaction_output import TransactionOutput
from tests.harness.models import FolderModels

Wrapper = Callable[[Callable[..., Any], Callable[[Any], Any]], Callable[..., Any]]


class _ErrorMessage:
    """What librdkafka delivers among the messages when a partition fails."""

    def error(self) -> KafkaError:
        return KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)


def _fail(_result: Any) -> Any:
    raise RuntimeError("a fault that the test asked for")


ACTIONS: dict[str, Callable[[Any], Any]] = {
    "kill": lambda _result: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda _result: os.kill(os.getpid(), signal.SIGSTOP),
    "raise": _fail,
    "slow": lambda _result: time.sleep(3),
    "error": lambda messages: messages.append(_ErrorMessage()),
    "nothing": lambda _result: None,
}


def _after(call: int) -> Wrapper:
    def wrapper(original: Callable[..., Any], act: Callable[[Any], Any]) -> Callable[..., Any]:
        calls = [0]

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            calls[0] += 1
            if calls[0] == call:
                act(result)
            return result

        return wrapped

    return wrapper


def _before(call: int) -> Wrapper:
    def wrapper(original: Callable[..., Any], act: Callable[[Any], Any]) -> Callable[..., Any]:
        calls = [0]

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == call:
                act(None)
            return original(*args, **kwargs)

        return wrapped

    return wrapper


def _instead_of_commit(call: int) -> Wrapper:
    def wrapper(original: Callable[..., Any], act: Callable[[Any], Any]) -> Callable[..., Any]:
        calls, until = [0], [0.0]

        def wrapped(self: ProcessingContext, *args: Any, **kwargs: Any) -> Any:
            if kwargs or args:  # forced: at a stop or a revocation
                return original(self, *args, **kwargs)
            if not self.checkpoint.empty():
                calls[0] += 1
                if calls[0] == call:
                    until[0] = time.monotonic() + 8
                    act(None)
            if time.monotonic() < until[0]:
                return None
            return original(self, *args, **kwargs)

        return wrapped

    return wrapper


POINTS: dict[str, tuple[Any, str, Callable[[int], Wrapper]]] = {
    "after_add": (PredictionSink, "add", _after),
    "after_produce": (TransactionOutput, "send", _after),
    "before_commit": (Producer, "commit_transaction", _before),
    "instead_of_commit": (ProcessingContext, "commit_checkpoint", _instead_of_commit),
    "in_poll": (InternalConsumer, "consume", _after),
}


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as `run` does, until the stream's own
    found = settings.read()
    logs.set_up(found.log.level, found.log.format)
    if fault := os.environ.get("FAULT"):
        point, call, action = fault.split(":")
        owner, name, make = POINTS[point]
        setattr(owner, name, make(int(call))(getattr(owner, name), ACTIONS[action]))
    try:
        streaming.stream_service(found, FolderModels()).run()
    except DsModelsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
