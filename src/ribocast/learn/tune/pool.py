"""Several processes that train folds at the same time, one thread each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ribocast.errors import UnavailableError
from ribocast.learn.tune.worker import TrialSetup

_BEGIN = """
from ribocast.io import interrupts
interrupts.install(quiet=True)
from ribocast.learn.tune.worker import main
main()
"""


class Workers:
    """Processes that work for as long as this object is used, and no longer than this process lives.

    They are new interpreters, not forks, and import nothing of the caller's: scripts and notebooks need no guard.

    Parameters
    ----------
    count : int
        How many.
    setup : TrialSetup
        What they are told first.
    """

    def __init__(self, count: int, setup: TrialSetup) -> None:
        self._inbox: SimpleQueue[tuple[int, dict[str, Any] | None]] = SimpleQueue()
        self._tasks: dict[int, Hashable] = {}
        package_home = str(Path(__file__).parents[3])
        known = os.environ.get("PYTHONPATH", "")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (package_home, known))),
                       "OMP_NUM_THREADS": str(setup.threads)}  # fmt: skip
        # -P: nothing that lies in the folder where we are must pass for a module. A session of their own: Ctrl-C is
        # for us, who then stop them.
        self._processes = [
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-c", _BEGIN], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment, start_new_session=True,
            )
            for _ in range(count)
        ]  # fmt: skip
        for number, process in enumerate(self._processes):
            threading.Thread(target=self._listen, args=(number, process), daemon=True).start()
            self._send(number, asdict(setup))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    stream and stream.close()

    @property
    def busy(self) -> frozenset[Hashable]:
        """Tasks under way."""
        return frozenset(self._tasks.values())

    @property
    def idle(self) -> bool:
        """Whether one has nothing to do."""
        return len(self._tasks) < len(self._processes)

    def give(self, task: Hashable, message: dict[str, Any]) -> None:
        """Give a task to one that has nothing to do."""
        number = next(number for number in range(len(self._processes)) if number not in self._tasks)
        self._tasks[number] = task
        self._send(number, message)

    def stop(self, task: Hashable) -> None:
        """Have a task dropped; its answer says so, unless it was ready."""
        for number, own in self._tasks.items():
            if own == task:
                self._send(number, "stop")

    def wait(self, seconds: float | None) -> tuple[Hashable, dict[str, Any]] | None:
        """Wait for the next task's end, or in vain: `r2` and `seconds` of it, or `error`, or `stopped`.

        Raises
        ------
        RibocastError
            If a process has ended.
        """
        try:
            number, result = self._inbox.get(timeout=seconds)
        except Empty:
            return None
        if result is None:
            code = self._processes[number].wait()
            how = f"was killed by signal {-code}: perhaps memory was short" if code < 0 else f"ended with code {code}"
            raise UnavailableError(f"a worker process {how}; try fewer --workers, --resume goes on")
        return self._tasks.pop(number), result

    def _send(self, number: int, message: Any) -> None:
        stream = self._processes[number].stdin
        # One that has ended is told of by `wait`.
        with suppress(OSError):
            if stream:
                stream.write(json.dumps(message) + "\n")
                stream.flush()

    def _listen(self, number: int, process: subprocess.Popen[str]) -> None:
        # Closing the stream at the end may come before the last read.
        with suppress(OSError, ValueError):
            for line in process.stdout or ():
                self._inbox.put((number, json.loads(line)))
        self._inbox.put((number, None))
