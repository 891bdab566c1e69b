"""What makes MLflow tell the registry service of a moved alias."""

from typing import TYPE_CHECKING

from app.domain.errors import SettingsError
from app.settings import Settings

if TYPE_CHECKING:
    from app.registry.mlflow_webhooks import MlflowWebhooks, Webhook

_TRIES_S = 60.0  # MLflow tries four times before it says that nobody answers


def name_of(settings: Settings) -> str:
    """Return what our webhook is called."""
    from app.registry.mlflow_webhooks import name_of  # noqa: PLC0415 - not for who only looks

    return name_of(settings.model.name)


def of_mlflow(settings: Settings) -> "MlflowWebhooks":
    """Return the webhooks of MLflow. Takes seconds: it imports MLflow."""
    from app.registry.mlflow_models import MlflowModels  # noqa: PLC0415
    from app.registry.mlflow_webhooks import MlflowWebhooks  # noqa: PLC0415

    address, timeout_s = settings.mlflow.tracking_uri, settings.mlflow.timeout_s
    return MlflowWebhooks(MlflowModels(address, max(timeout_s, _TRIES_S)), address)


def install(settings: Settings, url: str) -> "tuple[Webhook, bool]":
    """Make our webhook, or make it what it should be; say whether it is new.

    Args:
        settings: Of the application.
        url: Of the service, as MLflow reaches it.

    Raises:
        SettingsError: There is no secret to sign with.
        Refused: MLflow does not allow the address.
        ModelUnavailable: MLflow is away.
    """
    secret = settings.service.webhook_secret
    if not secret:
        raise SettingsError(
            "service.webhook_secret is not set, so the service takes no webhooks; give it, and "
            "this command, the same one: `openssl rand -hex 32` makes one"
        )
    from app.service.webhooks import PATH  # noqa: PLC0415 - imports SQLAlchemy

    whole = url.rstrip("/").removesuffix(PATH) + PATH
    return of_mlflow(settings).install(name_of(settings), whole, secret)
