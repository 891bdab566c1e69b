"""API tokens: made once, shown once, and kept only as a hash.

A token is `NAME.SECRET`. The secret has 256 random bits, so that one round of SHA-256 is enough:
slow hashes protect what people choose. The name finds the row, and the hash of the secret is
compared in constant time. (A colon would not do: RFC 6750 has none among a token's characters.)
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.domain.errors import Refused, SettingsError
from app.service import database
from app.service.roles import DEVELOPER, Caller, Role

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOBODY = hashlib.sha256(b"").hexdigest()

State = Literal["valid", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; never its secret. Times are Unix milliseconds."""

    name: str
    role: Role
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None

    def state(self, now_ms: int) -> State:
        """Say whether it opens anything at this time.

        >>> Token("ci", Role.READER, 0, 1_000, None).state(1_000)
        'expired'
        """
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and self.expires_ms <= now_ms else "valid"


class Tokens:
    """The tokens of a database.

    Args:
        engine: Of the database.
        clock_ms: Unix milliseconds.
    """

    def __init__(self, engine: Engine, clock_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_ms = clock_ms

    def create(self, name: str, role: Role, lasts_ms: int | None) -> tuple[Token, str]:
        """Make a token; return it with its text, which nobody can see again.

        Args:
            name: Of the token; it stands in each audit record.
            role: What it may do.
            lasts_ms: How long, in milliseconds; None for ever.

        Raises:
            SettingsError: That is no name.
            Refused: There is, or was, a token of this name.
            DatabaseUnavailable: The database can't be used.
        """
        if not _NAME.fullmatch(name) or name == DEVELOPER.name:
            raise SettingsError(
                f"{name!r} is no name of a token: 1 to 64 letters, digits, _ and -, not 'dev'"
            )
        now = self._clock_ms()
        secret = secrets.token_urlsafe(32)
        token = Token(name, role, now, None if lasts_ms is None else now + lasts_ms, None)
        row = {
            "name": name,
            "role": role.value,
            "secret_sha256": _hash(secret),
            "created_ms": now,
            "expires_ms": token.expires_ms,
        }
        with database.answers_required():
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(database.tokens).values(row))
            except IntegrityError as error:
                raise Refused(
                    f"there is a token {name!r} already, or was: audit records name it; choose "
                    "another name"
                ) from error
        return token, f"{name}.{secret}"

    def caller(self, text: str) -> Caller | str:
        """Return who has this token, or why it opens nothing. Costs the same for any secret.

        Raises:
            DatabaseUnavailable: The database can't be used.
        """
        name, _, secret = text.rpartition(".")
        found = self._row(name) if _NAME.fullmatch(name) else None
        kept = _NOBODY if found is None else found[1]
        if not hmac.compare_digest(_hash(secret), kept) or found is None:
            return "there is no such token"
        token = found[0]
        state = token.state(self._clock_ms())
        return Caller(token.name, token.role) if state == "valid" else f"the token is {state}"

    def all(self) -> list[Token]:
        """Return all tokens that ever were, by name.

        Raises:
            DatabaseUnavailable: The database can't be used.
        """
        with database.answers_required(), self._engine.connect() as connection:
            rows = connection.execute(select(database.tokens).order_by(database.tokens.c.name))
            return [_token(row) for row in rows]

    def revoke(self, name: str) -> Token:
        """Take a token out of use at once, for good; one that is revoked stays so.

        Raises:
            Refused: There is no such token.
            DatabaseUnavailable: The database can't be used.
        """
        table = database.tokens
        change = update(table).where(table.c.name == name, table.c.revoked_ms.is_(None))
        with database.answers_required():
            with self._engine.begin() as connection:
                connection.execute(change.values(revoked_ms=self._clock_ms()))
            found = self._row(name)
        if found is None:
            raise Refused(f"there is no token {name!r}")
        return found[0]

    def _row(self, name: str) -> tuple[Token, str] | None:
        wanted = select(database.tokens).where(database.tokens.c.name == name)
        with database.answers_required(), self._engine.connect() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else (_token(row), row.secret_sha256)


def _token(row: object) -> Token:
    fields = row._mapping  # type: ignore[attr-defined] # noqa: SLF001 - its public name
    return Token(
        fields["name"],
        Role(fields["role"]),
        fields["created_ms"],
        fields["expires_ms"],
        fields["revoked_ms"],
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
