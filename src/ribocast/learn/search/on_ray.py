"""A search on every machine of a Ray cluster: they share one folder, as processes of one machine may."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ribocast.errors import RibocastError
from ribocast.learn.search.searching import Found, search
from ribocast.learn.search.study import JOURNAL_NAME, clear
from ribocast.scale import cluster

_LOOK_SECONDS = 5.0


def search_on_ray(
    address: str, table: Any, folder: str | Path, *, workers: int | None = None, threads: int = 1, resume: bool = False,
    overwrite: bool = False, say: Callable[[str], None] = lambda _: None, **options: Any,
) -> Found:  # fmt: skip
    """Search as `ribocast.learn.search.searching.search` does, on all machines of a cluster at once.

    Each machine joins the search in the folder, takes trials that nobody has, and leaves when there are none. What one
    that died had begun is taken up by the others, or by this process at the end. The winner is that of one machine.

    Parameters
    ----------
    address : str
        Of the cluster; ``auto`` is the one that runs here, or else one that is started for this search.
    table, folder, options
        As for `search`; all machines must see the folder, and lock files in it (NFS version 4 does).
    workers : int, optional
        Processes on each machine; as many as it has CPUs for without it.
    threads : int
        CPU threads of each process.
    resume, overwrite, say
        As for `search`.

    Raises
    ------
    RibocastError
        As `search`, or if there is no such cluster, or none of its machines has CPUs enough.
    """
    folder = Path(folder).resolve()
    if resume and overwrite:
        raise RibocastError("resume continues a search, overwrite replaces it: one of them, please")
    if (folder / JOURNAL_NAME).exists() and not resume:
        if not overwrite:
            raise RibocastError(f"{folder}: holds a search already; --resume continues it, --overwrite replaces it")
        clear(folder)
    shared = {**options, "threads": threads, "resume": True}
    with cluster(address, say) as ray:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        rows = ray.put(table)
        helper = ray.remote(max_retries=0)(_help)
        at_work = {}
        for node in ray.nodes():
            cpus = int(node["Resources"].get("CPU", 0))
            if not node["Alive"] or cpus < threads:
                continue
            where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked = helper.options(num_cpus=cpus, scheduling_strategy=where)
            at_work[asked.remote(rows, str(folder), workers or cpus // threads, shared)] = node["NodeManagerHostname"]
        if not at_work:
            raise RibocastError(f"--ray {address}: no machine of the cluster has {threads} CPUs")
        say(f"searching on {len(at_work)} machine{'s' * (len(at_work) != 1)} of the cluster")
        while at_work:
            for answer in ray.wait(list(at_work), timeout=_LOOK_SECONDS)[0]:
                _hear(ray, answer, at_work.pop(answer), say)
    # What machines that died have left, if anything; and what was found.
    return search(table, folder, workers=workers, say=say, **shared)


def _help(table: Any, folder: str, workers: int, shared: dict[str, Any]) -> dict[str, Any]:
    """Join the search; return what was said. What one machine cannot do is no end: the last search tells."""
    said: list[str] = []
    try:
        search(table, folder, workers=workers, say=said.append, **shared)
    except (RibocastError, OSError) as error:
        said.append(str(error))
    return {"said": said, "host": socket.gethostname()}


def _hear(ray: Any, answer: Any, host: str, say: Callable[[str], None]) -> None:
    try:
        result = ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        raise RibocastError(f"{host}: a worker failed: {str(error.cause).splitlines()[0]}") from error
    except ray.exceptions.RayError as error:
        say(f"{host} has left the search ({str(error).splitlines()[0]}); what it had begun is done again")
        return
    for line in result["said"]:
        say(f"{result['host']}: {line}")
