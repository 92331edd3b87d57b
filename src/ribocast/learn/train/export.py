"""Turning a trained network into a bundle that runs without PyTorch."""

from __future__ import annotations

import importlib.metadata
import io
import logging
import warnings
from pathlib import Path
from typing import cast

import onnx
import safetensors.torch
import torch

from ribocast.errors import ModelError
from ribocast.learn.networks.network import Network
from ribocast.model.bundle import LEARNING_NAME, RUNNING_NAME, Bundle, ModelCard, write_bundle
from ribocast.model.onnx_check import parse_graph

_OPSET = 20


def write_network(network: Network, card: ModelCard, folder: str | Path, *, export: bool = True) -> Bundle:
    """Write a network as a bundle.

    Parameters
    ----------
    network : Network
        Trained; it is left in evaluation mode, on the CPU.
    card : ModelCard
        What is known about it; its files and package versions are filled in.
    folder : str or Path
        Where to.
    export : bool
        Whether to make the running form too, which for a small network takes longer than its training.
    """
    network = network.cpu().eval()
    names = ("ribocast", "torch", "numpy", "onnx")
    card = card.model_copy(update={"packages": {name: importlib.metadata.version(name) for name in names}})
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    running = {RUNNING_NAME: to_onnx(network)} if export else {}
    files = {**running, LEARNING_NAME: safetensors.torch.save(weights)}
    return write_bundle(folder, card, files)


def to_onnx(network: Network) -> bytes:
    """Export the graph: letters, uint8 (rows, length), to float32 (rows, assays, width).

    Rows are free, and the length is where the network takes any.

    Raises
    ------
    ModelError
        If it has an operator that `ribocast.load` refuses, so that nobody could run what was written.
    """
    rows = torch.export.Dim("rows", min=1, max=1 << 20)
    length = torch.export.Dim("length", min=1, max=1 << 20)
    shape = {0: rows} if network.fixed_length else {0: rows, 1: length}
    example = torch.full((7, network.fixed_length or 53), ord("A"), dtype=torch.uint8)
    example[:3, :5] = 0 if network.fixed_length is None else ord("C")
    noisy = logging.getLogger("torch.onnx")
    level = noisy.level
    noisy.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            program = torch.onnx.export(
                network, (example,), input_names=["letters"], output_names=["loads"], opset_version=_OPSET,
                dynamic_shapes=(shape,), dynamo=True, verbose=False,
            )  # fmt: skip
    finally:
        noisy.setLevel(level)
    stream = io.BytesIO()
    model = cast("torch.onnx.ONNXProgram", program).model_proto
    # The exporter notes at each node where on this machine its source stands: nobody else's business.
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer,
                 *model.graph.input, *model.graph.output):  # fmt: skip
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, stream)
    content = stream.getvalue()
    try:
        parse_graph(content)
    except ModelError as error:
        raise ModelError(f"the network cannot be written in its running form: {error}") from None
    return content
