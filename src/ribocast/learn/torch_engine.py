"""The engine of PyTorch, for `ribocast.model.engine`: registered in the project file, and imported when it is named."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch

from ribocast.errors import OptionError
from ribocast.learn.device import pick_device
from ribocast.learn.networks import load_network
from ribocast.model.bundle import Bundle
from ribocast.model.engine import Outputs, check_outputs
from ribocast.sequence.letters import Letters

_HAS_RUN: list[bool] = []


def _forget_threads() -> None:
    if _HAS_RUN:
        # Its threads stay with the parent; it would wait for them, also where the engine itself is gone.
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


class TorchEngine:
    """The learning form, run by PyTorch on the best device there is."""

    name = "torch"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.version, self.streams = str(torch.__version__), 1
        self.device = pick_device(None)
        self._network = load_network(bundle).to(self.device).eval()
        self._shape = (len(bundle.card.assays), bundle.card.width)
        self._process = os.getpid()
        _HAS_RUN.append(True)

    def run(self, batches: Iterable[Letters]) -> list[Outputs]:
        """Run batches of letters, each of shape (rows, length); give (rows, assays, width) each, in order."""
        if self.device.type != "cpu" and os.getpid() != self._process:
            raise OptionError("a forked process cannot use its parent's GPU; start processes by 'spawn' instead")
        with torch.inference_mode():
            return [
                check_outputs(
                    self._network(torch.tensor(batch, device=self.device)).cpu().numpy(), len(batch), self._shape
                )
                for batch in batches
            ]
