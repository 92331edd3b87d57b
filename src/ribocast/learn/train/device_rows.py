"""Labelled rows on the device that learns from them: put there once, so that no step waits for a copy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ribocast.learn.networks.network import Network
from ribocast.learn.train.batches import Labelled

_ROWS_LOOKED_AT = 512


class Seen(NamedTuple):
    """What a network computes of rows whatever its weights; see `Network.look`."""

    channels: Tensor
    numbers: Tensor


class DeviceRows:
    """Rows as tensors of a device; those of a batch are taken by their numbers.

    Attributes
    ----------
    lengths : numpy.ndarray of int64, shape (n,)
        Letters that are read of each row, where batches are made of them.
    letters, assay, target, fractions, weight : torch.Tensor
        As in `Labelled`.
    """

    def __init__(self, data: Labelled, network: Network, device: torch.device) -> None:
        self.lengths = data.lengths
        self._device, self._fixed = device, network.fixed_length is not None
        self.letters, self.assay, self.target, self.fractions, self.weight = (
            torch.from_numpy(np.require(values, requirements=("C", "W"))).to(device)
            for values in (data.letters, data.assay, data.target, data.fractions, data.weight)
        )
        self._seen = self._look(network)

    def __len__(self) -> int:
        return len(self.lengths)

    def numbers(self, batch: NDArray[np.int64]) -> Tensor:
        """Bring the numbers of a batch's rows to the device."""
        return torch.from_numpy(batch).to(self._device)

    def inputs(self, batch: NDArray[np.int64], own: slice = slice(None)) -> tuple[Tensor] | tuple[Tensor, Seen]:
        """Return what the network takes of some rows of a batch, padded as the whole batch is."""
        rows = self.numbers(batch[own])
        width = self.letters.shape[1] if self._fixed else int(self.lengths[batch].max())
        letters = self.letters[rows, -width:]
        if self._seen is None:
            return (letters,)
        return letters, Seen(self._seen.channels[rows, :, -width:], self._seen.numbers[rows])

    @torch.no_grad()
    def _look(self, network: Network) -> Seen | None:
        seen: Seen | None = None
        self._seen = None
        for batch in in_order(self.lengths, _ROWS_LOOKED_AT):
            (letters, *_) = self.inputs(batch)
            found = network.look(letters)
            if found is None:
                return None
            if seen is None:
                channels = (len(self), found[0].shape[1], self.letters.shape[1])
                seen = Seen(
                    torch.zeros(channels, device=self._device),
                    torch.zeros((len(self), found[1].shape[1]), device=self._device),
                )
            rows = self.numbers(batch)
            seen.channels[rows, :, -letters.shape[1] :] = found[0]
            seen.numbers[rows] = found[1]
        return seen


def in_order(lengths: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    """Divide the rows into groups of similar length, each of at most `most` rows."""
    order = np.argsort(lengths, kind="stable")
    return [order[at : at + most] for at in range(0, len(order), most)]
