"""Several processes that train one network together, as ``torchrun`` starts them: each runs its share of every batch.

Nothing is decided apart: losses and what networks normalise by are of all rows of a batch, whichever process ran them,
and gradients are added up before every step, so all processes hold the same weights (at the start of every epoch, those
of the first), and only the first one writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from ribocast.errors import OptionError, UnavailableError


@dataclass(frozen=True)
class Team:
    """The processes that train together, as one of them sees them.

    Attributes
    ----------
    number : int
        This process's, from 0.
    size : int
        How many there are.
    """

    number: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.number == 0

    def share(self, batch: NDArray[np.int64]) -> slice:
        """Return which rows of a batch this process runs: every `size`-th, since neighbours are of like length."""
        return slice(self.number, len(batch), self.size)

    def total(self, numbers: Tensor) -> Tensor:
        """Add up what each process has; gradients flow through the sum."""
        if self.size == 1:
            return numbers
        summed: Tensor = _Total.apply(numbers)  # type: ignore[no-untyped-call]
        return summed

    def add_gradients(self, blocks: Iterable[nn.Parameter]) -> None:
        """Give all processes the sum of their gradients, which lie in a few blocks; see `lay_flat`."""
        for block in blocks if self.size > 1 else ():
            distributed.all_reduce(block.grad)

    def agree(self, blocks: Iterable[nn.Parameter]) -> None:
        """Take the first process's weights: unlike processors multiply alike but for their last bits."""
        for block in blocks if self.size > 1 else ():
            distributed.broadcast(block.data, 0)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            distributed.barrier()


class _Total(torch.autograd.Function):
    """A sum over processes. Each has a loss of its own that depends on it, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, numbers: Tensor) -> Tensor:
        summed = numbers.clone()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(ctx, gradient)


@contextmanager
def join_team(device: torch.device) -> Iterator[Team]:
    """Join the processes that ``torchrun`` started with this one; a process started alone is a team of one.

    Raises
    ------
    RibocastError
        If they cannot be reached, or train on a device on which processes cannot work together.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Team()
        return
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"several processes train together on cpu or cuda, not on {device.type}")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"the other training processes cannot be reached: {str(error).splitlines()[0]}"
        ) from None
    try:
        yield Team(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def is_first_process() -> bool:
    """Say whether this process is the one that writes and speaks, before there is a team."""
    return os.environ.get("RANK", "0") == "0"


def own_device(device: torch.device) -> torch.device:
    """Give each of a machine's processes a GPU of its own."""
    if device.type != "cuda" or device.index is not None or "LOCAL_RANK" not in os.environ:
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
