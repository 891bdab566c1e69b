"""What MLflow's client says of a failure, in one line."""

from http import HTTPStatus

_NO_LOGIN = (
    "it asks for a login and was given none, or a wrong one; set MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD"
)


def reason(error: Exception) -> str:
    """Return the first line of what an error says, or what to do if a login is missing.

    >>> reason(ValueError("no such run"))
    'no such run'
    """
    answer = getattr(error, "response", None)  # of its HTTP client, where files are fetched
    refused = getattr(answer, "status_code", None) == HTTPStatus.UNAUTHORIZED
    if refused or getattr(error, "error_code", None) == "UNAUTHENTICATED":
        return _NO_LOGIN
    return (str(error) or type(error).__name__).splitlines()[0][:300]
