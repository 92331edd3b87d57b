"""Running the server: one process, stopped in good order."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from ribocast.errors import RibocastError
from ribocast.web.app import Application
from ribocast.web.settings import Settings

_COLLECT_SECONDS = 2.0
"""After the last job finished, so that whoever waits for it can fetch the result."""
_log = logging.getLogger("ribocast.web")


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until told to stop (Ctrl-C, SIGTERM).

    Then new jobs are refused, running ones have `shutdown_seconds` to finish while their results can still be fetched,
    and open calls are answered. A second signal ends it at once.

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
    _start_log()
    application = Application(settings)
    config = uvicorn.Config(
        application, host=settings.host, port=settings.port, log_config=None, access_log=False, server_header=False,
        date_header=True, ws="none", timeout_keep_alive=30, timeout_graceful_shutdown=5,
        proxy_headers=bool(settings.trusted_proxy), forwarded_allow_ips=settings.trusted_proxy or "127.0.0.1",
    )  # fmt: skip
    server = _Server(config, application, ready)
    try:
        server.run()
    except SystemExit:
        raise RibocastError(f"cannot listen on {settings.host} port {settings.port}") from None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, application: Application, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._application, self._ready, self._draining = application, ready, False

    async def startup(self, sockets: object = None) -> None:
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
        jobs = self._application.service.jobs
        had_jobs = jobs.count("running") + jobs.count("waiting") > 0
        if had_jobs:
            _log.info("stopping: waiting for jobs")
        jobs.drain(self._application.service.settings.shutdown_seconds)
        if had_jobs and not self.should_exit:
            threading.Event().wait(_COLLECT_SECONDS)
        self.should_exit = True


def _start_log() -> None:
    """Log to standard error; of other libraries, what is wrong and not what was sent."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("ribocast.web")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(logging.INFO)
    theirs = logging.getLogger("uvicorn.error")
    theirs.handlers, theirs.propagate = [handler], False
    theirs.setLevel(logging.CRITICAL)
