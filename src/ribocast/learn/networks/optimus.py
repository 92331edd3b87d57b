"""Optimus 5-Prime, the network of Sample et al., Nature Biotechnology 37, 803–809 (2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ribocast.errors import OptionError
from ribocast.learn.networks.network import Convolution, LetterTable, Network, begin_as_keras, channels_last, only_assay
from ribocast.model.bundle import AssayCard


@dataclass(frozen=True)
class Settings:
    """The paper's five hyper-parameters, and the length.

    Attributes
    ----------
    layers, filters, filter_length : int
        Of the convolutions.
    dense : int
        Units of the dense layer.
    dropout : float
        After it.
    length : int
        Letters that are read; shorter sequences have zeros on their left, as published for 25 to 100 nt.
    profile : bool
        Give one linear number a polysome fraction, not one MRL. They are as published: raw, so that they need not
        sum to 1 nor be positive.
    """

    layers: int = 3
    filters: int = 120
    filter_length: int = 8
    dense: int = 40
    dropout: float = 0.2
    length: int = 50
    profile: bool = False


class OptimusNetwork(Network):
    """Convolutions that keep every position, flattened into a dense layer."""

    def __init__(self, settings: Settings, outputs: int) -> None:
        super().__init__(settings)
        self.output = "fractions" if settings.profile else "standardised"
        self.fixed_length = settings.length
        self.letters = LetterTable()
        # As Keras pads to the "same" length: the odd zero of an even kernel goes to the right.
        spare = settings.filter_length - 1
        layers: list[nn.Module] = []
        before = 4
        for _ in range(settings.layers):
            layers += [
                nn.ConstantPad2d((spare // 2, spare - spare // 2, 0, 0), 0.0),
                Convolution(before, settings.filters, settings.filter_length),
                nn.ReLU(inplace=True),
            ]
            before = settings.filters
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(before * settings.length, settings.dense),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.dense, outputs),
        )
        begin_as_keras(self)

    def forward(self, letters: Tensor) -> Tensor:
        """Letters (rows, length) to a standardised MRL (rows, 1, 1), or fractions (rows, 1, width)."""
        x = self.convolutions(channels_last(self.letters(letters)[:, :4]))  # (rows, filters, 1, length)
        return self.head(x).unsqueeze(1)  # type: ignore[no-any-return]


def build(settings: Settings, assays: Sequence[AssayCard]) -> Network:
    """Make the network for one assay."""
    only_assay(assays, "optimus")
    weights = assays[0].fraction_weights
    if settings.profile and weights is None:
        raise OptionError(f"{assays[0].name}: the weights of its polysome fractions are not known: no profile model")
    return OptimusNetwork(settings, len(weights or ()) if settings.profile else 1)
