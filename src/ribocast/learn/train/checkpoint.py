"""Where a training run stands after each epoch, in one file: written beside and renamed, never half there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ribocast.errors import OutputError, RibocastError
from ribocast.io.resume import refuse_other
from ribocast.io.writers import whole_file
from ribocast.learn.networks import LARGEST_HEADER, check_header
from ribocast.model.bundle import ModelCard

CHECKPOINT_NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """How far a run has come.

    Attributes
    ----------
    run : dict
        What is trained on what and how; a checkpoint of another run is refused.
    history : list of dict
        One entry an epoch: ``epoch``, ``train_loss``, ``val_loss`` (if rows are held out), ``seconds``.
    best_epoch : int
        0 before the first.
    best_loss : float
        The validation loss then; infinity before any was measured.
    best_weights : dict of str to Tensor
        The network after that epoch.
    """

    run: dict[str, Any]
    history: list[dict[str, float]]
    best_epoch: int
    best_loss: float
    best_weights: dict[str, Tensor]


def save_checkpoint(folder: Path, progress: Progress, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Write everything that the next epoch depends on."""
    tensors = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in progress.best_weights.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{name}": tensor for name, tensor in state.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts = {"run": progress.run, "history": progress.history, "best_epoch": progress.best_epoch,
             "best_loss": progress.best_loss}  # fmt: skip
    with whole_file(folder / CHECKPOINT_NAME) as partial:
        partial.write_bytes(safetensors.torch.save(tensors, metadata={"progress": json.dumps(facts)}))


def load_checkpoint(
    folder: Path, run: dict[str, Any], network: nn.Module, optimiser: torch.optim.Optimizer
) -> Progress | None:
    """Continue from a checkpoint: fill `network` and `optimiser`; None if there is none.

    Raises
    ------
    RibocastError
        If it is damaged or of another run: it names the first setting that differs.
    """
    path = folder / CHECKPOINT_NAME
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            check_header(stream.read(8 + LARGEST_HEADER))
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        theirs = facts["run"]
        # Of an older version, it lacks what cards say since. Its folder may be called otherwise by now.
        theirs["model"] = ModelCard.model_validate(
            theirs["model"] | {"name": run["model"]["name"]}
        ).model_dump(mode="json")  # fmt: skip
        refuse_other(path, theirs, run)
        weights_now, best = _under("network/", tensors), _under("best/", tensors)
        # There are no best ones before the first epoch that was evaluated.
        if any(_kinds(those) != _kinds(network.state_dict()) for those in (weights_now, best or weights_now)):
            raise ValueError("its weights are not those of the network")
        network.load_state_dict(weights_now)
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser/", tensors).items():
            index, key = name.split("/")
            if tensor.ndim and tensor.shape != weights[int(index)].shape:
                raise OutputError(f"{path}: cannot resume: it was written by an older version of ribocast")
            state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        return Progress(run, facts["history"], facts["best_epoch"], facts["best_loss"], best)
    except RibocastError:
        raise
    except (safetensors.SafetensorError, KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise OutputError(f"{path}: damaged: {str(error).splitlines()[0]}") from None


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _kinds(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
