"""What serves the registry over HTTP, and what makes its tokens."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

from app.bootstrap import (
    access,
    announcing,
    history,
    parts,
    promoting,
    redriving,
    serving_reconciler,
)
from app.bootstrap.clock import now_ms
from app.domain.errors import AccessDenied, BrokerUnavailable
from app.domain.plans import Announcement, Plan, PlanTable
from app.domain.promoting import Promoted
from app.registry import announcer
from app.registry.mlflow_catalog import MlflowCatalog
from app.service import database
from app.service.application import Application, application
from app.service.audit import Audit, Change
from app.service.idempotency import IdempotencyKeys
from app.service.metrics import ServiceMetrics
from app.service.model_zip import Limits
from app.service.parts import Bounds, Parts
from app.service.predicting import Predictor, RecentPlans
from app.service.rate import Rate
from app.service.recently import Recently
from app.service.roles import Caller, Role
from app.service.serving import Serving
from app.service.tokens import Token, Tokens
from app.service.webhooks import Webhooks
from app.service.wrong_tokens import WrongTokens
from app.settings import Settings
from app.stream.hot_swap import HotSwap
from app.stream.workspace import own_folder
from app.tools import announcement_history
from app.tools.watching.status import as_dict, status_of
from app.topics import reading, status

_MEGABYTE = 1_000_000
_PREPARED = 1_000  # versions that were named, and looked at
_COUNTED_FOR_S = 2.0  # dead letters, for all who ask
_COUNTING_S = 5.0  # at most
_LET_IN_S = 2.0  # Kafka's first answer


@contextmanager
def registry_service(settings: Settings, *, dev: bool) -> Iterator[Application]:
    """Have the service as an application; what it loads is dropped at the end of the block.

    Its reconciler runs for as long.

    Raises:
        DatabaseUnavailable: Its database can't be used.
        SettingsError: Its database is none.
        AccessDenied: Kafka does not let it in, or does not allow all that it does.
    """
    try:
        access.require(settings, "registry", timeout_s=_LET_IN_S)
    except AccessDenied:
        raise
    except BrokerUnavailable:  # it may come, and the readiness tells of it
        pass
    engine = database.open_database(settings.service.database_url)
    models, metrics = parts.models(settings), ServiceMetrics()
    catalog = MlflowCatalog(
        models, settings.mlflow.tracking_uri, parts.policy(settings), settings.model.experiment
    )
    loaded = HotSwap(models, own_folder(settings.model.cache_dir), keep=settings.model.kept)
    loaded.start()

    @lru_cache(_PREPARED)
    def prepare(name: str, version: str, _created_ms: int) -> Announcement:
        return announcer.prepare(models, name, version, guard_ms=0, check=None)

    recent = RecentPlans(
        lambda: PlanTable.of(history.entries(settings)),
        settings.announcements.guard_ms / 1000,
        now_ms,
    )

    def in_force(name: str) -> Plan | None:
        return recent.in_force() if name == settings.model.name else None

    def letters(minutes: int) -> Mapping[str, Any]:
        return redriving.recent_letters(settings, minutes, now_ms(), _COUNTING_S)

    wanted = settings.service
    secret, ends = wanted.webhook_secret, ExitStack()
    try:
        inside = ends.enter_context(serving_reconciler.inside_of_service(settings, metrics))
        yield application(
            Parts(
                tokens=Tokens(engine, now_ms),
                audit=Audit(engine, now_ms, metrics.changed),
                keys=IdempotencyKeys(
                    engine, now_ms, keep_ms=round(wanted.idempotency_hours * 3_600_000)
                ),
                rate=Rate(wanted.requests_per_s, wanted.burst, time.monotonic),
                wrong_tokens=WrongTokens(wanted.wrong_tokens_per_min, time.monotonic),
                metrics=metrics,
                catalog=catalog,
                predictor=Predictor(
                    parts.decoder(settings), loaded, in_force, prepare, wanted.load_timeout_s
                ),
                entries=lambda: history.entries(settings),
                serving=_serving(settings),
                history=lambda: announcement_history.history(history.announced(settings), now_ms()),
                in_force=lambda: _status(settings, with_instances=False),
                instances=lambda: _status(settings, with_instances=True)["instances"],
                dead_letters=Recently(letters, _COUNTED_FOR_S, time.monotonic),
                reconciler=inside.state,
                look_again=inside.look_again,
                checks={
                    "the database": lambda: database.require_answer(engine),
                    "MLflow": models.require_answer,
                    "Kafka": lambda: parts.require_broker(settings, 5.0),
                },
                bounds=_bounds(settings),
                webhooks=Webhooks(secret, engine, now_ms, metrics.webhook) if secret else None,
                dev=dev,
                cors_origins=wanted.cors_origins,
            )
        )
    finally:
        ends.close()
        loaded.close()
        engine.dispose()


def _serving(settings: Settings) -> Serving:
    name = settings.model.name

    def promote(version: str, who: str, why: str | None) -> Promoted:
        # Not loaded here: the reconciler does that before it is staged.
        return promoting.promote(settings, version, who=who, why=why, check=False)

    return Serving(
        model=name,
        alias=settings.model.alias,
        stage=lambda version, why: announcing.stage(settings, name, version, why=why, check=True),
        unstage=lambda why: announcing.unstage(settings, why),
        promote=promote,
        roll_back=lambda who, why, instead_of: promoting.roll_back(
            settings, who=who, why=why, check=False, timeout_s=None, instead_of=instead_of
        ),
    )


@contextmanager
def token_store(settings: Settings) -> Iterator[Tokens]:
    """Have the tokens of the service's database.

    Raises:
        DatabaseUnavailable: It can't be used.
        SettingsError: It is none.
    """
    engine = database.open_database(settings.service.database_url)
    try:
        yield Tokens(engine, now_ms)
    finally:
        engine.dispose()


def create_token(
    settings: Settings, name: str, role: Role, lasts_ms: int | None
) -> tuple[Token, str]:
    """Make a token, with an audit record; return it with its text.

    Raises:
        Refused: There is, or was, one of this name.
        SettingsError: That is no name, or the address of the database is none.
        DatabaseUnavailable: The database can't be used.
    """
    with _audited(settings, "token.create", name) as tokens:
        return tokens.create(name, role, lasts_ms)


def revoke_token(settings: Settings, name: str) -> Token:
    """Take a token out of use, with an audit record.

    Raises:
        Refused: There is none of this name.
        SettingsError: The address of the database is none.
        DatabaseUnavailable: The database can't be used.
    """
    with _audited(settings, "token.revoke", name) as tokens:
        return tokens.revoke(name)


@contextmanager
def _audited(settings: Settings, action: str, name: str) -> Iterator[Tokens]:
    engine = database.open_database(settings.service.database_url)
    operator = Caller("command line", Role.ADMIN)
    try:
        with Audit(engine, now_ms).of(Change(operator, action, name[:64], None, None)):
            yield Tokens(engine, now_ms)
    finally:
        engine.dispose()


def _status(settings: Settings, *, with_instances: bool) -> dict[str, Any]:
    """Return what `status` prints, without the lag: that takes two questions and a pause."""
    parts.require_broker(settings)
    table = PlanTable.of(history.entries(settings))
    heard = (
        status.newest(reading.read(parts.kafka(settings), settings.topics.status))
        if with_instances
        else []
    )
    group = settings.kafka.consumer_group
    return as_dict(status_of(now_ms(), group, table, heard, {}, {}, 1.0, 0))


def _bounds(settings: Settings) -> Bounds:
    wanted = settings.service
    return Bounds(
        body_bytes=round(wanted.max_body_mb * _MEGABYTE),
        upload_bytes=round(wanted.max_upload_mb * _MEGABYTE),
        body_s=wanted.body_timeout_s,
        rows=wanted.max_rows,
        artifact=Limits(total_bytes=parts.policy(settings).max_artifact_bytes),
    )
