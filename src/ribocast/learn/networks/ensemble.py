"""Several trained networks of one architecture as one: the mean of what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from ribocast.errors import ModelError
from ribocast.learn.networks.network import Network
from ribocast.model.bundle import AssayCard

_MOST_MEMBERS = 100


@dataclass(frozen=True)
class Settings:
    """Settings of an ensemble.

    Attributes
    ----------
    member : str
        The architecture of its networks.
    members : int
        How many.
    member_settings : dict
        Their settings.
    own_settings : tuple of dict
        Those in which they differ, one for each network; empty where they do not.
    """

    member: str = "framed"
    members: int = 5
    member_settings: dict[str, Any] = field(default_factory=dict)
    own_settings: tuple[dict[str, Any], ...] = ()


class EnsembleNetwork(Network):
    """The mean of networks; of fractions, the mean profile."""

    def __init__(self, settings: Settings, networks: Sequence[Network]) -> None:
        super().__init__(settings)
        self.networks = nn.ModuleList(networks)
        self.output, self.fixed_length = networks[0].output, networks[0].fixed_length

    def weights_for(self, number: int, width: int) -> dict[str, Tensor]:
        """Return the weights of an ensemble for one of the assays alone."""
        return {
            f"networks.{member}.{name}": tensor
            for member, network in enumerate(self.networks)
            for name, tensor in cast("Network", network).weights_for(number, width).items()
        }

    def tilt(self, scale: float, shift: Tensor) -> None:
        """Tilt the fractions of every member."""
        for network in self.networks:
            cast("Network", network).tilt(scale, shift)

    def forward(self, letters: Tensor) -> Tensor:
        """Letters (rows, length) to the mean of the members' outputs (rows, assays, width)."""
        return torch.stack([network(letters) for network in self.networks]).mean(dim=0)


def build(settings: Settings, assays: Sequence[AssayCard]) -> Network:
    """Make the ensemble with fresh members."""
    from ribocast.learn.networks import architecture

    if not 1 <= settings.members <= _MOST_MEMBERS or settings.member == "ensemble":
        raise ModelError(f"an ensemble has 1 to {_MOST_MEMBERS} members, and none that is an ensemble")
    own = settings.own_settings or ({},) * settings.members
    if len(own) != settings.members:
        raise ModelError(f"an ensemble of {settings.members} members has settings of its own for {len(own)}")
    design = architecture(settings.member)
    return EnsembleNetwork(settings, [design.build(assays, **{**settings.member_settings, **one}) for one in own])
