"""What stands before everything: who may call, how often, how large, and what no answer lacks.

An ASGI layer around the page and the API alike. A request's body is read here, whole or not at all, so that nothing
behind it meets half of one; its log lines say route, status and time, and nothing that a client wrote.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ribocast.web.jobs import where_of
from ribocast.web.limits import Rate, RefusedError, problem
from ribocast.web.metrics import Metrics
from ribocast.web.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_METHODS = _CHANGES | {"GET", "HEAD", "OPTIONS"}
_OPEN = "/api/v1/healthz"
"""Answers to all, so that whoever watches the server needs no token."""
_DRAINED_BODIES, _DRAIN_SECONDS = 30, 5.0
"""So much more than the limit is read and thrown away, so that a client who sends too much hears why."""
_NEEDED = re.compile(r"/(?:api/.*|page/.*)?")
_LOCAL = ("localhost", "127.0.0.1", "::1")
_log = logging.getLogger("ribocast.web")


class _GoneError(Exception):
    """The client hung up before it had sent its request."""


class _Call(NamedTuple):
    method: str
    path: str
    client: str
    headers: dict[str, str]


class Guard:
    """The layer; see the module.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    settings : Settings
        The limits.
    metrics : Metrics
        Where answers are counted.
    """

    def __init__(self, app: App, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._rate = Rate(settings.calls_per_minute)
        self._headers = [(name.encode(), value.encode()) for name, value in _security(settings).items()]
        self._now = 0
        self._hosts = {host.lower() for host in settings.allowed_hosts}
        if not self._hosts:
            # Other sites' pages reach a server of this machine by a name that they point at it.
            self._hosts = {*_LOCAL, settings.host} if settings.is_local else {"*"}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # There are no WebSockets here.
            await send({"type": "websocket.close", "code": 1008})
            return
        began, status, call = time.perf_counter(), 0, _read_call(scope)

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _with(message.get("headers", ()), self._headers)}
            await send(message)

        try:
            await self._answer(call, scope, receive, watch)
        except _GoneError:
            status = 499
        except RefusedError as refused:
            await _refuse(watch, refused)
        except Exception as error:
            _log.error("%s %s failed: %s", call.method, _route(scope), where_of(error))
            if status:
                raise ConnectionAbortedError from None
            await _refuse(watch, RefusedError(500, "the server failed; its log says where"))
        finally:
            seconds, route = time.perf_counter() - began, _route(scope)
            self._metrics.calls.labels(call.method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            _log.info("%s %s %d %.0f ms", call.method, route, status, seconds * 1000)

    async def _answer(self, call: _Call, scope: Message, receive: Receive, send: Send) -> None:
        self._check_host(call)
        changes = call.method in _CHANGES
        if changes:
            self._rate.take(call.client)
        if call.path != _OPEN:
            self._check_token(call)
        if not _NEEDED.fullmatch(call.path):
            raise RefusedError(404, "Not Found")
        if not _has_body(call):
            await self._app(scope, receive, send)
            return
        if changes and self._now >= self._settings.calls_at_once:
            raise RefusedError(429, f"more than {self._settings.calls_at_once} calls at once; try again in 1 s", 1)
        self._now += 1
        try:
            body = await self._read(call, receive)
            await self._app(scope, _replay(body, receive), send)
        finally:
            self._now -= 1

    def _check_host(self, call: _Call) -> None:
        host = _host(f"//{call.headers.get('host', '')}")
        if "*" not in self._hosts and host not in self._hosts:
            raise RefusedError(421, "this server is not called by that name (setting allowed_hosts)")
        origin = call.headers.get("origin")
        foreign = origin is not None and _place(origin) != call.headers.get("host", "").lower()
        if call.method in _CHANGES and (foreign or call.headers.get("sec-fetch-site") == "cross-site"):
            raise RefusedError(403, "calls from other sites' pages are not answered")

    def _check_token(self, call: _Call) -> None:
        token = self._settings.token
        if token is None or not self._settings.auth:
            return
        given = _given_token(call.headers.get("authorization", ""))
        if not hmac.compare_digest(given, token.get_secret_value().encode()):
            if call.method not in _CHANGES:
                self._rate.take(call.client)  # guessing is counted too
            raise RefusedError(401, "a token is needed: Authorization: Bearer …, or as the password")

    async def _read(self, call: _Call, receive: Receive) -> bytes:
        """Read the body.

        Raises
        ------
        RefusedError
            If it is packed, too large, or takes too long.
        """
        most = self._settings.max_body_bytes
        encoding = call.headers.get("content-encoding", "identity").strip().lower()
        length = call.headers.get("content-length", "")
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                if encoding not in ("", "identity", "gzip", "x-gzip"):
                    await _throw_away(receive, most)
                    raise RefusedError(415, "packed bodies are not taken: send it without Content-Encoding")
                if length.isdecimal() and int(length) > most:
                    await _throw_away(receive, most)
                    raise _too_large(most)
                pieces, size = [], 0
                async for piece in _pieces(receive):
                    size += len(piece)
                    if size > most:
                        await _throw_away(receive, most)
                        raise _too_large(most)
                    pieces.append(piece)
        except TimeoutError:
            raise RefusedError(408, f"the request took more than {self._settings.body_seconds:g} s to arrive") from None
        return b"".join(pieces)


def _security(settings: Settings) -> dict[str, str]:
    """Give the headers of every answer: scripts and styles are files of ours, and only we are asked for anything."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": settings.frame_ancestors,
    }
    headers = {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    if settings.frame_ancestors == "'none'":
        headers["x-frame-options"] = "DENY"
    return headers


def _with(headers: Any, ours: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name for name, _ in ours}
    # No CORS, whatever a part of the page would allow by itself.
    kept = [(name, value) for name, value in headers
            if name.lower() not in names and not name.lower().startswith(b"access-control-")]  # fmt: skip
    if not any(name.lower() == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return kept + ours


def _read_call(scope: Message) -> _Call:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client")
    # A client can call any word a method.
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    return _Call(method, scope["path"], client[0] if client else "", headers)


def _route(scope: Message) -> str:
    """Name what was called without what the client wrote: the pattern of an API path, or the page."""
    route = getattr(scope.get("route"), "path", "") if scope["path"].startswith("/api/") else "page"
    return route or "none"


def _has_body(call: _Call) -> bool:
    return call.headers.get("content-length", "0") != "0" or "transfer-encoding" in call.headers


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _place(url: str) -> str | None:
    """Return host and port; None for what is no address."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return None


def _given_token(authorization: str) -> bytes:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip().encode()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except (ValueError, binascii.Error):
            return b""
    return b""


async def _pieces(receive: Receive) -> Any:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _throw_away(receive: Receive, most: int) -> None:
    read = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for piece in _pieces(receive):
                read += len(piece)
                if read > _DRAINED_BODIES * most:
                    return
    except TimeoutError:
        return


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"the request is larger than {most:,} bytes")


async def _refuse(send: Send, refused: RefusedError) -> None:
    headers = {}
    if refused.status == 401:
        headers["www-authenticate"] = 'Basic realm="ribocast: any name, the token as password", charset="UTF-8"'
    if refused.status in (408, 413, 415):
        headers["connection"] = "close"
    answer = problem(refused, headers)
    pairs = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": answer.body})
