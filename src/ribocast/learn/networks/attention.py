"""The homework's two regressors: convolutions, pooling, attention over positions.

Its shapes, done right: kernel 8 with padding 4 gives 51 positions from 50; pooling halves them to 25, then 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ribocast.learn.networks.network import Convolution, LetterTable, Network, channels_last, only_assay
from ribocast.model.bundle import AssayCard


@dataclass(frozen=True)
class Settings:
    """Settings of the homework's networks.

    Attributes
    ----------
    channels, kernels : tuple of int
        Of each convolution; its padding is half its kernel.
    pooled : tuple of bool
        Whether positions are halved after it.
    hidden : int
        Units between attention and the output.
    dropout : float
        Before them.
    length : int
        Letters that are read; attention is over all of them, so padding would change the result.
    """

    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    pooled: tuple[bool, ...]
    hidden: int = 64
    dropout: float = 0.3
    length: int = 50


class AttentionNetwork(Network):
    """Convolutions, then a weighted mean over positions whose weights are trained."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.fixed_length = settings.length
        self.letters = LetterTable()
        layers: list[nn.Module] = []
        before = 4
        for channels, kernel, pooled in zip(settings.channels, settings.kernels, settings.pooled, strict=True):
            # Rectified after pooling, which gives the same from half the numbers.
            pool = [nn.MaxPool2d((1, 2))] if pooled else []
            layers += [Convolution(before, channels, kernel, padding=kernel // 2), *pool, nn.ReLU(inplace=True)]
            before = channels
        self.convolutions = nn.Sequential(*layers)
        self.score = nn.Linear(before, 1)
        self.head = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(before, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, 1),
        )

    def forward(self, letters: Tensor) -> Tensor:
        """Letters (rows, length) to standardised MRLs (rows, 1, 1)."""
        x = self.convolutions(channels_last(self.letters(letters)[:, :4]))  # (rows, channels, 1, positions)
        x = x.squeeze(2).transpose(1, 2)  # (rows, positions, channels)
        weights = torch.softmax(self.score(x), dim=1)  # (rows, positions, 1)
        x = torch.bmm(weights.transpose(1, 2), x).squeeze(1)  # (rows, channels)
        return self.head(x).unsqueeze(1)  # type: ignore[no-any-return]


def build(settings: Settings, assays: Sequence[AssayCard]) -> Network:
    """Make the network for one assay."""
    only_assay(assays, "the homework's network")
    return AttentionNetwork(settings)
