"""Read the audit records."""

from fastapi import APIRouter

from app.domain.times import instant
from app.service.allowed import needs
from app.service.documents import AuditRecord, AuditRecords
from app.service.parts import Parts
from app.service.roles import Role
from app.service.routes.common import Limit, PageToken, bad_page_token, closed, opened, refusals


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["audit"], dependencies=[needs(Role.ADMIN)])

    @routes.get("/audit", summary="The audit records", responses=refusals())
    def records(limit: Limit = 50, page_token: PageToken = None) -> AuditRecords:
        """Each change that was asked for, and each refusal of one, the newest first."""
        before = opened("audit", page_token)
        if before is not None and not (before.isascii() and before.isdigit() and len(before) < 19):  # noqa: PLR2004
            raise bad_page_token()
        rows = parts.audit.newest(limit, None if before is None else int(before))
        last = str(rows[-1]["id"]) if len(rows) == limit else None
        return AuditRecords(
            records=[AuditRecord(at=instant(row.pop("at_ms")), **row) for row in rows],
            next_page_token=closed("audit", last),
        )

    return routes
