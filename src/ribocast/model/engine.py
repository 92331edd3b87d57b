"""Running a trained model: letters in, one row of numbers per sequence and assay out.

OpenVINO runs the ONNX file on the CPU and is what users have. PyTorch (`ribocast.learn.torch_engine`) runs the trained
network where the extra ``learn`` is installed and it is asked for, or where a GPU is.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import MissingExtraError, ModelError, OptionError, RibocastError, UnavailableError
from ribocast.io.interrupts import verdict
from ribocast.model.background import in_background, leave
from ribocast.model.bundle import RUNNING_NAME, Bundle
from ribocast.model.onnx_check import read_graph
from ribocast.model.onnx_cost import check_cost
from ribocast.model.stopping import check_stopped
from ribocast.sequence.letters import Letters

EngineName = Literal["auto", "openvino", "openvino-bf16", "torch"]
MOST_THREADS = 1024
Outputs = NDArray[np.float32]


class Engine(Protocol):
    """A network that is ready to run, in several threads at once if need be.

    Attributes
    ----------
    name, version : str
        What runs it.
    streams : int
        Batches that it works on at the same time.
    """

    name: str
    version: str
    streams: int

    def run(self, batches: Iterable[Letters]) -> list[Outputs]:
        """Run batches of letters, each of shape (rows, length); give (rows, assays, width) each, in order.

        Batches are taken as they are needed: what making one raises ends the run.
        """


def start_engine(bundle: Bundle, engine: EngineName = "auto", *, threads: int | None = None) -> Engine:
    """Load a bundle's network.

    Parameters
    ----------
    bundle : Bundle
        A checked bundle.
    engine : {"auto", "openvino", "openvino-bf16", "torch"}
        ``auto`` is PyTorch where it is already imported and has a GPU, or the model has no running form; else OpenVINO.
        ``openvino-bf16`` multiplies in bfloat16: faster, MRLs differ by some hundredths (docs/speed.md).
    threads : int, optional
        CPU threads; as many as there are cores without it.

    Raises
    ------
    RibocastError
        If PyTorch is asked for and not installed, or bfloat16 on a processor that has none; there is no such engine,
        the number of threads cannot be, or the file is not a network of the expected form.
    """
    if engine not in get_args(EngineName):
        raise OptionError(f"unknown engine {engine!r}; use {', '.join(get_args(EngineName))}")
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise OptionError(f"threads must be between 1 and {MOST_THREADS:,}, not {threads:,}")
    if engine == "torch" or (engine == "auto" and (RUNNING_NAME not in bundle.card.files or _gpu_in_use())):
        return _registered_engine("torch")(bundle, threads)
    return OpenVinoEngine(bundle, threads, bfloat16=engine == "openvino-bf16")


def _registered_engine(name: str) -> Callable[[Bundle, int | None], Engine]:
    """Find the engine that a package has registered by this name, as `ribocast.learn` does for PyTorch's.

    So nothing that runs a model imports what trains one.
    """
    entry = next(iter(entry_points(group="ribocast.engines", name=name)), None)
    if entry is None:
        raise UnavailableError(f"the engine {name} is not registered: install ribocast with pip, also from its source")
    try:
        return cast("Callable[[Bundle, int | None], Engine]", entry.load())
    except ImportError:
        raise MissingExtraError(f"the engine {name} needs PyTorch: pip install 'ribocast[learn]'") from None


def _gpu_in_use() -> bool:
    # Importing PyTorch just to look for a GPU would cost every user seconds: only those who work with it pay.
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


_KEPT_SHAPES = "64"
"""Kernels that OpenVINO keeps for shapes it has seen. Of its own it keeps thousands, and grows by 2 MB a shape."""
_LIKELY_LENGTH, _LISTEN_MS = 50, 200
_LARGEST_OUTPUT = 1e9  # far beyond any share or MRL; times the scale of an assay, float32 still holds it
_STARTED: weakref.WeakSet[OpenVinoEngine] = weakref.WeakSet()


def _forget_threads() -> None:
    for engine in list(_STARTED):
        engine.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


class OpenVinoEngine:
    """The CPU engine.

    After a fork, the child makes the network ready anew when it first runs it: OpenVINO's threads stay with the parent.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None, *, bfloat16: bool = False) -> None:
        openvino = _import_openvino()
        self.name = "openvino-bf16" if bfloat16 else "openvino"
        if bfloat16 and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise OptionError("this processor does not multiply in bfloat16; use the engine openvino")
        # Where there is bfloat16, OpenVINO would round to it unasked.
        self._options: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
            "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_SHAPES,
        }
        if threads is not None:
            self._options["INFERENCE_NUM_THREADS"] = threads
            # Else every process with one thread would bind it to the same core.
            self._options["ENABLE_CPU_PINNING"] = False
        self._file, self._graph = bundle.running, read_graph(bundle)
        self._seen: set[tuple[int, int]] | None = None if bundle.is_shipped else set()
        self._check_cost(2, bundle.card.fixed_length or _LIKELY_LENGTH)
        self.version = str(openvino.__version__)
        self._tensor = openvino.Tensor
        self._shape = (len(bundle.card.assays), bundle.card.width)
        self._changed, self._waiting = threading.Condition(), 0
        self._left: list[tuple[Any, Letters]] = []
        self._make_ready()
        self.streams = len(self._requests) // 2
        _STARTED.add(self)

    def _make_ready(self) -> None:
        core = _import_openvino().Core()
        try:
            compiled = in_background(core.compile_model, self._network(core), "CPU", self._options)
        except RuntimeError as error:
            raise ModelError(f"{self._file}: not a network: {_reason(error)}") from None
        streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        # Twice as many as run at once, so that the next one waits inside OpenVINO while Python fetches the last.
        self._requests = [compiled.create_infer_request() for _ in range(2 * streams)]
        self._free = list(self._requests)

    def _network(self, core: Any) -> Any:
        # From memory, so that there is no folder in which anything else could be looked for.
        return core.read_model(self._graph.content)

    def _outputs(self, request: Any, rows: int) -> Outputs:
        return check_outputs(request.get_output_tensor(0).data.copy(), rows, self._shape)

    def forget_threads(self) -> None:
        """Leave a parent's requests alone, in its child: to free them would wait for threads that are not there."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._requests))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._left))
        self._requests, self._free, self._left = [], [], []
        self._changed, self._waiting = threading.Condition(), 0

    def _check_cost(self, rows: int, length: int) -> None:
        """Refuse letters of a shape for which a stranger's network takes too much memory or time."""
        if self._seen is None or (rows, length) in self._seen:
            return
        try:
            check_cost(self._graph, rows, length)
        except RibocastError as error:
            raise ModelError(f"{self._file}: the network does not run: {error}") from None
        self._seen.add((rows, length))

    def run(self, batches: Iterable[Letters]) -> list[Outputs]:
        """Run batches of letters, each of shape (rows, length); give (rows, assays, width) each, in order."""
        try:
            return self._run(batches)
        except RuntimeError as error:
            raise ModelError(f"{self._file}: the network does not run: {_reason(error)}") from None

    def _run(self, batches: Iterable[Letters]) -> list[Outputs]:
        # Requests in turn, not callbacks: OpenVINO's threads would need Python's lock for those, and freeing the
        # model while they wait for it deadlocks.
        with self._changed:
            if not self._requests:
                self._make_ready()
        results: list[Outputs] = []
        running: deque[tuple[Any, Letters]] = deque()

        def finish() -> None:
            request, letters = running[0]
            # Only between two waits does Python hear of Ctrl-C, and we that nobody waits for the result any more.
            while not request.wait_for(_LISTEN_MS):
                check_stopped()
            try:
                results.append(self._outputs(request, len(letters)))
            finally:
                running.popleft()
                self._give_back(request)

        try:
            for batch in batches:
                letters = np.ascontiguousarray(batch)
                self._check_cost(*letters.shape)
                while (request := self._lease(wait=not running)) is None:
                    finish()
                running.append((request, letters))
                # Without a copy: the letters are kept until the request is done.
                request.set_input_tensor(0, self._tensor(letters, shared_memory=True))
                request.start_async()
            while running:
                finish()
        except BaseException:
            # The others still run, on letters that must be there until then. They are not waited for, as a stranger's
            # may take long, nor cancelled: OpenVINO takes the shapes of a run that was cut off for those of the next.
            with self._changed:
                self._left.extend(running)
                self._changed.notify_all()
            raise
        return results

    def _lease(self, *, wait: bool) -> Any:
        """Take a free request. None if there is none, or another thread waits for one, unless we wait as well."""
        with self._changed:
            self._take_back()
            if not wait and (not self._free or self._waiting):
                return None
            self._waiting += 1
            try:
                while not self._free:
                    # Nobody tells us when one that was left is done.
                    self._changed.wait(_LISTEN_MS / 1000 if self._left else None)
                    self._take_back()
            finally:
                self._waiting -= 1
            return self._free.pop()

    def _take_back(self) -> None:
        done = [request for request, _ in self._left if _is_done(request)]
        self._left = [(request, letters) for request, letters in self._left if request not in done]
        self._free += done

    def _give_back(self, request: Any) -> None:
        with self._changed:
            self._free.append(request)
            self._changed.notify()

    def is_at_work(self) -> bool:
        """Tell whether a batch is still run for which nobody waits any more."""
        return not all(_is_done(request) for request, _ in self._left)


def _is_done(request: Any) -> bool:
    with suppress(RuntimeError):
        return bool(request.wait_for(0))
    return True


@atexit.register
def _leave_runs() -> None:
    # After a signal; else their end is waited for when they are freed.
    if verdict() and any(engine.is_at_work() for engine in _STARTED):
        leave()


def leave_out_converters() -> None:
    """Have OpenVINO imported without its converters of other makers' models: for programs that are ours alone."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]


def _import_openvino() -> ModuleType:
    # Importing OpenVINO would start a thread that reports to its makers over the network. None here makes it take
    # its own stub for that module instead; where a user's program imported OpenVINO first, that was its choice.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


def check_outputs(result: Outputs, rows: int, shape: tuple[int, int]) -> Outputs:
    """Return what a network gave for a batch, float32 of (rows, assays, width).

    Raises
    ------
    RibocastError
        If it has another shape than the model's card says, or numbers that are not finite or absurdly large.
    """
    if result.shape != (rows, *shape):
        raise ModelError(f"the network gives {result.shape} numbers, where model.json says {(rows, *shape)}")
    if not max(result.max(initial=0), -result.min(initial=0)) <= _LARGEST_OUTPUT or np.isnan(result.min(initial=0)):
        raise ModelError(f"the network gives numbers that are not finite, or beyond {_LARGEST_OUTPUT:g}")
    return result


def _reason(error: RuntimeError) -> str:
    """Find the lines of OpenVINO's message that say what is wrong; those before say where in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Exception from" not in line]
    return ": ".join(lines) or type(error).__name__
