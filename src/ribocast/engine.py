"""Running a trained model: letters in, one row of numbers per sequence and assay out.

OpenVINO runs the ONNX file on the CPU and is what users have. PyTorch runs the learning form where the extra
``learn`` is installed and it is asked for, or where a GPU is.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ribocast.bundle import Bundle
from ribocast.errors import RibocastError
from ribocast.sequence import Letters

EngineName = Literal["auto", "openvino", "torch"]
MOST_THREADS = 1024
Outputs = NDArray[np.float32]


class Engine(Protocol):
    """A network that is ready to run."""

    name: str

    def run(self, batches: list[Letters]) -> list[Outputs]:
        """Run batches of letters, each of shape (rows, length); give (rows, assays, width) each, in order."""


def start_engine(bundle: Bundle, engine: EngineName = "auto", *, threads: int | None = None) -> Engine:
    """Load a bundle's network.

    Parameters
    ----------
    bundle : Bundle
        A checked bundle.
    engine : {"auto", "openvino", "torch"}
        ``auto`` is PyTorch where it is already imported and has a GPU, else OpenVINO.
    threads : int, optional
        CPU threads; as many as there are cores without it.

    Raises
    ------
    RibocastError
        If PyTorch is asked for and not installed, there is no such engine, the number of threads cannot be, or the file
        is no network of the expected form.
    """
    if engine not in get_args(EngineName):
        raise RibocastError(f"no engine {engine!r}; there are: {', '.join(get_args(EngineName))}")
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise RibocastError(f"{threads} threads: from 1 to {MOST_THREADS}, please")
    if engine == "torch" or (engine == "auto" and _gpu_in_use()):
        return TorchEngine(bundle, threads)
    return OpenVinoEngine(bundle, threads)


def _gpu_in_use() -> bool:
    # Importing PyTorch just to look for a GPU would cost every user seconds: only those who work with it pay.
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


class OpenVinoEngine:
    """The CPU engine."""

    name = "openvino"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        core = _import_openvino().Core()
        # On a CPU with bfloat16 OpenVINO would round to it unasked.
        options: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            # From memory, so that nothing the file refers to outside the folder is ever opened.
            network = core.read_model(bundle.running.read_bytes())
            compiled = core.compile_model(network, "CPU", options)
        except RuntimeError as error:
            raise RibocastError(f"{bundle.running}: not a network: {_reason(error)}") from None
        streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self._file = bundle.running
        self._shape = (len(bundle.card.assays), bundle.card.width)

    def run(self, batches: list[Letters]) -> list[Outputs]:
        """Run batches of letters, each of shape (rows, length); give (rows, assays, width) each, in order."""
        try:
            return self._run(batches)
        except RuntimeError as error:
            raise RibocastError(f"{self._file}: the network does not run: {_reason(error)}") from None

    def _run(self, batches: list[Letters]) -> list[Outputs]:
        # Requests in turn, not callbacks: OpenVINO's threads would need Python's lock for those, and freeing the
        # model while they wait for it deadlocks.
        results: list[Outputs] = []
        running = len(self._requests)
        for index in range(len(batches) + running):
            request = self._requests[index % running]
            if 0 <= index - running < len(batches):
                request.wait()
                output = request.get_output_tensor(0).data.copy()
                results.append(_checked(output, len(batches[index - running]), self._shape))
            if index < len(batches):
                request.start_async({0: np.ascontiguousarray(batches[index])})
        return results


def _import_openvino() -> ModuleType:
    # Importing OpenVINO would start a thread that reports to its makers over the network. None here makes it take
    # its own stub for that module instead; where a user's program imported OpenVINO first, that was its choice.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


class TorchEngine:
    """The learning form, run by PyTorch on the best device there is."""

    name = "torch"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        try:
            import torch

            from ribocast.learn.device import pick_device
            from ribocast.learn.models import load_network
        except ImportError:
            raise RibocastError("the engine torch needs PyTorch: pip install 'ribocast[learn]'") from None
        if threads is not None:
            torch.set_num_threads(threads)
        self._torch = torch
        self.device = pick_device(None)
        self._network = load_network(bundle).to(self.device).eval()
        self._shape = (len(bundle.card.assays), bundle.card.width)

    def run(self, batches: list[Letters]) -> list[Outputs]:
        """Run batches of letters, each of shape (rows, length); give (rows, assays, width) each, in order."""
        with self._torch.inference_mode():
            return [
                _checked(
                    self._network(self._torch.tensor(batch, device=self.device)).cpu().numpy(), len(batch), self._shape
                )
                for batch in batches
            ]


def _checked(result: Outputs, rows: int, shape: tuple[int, int]) -> Outputs:
    if result.shape != (rows, *shape):
        raise RibocastError(f"the network gives {result.shape} numbers, where model.json says {(rows, *shape)}")
    if not np.isfinite(result).all():
        raise RibocastError("the network gives numbers that are not finite")
    return result


def _reason(error: RuntimeError) -> str:
    """Find the line of OpenVINO's message that says what is wrong; those before say where in its source."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Exception from")]
    return lines[0] if lines else type(error).__name__
