"""A Ray cluster: joined, or started for one piece of work, and what its machines have room for."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ribocast.errors import UnavailableError

_KNOCK_SECONDS, _ANSWER_SECONDS = 3.0, 22.0


@contextmanager
def cluster(address: str, say: Callable[[str], None]) -> Iterator[ModuleType]:
    """Connect to a cluster, or start one; leave it at the end, unless the caller was connected before."""
    # Before Ray is imported: it reports nothing to its makers.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # It calls an error what is not: that Ray Data's actors are started again with the arguments that they had.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    if ray.is_initialized():
        yield ray
        return
    if address not in ("auto", "local"):
        _knock(address)
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        try:
            ray.init(address=address, **options)
        except ConnectionError:
            if address != "auto":
                raise
            ray.init(address="local", include_dashboard=False, **options)
            say("no Ray cluster is running here: one of this machine was started")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise UnavailableError(f"--ray {address}: {(str(error) or 'no cluster').splitlines()[0]}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise RibocastError unless a cluster answers at an address within seconds.

    Ray itself asks on for minutes, or for ever where something else listens, and can end the process that asks. So
    another process asks first.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        reason = "such as 10.0.0.1:6379" if not isinstance(error, OSError) else error.strerror or error
        raise UnavailableError(f"--ray {address}: nobody answers there: {reason}") from None
    command = [sys.executable, "-c", "import sys, ray; ray.init(sys.argv[1], log_to_driver=False)", address]
    try:
        answer = subprocess.run(  # noqa: S603 (this Python, and an address that is not an option)
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(
            f"--ray {address}: no Ray cluster answers there within {_ANSWER_SECONDS:.0f} s"
        ) from None
    if answer.returncode:
        raise UnavailableError(f"--ray {address}: what answers there is not a Ray cluster of this version")


def workers_by_machine(ray: ModuleType, threads: int) -> dict[str, int]:
    """Return how many workers of `threads` threads each machine of a cluster has CPUs for, by its Ray name.

    Raises
    ------
    RibocastError
        If none has.
    """
    alive = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) // threads for node in ray.nodes() if node["Alive"]}
    found = {node: most for node, most in alive.items() if most}
    if not found:
        raise UnavailableError(f"--ray: no machine of the cluster has {threads} CPUs")
    return found
