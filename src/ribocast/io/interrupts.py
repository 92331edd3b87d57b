"""Ctrl-C, SIGTERM and SIGHUP: one line and an exit code, whenever they come; what is written half is removed.

A signal is raised as an exception, so that everything is left in good order. Not so before a command has begun and
after it has ended, when it ends the process at once; and not in the middle of an import, since libraries turn the
exception into others there, or print it: then it is raised when the import is done.
"""

# Imported before anything else: of the standard library only what is there already, or small.
from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
_AT_ONCE_SECONDS = 1.0
"""Several signals within this time are one: some send them to a process and to its group."""
_LONGEST_IMPORT_SECONDS = 5.0


class Stopped(KeyboardInterrupt):
    """A signal has come."""


class _State:
    number = 0
    came = 0.0
    unwinds = False
    was_lost = False
    is_quiet = False


def install(*, quiet: bool = False) -> None:
    """Handle the signals that are not ignored (as nohup and shells have it); `quiet`, without a line."""
    _State.is_quiet = quiet
    for name in _WORDS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _handle)
    sys.unraisablehook = _hook(sys.unraisablehook)
    # The first to be registered is the last to be run; what then follows is not Python's any more.
    atexit.register(_ignore)


def _ignore() -> None:
    for name in _WORDS:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


def begin() -> None:
    """Raise what comes from now on, instead of ending at once."""
    _State.unwinds = True


def finish() -> None:
    """End at once from now on."""
    _State.unwinds = False
    if _State.number:
        # It may have come just when a file had been made.
        _drop_unfinished()


def verdict() -> tuple[str, int] | None:
    """Return in a word, and as an exit code, which signal has come, if one has."""
    if not _State.number:
        return None
    return _WORDS[signal.Signals(_State.number).name], 128 + _State.number


def _handle(number: int, frame: FrameType | None) -> None:
    now, again = time.monotonic(), _State.number != 0
    if not _State.unwinds:
        _State.number = number
        _end()
    if _State.was_lost:
        _State.was_lost = False
    elif not again:
        _State.number, _State.came = number, now
    elif now - _State.came < _AT_ONCE_SECONDS:
        return
    else:
        _end()
    if _imports(frame) and now - _State.came < _LONGEST_IMPORT_SECONDS:
        _raise_later()
        return
    raise Stopped


def _imports(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _raise_later() -> None:
    main_thread = _thread.get_ident()

    def again() -> None:
        time.sleep(0.005)
        _State.was_lost = True
        if sys.platform == "win32":
            _thread.interrupt_main(_State.number)
        else:
            # It also ends a call to the system in which that thread waits.
            signal.pthread_kill(main_thread, _State.number)

    _thread.start_new_thread(again, ())


def _drop_unfinished() -> None:
    writing = sys.modules.get("ribocast.io.writers")
    if writing is not None and hasattr(writing, "drop_unfinished"):
        writing.drop_unfinished()


def _end() -> None:
    """End the process, without half a file."""
    _drop_unfinished()
    word, code = verdict() or ("", 1)
    try:
        if not _State.is_quiet:
            os.write(2, f"error: {word}\n".encode())
    finally:
        os._exit(code)


def _hook(before: Callable[[sys.UnraisableHookArgs], object]) -> Callable[[sys.UnraisableHookArgs], object]:
    def hook(failure: sys.UnraisableHookArgs, /) -> None:
        if issubclass(failure.exc_type, Stopped):
            # Raised where exceptions go nowhere, such as in a finaliser.
            _raise_later()
        else:
            before(failure)

    return hook
