"""The shipped architecture: residual convolutions that know the reading frame, for any length and many assays.

Four things make it learn from few rows. Every position carries its frame relative to the start codon. Open
reading frames are computed, not trained: whether a position lies in one that an upstream ATG opened, and whether
that ends before the start codon. So are hairpins: how strongly each position can pair. And pooling is by frame, with
attention and a branch that keeps position beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix  # of any strings, in spite of its home
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ribocast.errors import OptionError
from ribocast.learn.networks.hairpins import Hairpins
from ribocast.learn.networks.network import BASES, LetterTable, Network
from ribocast.learn.networks.norms import LengthNorm
from ribocast.model.bundle import AssayCard

# 3 · 2^7 = 384 nt: how far an open frame is followed. Longer ones read as closed.
_DOUBLINGS = 7
_NEVER = -1e4
# What follows the start codon is far away, and nearly alike in all rows: more of it adds little.
_CODING = 20
# The share of each base, and the length.
_SUMMARIES = 5


@dataclass(frozen=True)
class Settings:
    """Settings of the network.

    Attributes
    ----------
    channels, kernel : int
        Of all convolutions.
    dilations : tuple of int
        One residual block each.
    attention_heads : int
        Weighted means over positions, beside the maximum and mean of each frame.
    position_channels, position_length : int
        Of the branch that keeps position: its channels, and the bases before the start codon that it sees.
    hidden : int
        Units before the output.
    dropout : float
        Before the output.
    letter_dropout : float
        Share of letters that are hidden from the convolutions in training; frames and hairpins are of all letters.
    hairpin_reach : int
        Half of the largest distance of two bases that pair; see `Hairpins`.
    norm_lengths : int
        Lengths up to this one have statistics of their own; see `LengthNorm`.
    """

    channels: int = 64
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2)
    attention_heads: int = 8
    position_channels: int = 16
    position_length: int = 100
    hidden: int = 128
    dropout: float = 0.3
    letter_dropout: float = 0.03
    hairpin_reach: int = 19
    norm_lengths: int = 100


class OpenFrames(nn.Module):
    """Upstream starts, and the open reading frames they make, as channels.

    The two bases on either side of the UTR are part of it: an ATG or a stop can form across a joint.
    """

    channels = 4

    def __init__(self, before: str, after: str) -> None:
        super().__init__()
        padded = ("NN" + before)[-2:] + (after + "NN")[:2]
        sides = torch.tensor([[float(base == letter) for letter in padded] for base in BASES])  # (4 bases, 4 places)
        self.register_buffer("sides", sides, persistent=False)

    def forward(self, bases: Tensor, mask: Tensor) -> Tensor:
        """Bases (rows, 4, length) and mask (rows, 1, length) to channels (rows, 4, length).

        They are 1 where, at this base and in its own frame: an upstream ATG begins; an upstream ATG has opened a
        frame that no stop has closed; a stop follows; the frame is open and no stop follows.
        """
        length = mask.shape[2]
        a, _, g, t = self._with_sides(bases, mask).unbind(1)  # (rows, length + 4) each

        def at(letter: Tensor, offset: int) -> Tensor:  # codons that begin from two bases before the UTR on
            return letter[:, offset : offset + length + 2]

        start = at(a, 0) * at(t, 1) * at(g, 2)
        stop = at(t, 0) * (at(a, 1) * (at(a, 2) + at(g, 2)) + at(g, 1) * at(a, 2))
        number = torch.arange(1, length + 3, device=mask.device, dtype=mask.dtype)
        # The last start and the last stop so far; and, from the other end, whether a stop has come.
        latest = torch.stack([start * number, stop * number, stop.flip(1)], dim=1)
        for doubling in range(_DOUBLINGS):
            step = 3 * 2**doubling
            latest = torch.maximum(latest, F.pad(latest, (step, 0))[..., :-step])
        is_open = (latest[:, 0] > latest[:, 1]).to(mask.dtype)
        stop_ahead = latest[:, 2].flip(1)
        channels = torch.stack([start, is_open, stop_ahead, is_open * (1 - stop_ahead)], dim=1)
        return channels[:, :, 2:] * mask  # (rows, 4, length)

    def _with_sides(self, bases: Tensor, mask: Tensor) -> Tensor:
        """Put two bases of adapter before each row's first letter and two of the coding sequence after its last."""
        sides = cast("Tensor", self.sides)
        shifted = F.pad(mask, (1, 0))
        one_before = F.pad(shifted - F.pad(mask, (2, 0))[..., :-1], (0, 1))  # (rows, 1, length + 2)
        two_before = F.pad(mask - shifted[..., :-1], (0, 2))
        before = one_before * sides[None, :, 1:2] + two_before * sides[None, :, :1]
        after = sides[None, :, 2:].expand(bases.shape[0], -1, -1)
        return torch.cat([F.pad(bases, (2, 0)) + before, after], dim=2)  # (rows, 4, length + 4)


class Block(nn.Module):
    """x + Conv(ReLU(BatchNorm(x))), which padding does not reach."""

    def __init__(self, channels: int, kernel: int, dilation: int, longest: int) -> None:
        super().__init__()
        self.norm = LengthNorm(channels, longest)
        reach = dilation * (kernel - 1) // 2
        self.convolution = nn.Conv1d(channels, channels, kernel, padding=reach, dilation=dilation)

    def forward(self, x: Tensor, mask: Tensor | None, lengths: Tensor) -> Tensor:
        """Keep the shape (rows, channels, length); `lengths`, int64 (rows,), are those without padding."""
        y = torch.relu(self.norm(x, lengths))
        if mask is None:
            return x + self.convolution(y)  # type: ignore[no-any-return]
        x = x + self.convolution(y * mask)
        # In training, batch statistics see the padding. Else nothing does, and the engine joins this sum to the
        # convolution.
        return x * mask if self.training else x


class FramedNetwork(Network):
    """Letters to polysome fractions (or a standardised MRL) of every assay."""

    def __init__(self, settings: Settings, assays: Sequence[AssayCard]) -> None:
        super().__init__(settings)
        weights = [assay.fraction_weights for assay in assays]
        self.output = "standardised" if None in weights else "fractions"
        width = 1 if self.output == "standardised" else max(len(row or ()) for row in weights)
        channels = settings.channels
        self.letters = LetterTable()
        self.frames = OpenFrames(*_around(assays))
        self.hairpins = Hairpins(*_around(assays), settings.hairpin_reach)
        given = 5 + 3 + OpenFrames.channels + Hairpins.channels
        self.stem = nn.Conv1d(given, channels, settings.kernel, padding=settings.kernel // 2)
        self.blocks = nn.ModuleList(
            Block(channels, settings.kernel, dilation, settings.norm_lengths) for dilation in settings.dilations
        )
        self.score = nn.Conv1d(channels, settings.attention_heads, 1)
        self.place = nn.Conv1d(channels, settings.position_channels, 1)
        self.placed = nn.Linear(settings.position_channels * settings.position_length, 64)
        pooled = 6 * channels + settings.attention_heads * channels + 64 + _SUMMARIES + Hairpins.summaries
        self.hidden = nn.Sequential(nn.Linear(pooled, settings.hidden), nn.ReLU(), nn.Dropout(settings.dropout))
        self.out = nn.Linear(settings.hidden, len(assays) * width)
        self.shape = (len(assays), width)
        # Assays with fewer fractions than the widest never have anything in the ones they lack.
        lacking = [[_NEVER * (width > 1 and i >= len(row or ())) for i in range(width)] for row in weights]
        self.register_buffer("lacking", torch.tensor(lacking), persistent=False)

    def begin_with_profiles(self, fractions: Tensor) -> None:
        """Set the first guess to the mean profile of each assay, shape (assays, width)."""
        if self.output == "fractions":
            with torch.no_grad():
                self.out.bias.copy_(fractions.clamp(min=1e-4).log().flatten())
                self.out.weight.mul_(0.5)

    def weights_for(self, number: int, width: int) -> dict[str, Tensor]:
        """Return the weights of a network for one of the assays alone, its outputs cut to `width`."""
        outputs = {
            f"out.{name}": tensor.detach().reshape(*self.shape, *tensor.shape[1:])[number, :width]
            for name, tensor in self.out.named_parameters()
        }
        return {**self.state_dict(), **outputs}

    def tilt(self, scale: float, shift: Tensor) -> None:
        """Multiply what goes into the softmax of the fractions, and add to it, shape (width,)."""
        with torch.no_grad():
            self.out.weight.mul_(scale)
            self.out.bias.mul_(scale).add_(shift.repeat(self.shape[0]))

    def look(self, letters: Tensor) -> tuple[Tensor, Tensor]:
        """Compute hairpins; see `Hairpins`."""
        pairing, hairpins = self.hairpins(letters, self.letters(letters)[:, 4:])
        return pairing, hairpins

    def forward(self, letters: Tensor, seen: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Letters (rows, length) to fractions or standardised MRLs (rows, assays, width).

        `seen` is what `look` gave of these letters, if it is known.
        """
        table = self.letters(letters)  # (rows, 5, length)
        bases, mask = table[:, :4], table[:, 4:]
        # Where nothing is padded, training is spared the multiplications; another device would have to be waited for.
        needed = None if self.training and letters.device.type == "cpu" and bool(letters.all()) else mask
        frame_number = (-torch.arange(letters.shape[1], 0, -1, device=mask.device)) % 3
        frame = F.one_hot(frame_number, 3).to(mask.dtype).T[None] * mask  # (rows, 3, length)
        pairing, hairpins = seen or self.look(letters)
        shown = table
        if self.training and self.settings.letter_dropout:
            hidden = torch.rand(mask.shape, device=mask.device) < self.settings.letter_dropout
            shown = torch.cat([bases.masked_fill(hidden, 0), mask], dim=1)
        x = self.stem(torch.cat([shown, frame, self.frames(bases, mask), pairing], dim=1))
        x = x * mask if self.training and needed is not None else x
        length = mask.sum(dim=2)
        whole_length = length[:, 0].long()
        for block in self.blocks:
            x = block(x, needed, whole_length)
        x = torch.relu(x) if needed is None else torch.relu(x) * mask  # (rows, channels, length)
        summaries = [bases.sum(dim=2) / length.clamp(min=1), length / 100, hairpins]
        features = [*_pool_by_frame(x, mask), self._attend(x, mask), self._keep_position(x, mask), *summaries]
        x = self.out(self.hidden(torch.cat(features, dim=1))).float()
        x = x.unflatten(1, self.shape)  # (rows, assays, width)
        if self.output == "standardised":
            return x  # type: ignore[no-any-return]
        return torch.softmax(x + self.lacking, dim=2)

    def _attend(self, x: Tensor, mask: Tensor) -> Tensor:
        weights = torch.softmax(self.score(x).float() + (1 - mask) * _NEVER, dim=2).to(x.dtype)
        return torch.matmul(weights, x.transpose(1, 2)).flatten(1)  # (rows, heads · channels)

    def _keep_position(self, x: Tensor, mask: Tensor) -> Tensor:
        length = self.settings.position_length
        x = F.pad(self.place(x) * mask, (length, 0))[..., -length:]  # right-aligned, exactly `length` wide
        return torch.relu(self.placed(x.flatten(1)))  # (rows, 64)


def _pool_by_frame(x: Tensor, mask: Tensor) -> list[Tensor]:
    """Maximum and mean over the positions of each frame; (rows, 3 · channels) each. `x` is not negative."""
    codons = (x.shape[2] + 2) // 3
    width = codons * 3
    # Two columns more than enough on the left, then the last whole codons: frames line up with the start codon.
    x = F.pad(x.transpose(1, 2), (0, 0, 2, 0))[:, -width:].reshape(x.shape[0], codons, 3, x.shape[1])
    count = F.pad(mask, (2, 0))[..., -width:].reshape(mask.shape[0], codons, 3, 1).sum(dim=1).clamp(min=1)
    # By frame last, as the weights behind them were trained.
    pooled = [x.amax(dim=1), (x.sum(dim=1) / count).to(x.dtype)]  # (rows, 3, channels) each
    return [part.transpose(1, 2).flatten(1) for part in pooled]


def _around(assays: Sequence[AssayCard]) -> tuple[str, str]:
    """Find what stands before and after the UTR in every assay, as far as it is the same in all."""
    ends = {(assay.before[-2:], assay.after[:2]) for assay in assays}
    if len(ends) > 1:
        raise OptionError(f"assays with different bases next to the UTR cannot share one network: {sorted(ends)}")
    before = commonprefix([assay.before[::-1] for assay in assays])[::-1]  # noqa: RUF071
    return before, commonprefix([assay.after[:_CODING] for assay in assays])  # noqa: RUF071


def build(settings: Settings, assays: Sequence[AssayCard]) -> Network:
    """Make the network for any number of assays."""
    return FramedNetwork(settings, assays)
