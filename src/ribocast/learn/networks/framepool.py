"""FramePool: convolutions pooled by reading frame, Karollus, Avsec & Gagneur, PLOS Comput Biol 17, e1008982 (2021).

For comparison: layers, sizes and initial weights as its authors published them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ribocast.learn.networks.network import LetterTable, Network, begin_as_keras
from ribocast.model.bundle import AssayCard


@dataclass(frozen=True)
class Settings:
    """The paper's sizes.

    Attributes
    ----------
    layers, filters, filter_length : int
        Of the convolutions.
    dense : int
        Units of the dense layer.
    dropout : float
        After it.
    """

    layers: int = 3
    filters: int = 128
    filter_length: int = 7
    dense: int = 64
    dropout: float = 0.2


class FramePoolNetwork(Network):
    """One MRL for all assays, and a scale and a shift for each."""

    def __init__(self, settings: Settings, assays: Sequence[AssayCard]) -> None:
        super().__init__(settings)
        self.letters = LetterTable()
        spare = settings.filter_length - 1
        self.pad = (spare // 2, spare - spare // 2)
        widths = [4, *[settings.filters] * (settings.layers - 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, settings.filters, settings.filter_length) for width in widths
        )
        self.hidden = nn.Linear(6 * settings.filters, settings.dense)
        self.dropout = nn.Dropout(settings.dropout)
        self.out = nn.Linear(settings.dense, 1)
        begin_as_keras(self)
        self.scale = nn.Parameter(torch.ones(len(assays)))
        self.shift = nn.Parameter(torch.zeros(len(assays)))

    def forward(self, letters: Tensor) -> Tensor:
        """Letters (rows, length) to standardised MRLs (rows, assays, 1)."""
        table = self.letters(letters)
        x, mask = table[:, :4], table[:, 4:]
        for number, convolution in enumerate(self.convolutions):
            y = torch.relu(convolution(F.pad(x, self.pad))) * mask
            x = y + x if number else y
        codons = (x.shape[2] + 2) // 3
        # From the start codon leftwards; what is added on the left is nothing, and values are not negative.
        frames = F.pad(x, (2, 0))[..., -3 * codons :].reshape(*x.shape[:2], codons, 3)
        length = mask.sum(dim=2).clamp(min=1)
        most = frames.amax(dim=2).transpose(1, 2).flatten(1)
        # As published, all three means are over the whole length.
        mean = frames.sum(dim=2).transpose(1, 2).flatten(1) / length
        x = self.dropout(torch.relu(self.hidden(torch.cat([most, mean], dim=1))))
        return (self.out(x) * self.scale + self.shift)[..., None]  # type: ignore[no-any-return]


def build(settings: Settings, assays: Sequence[AssayCard]) -> Network:
    """Make the network for any number of assays."""
    return FramePoolNetwork(settings, assays)
