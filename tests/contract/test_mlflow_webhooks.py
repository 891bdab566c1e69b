"""Our webhook in a real MLflow server: one of a name, kept up to date, and what is refused."""

import uuid
from collections.abc import Iterator

import mlflow
import pytest

from app.domain.errors import ModelUnavailable, Refused
from app.registry.mlflow_models import MlflowModels
from app.registry.mlflow_webhooks import EVENTS, MlflowWebhooks, Webhook

SECRET = "s" * 40
URL = "https://registry.example/webhooks/mlflow"


@pytest.fixture(scope="module")
def webhooks(tracking_uri: str) -> MlflowWebhooks:
    return MlflowWebhooks(MlflowModels(tracking_uri), tracking_uri)


@pytest.fixture
def name(webhooks: MlflowWebhooks) -> Iterator[str]:
    name = f"ds-models.{uuid.uuid4().hex[:8]}"
    yield name
    webhooks.remove(name)


def named(webhooks: MlflowWebhooks, name: str) -> list[Webhook]:
    return [one for one in webhooks.all() if one.name == name]


def test_there_is_one_of_a_name_however_often_it_is_installed(
    webhooks: MlflowWebhooks, name: str
) -> None:
    made, is_new = webhooks.install(name, "https://old.example/webhooks/mlflow", SECRET)
    assert is_new
    again, is_new = webhooks.install(name, URL, "t" * 40)
    assert not is_new
    assert named(webhooks, name) == [again]
    assert (again.number, again.url, again.events) == (made.number, URL, EVENTS)


def test_one_that_somebody_changed_and_doubled_is_mended(
    webhooks: MlflowWebhooks, name: str, tracking_uri: str
) -> None:
    client = mlflow.MlflowClient(tracking_uri)
    for _ in range(2):
        client.create_webhook(name, URL, ["model_version.created"], status="DISABLED")
    mended, _ = webhooks.install(name, URL, SECRET)
    assert named(webhooks, name) == [mended]
    assert (mended.events, mended.status) == (EVENTS, "ACTIVE")


def test_what_is_removed_is_gone_and_others_stay(webhooks: MlflowWebhooks, name: str) -> None:
    other = f"{name}-other"
    webhooks.install(name, URL, SECRET)
    webhooks.install(other, URL, SECRET)
    assert [one.name for one in webhooks.remove(name)] == [name]
    assert webhooks.remove(name) == []
    assert webhooks.try_out(name) is None
    assert len(webhooks.remove(other)) == 1


def test_an_address_that_mlflow_refuses_is_told_with_what_would_allow_it(
    webhooks: MlflowWebhooks, name: str
) -> None:
    with pytest.raises(Refused, match="MLFLOW_WEBHOOK_ALLOWED_SCHEMES=https,http") as told:
        webhooks.install(name, "ftp://127.0.0.1/x", SECRET)
    assert "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true" in str(told.value)
    assert SECRET not in str(told.value)


def test_without_mlflow_there_is_an_error_of_ours(tracking_uri: str) -> None:
    away = MlflowWebhooks(MlflowModels(tracking_uri), "http://127.0.0.1:1")
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:1"):
        away.all()
