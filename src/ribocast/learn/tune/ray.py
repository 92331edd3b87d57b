"""A search on every machine of a Ray cluster: they share one folder, as processes of one machine may."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ribocast.errors import RibocastError, UnavailableError
from ribocast.io.cluster import cluster, workers_by_machine
from ribocast.learn.tune.scheduler import Watch
from ribocast.learn.tune.search import Found, search

_LOOK_SECONDS = 5.0


def search_on_ray(
    address: str, table: Any, folder: str | Path, *, grid: str | Path | Mapping[str, Any], workers: int | None = None,
    threads: int = 1, timeout: float | None = None, resume: bool = False, overwrite: bool = False,
    watch: Watch = lambda done, total, text: None, say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Found:  # fmt: skip
    """Search as `ribocast.learn.tune.search.search` does, on all machines of a cluster at once.

    Each machine joins the search in the folder, takes trials that nobody has, and leaves when there are none. What one
    that died had begun is taken up by the others, or by this process at the end. The winner is that of one machine.

    Parameters
    ----------
    address : str
        Of the cluster; ``auto`` is the one that runs here, or else one that is started for this search.
    table, folder, grid, timeout, resume, overwrite, watch, say, options
        As for `search`; all machines must see the folder and the grid's file, and lock files there (NFS version 4
        does).
    workers : int, optional
        Processes on each machine; as many as it has CPUs for without it.
    threads : int
        CPU threads of each process.

    Raises
    ------
    RibocastError
        As `search`, or if there is no such cluster, or none of its machines has CPUs enough.
    """
    folder, began = Path(folder).resolve(), time.monotonic()
    # Workers are in other folders than we are.
    options |= {"grid": Path(grid).resolve() if isinstance(grid, str | Path) else grid, "threads": threads}
    with cluster(address, say) as ray:
        rooms = workers_by_machine(ray, threads)

        def others(look: Callable[[], None]) -> None:
            left = None if timeout is None else timeout - (time.monotonic() - began)
            shared = {**options, "timeout": left, "resume": True}
            _work(ray, rooms, (table, str(folder)), workers, shared, look, say)

        return search(
            table, folder, workers=workers, timeout=timeout, resume=resume, overwrite=overwrite, others=others,
            watch=watch, say=say, **options,
        )  # fmt: skip


def _work(
    ray: ModuleType, rooms: dict[str, int], what: tuple[Any, str], workers: int | None, shared: dict[str, Any],
    look: Callable[[], None], say: Callable[[str], None],
) -> None:  # fmt: skip
    """Have every machine join the search, and wait until all have left it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    table, folder = ray.put(what[0]), what[1]
    join = ray.remote(max_retries=0)(_join)
    at_work = set()
    for node, most in rooms.items():
        where = NodeAffinitySchedulingStrategy(node, soft=False)
        asked = join.options(num_cpus=most * shared["threads"], scheduling_strategy=where)
        at_work.add(asked.remote(table, folder, workers or most, shared))
    say(f"searching on {len(at_work)} machine{'s' * (len(at_work) != 1)} of the cluster")
    while at_work:
        for answer in ray.wait(list(at_work), timeout=_LOOK_SECONDS)[0]:
            at_work.remove(answer)
            try:
                for line in ray.get(answer):
                    say(line)
            except ray.exceptions.RayTaskError as error:
                raise UnavailableError(f"a machine could not search: {str(error.cause).splitlines()[0]}") from error
            except ray.exceptions.RayError as error:
                say(f"a machine has left the search: {str(error).splitlines()[0]}")
        look()


def _join(table: Any, folder: str, workers: int, shared: dict[str, Any]) -> list[str]:
    """Join the search; return what was said. Where one machine fails, the others go on."""
    said: list[str] = []
    try:
        search(table, folder, workers=workers, say=said.append, **shared)
    except (RibocastError, OSError) as error:
        said.append(str(error))
    return [f"{socket.gethostname()}: {line}" for line in said]
