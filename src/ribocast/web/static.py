"""The page's files: read once, when the server starts, so that no request opens a file or names a path."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

FOLDER = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".LICENSE": "text/plain",
}


class _File(NamedTuple):
    kind: str
    content: bytes
    tag: str


def mount_page(app: FastAPI) -> None:
    """Serve ``index.html`` at ``/`` and the files beside it below ``/page/``."""
    paths = sorted(path for path in FOLDER.rglob("*") if path.suffix in _TYPES and path.is_file())
    files = {f"page/{path.relative_to(FOLDER).as_posix()}": _read(path) for path in paths}
    files[""] = files["page/index.html"]

    @app.api_route("/{name:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(404)
        file = files[name]
        # Asked for again at each visit, and sent again only when it has changed: the parts of a page fit each other.
        headers = {"etag": file.tag, "cache-control": "no-cache"}
        known = request.headers.get("if-none-match", "").split(",")
        if file.tag in (tag.strip().removeprefix("W/") for tag in known):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.kind)


def _read(path: Path) -> _File:
    content = path.read_bytes()
    return _File(_TYPES[path.suffix], content, f'"{hashlib.sha256(content).hexdigest()[:24]}"')
