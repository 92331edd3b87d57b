"""Running a trained model: letters in, one row of numbers per sequence and assay out.

OpenVINO runs the ONNX file on the CPU and is what users have. PyTorch runs the learning form where the extra
``learn`` is installed and it is asked for, or where a GPU is.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ribocast.bundle import Bundle
from ribocast.errors import RibocastError
from ribocast.sequence import Letters

EngineName = Literal["auto", "openvino", "torch"]
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
        If PyTorch is asked for and not installed, or the file is no network of the expected form.
    """
    if engine == "torch" or (engine == "auto" and _gpu_in_use()):
        return TorchEngine(bundle, threads)
    return OpenVinoEngine(bundle, threads)


def _gpu_in_use() -> bool:
    # Importing PyTorch just to look for a GPU would cost every user seconds: only those who work with it pay.
    import sys

    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


class OpenVinoEngine:
    """The CPU engine."""

    name = "openvino"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        import openvino

        core = openvino.Core()
        # On a CPU with bfloat16 OpenVINO would round to it unasked.
        options: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            # From memory, so that nothing the file refers to outside the folder is ever opened.
            network = core.read_model(bundle.running.read_bytes())
            self._compiled = core.compile_model(network, "CPU", options)
        except RuntimeError as error:
            raise RibocastError(f"{bundle.running}: not a network: {str(error).splitlines()[0]}") from None
        self._shape = (len(bundle.card.assays), bundle.card.width)

    def run(self, batches: list[Letters]) -> list[Outputs]:
        """Run batches of letters, each of shape (rows, length); give (rows, assays, width) each, in order."""
        import openvino

        results: list[Outputs | None] = [None] * len(batches)

        def keep(request: openvino.InferRequest, index: int) -> None:
            results[index] = request.get_output_tensor(0).data.copy()

        queue = openvino.AsyncInferQueue(self._compiled)
        queue.set_callback(keep)
        for index, batch in enumerate(batches):
            queue.start_async({0: np.ascontiguousarray(batch)}, index)
        queue.wait_all()
        return [_checked(result, self._shape) for result in results]


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
                _checked(self._network(self._torch.tensor(batch, device=self.device)).cpu().numpy(), self._shape)
                for batch in batches
            ]


def _checked(result: Outputs | None, shape: tuple[int, int]) -> Outputs:
    if result is None or result.shape[1:] != shape:
        given = None if result is None else result.shape[1:]
        raise RibocastError(f"the network gives {given} numbers a sequence, where model.json says {shape}")
    return result
