"""Audit records: each change that was asked for, who asked, and what became of it.

The record is written before the change, as `started`, and finished after it: one that stays
`started` is of a service that was killed in between, so the change may have been made.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from sqlalchemy import Engine, insert, select, update

from app.domain.errors import DatabaseUnavailable
from app.service import database
from app.service.problems import problem_of
from app.service.roles import Caller

log = structlog.get_logger()


@dataclass(slots=True)
class Change:
    """A change that is under way; whoever makes it says what is known of it.

    Attributes:
        action: As `version.upload`.
        target: What is changed.
        why: As the caller says.
        outcome: `started`, then `done`, `repeated` (an answer given again), `refused` or `failed`.
    """

    caller: Caller
    action: str
    target: str
    why: str | None
    request_id: str | None
    outcome: str = "started"


class Audit:
    """The audit records of a database.

    Args:
        engine: Of the database.
        clock_ms: Unix milliseconds.
        on_change: Told the action and the outcome of each.
    """

    def __init__(
        self,
        engine: Engine,
        clock_ms: Callable[[], int],
        on_change: Callable[[str, str], None] = lambda _action, _outcome: None,
    ) -> None:
        self._engine = engine
        self._clock_ms = clock_ms
        self._on_change = on_change

    @contextmanager
    def of(self, change: Change) -> Iterator[Change]:
        """Make the change inside: its record is there before, and says how it ended after.

        Raises:
            DatabaseUnavailable: There can be no record, so there must be no change.
        """
        number = self._begin(change)
        try:
            yield change
        except BaseException as error:
            problem = problem_of(error) if isinstance(error, Exception) else None
            status = 500 if problem is None else problem.status_code
            refused = status < HTTPStatus.INTERNAL_SERVER_ERROR
            change.outcome = "refused" if refused else "failed"
            self._end(number, change, status, str(problem.detail) if problem else None)
            raise
        if change.outcome == "started":
            change.outcome = "done"
        self._end(number, change, None, None)

    def newest(self, limit: int, before: int | None) -> list[dict[str, Any]]:
        """Return records, the newest first.

        Args:
            limit: The most.
            before: Only those with a smaller number.

        Raises:
            DatabaseUnavailable: The database can't be used.
        """
        table = database.audit
        wanted = select(table).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(table.c.id < before)
        with database.answers_required(), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(wanted).mappings()]

    def _begin(self, change: Change) -> int:
        row = {
            "at_ms": self._clock_ms(),
            "who": change.caller.name,
            "role": change.caller.role.value,
            "action": change.action,
            "target": change.target,
            "why": change.why,
            "outcome": change.outcome,
            "request_id": change.request_id,
        }
        with database.answers_required(), self._engine.begin() as connection:
            key = connection.execute(insert(database.audit).values(row)).inserted_primary_key
        assert key is not None  # noqa: S101 - one row was inserted
        return int(key[0])

    def _end(self, number: int, change: Change, status: int | None, detail: str | None) -> None:
        table = database.audit
        ended = {"outcome": change.outcome, "target": change.target}
        row = update(table).where(table.c.id == number)
        try:
            with database.answers_required(), self._engine.begin() as connection:
                connection.execute(row.values(**ended, status=status, detail=detail))
        except DatabaseUnavailable as error:  # the change is made: its record stays `started`
            log.error("audit.not_finished", record=number, error=str(error))
        self._on_change(change.action, change.outcome)
        log.info(
            "change",
            action=change.action,
            who=change.caller.name,
            why=change.why,
            status=status,
            detail=detail,
            request_id=change.request_id,
            **ended,
        )
