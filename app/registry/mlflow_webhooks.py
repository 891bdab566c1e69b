"""Our webhook in MLflow: it says that somebody moved an alias. What is seen of it is no secret."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.domain.errors import ModelUnavailable, Refused
from app.domain.secrets import without_passwords
from app.registry.mlflow_errors import reason
from app.registry.mlflow_models import MlflowModels

EVENTS = ("model_version_alias.created", "model_version_alias.deleted")
_PAGE = 100
_LONGEST_NAME = 62
_ADDRESSES = (
    "On the MLflow server, MLFLOW_WEBHOOK_ALLOWED_SCHEMES=https,http allows http, and "
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true allows addresses of a private network"
)
_KEY = (
    "If the secrets that it keeps can't be read any more, start it with the "
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY that they were written with"
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as MLflow knows it, without its secret.

    Attributes:
        events: In alphabetical order.
        status: `ACTIVE` or `DISABLED`.
    """

    number: str
    name: str
    url: str
    events: tuple[str, ...]
    status: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a webhook that MLflow sent to try it.

    Attributes:
        status: Of the answer, None if there was none.
        answer: Its body, or why there was none.
    """

    taken: bool
    status: int | None
    answer: str


def name_of(model: str) -> str:
    """Return what our webhook for a model is called; MLflow allows few characters.

    >>> name_of("treasury-price-model")
    'ds-models.treasury-price-model'
    >>> name_of("a b")
    'ds-models.a-b.c8687a08'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", model)
    name = f"ds-models.{plain}"
    if plain == model and len(name) <= _LONGEST_NAME and plain[-1:].isalnum():
        return name
    digest = hashlib.sha256(model.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 9]}.{digest}"


class MlflowWebhooks:
    """The webhooks of an MLflow server.

    Args:
        models: Of the same server; it has imported MLflow, and set how long a request may take.
        tracking_uri: The server.
    """

    def __init__(self, models: MlflowModels, tracking_uri: str) -> None:  # noqa: ARG002 - see above
        import mlflow  # noqa: PLC0415 - takes seconds

        self._client = mlflow.MlflowClient(tracking_uri)
        self._where = without_passwords(tracking_uri)

    def all(self) -> list[Webhook]:
        """Return all, the oldest first.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        found: list[Any] = []
        token: str | None = None
        with self._asked():
            while True:
                page = self._client.list_webhooks(_PAGE, token)
                found += page
                token = page.token
                if not token:
                    return [_webhook(one) for one in reversed(found)]

    def install(self, name: str, url: str, secret: str) -> tuple[Webhook, bool]:
        """Make the webhook of this name, or make it what it should be; say whether it is new.

        Raises:
            Refused: MLflow does not allow the address.
            ModelUnavailable: MLflow is away.
        """
        found = self._named(name)
        with self._asked():
            for double in found[1:]:  # of two who installed it at once
                self._client.delete_webhook(double.number)
            wanted: dict[str, Any] = {
                "name": name,
                "url": url,
                "events": list(EVENTS),
                "secret": secret,
                "status": "ACTIVE",
            }
            if not found:
                return _webhook(self._client.create_webhook(**wanted)), True
            return _webhook(self._client.update_webhook(found[0].number, **wanted)), False

    def remove(self, name: str) -> list[Webhook]:
        """Take away what has this name; return it.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        found = self._named(name)
        with self._asked():
            for one in found:
                self._client.delete_webhook(one.number)
        return found

    def try_out(self, name: str) -> Tried | None:
        """Have MLflow send one; return what came of it, None if there is no webhook of this name.

        Blocks until MLflow has tried, several times if nobody answers.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        found = self._named(name)
        if not found:
            return None
        with self._asked():
            result = self._client.test_webhook(found[0].number)
        answer = result.response_body or result.error_message or ""
        return Tried(bool(result.success), result.response_status, answer)

    def _named(self, name: str) -> list[Webhook]:
        return [one for one in self.all() if one.name == name]

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            code = getattr(error, "error_code", None)
            said = without_passwords(reason(error)).removeprefix(f"{code}: ")
            where = f"MLflow at {self._where}"
            if code == "INVALID_PARAMETER_VALUE":
                raise Refused(f"{where} refuses it: {said} {_ADDRESSES}") from error
            if "500 error responses" in str(error):
                raise ModelUnavailable(f"{where} fails with 500. {_KEY}") from error
            raise ModelUnavailable(f"{where}: {said}") from error


def _webhook(found: Any) -> Webhook:
    events = tuple(sorted(str(event) for event in found.events))
    return Webhook(found.webhook_id, found.name, found.url, events, str(found.status))
