"""The health and the metrics of the service itself."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.domain.errors import DsModelsError
from app.service.allowed import needs
from app.service.documents import Health
from app.service.parts import Parts
from app.service.roles import Role
from app.service.routes.common import refusals

_FRESH_S = 2.0  # anybody may ask


def router(parts: Parts) -> APIRouter:
    """Return the routes. Whoever is outside of the gate is told what is away, and no more."""
    routes = APIRouter(tags=["operator"])
    readiness = _Readiness(parts.checks)

    @routes.get("/healthz", summary="Is it alive?")
    async def alive() -> Health:  # waits for no thread, however many are busy
        """200 as long as the service answers at all."""
        return Health(ok=True, why=None)

    @routes.get("/readyz", summary="Is it ready?", responses={503: {"model": Health}})
    def ready(response: Response) -> Health:
        """200 if the database, MLflow and Kafka answer; asked every two seconds at most."""
        why = readiness.why_not()
        response.status_code = 200 if why is None else 503
        return Health(ok=why is None, why=why)

    @routes.get(
        "/metrics",
        summary="Metrics",
        dependencies=[needs(Role.READER)],
        response_class=Response,
        responses={**refusals(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def metrics() -> Response:
        """As Prometheus reads them."""
        shown = generate_latest(parts.metrics.registry)
        return Response(shown, media_type=CONTENT_TYPE_LATEST)

    return routes


class _Readiness:
    def __init__(self, checks: Mapping[str, Callable[[], None]]) -> None:
        self._checks = checks
        self._lock = threading.Lock()
        self._seen_at = -math.inf
        self._why_not: str | None = "nobody has looked yet"

    def why_not(self) -> str | None:
        """Say what is away; what was seen last while somebody else is looking."""
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._seen_at > _FRESH_S:
                    self._why_not = self._look()
                    self._seen_at = time.monotonic()
            finally:
                self._lock.release()
        return self._why_not

    def _look(self) -> str | None:
        with ThreadPoolExecutor(len(self._checks)) as pool:
            answers = list(pool.map(_answers, self._checks.values()))
        away = [name for name, well in zip(self._checks, answers, strict=True) if not well]
        return f"no answer from {', '.join(away)}" if away else None


def _answers(check: Callable[[], None]) -> bool:
    try:
        check()
    except DsModelsError:
        return False
    return True
