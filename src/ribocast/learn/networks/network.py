"""What all networks share: reading letters inside the graph, and what they promise the loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ribocast.errors import OptionError
from ribocast.model.bundle import AssayCard

BASES = "ACGT"
# Of so few channels, as letters are, a convolution spends its time in preparations: products of windows are faster.
_FEW_CHANNELS = 8


class Network(nn.Module):
    """A network from letters to mean ribosome loads (MRLs).

    Attributes
    ----------
    settings : dataclass
        What it was built with.
    fixed_length : int or None
        The one length of letters it takes; None is any.
    output : {"fractions", "standardised"}
        What its numbers are.
    """

    output = "standardised"
    fixed_length: int | None = None

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings

    def settings_dict(self) -> dict[str, Any]:
        """Return the settings as they go into ``model.json``."""
        return dataclasses.asdict(self.settings)

    def count_parameters(self) -> int:
        """Count the trained numbers."""
        return sum(tensor.numel() for tensor in self.parameters())

    def look(self, letters: Tensor) -> tuple[Tensor, Tensor] | None:
        """Compute what no weight changes, of letters (rows, length); None if there is nothing.

        Training does it once, and hands it to ``forward`` beside the letters in every epoch.

        Returns
        -------
        tuple of two torch.Tensor
            Channels (rows, channels, length) and numbers (rows, numbers), whatever padding stands on the left.
        """
        return None

    def begin_with_profiles(self, fractions: Tensor) -> None:
        """Set the first guess to the mean profile of each assay, shape (assays, width); only where it is one."""

    def weights_for(self, number: int, width: int) -> dict[str, Tensor]:
        """Return the weights of a network for one of the assays alone, its outputs cut to `width`."""
        return self.state_dict()

    def tilt(self, scale: float, shift: Tensor) -> None:
        """Multiply what goes into the softmax of fractions, and add to it, shape (width,); only where there is one."""


class LetterTable(nn.Module):
    """Letters, uint8 (rows, length), to one-hot bases and a mask, float32 (rows, 5, length).

    The channels are A, C, G, T (U is T, case does not matter, N is in none of them) and 1 where there is a letter.
    """

    def __init__(self) -> None:
        super().__init__()
        table = torch.zeros(256, 5)
        for channel, letters in enumerate(("Aa", "Cc", "Gg", "TtUu")):
            for letter in letters:
                table[ord(letter), channel] = 1
        for letter in "ACGTUNacgtun":
            table[ord(letter), 4] = 1
        self.register_buffer("table", table, persistent=False)

    def forward(self, letters: Tensor) -> Tensor:
        """Look the letters up."""
        return F.embedding(letters.long(), self.table).transpose(1, 2)  # type: ignore[arg-type]


class Convolution(nn.Conv1d):
    """A Conv1d for (rows, channels, 1, length), which PyTorch lays out channels last if the input is.

    On CPUs that spares both directions of every step a copy to and from the layout they multiply in, and pooling and
    rectifying go over whole vectors of channels. Weights lie likewise, and so do their gradients.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel, padding=padding)
        self.weight = nn.Parameter(channels_last(self.weight.detach()).squeeze(2))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape but for the number of channels."""
        padding = int(self.padding[0])
        if self.training and not x.requires_grad and self.in_channels <= _FEW_CHANNELS:
            return self._multiply_windows(F.pad(x, (padding, padding)))
        return F.conv2d(x, self.weight.unsqueeze(2), self.bias, padding=(0, padding))

    def _multiply_windows(self, x: Tensor) -> Tensor:
        """Do the same as one product of matrices, of x (rows, channels, 1, padded length)."""
        rows, kernel = len(x), self.kernel_size[0]
        steps = x.permute(0, 2, 3, 1).reshape(rows, -1, self.in_channels)  # (rows, padded length, channels)
        windows = steps.unfold(1, kernel, 1).transpose(2, 3).reshape(-1, kernel * self.in_channels)
        flat = self.weight.permute(0, 2, 1).reshape(self.out_channels, -1)
        y = F.linear(windows, flat, self.bias)
        return y.view(rows, 1, -1, self.out_channels).permute(0, 3, 1, 2)  # channels last


def channels_last(x: Tensor) -> Tensor:
    """Lay (rows, channels, length) out for `Convolution`."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def begin_as_keras(network: nn.Module) -> None:
    """Give a network Keras's initial weights in the place of PyTorch's."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def only_assay(assays: Sequence[AssayCard], name: str) -> None:
    """Raise unless there is one assay, for networks with one output."""
    if len(assays) != 1:
        raise OptionError(f"{name} trains on one assay at a time, not {len(assays)}; use --model framed")
