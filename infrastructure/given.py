"""A server that somebody else runs, named by an environment variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Given:
    """Stands where a local server could stand; starts and ends nothing.

    >>> Given("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092").description
    'given by KAFKA_BOOTSTRAP_SERVERS: kafka:9092'
    """

    variable: str
    address: str

    @property
    def description(self) -> str:
        """Where the server is, and who says so, in one line."""
        return f"given by {self.variable}: {self.address}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
