"""The application: the API, its documentation and the page, behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Match, Route

from ribocast import __version__
from ribocast.errors import RibocastError
from ribocast.web.answers import json_answer
from ribocast.web.api import make_router
from ribocast.web.docs_page import DOCS_STYLE, docs_html
from ribocast.web.guard import App, Guard
from ribocast.web.limits import RefusedError, problem
from ribocast.web.metrics import Metrics
from ribocast.web.openapi import describe
from ribocast.web.service import Service
from ribocast.web.settings import Settings
from ribocast.web.static import mount_page

_ABOUT = "From a 5′ UTR to how well its mRNA is translated. An MRL is in ribosomes per mRNA of the assay."
_SHOWN = 200
_PACKED_BYTES = 1_000
"""Answers of this size or more are compressed where the client takes it."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class Application(Guard):
    """An ASGI application, and the service inside it.

    Parameters
    ----------
    settings : Settings
        See there.

    Attributes
    ----------
    service : Service
        The models and the jobs.
    api : fastapi.FastAPI
        What the guard guards.

    Raises
    ------
    RibocastError
        If a model cannot be loaded.
    """

    def __init__(self, settings: Settings) -> None:
        metrics = Metrics()
        self.service = Service(settings, metrics)

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            yield
            self.service.close()

        self.api = FastAPI(
            title="ribocast", version=__version__, description=_ABOUT, docs_url=None, redoc_url=None, openapi_url=None,
            lifespan=lifespan, servers=[{"url": "/"}],
        )  # fmt: skip
        router = make_router(self.service, metrics)
        self.api.include_router(router)
        _answer_errors(self.api)
        self.api.add_middleware(GZipMiddleware, minimum_size=_PACKED_BYTES, compresslevel=5)

        @self.api.get("/api/openapi.json", include_in_schema=False)
        async def openapi() -> Response:
            return json_answer(describe(self.api, settings))

        @self.api.get("/api/docs", include_in_schema=False)
        async def docs() -> HTMLResponse:
            return HTMLResponse(docs_html(describe(self.api, settings)))

        @self.api.get("/api/docs.css", include_in_schema=False)
        async def docs_style() -> Response:
            return Response(DOCS_STYLE, media_type="text/css")

        @self.api.api_route("/api/{_:path}", methods=list(_METHODS), include_in_schema=False)
        async def nowhere(request: Request) -> None:
            # Before the page, which would answer in a form of its own.
            routes = [route for route in (*router.routes, *self.api.router.routes) if isinstance(route, Route)]
            partly = [route for route in routes if route.matches(request.scope)[0] is Match.PARTIAL]
            allowed = sorted({method for route in partly for method in route.methods or ()})
            raise HTTPException(405, headers={"Allow": ", ".join(allowed)}) if allowed else HTTPException(404)

        if settings.page:
            mount_page(self.api)
        # Nothing that a client sends is written to the disk.
        MultiPartParser.spool_max_size = settings.max_body_bytes + 1
        super().__init__(cast(App, self.api), settings, metrics, lambda: self.service.jobs.is_closing)


def _answer_errors(app: FastAPI) -> None:
    """Say every error in the same form (RFC 9457), and in the words of the command line."""

    @app.exception_handler(RibocastError)
    async def ours(_: Request, error: RibocastError) -> Response:
        if isinstance(error, RefusedError):
            return problem(error)
        return problem(RefusedError(422, str(error), field=getattr(error, "field", None)))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "query")[:_SHOWN]
        return problem(RefusedError(422, f"{where or 'the request'}: {first['msg'][:_SHOWN]}", field=where or None))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return problem(RefusedError(error.status_code, str(error.detail)), error.headers)
