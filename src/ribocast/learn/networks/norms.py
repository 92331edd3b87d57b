"""Batch normalisation for sequences of many lengths.

Batches are of like length, so in training a row of 80 nt is normalised by the statistics of long rows. A running mean
over all batches would shift it as soon as training ends, and by how much depends on what the last few batches were. So
statistics are kept for each length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F


class LengthNorm(nn.BatchNorm1d):
    """BatchNorm1d that, once trained, normalises each row by the statistics of its length.

    `means` and `variances`, (longest + 1, channels), are the running ones for all lengths until `settle`; rows longer
    than `longest` count as so long. With `total`, which adds up what several processes have, a batch is what all of
    them hold.
    """

    total: Callable[[Tensor], Tensor] | None = None

    means: Tensor
    variances: Tensor

    def __init__(self, channels: int, longest: int) -> None:
        super().__init__(channels)
        self.longest = longest
        self.register_buffer("means", torch.zeros(longest + 1, channels))
        self.register_buffer("variances", torch.ones(longest + 1, channels))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise x (rows, channels, positions), whose rows have `lengths` letters, int64 (rows,)."""
        if self.training:
            y = self._normalise_together(x, self.total) if self.total else super().forward(x)
            with torch.no_grad():
                self.means.copy_(self._running()[0])
                self.variances.copy_(self._running()[1])
            return y
        scale = self.weight * torch.rsqrt(self.variances + self.eps)  # (longest + 1, channels)
        shift = self.bias - self.means * scale
        row = lengths.clamp(min=0, max=self.longest)  # of a damaged model it may not be a number
        if not torch.compiler.is_exporting():
            return x * scale[row].unsqueeze(2) + shift[row].unsqueeze(2)
        # In an engine's graph a product finds each row's line: it lays it out as a convolution does x, which is then
        # not copied before and after. Its numbers are those of the look-up; here, autocast would round them.
        line = F.one_hot(row, self.longest + 1).to(x.dtype).unsqueeze(2)  # (rows, longest + 1, 1)
        return x * F.conv1d(line, scale.T.unsqueeze(2)) + F.conv1d(line, shift.T.unsqueeze(2))

    def _normalise_together(self, x: Tensor, total: Callable[[Tensor], Tensor]) -> Tensor:
        """Do what BatchNorm1d does, with the statistics of all processes; PyTorch's SyncBatchNorm has no CPU."""
        wide = x.float()
        sums = total(torch.cat([wide.sum(dim=(0, 2)), wide.new_full((1,), x.shape[0] * x.shape[2])]))
        size = sums[-1]
        centred = wide - (sums[:-1] / size)[:, None]
        variance = total(centred.square().sum(dim=(0, 2))) / size
        with torch.no_grad():
            for running, batch in zip(self._running(), (sums[:-1] / size, variance * size / (size - 1)), strict=True):
                running.lerp_(batch, self.momentum or 0.0)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None] + self.bias[:, None]).to(x.dtype)

    def _running(self) -> tuple[Tensor, Tensor]:
        assert self.running_mean is not None
        assert self.running_var is not None
        return self.running_mean, self.running_var


def settle(norms: Sequence[LengthNorm], batches: Iterable[NDArray[np.int64]]) -> None:
    """Give each length the statistics that its rows were normalised by, on average over batches.

    Parameters
    ----------
    norms : sequence of LengthNorm
        Of one network, which is in training mode. Of one `longest`.
    batches : iterable of numpy.ndarray of int64
        The lengths of the rows of a batch, each given after the network has run on it. Lengths that do not occur take
        what the nearest one has.
    """
    momenta = [norm.momentum for norm in norms]
    longest = norms[0].longest
    counts = torch.zeros(longest + 1, 1, dtype=torch.float64)
    sums = [[torch.zeros_like(table, dtype=torch.float64) for table in (norm.means, norm.variances)] for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 1.0  # what is running is then the last batch's own
        for lengths in batches:
            rows = torch.from_numpy(np.bincount(lengths.clip(max=longest), minlength=longest + 1))[:, None]
            counts += rows
            for norm, own in zip(norms, sums, strict=True):
                for total, statistic in zip(own, norm._running(), strict=True):
                    total += rows * statistic
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    known = np.flatnonzero(counts[:, 0].numpy())
    nearest = known[np.abs(np.arange(longest + 1)[:, None] - known).argmin(axis=1)]
    with torch.no_grad():
        for norm, own in zip(norms, sums, strict=True):
            for table, total, running in zip((norm.means, norm.variances), own, norm._running(), strict=True):
                table.copy_((total / counts.clamp(min=1))[nearest])
                running.copy_(total.sum(dim=0) / counts.sum())
