"""What the service is made of: values, and what it asks of the rest of the product."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.plans import Entry
from app.registry.mlflow_catalog import MlflowCatalog
from app.service.audit import Audit
from app.service.idempotency import IdempotencyKeys
from app.service.metrics import ServiceMetrics
from app.service.model_zip import Limits
from app.service.predicting import Predictor
from app.service.rate import Rate
from app.service.serving import Serving
from app.service.tokens import Tokens
from app.service.webhooks import Webhooks
from app.service.wrong_tokens import WrongTokens


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request may be.

    Attributes:
        body_bytes: Of any body but an artifact's.
        upload_bytes: Of an artifact as it is sent.
        body_s: How long a body may be on its way, in seconds.
        rows: The most rows to predict at once.
        artifact: What an artifact may be, unpacked.
    """

    body_bytes: int = 10_000_000
    upload_bytes: int = 1_000_000_000
    body_s: float = 600.0
    rows: int = 10_000
    artifact: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Parts:
    """All that routes use.

    Attributes:
        entries: All that counts on the announcement topic.
        serving: What changes which version is served.
        history: The announcement topic, a row for each message.
        in_force: The plan in force, and those to come.
        instances: What each instance says of itself.
        dead_letters: Those of so many minutes back, counted by reason.
        reconciler: What the reconciler of this service does, as `ReconcilerState` has it.
        look_again: Has it look at once, if it runs here; never blocks.
        checks: By what it is about, what raises if that is away.
        webhooks: Those of MLflow, None if nobody may send any.
        dev: Whether anybody on this machine may do everything.
        cors_origins: Whose pages may call.
    """

    tokens: Tokens
    audit: Audit
    keys: IdempotencyKeys
    rate: Rate
    wrong_tokens: WrongTokens
    metrics: ServiceMetrics
    catalog: MlflowCatalog
    predictor: Predictor
    entries: Callable[[], Sequence[Entry]]
    serving: Serving
    history: Callable[[], Sequence[Mapping[str, Any]]]
    in_force: Callable[[], Mapping[str, Any]]
    instances: Callable[[], Sequence[Mapping[str, Any]]]
    dead_letters: Callable[[int], Mapping[str, Any]]
    reconciler: Callable[[], Mapping[str, Any]]
    look_again: Callable[[], None]
    checks: Mapping[str, Callable[[], None]]
    bounds: Bounds
    webhooks: Webhooks | None = None
    dev: bool = False
    cors_origins: Sequence[str] = ()
