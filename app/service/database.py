"""The service's own tables: what must last and neither MLflow nor Kafka keeps.

Every time is in Unix milliseconds. Any number of services share one database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from app.domain.errors import DatabaseUnavailable, SettingsError

SCHEMA_VERSION = 1
_TRIES = 5  # two services that start at once make the same tables

_all = MetaData()

schema = Table(
    "ds_models_schema",
    _all,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
tokens = Table(
    "ds_models_tokens",
    _all,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("revoked_ms", BigInteger),
)
audit = Table(
    "ds_models_audit",
    _all,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("why", Text),
    Column("outcome", String(16), nullable=False),
    Column("status", Integer),
    Column("detail", Text),
    Column("request_id", String(64)),
)
idempotency = Table(
    "ds_models_idempotency",
    _all,
    Column("who", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    Column("owner", String(32), nullable=False),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
)
webhooks = Table(
    "ds_models_webhooks",
    _all,
    Column("delivery_id", String(64), primary_key=True),
    Column("expires_ms", BigInteger, nullable=False),
)


def open_database(url: str, timeout_s: float = 5.0) -> Engine:
    """Connect, and make the tables that are missing.

    Args:
        url: As SQLAlchemy reads it, of sqlite or PostgreSQL.
        timeout_s: How long to wait for a connection, or for a lock of sqlite.

    Raises:
        SettingsError: The address is none, or its driver is not installed.
        DatabaseUnavailable: It does not answer, or a newer version made its tables.
    """
    try:
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        wait = {"timeout": timeout_s} if is_sqlite else {"connect_timeout": round(timeout_s)}
        engine = create_engine(parsed, connect_args=wait, pool_pre_ping=not is_sqlite)
    except (ArgumentError, SQLAlchemyError, ImportError, ValueError) as error:
        reason = error if isinstance(error, ImportError) else type(error).__name__
        raise SettingsError(f"service.database_url can't be used: {reason}") from error
    except OSError as error:
        raise DatabaseUnavailable(f"service.database_url: {error.strerror}") from error
    with answers_required():
        _make_tables(engine)
    return engine


def require_answer(engine: Engine) -> None:
    """Return if the database answers.

    Raises:
        DatabaseUnavailable: It doesn't.
    """
    with answers_required(), engine.connect() as connection:
        connection.execute(select(schema.c.version))


@contextmanager
def answers_required() -> Iterator[None]:
    """Raise what SQLAlchemy says of a database that can't be used as DatabaseUnavailable."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        said = (str(cause).splitlines() or [""])[0][:200]
        raise DatabaseUnavailable(f"the database: {type(cause).__name__}: {said}") from error


def _make_tables(engine: Engine) -> None:
    with engine.connect():
        pass  # raises at once if nobody is there
    for tried in range(1, _TRIES + 1):
        try:
            with engine.begin() as connection:
                _all.create_all(connection)
                found = connection.execute(select(schema.c.version)).scalar()
                if found is None:
                    connection.execute(insert(schema).values(id=1, version=SCHEMA_VERSION))
        except DBAPIError:  # another service has just made them
            if tried == _TRIES:
                raise
        else:
            break
    if found is not None and found > SCHEMA_VERSION:
        raise DatabaseUnavailable(
            f"a newer version of this software made the tables ({found}; this one knows "
            f"{SCHEMA_VERSION})"
        )
