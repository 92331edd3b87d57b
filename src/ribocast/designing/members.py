"""What each network of a model that is the mean of several says by itself: where they differ, the model is in doubt."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import RibocastError
from ribocast.graph_file import read_graph
from ribocast.predictor import Predictor, to_mrl
from ribocast.sequence import Letters, encode

_ROWS = 128


class Members:
    """The networks of an averaged model, run by OpenVINO as one graph without its last step, the mean."""

    def __init__(self, model: Predictor, graph: Any, options: dict[str, object]) -> None:
        openvino = importlib.import_module("openvino")
        compiled = openvino.Core().compile_model(graph, "CPU", options)
        streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self._card = model.card

    def loads(self, seqs: Sequence[str], assay: str | None = None) -> NDArray[np.float64]:
        """Predict the load of each sequence by each network; shape (networks, n)."""
        card = self._card.assay(assay)
        number = [known.name for known in self._card.assays].index(card.name)
        lengths = np.array([len(seq) for seq in seqs])
        rows = [part for length in np.unique(lengths) for part in _parts(np.flatnonzero(lengths == length))]
        outputs = self._run([encode([seqs[row] for row in part]) for part in rows])
        loads = np.empty((outputs[0].shape[0], len(seqs)))
        for part, output in zip(rows, outputs, strict=True):
            loads[:, part] = [to_mrl(one[:, number], card) for one in output]
        if not np.isfinite(loads).all():
            raise RibocastError("the network gives numbers that are not finite")
        return loads

    def _run(self, batches: list[Letters]) -> list[NDArray[np.float32]]:
        results: list[NDArray[np.float32]] = []
        running = len(self._requests)
        for index in range(len(batches) + running):
            request = self._requests[index % running]
            if 0 <= index - running < len(batches):
                request.wait()
                results.append(request.get_output_tensor(0).data.copy())
            if index < len(batches):
                request.start_async({0: np.ascontiguousarray(batches[index])})
        return results


def members_of(model: Predictor, *, threads: int | None = None) -> Members | None:
    """Open the networks of a model; None where it is one network, takes one length, or is not run by OpenVINO."""
    if model.engine.name != "openvino" or model.card.fixed_length is not None:
        return None
    openvino = importlib.import_module("openvino")
    graph = openvino.Core().read_model(read_graph(model.bundle))
    last = graph.get_results()[0].input_value(0).get_node()
    if last.get_type_name() != "ReduceMean" or len(last.input_value(0).get_partial_shape()) != 4:
        return None
    before = openvino.Model([last.input_value(0)], graph.get_parameters())
    options: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    return Members(model, before, options)


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[first : first + _ROWS] for first in range(0, len(rows), _ROWS)]
