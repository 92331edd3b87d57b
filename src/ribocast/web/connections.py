"""Connections with a deadline for everything: for headers, for answers to be taken, and for how many there may be."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ribocast.web.clients import Proxies, key_of
from ribocast.web.limits import RefusedError, problem
from ribocast.web.settings import Settings

_RESERVED_FILES = 200
"""Files that the server itself needs: the models, the log, libraries that are loaded late."""
_MOST_AHEAD = 64 * 1024
"""Bytes that a client may send before the answer to what it sent first."""
_TAKEN = 64 * 1024
_log = logging.getLogger("ribocast.web")


class Connections:
    """The open connections, and how many of them there may be: for a new one the oldest that is idle is closed.

    Parameters
    ----------
    settings : Settings
        The limits.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.most = min(settings.connections_at_once, max(8, _most_files() - _RESERVED_FILES))
        self._proxies = Proxies(settings.trusted_proxy)
        # Of each client, the oldest first.
        self._open: dict[str, dict[Connection, None]] = {}
        self._count = 0

    def add(self, connection: Connection, peer: str) -> str | None:
        """Count a connection, and name its client; None if it cannot be."""
        client = key_of(peer)
        own = self._open.get(client, {})
        if len(own) >= self.settings.connections_per_client and not self._proxies.have(peer):
            _log.warning("a client has %d connections; the oldest idle one is closed", len(own))
            if not _close_one(own):
                return None
        elif self._count >= self.most:
            _log.warning("there are %d connections; the oldest idle one is closed", self._count)
            if not _close_one(max(self._open.values(), key=len)):
                return None
        self._open.setdefault(client, {})[connection] = None
        self._count += 1
        return client

    def remove(self, connection: Connection, client: str) -> None:
        """Count a connection no more."""
        own = self._open[client]
        del own[connection]
        self._count -= 1
        if not own:
            del self._open[client]

    def protocol(self, **options: Any) -> Connection:
        """Make what serves a connection; uvicorn calls this."""
        return Connection(self, **options)


def _close_one(connections: dict[Connection, None]) -> bool:
    oldest = next((one for one in connections if not one.is_busy), None)
    if oldest is None:
        return False
    oldest.leave()
    return True


class Connection(H11Protocol):
    """HTTP/1.1 over one connection; see the module."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._all, self._settings = connections, connections.settings
        self._counted_for: str | None = None
        self._header_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or hang up where there are too many."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._counted_for = self._all.add(self, peer[0] if isinstance(peer, tuple) else "")
        if self._counted_for is None:
            transport.abort()
        else:
            self._expect_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, for whatever reason."""
        self._stop_timer("_header_timer")
        self._stop_timer("_answer_timer")
        self._unset_keepalive_if_required()
        self._uncount()
        super().connection_lost(exc)

    def leave(self) -> None:
        """Hang up at once."""
        self._uncount()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what comes; what cannot be taken ends the connection."""
        if self.is_busy and self.conn.their_state is not h11.SEND_BODY:
            # The next request already. It is not left unread: that a client hangs up would not be noticed.
            self.conn.receive_data(data)
            if len(self.conn.trailing_data[0]) > _MOST_AHEAD:
                self.leave()
            return
        was_reading = not self.is_busy and self.conn.their_state is h11.SEND_BODY
        if not self.is_busy:
            self._expect_header()
        try:
            super().data_received(data)
        except h11.ProtocolError:
            # Nonsense after an answer has begun.
            self.leave()
            return
        if was_reading and self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            # The rest of a body whose request was answered without it.
            self._stop_timer("_header_timer")
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def handle_events(self) -> None:
        """Read requests; the deadline for a header ends with it."""
        super().handle_events()
        if self.is_busy:
            self._stop_timer("_header_timer")
            if self.conn.their_state is not h11.SEND_BODY:
                self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the form of all refusals."""
        if self.is_busy:
            # What came before is not answered any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        answer = problem(RefusedError(400, "not an HTTP/1.1 request"), {"connection": "close"})
        head = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._end_soon()

    def on_response_complete(self) -> None:
        """Go on with the next request, or end."""
        super().on_response_complete()
        self._end_soon()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which nothing comes."""
        super().timeout_keep_alive_handler()
        self._end_soon()

    def shutdown(self) -> None:
        """End with the server, after the answer that is under way."""
        try:
            super().shutdown()
        except h11.ProtocolError:
            self.leave()

    def pause_writing(self) -> None:
        """Note that the client does not take its answer as fast as it comes."""
        super().pause_writing()
        self._watch_answer()

    def resume_writing(self) -> None:
        """Note that it does again."""
        super().resume_writing()
        self._stop_timer("_answer_timer")

    def _expect_header(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self._settings.header_seconds, self.leave)

    def _watch_answer(self) -> None:
        before = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() > before - _TAKEN:
                self.leave()
            else:
                self._watch_answer()

        self._answer_timer = self.loop.call_later(self._settings.answer_seconds, look)

    def _end_soon(self) -> None:
        """Give the client some time to take the rest where the connection is being closed."""
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self.loop.call_later(self._settings.answer_seconds, self.leave)

    def _stop_timer(self, name: Literal["_header_timer", "_answer_timer"]) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def _uncount(self) -> None:
        if self._counted_for is not None:
            self._all.remove(self, self._counted_for)
            self._counted_for = None


def _most_files() -> int:
    """Return how many files and connections this process may have open."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 1_000_000
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1_000_000 if soft == resource.RLIM_INFINITY else soft
