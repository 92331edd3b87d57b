"""What each network of a model that is the mean of several predicts: where they differ, the model is uncertain."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import ModelError, StoppedError
from ribocast.model.onnx_check import read_graph
from ribocast.model.predictor import Predictor, to_mrl
from ribocast.model.stopping import is_stopped
from ribocast.sequence.batch import encode
from ribocast.sequence.letters import Letters

_ROWS = 128
PredictMrl = Callable[[list[str]], Sequence[float] | NDArray[np.float64]]
"""A predictor, as a user's own may be: sequences in, one number each out."""


class Members:
    """Networks of an averaged model, run by OpenVINO as one graph without its last step, the mean."""

    def __init__(self, model: Predictor, graph: Any, options: dict[str, object]) -> None:
        openvino = importlib.import_module("openvino")
        compiled = openvino.Core().compile_model(graph, "CPU", options)
        streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self._outputs = range(len(compiled.outputs))
        self._card = model.card

    def mrls(self, seqs: Sequence[str], assay: str | None = None) -> NDArray[np.float64]:
        """Predict the MRL of each sequence by each network; shape (networks, n)."""
        card = self._card.assay(assay)
        number = [known.name for known in self._card.assays].index(card.name)
        lengths = np.array([len(seq) for seq in seqs])
        rows = [part for length in np.unique(lengths) for part in _parts(np.flatnonzero(lengths == length))]
        outputs = self._run([encode([seqs[row] for row in part]) for part in rows])
        mrls = np.empty((outputs[0].shape[0], len(seqs)))
        for part, output in zip(rows, outputs, strict=True):
            mrls[:, part] = [to_mrl(one[:, number], card) for one in output]
        if not np.isfinite(mrls).all():
            raise ModelError("the network gives numbers that are not finite")
        return mrls

    def _run(self, batches: list[Letters]) -> list[NDArray[np.float32]]:
        results: list[NDArray[np.float32]] = []
        running = len(self._requests)
        begun = 0
        for index in range(len(batches) + running):
            request = self._requests[index % running]
            if 0 <= index - running < begun:
                request.wait()
                outputs = [request.get_output_tensor(number).data for number in self._outputs]
                results.append(np.concatenate(outputs))  # (networks, rows, assays, width)
            # What runs is waited for in any case.
            if index < len(batches) and not is_stopped():
                request.start_async({0: np.ascontiguousarray(batches[index])})
                begun += 1
        if begun < len(batches):
            raise StoppedError("stopped")
        return results


def members_of(model: Predictor, *, only: Sequence[int] | None = None, threads: int | None = None) -> Members | None:
    """Open the networks of a model, or those of some numbers.

    None where it is one network, takes one length, or is not run by OpenVINO.
    """
    if not model.engine.name.startswith("openvino") or model.card.fixed_length is not None:
        return None
    openvino = importlib.import_module("openvino")
    graph = openvino.Core().read_model(read_graph(model.bundle).content)
    last = graph.get_results()[0].input_value(0).get_node()
    if last.get_type_name() != "ReduceMean" or len(last.input_value(0).get_partial_shape()) != 4:
        return None
    stacked = last.input_value(0).get_node()  # one input a network
    outputs = [stacked.input_value(number) for number in (range(stacked.get_input_size()) if only is None else only)]
    before = openvino.Model(outputs, graph.get_parameters())
    options: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    if threads is not None:
        options |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return Members(model, before, options)


def share_out_networks(
    shipped: Predictor, models: Sequence[object], assay: str | None, *, threads: int | None = None
) -> tuple[PredictMrl | None, PredictMrl | None]:
    """Share out the networks of a shipped model that no other contains: for uncertainty, and to predict independently.

    Parameters
    ----------
    shipped : Predictor
        The mean of several networks.
    models : sequence
        What is designed with; those that count are the predictors among them.
    assay : str, optional
        What is asked for; an assay that `shipped` does not know is its default one.
    threads : int, optional
        CPU threads; all cores without it.

    Returns
    -------
    tuple of callable or None
        From sequences to MRLs of shape (n,). One network is for the uncertainty where `models` is one network of the
        same family, so that there is something to differ from; the others predict independently, and are None where
        none is left.
    """
    known = shipped.card.contents
    used = {one for model in models if isinstance(model, Predictor) for one in model.card.contents}
    free = [number for number, one in enumerate(known) if one not in used]
    asked = assay if assay in [one.name for one in shipped.card.assays] else None
    for_uncertainty = free[:1] if len(models) == len(used) == 1 and used <= set(known) and len(free) > 1 else []
    independent = [number for number in free if number not in for_uncertainty]
    return _mean_of(shipped, for_uncertainty, asked, threads), _mean_of(shipped, independent, asked, threads)


def _mean_of(model: Predictor, numbers: list[int], assay: str | None, threads: int | None) -> PredictMrl | None:
    members = members_of(model, only=numbers, threads=threads) if numbers else None
    if members is None:
        return None
    return lambda seqs: np.asarray(members.mrls(seqs, assay).mean(axis=0))


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[first : first + _ROWS] for first in range(0, len(rows), _ROWS)]
