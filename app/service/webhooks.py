"""Webhooks of MLflow: who may ring, and each delivery once.

What is not of MLflow is refused before anything is asked of the database. What a webhook says is
not read: it only means that somebody may have moved an alias.
"""

import base64
import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable

from sqlalchemy import Engine, delete, insert
from sqlalchemy.exc import IntegrityError

from app.service import database
from app.service.problems import Problem

PATH = "/webhooks/mlflow"
MOST_BYTES = 65_536
MOST_S = 10.0  # for the body to arrive
WINDOW_S = 300
_KEPT = 1_000  # deliveries that are known without asking the database
_SLACK_MS = 60_000  # what the clocks of two services may differ by
_table = database.webhooks


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Return what MLflow signs a delivery with, as its header `X-MLflow-Signature` has it.

    Source: `mlflow/webhooks/delivery.py`.
    """
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    code = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(code).decode()}"


class Webhooks:
    """Takes the webhooks of one MLflow.

    Args:
        secret: That both know.
        engine: Of the database; all services that share it take a delivery once.
        clock_ms: Unix milliseconds.
        on_outcome: Told `taken`, `repeated`, `wrong_time` or `wrong_signature`.
    """

    def __init__(
        self,
        secret: str,
        engine: Engine,
        clock_ms: Callable[[], int],
        on_outcome: Callable[[str], None] = lambda _outcome: None,
    ) -> None:
        self._secret = secret
        self._engine = engine
        self._clock_ms = clock_ms
        self._on_outcome = on_outcome
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def require_recent(self, timestamp: str) -> None:
        """Return if a delivery was signed within five minutes. Never blocks.

        Raises:
            Problem: 403, it was not.
        """
        if abs(self._clock_ms() - int(timestamp) * 1000) > WINDOW_S * 1000:
            self._on_outcome("wrong_time")
            raise Problem(
                403,
                "WebhookWrongTime",
                f"X-MLflow-Timestamp is more than {WINDOW_S} seconds from now",
                "See that the clocks of MLflow and of this service agree.",
            )

    def require_signed(self, delivery_id: str, timestamp: str, body: bytes, given: str) -> None:
        """Return if MLflow signed this. Never blocks; costs the same for any signature.

        Raises:
            Problem: 403, it did not.
        """
        wanted = signature(self._secret, delivery_id, timestamp, body)
        if not hmac.compare_digest(wanted.encode(), given.encode()):
            self._on_outcome("wrong_signature")
            raise Problem(
                403,
                "WebhookWrongSignature",
                "X-MLflow-Signature is not of this delivery",
                "See that service.webhook_secret is what the webhook in MLflow has; "
                "`python -m app webhook install` sets it.",
            )

    def is_known(self, delivery_id: str) -> bool:
        """Say whether this very process has seen a delivery before. Never blocks."""
        with self._lock:
            known = delivery_id in self._known
        if known:
            self._on_outcome("repeated")
        return known

    def take(self, delivery_id: str, timestamp: str) -> bool:
        """Take a delivery that is signed; return False if any service has taken it before.

        Raises:
            DatabaseUnavailable: Nobody can say; it is not taken.
        """
        row = {
            "delivery_id": delivery_id,
            "expires_ms": (int(timestamp) + WINDOW_S) * 1000 + _SLACK_MS,
        }
        taken = True
        with database.answers_required():
            with self._engine.begin() as connection:
                connection.execute(delete(_table).where(_table.c.expires_ms < self._clock_ms()))
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(_table).values(row))
            except IntegrityError:
                taken = False
        with self._lock:
            self._known[delivery_id] = None
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._on_outcome("taken" if taken else "repeated")
        return taken
