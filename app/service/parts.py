"""What the service is made of: values, and what it asks of the rest of the product."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.plans import Plan
from app.registry.mlflow_catalog import MlflowCatalog
from app.service.audit import Audit
from app.service.idempotency import IdempotencyKeys
from app.service.metrics import ServiceMetrics
from app.service.model_zip import Limits
from app.service.predicting import Predictor
from app.service.rate import Rate
from app.service.tokens import Tokens
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
        plans: All plans of the topic, voided or not.
        history: The announcement topic, a row for each message.
        in_force: The plan in force, and those to come.
        instances: What each instance says of itself.
        checks: By what it is about, what raises if that is away.
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
    plans: Callable[[], Sequence[Plan]]
    history: Callable[[], Sequence[Mapping[str, Any]]]
    in_force: Callable[[], Mapping[str, Any]]
    instances: Callable[[], Sequence[Mapping[str, Any]]]
    checks: Mapping[str, Callable[[], None]]
    bounds: Bounds
    dev: bool = False
    cors_origins: Sequence[str] = ()
