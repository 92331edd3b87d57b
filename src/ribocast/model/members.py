"""What each network of a model that is the mean of several predicts: where they differ, the model is uncertain."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ribocast.model.engine import OpenVinoEngine, Outputs, check_outputs
from ribocast.model.onnx_check import read_graph
from ribocast.model.predictor import Predictor, to_mrl
from ribocast.model.stopping import check_stopped
from ribocast.sequence.batch import encode
from ribocast.sequence.letters import Letters

_ROWS = 128
PredictMrl = Callable[[list[str]], Sequence[float] | NDArray[np.float64]]
"""A predictor, as a user's own may be: sequences in, one number each out."""


class Members(OpenVinoEngine):
    """Networks of an averaged model, or those of some numbers: one graph without its last step, the mean."""

    def __init__(self, model: Predictor, only: Sequence[int] | None = None, threads: int | None = None) -> None:
        self._only = only
        super().__init__(model.bundle, threads)
        self._card = model.card

    def _network(self, core: Any) -> Any:
        network = super()._network(core)
        inputs = _inputs_of_mean(network)
        assert inputs is not None
        chosen = inputs if self._only is None else [inputs[number] for number in self._only]
        return importlib.import_module("openvino").Model(chosen, network.get_parameters())

    def _outputs(self, request: Any, rows: int) -> Outputs:
        """Return what each network gives; shape (networks, rows, assays, width)."""
        each = [tensor.data[0].copy() for tensor in request.output_tensors]
        return np.stack([check_outputs(outputs, rows, self._shape) for outputs in each])

    def mrls(self, seqs: Sequence[str], assay: str | None = None) -> NDArray[np.float64]:
        """Predict the MRL of each sequence by each network; shape (networks, n)."""
        card = self._card.assay(assay)
        number = [known.name for known in self._card.assays].index(card.name)
        lengths = np.array([len(seq) for seq in seqs])
        same = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
        parts = [rows[first : first + _ROWS] for rows in same for first in range(0, len(rows), _ROWS)]

        def batches() -> Iterator[Letters]:
            for rows in parts:
                check_stopped()
                yield encode([seqs[row] for row in rows])

        outputs = self.run(batches())
        mrls = np.empty((len(outputs[0]), len(seqs)))
        for rows, output in zip(parts, outputs, strict=True):
            mrls[:, rows] = [to_mrl(one[:, number], card) for one in output]
        return mrls


def members_of(model: Predictor, *, only: Sequence[int] | None = None, threads: int | None = None) -> Members | None:
    """Open the networks of a model, or those of some numbers.

    None where it is one network, takes one length, or is not run by OpenVINO.
    """
    if not model.engine.name.startswith("openvino") or model.card.fixed_length is not None:
        return None
    graph = importlib.import_module("openvino").Core().read_model(read_graph(model.bundle).content)
    return None if _inputs_of_mean(graph) is None else Members(model, only, threads)


def _inputs_of_mean(network: Any) -> list[Any] | None:
    """Return the outputs that the last step of a graph averages, one a network; None if that step is not a mean."""
    last = network.get_results()[0].input_value(0).get_node()
    if last.get_type_name() != "ReduceMean" or len(last.input_value(0).get_partial_shape()) != 4:
        return None
    stacked = last.input_value(0).get_node()
    return [stacked.input_value(number) for number in range(stacked.get_input_size())]


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
