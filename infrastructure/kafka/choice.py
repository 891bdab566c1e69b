"""The one place that chooses the broker: the given one, or a local one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrastructure.given import Given
from infrastructure.kafka.broker import Broker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"


class GivenBroker(Given):
    """A broker that somebody else runs."""

    __slots__ = ()

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address as Kafka clients take it."""
        return self.address


def choose(
    environment: Mapping[str, str], data_folder: Path, *, owned: bool = False
) -> GivenBroker | Broker:
    """Return the broker that KAFKA_BOOTSTRAP_SERVERS names, or else one of our own.

    Starts nothing: what is returned is a context manager that starts it, and it has
    `bootstrap_servers` and `description` before that. `data_folder` and `owned` are the local
    broker's.
    """
    if given := environment.get(VARIABLE):
        return GivenBroker(VARIABLE, given)
    return Broker(data_folder, owned=owned)
