"""What MLflow's client raises, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.errors import ModelRefused, ModelUnavailable
from app.domain.secrets import without_passwords


class Absent(Exception):
    """MLflow has no such thing."""


@contextmanager
def asked(what: str, tracking_uri: str) -> Iterator[None]:
    """Ask MLflow inside.

    Args:
        what: Is asked for or changed.
        tracking_uri: The MLflow server.

    Raises:
        Absent: There is no such thing.
        ValueError: MLflow can't read what was asked.
        ModelUnavailable: It is away, or fails.
    """
    try:
        yield
    except (Absent, ModelRefused, ModelUnavailable):
        raise
    except Exception as error:
        if code(error) == "RESOURCE_DOES_NOT_EXIST":
            raise Absent(what) from error
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        if code(error) == "INVALID_PARAMETER_VALUE":
            raise ValueError(reason) from error
        raise ModelUnavailable(
            without_passwords(f"{what}: {reason} (MLflow at {tracking_uri})")
        ) from error


def code(error: Exception) -> str | None:
    """Return MLflow's word for what is wrong."""
    found: str | None = getattr(error, "error_code", None)
    return found
