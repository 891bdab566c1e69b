"""Webhooks of MLflow: what is taken, what is refused, and what that costs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from app.domain.errors import SettingsError
from app.domain.secrets import is_secret
from app.registry.mlflow_webhooks import name_of
from app.service import database
from app.service.application import application
from app.service.metrics import ServiceMetrics
from app.service.parts import Bounds, Parts
from app.service.webhooks import MOST_BYTES, PATH, Webhooks, signature
from app.settings import Settings, read
from app.tools.settings.in_force import rows

SECRET = "a secret of at least thirty-two characters"  # noqa: S105 - of these tests
NOW_S = 1_700_000_000
BODY = b'{"entity":"model_version_alias","action":"created"}'


class Service:
    """A service that takes webhooks, and counts how often its reconciler was to look."""

    def __init__(self, engine: Engine | None, secret: str = SECRET) -> None:
        self.now_s = float(NOW_S)
        self.looks = 0
        self.metrics = ServiceMetrics()
        webhooks = Webhooks(secret, cast("Any", engine), self._clock_ms, self.metrics.webhook)
        unused: dict[str, Any] = dict.fromkeys(
            (
                *("tokens", "audit", "keys", "rate", "catalog", "predictor", "plans", "history"),
                *("in_force", "instances", "reconciler"),
            )
        )
        parts = Parts(
            **unused,
            metrics=self.metrics,
            look_again=self._look,
            checks={},
            bounds=Bounds(),
            webhooks=webhooks if secret else None,
        )
        self._client = TestClient(application(parts), raise_server_exceptions=False)

    def post(self, headers: dict[str, str], body: bytes = BODY) -> httpx.Response:
        found: httpx.Response = self._client.post(PATH, content=body, headers=headers)
        return found

    def counted(self, outcome: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "ds_models_service_webhooks_total", {"outcome": outcome}
        )

    def _clock_ms(self) -> int:
        return round(self.now_s * 1000)

    def _look(self) -> None:
        self.looks += 1


def signed(
    body: bytes = BODY, delivery_id: str = "d-1", at_s: int = NOW_S, secret: str = SECRET
) -> dict[str, str]:
    return {
        "X-MLflow-Signature": signature(secret, delivery_id, str(at_s), body),
        "X-MLflow-Timestamp": str(at_s),
        "X-MLflow-Delivery-Id": delivery_id,
    }


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = database.open_database(f"sqlite:///{tmp_path}/registry.db")
    yield engine
    engine.dispose()


@pytest.fixture
def service(engine: Engine) -> Service:
    return Service(engine)


@pytest.fixture
def guarded() -> Service:
    """A service whose database nobody may ask."""
    return Service(None)


def test_one_that_mlflow_signed_has_the_reconciler_look(service: Service) -> None:
    answer = service.post(signed())
    assert (answer.status_code, answer.json()) == (200, {"outcome": "taken"})
    assert service.looks == 1


def test_the_signature_is_what_mlflow_makes() -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature  # noqa: PLC0415

    made = _generate_hmac_signature(SECRET, "d-1", "17", '{"é": 1}')
    assert made == signature(SECRET, "d-1", "17", '{"é": 1}'.encode())


def test_a_delivery_is_taken_once_by_all_services_on_a_database(engine: Engine) -> None:
    first, second = Service(engine), Service(engine)
    assert first.post(signed()).json() == {"outcome": "taken"}
    for again in (first, first, second, second):
        answer = again.post(signed())
        assert (answer.status_code, answer.json()) == (200, {"outcome": "repeated"})
    assert (first.looks, second.looks) == (1, 0)
    assert (first.counted("taken"), first.counted("repeated")) == (1, 2)
    assert second.counted("repeated") == 2


FORGED = {
    "another secret": signed(secret="x" * 40),
    "another body": signed(b"{}"),
    "another delivery": {**signed(), "X-MLflow-Delivery-Id": "d-2"},
    "another time": {**signed(), "X-MLflow-Timestamp": str(NOW_S + 1)},
    "no secret": signed(secret=""),
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_a_forged_one_is_refused_without_the_database(
    guarded: Service, headers: dict[str, str]
) -> None:
    answer = guarded.post(headers)
    assert answer.status_code == 403
    assert answer.json()["error"] == "WebhookWrongSignature"
    assert (guarded.looks, guarded.counted("wrong_signature")) == (0, 1)
    assert SECRET not in answer.text


@pytest.mark.parametrize("seconds", [-301, 301, -10_000_000, 10_000_000_000])
def test_an_old_one_or_one_of_the_future_is_refused_without_the_database(
    guarded: Service, seconds: int
) -> None:
    answer = guarded.post(signed(at_s=NOW_S + seconds))
    assert (answer.status_code, answer.json()["error"]) == (403, "WebhookWrongTime")
    assert (guarded.looks, guarded.counted("wrong_time")) == (0, 1)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_clocks_may_differ_by_five_minutes(service: Service, seconds: int) -> None:
    assert service.post(signed(at_s=NOW_S + seconds)).status_code == 200


MALFORMED = {
    "no header": {},
    "no signature": {**signed(), "X-MLflow-Signature": ""},
    "another scheme": {**signed(), "X-MLflow-Signature": "v2," + "A" * 43 + "="},
    "no base64": {**signed(), "X-MLflow-Signature": "v1,%%%"},
    "a time that is none": {**signed(), "X-MLflow-Timestamp": "now"},
    "a time below zero": {**signed(), "X-MLflow-Timestamp": "-5"},
    "a time without end": {**signed(), "X-MLflow-Timestamp": "9" * 5000},
    "an id without end": {**signed(), "X-MLflow-Delivery-Id": "d" * 65},
    "an id with a quote": {**signed(), "X-MLflow-Delivery-Id": "d'1"},
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_one_is_refused_without_the_database(
    guarded: Service, headers: dict[str, str]
) -> None:
    answer = guarded.post(headers)
    assert (answer.status_code, answer.json()["error"]) == (422, "InvalidRequest")
    assert guarded.looks == 0


def test_a_body_of_a_stranger_is_short(guarded: Service) -> None:
    body = b" " * (MOST_BYTES + 1)
    answer = guarded.post(signed(body), body)
    assert (answer.status_code, answer.json()["error"]) == (413, "BodyTooLarge")


def test_what_it_says_is_not_read(service: Service) -> None:
    for number, body in enumerate((b"", b"not json", b"\xff\x00", b"[]")):
        assert service.post(signed(body, f"d-{number}"), body).json() == {"outcome": "taken"}
    assert service.looks == 4


def test_without_a_secret_there_is_no_such_route(engine: Engine) -> None:
    off = Service(engine, secret="")
    answer = off.post(signed(secret=""))
    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    assert off.looks == 0


def test_when_the_database_is_away_mlflow_is_told_to_send_it_again(
    service: Service, engine: Engine
) -> None:
    database.webhooks.drop(engine)
    answer = service.post(signed())
    assert (answer.status_code, service.looks) == (503, 0)
    database.webhooks.create(engine)
    assert service.post(signed()).json() == {"outcome": "taken"}
    assert service.looks == 1


def test_deliveries_are_forgotten_once_they_are_too_old_to_be_taken(
    service: Service, engine: Engine
) -> None:
    def kept() -> set[str]:
        with engine.connect() as connection:
            return set(connection.execute(select(database.webhooks.c.delivery_id)).scalars())

    service.post(signed(delivery_id="old"))
    service.post(signed(delivery_id="ahead", at_s=NOW_S + 300))
    service.now_s += 361
    service.post(signed(delivery_id="new", at_s=NOW_S + 361))
    assert kept() == {"ahead", "new"}


# --- the secret, and the name in MLflow ---


@pytest.mark.parametrize("wrong", ["x" * 31, " " + "x" * 40, "x" * 40 + "\n"])
def test_a_secret_that_is_short_or_has_space_around_it_is_a_settings_error(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"service\.webhook_secret.*32") as told:
        read({"DS_MODELS_SERVICE__WEBHOOK_SECRET": wrong})
    assert wrong not in str(told.value)


def test_the_secret_is_shown_nowhere() -> None:
    settings = read({"DS_MODELS_SERVICE__WEBHOOK_SECRET": SECRET})
    assert is_secret("webhook_secret")
    assert SECRET not in repr(settings)
    assert SECRET not in str(rows(settings.model_dump(mode="json"), {}))
    assert Settings().service.webhook_secret == ""


@pytest.mark.parametrize("model", ["treasury-price-model", "a b", "ü" * 300, "x-", "x" * 63, "."])
def test_mlflow_allows_the_name_of_our_webhook_whatever_the_model_is_called(model: str) -> None:
    from mlflow.utils.validation import _validate_webhook_name  # noqa: PLC0415

    _validate_webhook_name(name_of(model))
    assert name_of(model) != name_of(model + "2")
