"""Idempotency keys: the same request with the same key is done once, by whichever service.

A key is claimed by inserting its row. The claim is a lease that is renewed while the work goes on:
if the service is killed, the lease ends, and the next try of the same request takes it over. What
the work changes outside of this database must carry `Claim.name`, so that one who takes over finds
what was done before.
"""

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from sqlalchemy import ColumnElement, Engine, Executable, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.domain.errors import DatabaseUnavailable
from app.service import database
from app.service.problems import Problem, problem_of

log = structlog.get_logger()
_table = database.idempotency


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was given."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do what a key stands for.

    Attributes:
        name: The same for each try of the same request; what is changed elsewhere carries it.
    """

    who: str
    key: str
    request_sha256: str
    owner: str

    @property
    def name(self) -> str:
        """The same for each try of the same request, and for nothing else."""
        return digest(self.who, self.key, self.request_sha256)


def digest(*parts: str) -> str:
    """Return a SHA-256 of texts, whichever characters they hold.

    >>> digest("a", "bc") == digest("ab", "c")
    False
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class IdempotencyKeys:
    """The keys of a database.

    Args:
        engine: Of the database.
        clock_ms: Unix milliseconds; those of all services differ by far less than a lease.
        keep_ms: How long an answer is kept.
        lease_ms: After so long a key whose service was killed can be taken over.
    """

    def __init__(
        self,
        engine: Engine,
        clock_ms: Callable[[], int],
        *,
        keep_ms: int = 86_400_000,
        lease_ms: int = 15_000,
    ) -> None:
        self._engine = engine
        self._clock_ms = clock_ms
        self._keep_ms = keep_ms
        self._lease_ms = lease_ms

    def once(
        self, who: str, key: str, request_sha256: str, path: str, work: Callable[[Claim], Answer]
    ) -> tuple[Answer, bool]:
        """Do the work unless it was done; return its answer, and whether it was given before.

        What the work refuses is an answer too, and is kept. A failure is not: try it again.

        Raises:
            Problem: 422 if the key belongs to another request, 409 while that is under way;
                or what the work raised.
            DatabaseUnavailable: The database can't be used; the work was not begun.
        """
        claim = self._claim(who, key, request_sha256)
        if isinstance(claim, Answer):
            return claim, True
        with self._renewed(claim):
            try:
                answer = work(claim)
            except Exception as error:
                problem = problem_of(error)
                if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    self._release(claim)
                else:
                    said = problem.response(path, None)
                    self._settle(
                        claim, Answer(said.status_code, dict(said.headers), bytes(said.body))
                    )
                raise
        self._settle(claim, answer)
        return answer, False

    def holds(self, claim: Claim) -> bool:
        """Say whether nobody has taken the claim over."""
        with database.answers_required(), self._engine.connect() as connection:
            wanted = select(_table.c.owner).where(_is(claim))
            return connection.execute(wanted).one_or_none() is not None

    def _claim(self, who: str, key: str, request_sha256: str) -> Claim | Answer:
        claim = Claim(who, key, request_sha256, secrets.token_hex(16))
        place = and_(_table.c.who == who, _table.c.key == key)
        while True:
            now = self._clock_ms()
            row = {
                "who": who,
                "key": key,
                "request_sha256": request_sha256,
                "owner": claim.owner,
                "lease_until_ms": now + self._lease_ms,
                "expires_ms": now + self._keep_ms,
            }
            with database.answers_required():
                self._forget_expired(now)
                try:
                    with self._engine.begin() as connection:
                        connection.execute(insert(_table).values(row))
                except IntegrityError:
                    pass
                else:
                    return claim
                with self._engine.connect() as connection:
                    found = connection.execute(select(_table).where(place)).one_or_none()
                if found is None:  # it was released just now
                    continue
                if found.request_sha256 != request_sha256:
                    raise Problem(
                        422,
                        "IdempotencyKeyReused",
                        "the Idempotency-Key belongs to another request",
                        "Take a new key for each request that differs.",
                    )
                if found.status is not None:
                    return Answer(found.status, json.loads(found.headers), found.body)
                if found.lease_until_ms > now:
                    wait_s = (found.lease_until_ms - now) // 1000 + 1
                    raise Problem(
                        409,
                        "IdempotencyKeyInUse",
                        "the same request is under way",
                        "Ask again with the same key: its answer is kept.",
                        {"Retry-After": str(wait_s)},
                    )
                taken = update(_table).where(place, _table.c.owner == found.owner)
                with self._engine.begin() as connection:
                    if connection.execute(taken.values(row)).rowcount == 1:
                        log.warning("idempotency.taken_over", who=who)
                        return claim

    @contextmanager
    def _renewed(self, claim: Claim) -> Iterator[None]:
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self._lease_ms / 3000):
                until = self._clock_ms() + self._lease_ms
                try:
                    with database.answers_required(), self._engine.begin() as connection:
                        connection.execute(
                            update(_table).where(_is(claim)).values(lease_until_ms=until)
                        )
                except DatabaseUnavailable as error:
                    log.warning("idempotency.not_renewed", error=str(error))

        thread = threading.Thread(target=renew, name="idempotency-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _settle(self, claim: Claim, answer: Answer) -> None:
        kept = {
            "status": answer.status,
            "headers": json.dumps(dict(answer.headers)),
            "body": answer.body,
        }
        self._write(update(_table).where(_is(claim)).values(kept))

    def _release(self, claim: Claim) -> None:
        self._write(delete(_table).where(_is(claim)))

    def _write(self, statement: Executable) -> None:
        try:
            with database.answers_required(), self._engine.begin() as connection:
                connection.execute(statement)
        except DatabaseUnavailable as error:  # the work is done: a repetition finds it by its name
            log.error("idempotency.not_kept", error=str(error))

    def _forget_expired(self, now_ms: int) -> None:
        expired = and_(_table.c.expires_ms <= now_ms, _table.c.lease_until_ms <= now_ms)
        with self._engine.begin() as connection:
            connection.execute(delete(_table).where(expired))


def _is(claim: Claim) -> ColumnElement[bool]:
    return and_(_table.c.who == claim.who, _table.c.key == claim.key, _table.c.owner == claim.owner)
