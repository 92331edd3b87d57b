"""Hairpins, computed in the graph: how strongly each base of a UTR can pair.

The full partition function of an RNA does not fit into a network's graph, but that of its single hairpins does: a stem
of stacked pairs that closes a loop, without bulges. Its sum over all stems is a recursion along the stem, one
multiplication and addition for every pair of bases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Free energies of stacks, kcal/mol at 37 °C: the row is the outer pair (5′ base, 3′ base), the column the inner one.
# Turner 2004 (Mathews et al., PNAS 101, 7287; Nearest Neighbor Database, Turner & Mathews 2010).
_PAIRS = ("AT", "CG", "GC", "TA", "GT", "TG")
_STACKS = (
    (-0.93, -2.24, -2.08, -1.10, -0.55, -1.36),
    (-2.11, -3.26, -2.36, -2.08, -1.41, -2.11),
    (-2.35, -3.42, -3.26, -2.24, -1.53, -2.51),
    (-1.33, -2.35, -2.11, -0.93, -1.00, -1.27),
    (-1.27, -2.51, -2.11, -1.36, 0.47, 1.29),
    (-1.00, -1.53, -1.41, -0.55, 0.30, 0.47),
)
# Initiation of hairpin loops of 3 to 9 bases, the same source; longer ones grow by 1.75 RT ln(n / 9).
_LOOPS = (5.4, 5.6, 5.7, 5.4, 6.0, 5.5, 6.4)
# A typical first mismatch in a loop of more than three.
_MISMATCH = -0.8
_RT = 0.0019872 * 310.15
_NONE = 4
# Weights are capped before they, or the product of two, outgrow 32 bits: a stack is a factor of 260 at most.
_MOST, _STEPS_TO_CAP = 1e18, 4


class Hairpins(nn.Module):
    """Letters to how strongly each base pairs.

    Parameters
    ----------
    before, after : str
        What stands around the UTR; it can pair too.
    reach : int
        Half of the largest distance of two bases that pair: at most 2 · reach + 1.
    """

    channels = 2
    summaries = 3
    code: Tensor
    leftwards: Tensor
    rightwards: Tensor
    stack: Tensor
    pair: Tensor
    loops: Tensor
    halves: Tensor
    odd: Tensor

    def __init__(self, before: str, after: str, reach: int) -> None:
        super().__init__()
        self.before, self.after, self.reach = len(before), len(after), reach
        codes = {letter: number for number, letter in enumerate("ACGT")}
        code = torch.full((256,), _NONE)
        for letter in "ACGTUacgtu":
            code[ord(letter)] = codes[letter.upper().replace("U", "T")]
        # Counted from the first letter of the UTR leftwards; what is further left is nothing.
        leftwards = [_NONE, *(codes.get(base, _NONE) for base in reversed(before)), _NONE]
        rightwards = [codes.get(base, _NONE) for base in after]
        stack = torch.zeros(5, 5, 5, 5)  # outer 5′, inner 5′, inner 3′, outer 3′
        pair = torch.zeros(5, 5, 5, 5)  # as above, whatever stacks
        for row, outer in enumerate(_PAIRS):
            five, three = (codes[base] for base in outer)
            pair[five, :, :, three] = 1
            for column, inner in enumerate(_PAIRS):
                stack[five, codes[inner[0]], codes[inner[1]], three] = math.exp(-_STACKS[row][column] / _RT)
        # Of distances 2h and 2h + 1 the loops are one base shorter.
        loops = torch.tensor([[_loop(2 * half - 1 + odd) for odd in (0, 1)] for half in range(2, reach + 1)])
        halves = torch.arange(2, reach + 1)[:, None, None]
        for name, table in (("code", code), ("leftwards", torch.tensor(leftwards)),
                            ("rightwards", torch.tensor(rightwards, dtype=torch.long)),
                            ("stack", stack.reshape(-1, 1)), ("pair", pair.reshape(-1, 1)),
                            ("loops", loops[:, :, None, None]), ("halves", halves),
                            ("odd", torch.arange(2)[None, :, None])):  # fmt: skip
            self.register_buffer(name, table, persistent=False)

    def forward(self, letters: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Letters (rows, length) and mask (rows, 1, length) to channels (rows, 2, length) and summaries (rows, 3).

        The channels are ln(1 + weight) / 10, with the weight of all hairpins in which the base pairs with one
        downstream, and with one upstream. The summaries are the same of all hairpins, and the channels' sums over
        what stands before the UTR and after it, / 50.
        """
        base = self._with_sides(letters, mask)  # (rows, width)
        width, count = base.shape[1], self.reach - 1
        # From here on rows come last: what is moved or picked below are whole rows of numbers.
        padded = F.pad(base.T, (0, 0, self.reach + 2, self.reach + 2), value=_NONE)
        # Of each base and the next: outer and inner one at the 5′ end of a stem, inner and outer one at its 3′ end.
        neighbours = padded[:-1] * 5 + padded[1:]
        # Pairs (m − h, m + h) and (m − h, m + 1 + h), of each middle m and half h from 2 on: a stem keeps its middle.
        middle = torch.arange(width, device=base.device)
        starts = F.embedding(middle - self.halves + self.reach + 2, neighbours * 25)  # (halves, 1, width, rows)
        ends = F.embedding(middle + self.halves + self.odd + self.reach + 1, neighbours)  # (halves, 2, width, rows)
        index = starts + ends
        pair, stack = (F.embedding(index, table).squeeze(4) for table in (self.pair, self.stack))
        pairs, stacks = pair.chunk(count), stack.chunk(count)
        inside = torch.cat(_grow((pair * self.loops).chunk(count), stacks[1:])).clamp(max=_MOST)
        outside = torch.cat(_grow(pairs[::-1], stacks[:0:-1])[::-1]).clamp(max=_MOST)
        weights = inside * outside
        even, odd = weights[:, 0], weights[:, 1]  # (halves, width, rows)
        downstream = _slant(even + odd, -1)[:, 2 : width + 2].sum(dim=0)
        upstream = F.pad(_slant(F.pad(even, (0, 0, 0, 1)) + F.pad(odd, (0, 0, 1, 0)), 1), (0, 0, 2, 0))
        upstream = upstream[:, :width].sum(dim=0)
        channels = torch.log1p(torch.stack([downstream, upstream])).permute(2, 0, 1) / 10  # (rows, 2, width)
        own = channels[:, :, self.before : width - self.after] * mask
        # Left of what stands before the UTR is nothing, and it pairs with nothing.
        ahead = channels[:, :, : width - self.after].sum(dim=(1, 2)) - own.sum(dim=(1, 2))
        behind = channels[:, :, width - self.after :].sum(dim=(1, 2))
        whole = torch.log1p(inside.sum(dim=(0, 1, 2))) / 10
        return own, torch.stack([whole, ahead / 50, behind / 50], dim=1)

    def _with_sides(self, letters: Tensor, mask: Tensor) -> Tensor:
        """Codes of all bases, (rows, before + length + after)."""
        rows, length = letters.shape
        long = mask.sum(dim=(1, 2))[:, None].long()
        # From the end: the last letter is 1. Beyond the UTR's length begins what stands before it.
        place = torch.arange(length + self.before, 0, -1, device=letters.device)[None]
        beyond = (place - long).clamp(min=0, max=self.before + 1)
        code = F.pad(self.code[letters.long()], (self.before, 0), value=_NONE)
        code = torch.where(beyond > 0, self.leftwards[beyond], code)
        return torch.cat([code, self.rightwards[None].expand(rows, -1)], dim=1)


def _grow(added: Sequence[Tensor], factors: Sequence[Tensor]) -> list[Tensor]:
    """Go along the stem: what is added at each pair, and what was before it times the stack between them."""
    state, *rest = added
    states = [state]
    for step, (more, factor) in enumerate(zip(rest, factors, strict=True), start=1):
        state = more + factor * state
        if step % _STEPS_TO_CAP == 0:
            state = state.clamp(max=_MOST)
        states.append(state)
    return states


def _slant(x: Tensor, direction: int) -> Tensor:
    """Move part n of (count, width, rows) by n places to the right (1) or left (-1); zeros come in.

    Parts laid end to end and cut anew, each a place shorter or longer: one copy, where a slice a part would be many.
    """
    count, width, rows = x.shape
    long = width + count
    flat = F.pad(x, (0, 0, 0, count)).reshape(count * long, rows)
    flat = flat[: count * (long - 1)] if direction > 0 else F.pad(flat, (0, 0, 0, count))
    return flat.reshape(count, long - direction, rows)


def _loop(length: int) -> float:
    if length < 3:
        return 0.0
    energy = _LOOPS[length - 3] if length <= 9 else _LOOPS[-1] + 1.75 * _RT * math.log(length / 9)
    return math.exp(-(energy + (_MISMATCH if length > 3 else 0.0)) / _RT)
