"""No test reaches beyond this machine: Python loads this before anything else, in the tests and in what they start."""

import platform
import sys
from typing import Any

# Programs that start others ask for this machine's own name.
_HERE = {"", "localhost", "0.0.0.0", "::", "::1", platform.node()}
_ASKED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"}
_NAMES = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


def _is_here(host: Any) -> bool:
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    # Names under .invalid stand for nobody (RFC 2606).
    return name in _HERE or name.startswith("127.") or name.endswith(".invalid")


def _watch(event: str, details: tuple[Any, ...]) -> None:
    if event in _ASKED:
        address = details[1]
        # Those of other families are not tuples, and stay on this machine.
        host = address[0] if isinstance(address, tuple) and address else None
    elif event in _NAMES:
        host = details[0]
    else:
        return
    if not _is_here(host):
        raise RuntimeError(f"a test reaches for the network: {event} {host}")


if not getattr(sys, "_ribocast_guard", False):
    sys._ribocast_guard = True  # type: ignore[attr-defined]
    sys.addaudithook(_watch)
