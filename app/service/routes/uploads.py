"""Upload a version: received, unpacked and checked on disk, and never loaded."""

import base64
import binascii
import re
import tempfile
from pathlib import Path
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from app.domain.digest import artifact_digest
from app.registry.mlflow_catalog import UPLOADED_BY, WHY
from app.service import body, model_zip
from app.service.allowed import changes
from app.service.audit import Change
from app.service.documents import Uploaded
from app.service.idempotency import Answer, Claim, digest
from app.service.parts import Parts
from app.service.problems import Problem
from app.service.roles import Role
from app.service.routes.common import DIGEST_HEADER, ZIP_BODY, Name, Why, refusals
from app.service.routes.repeatable import IdempotencyKey, once

_BODY = {"requestBody": {"required": True, "content": {"application/zip": ZIP_BODY}}}


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["artifacts"])

    @routes.post(
        "/models/{name}/versions",
        summary="Upload a version",
        status_code=201,
        response_model=Uploaded,
        responses=refusals(408, 409, 413),
        openapi_extra=_BODY,
    )
    async def upload(
        request: Request,
        name: Name,
        change: Annotated[Change, changes(parts.audit, "version.upload", Role.PUBLISHER)],
        content_digest: Annotated[
            str | None,
            Header(
                description="`sha-256=:BASE64:` of the body (RFC 9530).",
                examples=["sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"],
            ),
        ] = None,
        x_artifact_digest: Annotated[
            str | None,
            Header(description="Of the files in it, as a download has it."),
        ] = None,
        idempotency_key: IdempotencyKey = None,
        why: Why = None,  # noqa: ARG001 - the change has read it; this is for the description
    ) -> Response:
        """Send a zip file of the folder that MLflow saves a model in, its MLmodel file at the top.

        One of the two digests must be sent. The model is not loaded.
        """
        with tempfile.TemporaryDirectory(prefix="ds-models-") as folder:
            packed = Path(folder, "artifact.zip")
            sha256 = await body.to_file(request, packed)
            _require_digest(content_digest, x_artifact_digest, sha256)

            def register(claim: Claim) -> Answer:
                return _register(parts, change, name, packed, x_artifact_digest, claim)

            request_sha256 = digest(
                "upload", name, sha256, change.why or "", x_artifact_digest or ""
            )
            return await run_in_threadpool(
                once, parts, request, change, idempotency_key, request_sha256, register
            )

    return routes


def _register(
    parts: Parts, change: Change, name: str, packed: Path, expected: str | None, claim: Claim
) -> Answer:
    """Unpack, check and register what was sent.

    Raises:
        ModelRefused: It is no artifact that may be registered.
        ModelUnavailable: MLflow is away.
        Problem: The digest is another one, or the work was taken over.
    """
    with tempfile.TemporaryDirectory(prefix="ds-models-") as folder:
        unpacked = Path(folder)
        model_zip.unpack(packed, unpacked, parts.bounds.artifact)
        of_files = artifact_digest(unpacked)
        if expected is not None and expected != of_files:
            raise _other_digest(DIGEST_HEADER, of_files)
        parts.catalog.require_allowed(name, unpacked)
        tags = {UPLOADED_BY: change.caller.name, **({WHY: change.why} if change.why else {})}
        version = parts.catalog.register(
            name, unpacked, tags, claim.name, lambda: not claim.owner or parts.keys.holds(claim)
        )
    if version is None:
        raise Problem(
            409,
            "IdempotencyKeyInUse",
            "another service has taken this request over",
            "Ask again with the same key: its answer is kept.",
            {"Retry-After": "1"},
        )
    change.target = f"{name}/{version}"
    headers = {
        DIGEST_HEADER: of_files,
        "Content-Type": "application/json",
        "Location": f"/api/v1/models/{name}/versions/{version}",
    }
    uploaded = Uploaded(name=name, version=version, digest=of_files)
    return Answer(201, headers, orjson.dumps(uploaded.model_dump()))


def _require_digest(content_digest: str | None, of_files: str | None, sha256: str) -> None:
    if content_digest is None and of_files is None:
        raise Problem(
            400,
            "DigestMissing",
            f"neither Content-Digest nor {DIGEST_HEADER} was sent",
            "Send `Content-Digest: sha-256=:BASE64:` of the zip file.",
        )
    if content_digest is None:
        return
    sent = re.search(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):", content_digest)
    try:
        expected = base64.b64decode(sent[1], validate=True).hex() if sent else None
    except binascii.Error:
        expected = None
    if expected is None:
        raise Problem(
            400,
            "BadDigest",
            "Content-Digest has no `sha-256=:BASE64:`",
            "Send it as RFC 9530 has it.",
        )
    if expected != sha256:
        came = base64.b64encode(bytes.fromhex(sha256)).decode()
        raise _other_digest("Content-Digest", f"sha-256=:{came}:")


def _other_digest(header: str, came: str) -> Problem:
    return Problem(
        422,
        "DigestDiffers",
        f"what came has {came}, which is not what {header} says",
        "Send it again; if it lasts, look at what is sent.",
    )
