"""The page for people: static files without secrets, which ask the other routes for the rest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.service.problems import not_found

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Of the page: its own scripts and styles, and nothing from elsewhere."""

_FOLDER = Path(__file__).parents[1] / "page"
_START = "index.html"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str


def router() -> APIRouter:
    """Return the routes. The files are read here, once; they are in no description of the API."""
    routes = APIRouter(include_in_schema=False)
    files = _read(_FOLDER)

    @routes.get("/")
    async def page(request: Request) -> Response:
        return _answer(request, files[_START])

    @routes.get("/assets/{name}")
    async def asset(request: Request, name: str) -> Response:
        if name not in files or name == _START:
            raise not_found("such file of the page")
        return _answer(request, files[name])

    return routes


def _read(folder: Path) -> Mapping[str, _File]:
    found = {}
    for path in folder.iterdir():
        if media_type := _MEDIA_TYPES.get(path.suffix):
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[path.name] = _File(content, media_type, tag)
    return found


def _answer(request: Request, file: _File) -> Response:
    """Send it, or say that the browser has it: it asks each time, so a new version is seen."""
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "ETag": file.tag,
    }
    known = [tag.strip().removeprefix("W/") for tag in _known(request).split(",")]
    if file.tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _known(request: Request) -> str:
    return request.headers.get("if-none-match", "")
