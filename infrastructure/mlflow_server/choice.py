"""The one place that chooses the tracking server: the given one, or a local one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrastructure.given import Given
from infrastructure.mlflow_server.server import MLflowServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "MLFLOW_TRACKING_URI"


class GivenServer(Given):
    """A tracking server that somebody else runs."""

    __slots__ = ()

    @property
    def tracking_uri(self) -> str:
        """The server's address as MLflow clients take it."""
        return self.address


def choose(
    environment: Mapping[str, str], data_folder: Path, *, owned: bool = False
) -> GivenServer | MLflowServer:
    """Return the server that MLFLOW_TRACKING_URI names, or else one of our own.

    Starts nothing: what is returned is a context manager that starts it, and it has
    `tracking_uri` and `description` before that. `data_folder` and `owned` are the local server's.
    """
    if given := environment.get(VARIABLE):
        return GivenServer(VARIABLE, given)
    return MLflowServer(data_folder, owned=owned)
