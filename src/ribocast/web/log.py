"""The log: what went wrong where, never what a client wrote, and a line a minute for what repeats."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
import warnings
from typing import Any

_SECONDS = 60.0


def where_of(error: BaseException) -> str:
    """Say what kind of error came from where, without its message, which may hold what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    lines = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {lines}"


class Log(logging.StreamHandler[Any]):
    """Writes to standard error: our lines as they are, of other libraries only who said it, from warnings on."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._repeats: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless its like was written within a minute: then it is counted."""
        if not record.name.startswith("ribocast."):
            wrong = record.exc_info[1] if record.exc_info else None
            where = where_of(wrong) if wrong else f"{record.filename}:{record.lineno}"
            record = _record(record.levelno, f"{record.name}: {where}")
        if record.levelno < logging.WARNING:
            super().emit(record)
            return
        key = record.getMessage()
        if key in self._repeats:
            self._repeats[key] += 1
            return
        self._repeats[key] = 0
        super().emit(record)
        timer = threading.Timer(_SECONDS, self._sum_up, (key, record.levelno))
        timer.daemon = True
        timer.start()

    def _sum_up(self, key: str, level: int) -> None:
        self.acquire()
        try:
            if count := self._repeats.pop(key, 0):
                super().emit(_record(level, f"{count:,} more within a minute: {key}"))
        finally:
            self.release()


def start_log() -> None:
    """Have all that this process says go to the log."""
    log = Log()
    logging.root.handlers = [log]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("ribocast.web").setLevel(logging.INFO)
    # Its lines say what we say, or what clients sent.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    ours = logging.getLogger("ribocast.web")

    def warn(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:  # fmt: skip
        ours.warning(f"{category.__name__} at {filename.rsplit('/', 1)[-1]}:{lineno}")

    warnings.showwarning = warn
    threading.excepthook = lambda told: _tell("a thread", told.exc_value)
    sys.unraisablehook = lambda told: _tell("a clean-up", told.exc_value)


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Have the event loop tell the log of its errors, without the data that it was handling."""

    def handle(_: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        _tell("the event loop", told.get("exception"))

    loop.set_exception_handler(handle)


def _tell(who: str, error: BaseException | None) -> None:
    if not isinstance(error, SystemExit):
        logging.getLogger("ribocast.web").error(f"{who} failed: {where_of(error) if error else 'no error given'}")


def _record(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord("ribocast.web", level, "", 0, message, None, None)  # without values, % stands for itself
