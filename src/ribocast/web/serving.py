"""Running the server: one process, stopped in good order."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import cast

import uvicorn

from ribocast.errors import OptionError
from ribocast.web.app import Application
from ribocast.web.connections import Connections
from ribocast.web.log import start_log, watch_loop
from ribocast.web.settings import Settings

_COLLECT_SECONDS = 2.0
"""After the last job finished, so that whoever waits for it can fetch the result."""
_OPEN_SECONDS = 5
"""For answers to be taken, when all work is done."""
_ENDING_SECONDS = 2.0
STOP_SECONDS = 15.0
"""The process ends at the latest so long after `shutdown_seconds`, whatever it is doing."""
_log = logging.getLogger("ribocast.web")


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until told to stop (Ctrl-C, SIGTERM).

    Then new work is refused, and what has begun has `shutdown_seconds` to finish: calls are answered, results of jobs
    can be fetched. The process ends `STOP_SECONDS` later at the latest. A second signal ends it at once.

    Parameters
    ----------
    settings : Settings
        See there.
    ready : callable
        Told the address when the server answers.

    Raises
    ------
    RibocastError
        If a model cannot be loaded, or the address cannot be listened on.
    """
    start_log()
    application = Application(settings)
    config = uvicorn.Config(
        application, host=settings.host, port=settings.port, log_config=None, access_log=False, server_header=False,
        date_header=True, ws="none", timeout_keep_alive=30, timeout_graceful_shutdown=_OPEN_SECONDS,
        proxy_headers=False, http=cast(type[asyncio.Protocol], Connections(settings).protocol),
    )  # fmt: skip
    server = _Server(config, application, ready)
    _end_in_time(settings.shutdown_seconds + STOP_SECONDS)
    try:
        server.run()
    except SystemExit:
        raise OptionError(f"cannot listen on {settings.host} port {settings.port}") from None
    if not application.service.wait(_ENDING_SECONDS):
        # A thread inside a library in C++ would crash the interpreter that ends around it.
        _log.warning("work that does not stop is left behind")
        os._exit(0)


def _end_in_time(seconds: float) -> None:
    """See to it that this process ends so long after the first signal to stop, also if it is stuck somewhere."""
    waker, told = socket.socketpair()
    for end in (waker, told):
        end.setblocking(False)
    # The system writes to this whenever a signal comes, also while Python's own handlers have to wait.
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)

    def wait() -> None:
        waker.setblocking(True)
        while waker.recv(1)[0] not in (signal.SIGINT, signal.SIGTERM):
            pass
        # This thread of C ends the process, and says first where each of Python's threads is.
        faulthandler.dump_traceback_later(seconds, exit=True)
        told.detach()

    threading.Thread(target=wait, name="end", daemon=True).start()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, application: Application, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._application, self._ready, self._draining = application, ready, False

    async def startup(self, sockets: object = None) -> None:
        watch_loop(asyncio.get_running_loop())
        await super().startup()
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining:
            super().handle_exit(sig, frame)
            return
        self._draining = True
        # Not here: a signal's handler runs between any two steps of the program, also while a lock is held.
        threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        service = self._application.service
        had_jobs = service.jobs.count("running") + service.jobs.count("waiting") > 0
        _log.info("stopping: waiting for work that has begun")
        service.drain(service.settings.shutdown_seconds)
        if had_jobs and not self.should_exit:
            threading.Event().wait(_COLLECT_SECONDS)
        self.should_exit = True
