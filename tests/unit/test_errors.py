"""The error tree: each error says what to do and how it ends a command; no foreign one escapes."""

import contextlib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from itertools import pairwise

import confluent_kafka.error
import pytest
import quixstreams
from confluent_kafka import KafkaError, KafkaException
from quixstreams.exceptions import QuixException
from quixstreams.kafka.exceptions import (
    BaseKafkaException,
    KafkaBrokerUnavailableError,
    KafkaConsumerException,
    KafkaProducerDeliveryError,
)
from typer.testing import CliRunner

from app.cli import app
from app.domain import errors
from app.domain.errors import (
    BrokerUnavailable,
    DsModelsError,
    FeedError,
    ModelRefused,
    PartitionsLost,
)
from app.stream.failures import FOREIGN, mapped


def tree(root: type[DsModelsError] = DsModelsError) -> Iterator[type[DsModelsError]]:
    yield root
    for branch in root.__subclasses__():
        yield from tree(branch)


ALL = list(tree())
UNUSED = (
    "quixstreams.sinks.community",
    "quixstreams.sources",
    "confluent_kafka.schema_registry",
)
"""Connectors to others; the topology has none of them."""
CODES = sorted({error.exit_code for error in ALL})


# --- each of ours ---


def test_all_errors_of_the_product_are_in_the_one_tree() -> None:
    assert {error.__module__ for error in ALL} == {"app.domain.errors"}


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_an_error_says_when_it_is_raised_and_what_to_do(error: type[DsModelsError]) -> None:
    said = inspect.cleandoc(error.__doc__ or "")
    assert re.match(r"(Raised|The root)", said)
    assert re.search(r"^Operator action: \S", said, re.MULTILINE)


def test_the_tree_on_top_of_the_module_is_the_tree_with_its_exit_codes() -> None:
    drawn: dict[str, tuple[int, int | None]] = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"( {4}[ │├└─]*)([A-Z]\w+) +(\d+|…)", line):
            indent, name, code = found.groups()
            drawn[name] = (len(indent) // 4, None if code == "…" else int(code))
    real = {
        error.__name__: (
            len(error.__mro__) - len(DsModelsError.__mro__) + 1,
            error.exit_code if "exit_code" in vars(error) else None,
        )
        for error in ALL
    }
    assert drawn == real


def test_every_kind_of_error_ends_a_command_with_a_code_of_its_own() -> None:
    own = [error.exit_code for error in ALL if "exit_code" in vars(error)]
    assert len(own) == len(set(own))
    assert 0 not in own


@pytest.mark.parametrize("code", CODES)
def test_every_exit_code_is_in_the_help_of_run(code: int) -> None:
    shown = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert "Exit codes" in shown.output
    assert re.search(rf"\b{code} \w", shown.output.split("Exit codes")[1])


# --- each of others ---


def foreign_errors() -> list[type[BaseException]]:
    """Every exception that Kafka's client and the parts of Quix Streams that we use define."""
    modules = [confluent_kafka, confluent_kafka.error]
    for found in pkgutil.walk_packages(quixstreams.__path__, "quixstreams."):
        with contextlib.suppress(ImportError):  # an extra that is not installed can't be raised
            modules.append(importlib.import_module(found.name))
    return sorted(
        {
            defined
            for module in modules
            for defined in vars(module).values()
            if inspect.isclass(defined)
            and issubclass(defined, BaseException)
            and defined.__module__.startswith(("quixstreams", "confluent_kafka", "cimpl"))
            and not defined.__module__.startswith(UNUSED)
        },
        key=lambda defined: defined.__name__,
    )


@pytest.mark.parametrize("foreign", foreign_errors(), ids=lambda foreign: foreign.__name__)
def test_every_foreign_error_is_one_that_is_mapped(foreign: type[BaseException]) -> None:
    assert issubclass(foreign, FOREIGN)


def kafka(code: int) -> KafkaException:
    return KafkaException(KafkaError(code, "as the broker says"))


FENCED = [
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
    KafkaError._FENCED,
    KafkaError._MAX_POLL_EXCEEDED,
]
AWAY = [
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
]


@pytest.mark.parametrize("code", FENCED)
def test_a_commit_that_the_group_refuses_is_lost_partitions(code: int) -> None:
    assert isinstance(mapped(kafka(code)), PartitionsLost)


@pytest.mark.parametrize("code", AWAY)
def test_a_broker_that_is_away_is_unavailable(code: int) -> None:
    error = mapped(kafka(code))
    assert isinstance(error, BrokerUnavailable)
    assert "as the broker says" in str(error)


def test_answers_that_are_not_taken_in_time_are_told_with_both_reasons() -> None:
    error = mapped(KafkaProducerDeliveryError(KafkaError(KafkaError._MSG_TIMED_OUT)))
    assert isinstance(error, BrokerUnavailable)
    assert "away or slow" in str(error)
    assert "this instance stood still" in str(error)


@pytest.mark.parametrize("wrapper", [KafkaConsumerException, KafkaProducerDeliveryError])
def test_what_quix_wraps_is_looked_into(wrapper: type[BaseKafkaException]) -> None:
    assert isinstance(mapped(wrapper(KafkaError(KafkaError._FENCED))), PartitionsLost)
    assert isinstance(mapped(wrapper(KafkaError(KafkaError._TRANSPORT))), BrokerUnavailable)


def test_the_brokers_that_quix_gives_up_on_are_unavailable() -> None:
    assert isinstance(mapped(KafkaBrokerUnavailableError("gone")), BrokerUnavailable)


def chained(*links: BaseException) -> BaseException:
    """Each link raised from the next."""
    for outer, inner in pairwise(links):
        outer.__cause__ = inner
    return links[0]


@pytest.mark.parametrize("ours", [FeedError("dead"), ModelRefused("no")])
def test_an_error_of_ours_inside_a_foreign_one_is_found_again(ours: DsModelsError) -> None:
    assert mapped(chained(QuixException("outer"), RuntimeError("middle"), ours)) is ours


def test_an_error_that_happened_while_another_was_handled_is_looked_behind() -> None:
    outer = QuixException("cleaning up failed too")
    outer.__context__ = kafka(KafkaError._FENCED)
    assert isinstance(mapped(outer), PartitionsLost)


def test_a_lost_group_outweighs_a_broker_that_is_away() -> None:
    both = chained(kafka(KafkaError._TRANSPORT), kafka(KafkaError.UNKNOWN_MEMBER_ID))
    assert isinstance(mapped(both), PartitionsLost)


def test_errors_that_cause_each_other_end_the_search() -> None:
    first, second = QuixException("first"), QuixException("second")
    first.__cause__, second.__cause__ = second, first
    assert isinstance(mapped(first), DsModelsError)


@pytest.mark.parametrize("unknown", [QuixException("odd"), kafka(KafkaError.UNKNOWN_TOPIC_OR_PART)])
def test_any_other_foreign_error_is_unexpected_and_keeps_its_name(unknown: Exception) -> None:
    error = mapped(unknown)
    assert type(error) is DsModelsError
    assert error.exit_code == 1
    assert type(unknown).__name__ in str(error)
