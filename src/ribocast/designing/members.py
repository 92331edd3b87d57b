"""What each network of a model that is the mean of several says by itself: where they differ, the model is in doubt."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import RibocastError
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
    graph = openvino.Core().read_model(model.bundle.running.read_bytes())
    last = graph.get_results()[0].input_value(0).get_node()
    if last.get_type_name() != "ReduceMean" or len(last.input_value(0).get_partial_shape()) != 4:
        return None
    before = openvino.Model([last.input_value(0)], graph.get_parameters())
    options: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    return Members(model, before, options)


def independent_networks(
    model: Predictor, others: Sequence[object], assay: str | None, *, threads: int | None = None
) -> Callable[[list[str]], NDArray[np.float64]] | None:
    """Return what the networks of `model` say that none of the others contains; None if there is none.

    Parameters
    ----------
    model : Predictor
        The mean of several networks, or one.
    others : sequence
        Those that count are the predictors among them.
    assay : str, optional
        What is asked for; an assay that `model` does not know is its default one.
    threads : int, optional
        CPU threads; all cores without it.

    Returns
    -------
    callable or None
        From sequences to the mean load by these networks, shape (n,).
    """
    used = {one for other in others if isinstance(other, Predictor) for one in other.card.contents}
    free = [number for number, one in enumerate(model.card.contents) if one not in used]
    asked = assay if assay in [known.name for known in model.card.assays] else None
    if free and len(free) == len(model.card.contents):
        return lambda seqs: model.mrl(seqs, assay=asked)
    members = members_of(model, threads=threads) if free else None
    if members is None:
        return None
    return lambda seqs: np.asarray(members.loads(seqs, asked)[free].mean(axis=0))


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[first : first + _ROWS] for first in range(0, len(rows), _ROWS)]
