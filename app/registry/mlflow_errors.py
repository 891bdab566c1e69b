"""What MLflow's client raises, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from app.domain.errors import ModelRefused, ModelUnavailable
from app.domain.secrets import without_passwords

_NO_LOGIN = (
    "it asks for a login and was given none, or a wrong one; set MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD"
)
_DRIVERS = {"boto3": "s3", "botocore": "s3", "azure": "azure", "google": "gcs"}
"""Which extra of ours has the driver of an artifact store, by the driver's first name."""


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
        if code(error) == "INVALID_PARAMETER_VALUE":
            raise ValueError(reason(error)) from error
        raise unavailable(what, error, tracking_uri) from error


def unavailable(what: str, error: Exception, tracking_uri: str) -> ModelUnavailable:
    """Return what to raise where MLflow is away, or fails.

    >>> str(unavailable("m version 1", ValueError("no such run"), "http://u:pw@h:5000"))
    'm version 1: no such run (MLflow at http://u:***@h:5000)'
    """
    return ModelUnavailable(
        without_passwords(f"{what}: {reason(error)} (MLflow at {tracking_uri})")
    )


def code(error: Exception) -> str | None:
    """Return MLflow's word for what is wrong."""
    found: str | None = getattr(error, "error_code", None)
    return found


def reason(error: Exception) -> str:
    """Return the first line of what an error says, or what to do if a login or a driver is missing.

    >>> reason(ValueError("no such run"))
    'no such run'
    >>> reason(ModuleNotFoundError("No module named 'boto3'", name="boto3"))
    "the driver of its artifact store is not installed (boto3): pip install 'ds-models[s3]'"
    """
    missing = (error.name or "") if isinstance(error, ImportError) else ""
    if extra := _DRIVERS.get(missing.partition(".")[0]):
        return (
            f"the driver of its artifact store is not installed ({missing}): "
            f"pip install 'ds-models[{extra}]'"
        )
    answer = getattr(error, "response", None)  # of its HTTP client, where files are fetched
    refused = getattr(answer, "status_code", None) == HTTPStatus.UNAUTHORIZED
    if refused or code(error) == "UNAUTHENTICATED":
        return _NO_LOGIN
    return (str(error) or type(error).__name__).splitlines()[0][:300]
