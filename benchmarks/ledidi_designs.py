"""Ledidi (Schreiber et al. 2025; `pip install ledidi`) on a model of ribocast, to compare the searches with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ribocast.design.codes import BASES
from ribocast.learn.gradient import SoftMrl
from ribocast.model.predictor import Predictor

HIGHEST = 9.0
"""The MRL that is asked of it where the highest is wanted; it needs one."""
_CALLS_OF_A_STEP = 3
"""Predictions that a step of a sequence costs: one, and a gradient, which is counted as two."""


class OneHotMrl(nn.Module):
    """One-hot letters (rows, 4, length) to MRLs (rows, 1)."""

    def __init__(self, model: Predictor, length: int) -> None:
        super().__init__()
        self._mrls = SoftMrl(model, None, length)

    def forward(self, hot: Tensor) -> Tensor:
        """Run the network."""
        held = hot.detach().argmax(dim=1).numpy().astype(np.uint8)
        return self._mrls(hot.transpose(1, 2), held)[:, None]


def ledidi_designs(model: Predictor, target: float | None, start: str, count: int, calls: int, seed: int) -> list[str]:
    """Edit `start` towards an MRL, with this many predictions; the sequences of the last batch, each once.

    Raises
    ------
    ImportError
        If Ledidi is not installed.
    """
    from ledidi import ledidi

    hot = torch.tensor([[float(letter == base) for letter in start] for base in BASES])[None]
    wanted = torch.tensor([[HIGHEST if target is None else target]])
    edited = ledidi(
        OneHotMrl(model, len(start)), hot, wanted, device="cpu", random_state=seed, batch_size=count,
        max_iter=calls // (_CALLS_OF_A_STEP * count), early_stopping_iter=calls, verbose=False,
    )  # fmt: skip
    numbers = edited.reshape(-1, *edited.shape[-2:]).argmax(dim=1).tolist()
    return list(dict.fromkeys("".join(BASES[number] for number in row) for row in numbers))
