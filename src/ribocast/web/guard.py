"""What stands before everything: who may call, how often, how large, and what no answer lacks.

An ASGI layer around the page and the API alike. A request's body is read here, whole or not at all, so that nothing
behind it meets half of one; its log lines say route, status and time, and nothing that a client wrote.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ribocast.web.clients import Proxies
from ribocast.web.limits import Rate, RefusedError, problem, stopping
from ribocast.web.log import where_of
from ribocast.web.metrics import Metrics
from ribocast.web.settings import Settings
from ribocast.web.turns import client_now

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
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?|")
_LARGE_ANSWER = 64 * 1024
_LOCAL = ("localhost", "127.0.0.1", "::1")
_log = logging.getLogger("ribocast.web")


class _GoneError(Exception):
    """The client hung up."""


class _Call(NamedTuple):
    method: str
    path: str
    client: str
    headers: Headers


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
    is_stopping : callable
        Tells whether no new work is taken.

    Raises
    ------
    RibocastError
        If the trusted proxies cannot be found.
    """

    def __init__(self, app: App, settings: Settings, metrics: Metrics, is_stopping: Callable[[], bool]) -> None:
        self._app, self._settings, self._metrics, self._is_stopping = app, settings, metrics, is_stopping
        self._rate, self._guesses = Rate(settings.calls_per_minute), Rate(settings.guesses_per_minute, "wrong tokens")
        self._proxies = Proxies(settings.trusted_proxy)
        self._headers = [(name.encode(), value.encode()) for name, value in _security(settings).items()]
        self._now: Counter[str] = Counter()
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
        began, status, call = time.perf_counter(), 0, self._read_call(scope)
        # HEAD is GET, of which the server sends no body.
        scope = {**scope, "method": "GET"} if call.method == "HEAD" else scope
        rate: list[tuple[bytes, bytes]] = []

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _with(message.get("headers", ()), self._headers + rate)}
            elif len(message.get("body", b"")) > _LARGE_ANSWER and not message.get("more_body"):
                # The end is sent when most is taken, so that the call counts until then.
                await send({**message, "more_body": True})
                message = {**message, "body": b""}
            await send(message)

        client_now.set(call.client)
        try:
            self._check_host(call)
            rate += self._count(call)
            await self._answer(call, scope, receive, watch)
        except (_GoneError, ClientDisconnect):
            status = 499
        except RefusedError as refused:
            await _refusal(refused)(scope, receive, watch)
        except asyncio.CancelledError:
            # The time that open calls have when the server stops is over.
            if status:
                raise
            await _refusal(stopping())(scope, receive, watch)
        except Exception as error:
            _log.error("%s %s failed: %s", call.method, _route(scope), where_of(error))
            if status:
                raise ConnectionAbortedError from None
            failed = RefusedError(500, "the server failed; its log says where")
            await _refusal(failed)(scope, receive, watch)
        finally:
            seconds, route = time.perf_counter() - began, _route(scope)
            self._metrics.calls.labels(call.method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            _log.info("%s %s %d %.0f ms", call.method, route, status, seconds * 1000)

    def _read_call(self, scope: Message) -> _Call:
        headers, peer = Headers(raw=scope["headers"]), scope.get("client")
        # A client can call any word a method.
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        client = self._proxies.client(peer[0] if peer else "", headers.getlist("x-forwarded-for"))
        return _Call(method, scope["path"], client, headers)

    def _count(self, call: _Call) -> list[tuple[bytes, bytes]]:
        """Count what costs something, and give the headers that say what is left (draft-ietf-httpapi-ratelimit)."""
        if call.method not in _CHANGES and not call.path.endswith("/result"):
            return []
        if (left := self._rate.take(call.client)) is None:
            return []
        policy = f'"calls";q={self._settings.calls_per_minute};w=60'
        return [
            (b"ratelimit-policy", policy.encode()),
            (b"ratelimit", f'"calls";r={left.calls};t={left.seconds}'.encode()),
        ]

    async def _answer(self, call: _Call, scope: Message, receive: Receive, send: Send) -> None:
        if call.path != _OPEN:
            self._check_token(call)
        if not _NEEDED.fullmatch(call.path):
            raise RefusedError(404, "Not Found")
        if call.method not in _CHANGES and (call.path == _OPEN or not call.path.startswith("/api/")):
            await self._app(scope, receive, send)
            return
        has_body = _has_body(call)
        if has_body and self._is_stopping():
            raise stopping()
        limits = self._settings
        if self._now.total() >= limits.calls_at_once:
            raise RefusedError(429, f"more than {limits.calls_at_once} calls at once; try again in 1 s", 1)
        if self._now[call.client] >= limits.calls_per_client_at_once:
            raise RefusedError(429, f"more than {limits.calls_per_client_at_once} of your calls at once; try in 1 s", 1)
        self._now[call.client] += 1
        try:
            if has_body:
                body = await self._read(call, receive)
                await _while_there(self._app, scope, body, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            self._now[call.client] -= 1
            if not self._now[call.client]:
                del self._now[call.client]

    def _check_host(self, call: _Call) -> None:
        said = call.headers.get("host", "").lower()
        if not _HOST.fullmatch(said):
            raise RefusedError(400, "the header Host is not a name or an address")
        if "*" not in self._hosts and _address(f"//{said}").host not in self._hosts:
            raise RefusedError(421, "this server does not answer to that host name (setting allowed_hosts)")
        if call.method in _CHANGES and self._is_foreign(call, said):
            raise RefusedError(403, "calls from other sites' pages are refused")

    def _is_foreign(self, call: _Call, host: str) -> bool:
        """Say whether a call comes from another origin's page, by what browsers say of it."""
        site = call.headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        # Older browsers, and all where there is neither TLS nor this machine.
        origin = call.headers.get("origin")
        if origin is None:
            return False
        if self._settings.trusted_proxy and ":" not in host.rpartition("]")[2]:
            # Proxies often leave the port out of Host.
            return _address(origin).host != _address(f"//{host}").host
        return _address(origin).with_port != host

    def _check_token(self, call: _Call) -> None:
        token, given = self._settings.token, call.headers.get("authorization", "")
        if token is None or not self._settings.auth:
            return
        if given:
            self._guesses.check(call.client)
            if hmac.compare_digest(_given_token(given), token.get_secret_value().encode()):
                return
            self._guesses.take(call.client)
        raise RefusedError(401, "this server needs a token: send Authorization: Bearer …, or give it as the password")

    async def _read(self, call: _Call, receive: Receive) -> bytes:
        """Read the body.

        Raises
        ------
        RefusedError
            If it is packed in another way than gzip, too large, or takes too long.
        """
        most = self._settings.max_body_bytes
        encoding = call.headers.get("content-encoding", "identity").strip().lower()
        length, pieces = call.headers.get("content-length", ""), list[bytes]()
        size = int(length) if length.isdecimal() else 0
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                if encoding not in ("", "identity", "gzip", "x-gzip"):
                    await _throw_away(receive, most)
                    raise RefusedError(415, "unsupported Content-Encoding; use gzip, or send the body as it is")
                if size <= most:
                    size = 0
                    async for piece in _pieces(receive):
                        pieces.append(piece)
                        size += len(piece)
                        if size > most:
                            break
                if size > most:
                    await _throw_away(receive, most)
                    raise RefusedError(413, f"the request is larger than {most:,} bytes")
        except TimeoutError:
            raise RefusedError(408, f"the request took more than {self._settings.body_seconds:g} s to arrive") from None
        return b"".join(pieces)


async def _while_there(app: App, scope: Message, body: bytes, receive: Receive, send: Send) -> None:
    """Have a call answered; if its client hangs up, it is cancelled.

    Raises
    ------
    _GoneError
        If the client hung up.
    """
    task, gone, is_read, is_answered = asyncio.current_task(), asyncio.Event(), False, False

    async def wait_until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if task is not None and not is_answered:
            gone.set()
            task.cancel()

    async def answer(message: Message) -> None:
        nonlocal is_answered
        is_answered = message["type"] == "http.response.body" and not message.get("more_body")
        await send(message)

    async def replay() -> Message:
        nonlocal is_read
        if is_read:
            await gone.wait()
            return {"type": "http.disconnect"}
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    watching = asyncio.create_task(wait_until_gone())
    try:
        await app(scope, replay, answer)
    except asyncio.CancelledError:
        if task is not None and gone.is_set() and not task.uncancel():
            raise _GoneError from None
        raise
    finally:
        watching.cancel()


def _security(settings: Settings) -> dict[str, str]:
    """Give the headers of every answer: scripts and styles are files of ours, and only we are asked for anything."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
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


def _route(scope: Message) -> str:
    """Name what was called without what the client wrote: the pattern of an API path, or the page."""
    route = getattr(scope.get("route"), "path", "") if scope["path"].startswith("/api/") else "page"
    return route or "none"


def _has_body(call: _Call) -> bool:
    return call.headers.get("content-length", "0") != "0" or "transfer-encoding" in call.headers


class _Address(NamedTuple):
    host: str
    with_port: str


def _address(url: str) -> _Address:
    """Return the host of a URL; empty for what is not one."""
    try:
        parts = urlsplit(url)
        return _Address(parts.hostname or "", parts.netloc.lower())
    except ValueError:
        return _Address("", "")


def _given_token(authorization: str) -> bytes:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip().encode()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except ValueError:
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


def _refusal(refused: RefusedError) -> Response:
    headers = {}
    if refused.status == 401:
        headers["www-authenticate"] = 'Basic realm="ribocast: any name, the token as password", charset="UTF-8"'
    if refused.status in (408, 413, 415):
        headers["connection"] = "close"
    return problem(refused, headers)
