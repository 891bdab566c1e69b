"""Download the files of a version, and take a version out of the registry."""

import tempfile
import time
from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from app.domain.digest import artifact_digest
from app.domain.errors import Refused
from app.domain.in_use import plans_of
from app.domain.promoting import said_of
from app.service import model_zip
from app.service.allowed import changes, needs
from app.service.audit import Change
from app.service.documents import Deleted
from app.service.parts import Parts
from app.service.problems import not_found
from app.service.roles import Role
from app.service.routes.common import DIGEST_HEADER, ZIP_BODY, Name, VersionNumber, Why, refusals
from app.service.routes.versions import found
from app.service.withdrawing import entries_of, retire

_AT_ONCE = 1 << 20


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["artifacts"])

    @routes.get(
        "/models/{name}/versions/{version}/artifact",
        summary="Download a version",
        dependencies=[needs(Role.READER)],
        response_class=Response,
        responses={
            **refusals(404),
            200: {
                "content": {"application/zip": ZIP_BODY},
                "headers": {
                    DIGEST_HEADER: {
                        "description": "Of the files in it.",
                        "schema": {"type": "string"},
                    }
                },
            },
        },
    )
    def download(name: Name, version: VersionNumber) -> Response:
        """A zip file with the files as they were uploaded, byte for byte."""
        found(parts.catalog, name, version)
        packed = tempfile.TemporaryFile(prefix="ds-models-")  # noqa: SIM115 - closed once it is sent
        try:
            with parts.catalog.fetched(name, version) as folder:
                model_zip.pack(folder, packed)
                of_files = artifact_digest(folder)
        except BaseException:
            packed.close()
            raise
        headers = {
            DIGEST_HEADER: of_files,
            "Content-Length": str(packed.tell()),
            "Content-Disposition": f'attachment; filename="{name}-{version}.zip"',
        }
        return StreamingResponse(_parts(packed), headers=headers, media_type="application/zip")

    @routes.delete(
        "/models/{name}/versions/{version}",
        summary="Delete a version",
        responses=refusals(404, 409),
    )
    def delete(
        name: Name,
        version: VersionNumber,
        change: Annotated[Change, changes(parts.audit, "version.delete", Role.ADMIN)],
        break_replay: Annotated[
            bool, Query(description="Also if a plan names it: that can't be replayed then.")
        ] = False,
        why: Why = None,  # noqa: ARG001 - the change has read it; this is for the description
    ) -> Deleted:
        """Refused while a plan on the topic names it, voided or not, or it is needed otherwise.

        MLflow keeps its files. Takes a second, in which nobody can announce it.
        """
        facts = found(parts.catalog, name, version)
        said = said_of("to be deleted", change.caller.name, round(time.time() * 1000), change.why)
        plans = plans_of(version, entries_of(parts, name))
        if plans and not break_replay:
            offsets = ", ".join(map(str, plans))
            raise Refused(
                f"version {version} of {name} is named by the plans at the offsets {offsets}: "
                "they could not be replayed; break_replay=true deletes it all the same"
            )
        retire(parts, facts, said, forced=break_replay)
        if plans:
            change.target += f" (plans {', '.join(map(str, plans))})"
        if not parts.catalog.delete(name, version):
            raise not_found(f"version {version} of {name}")
        return Deleted(name=name, version=version, plans=plans)

    return routes


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while part := file.read(_AT_ONCE):
            yield part
