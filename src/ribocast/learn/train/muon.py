"""Muon: steps of equal size in every direction for the matrices inside a network, AdamW for all else.

Jordan et al., https://kellerjordan.github.io/posts/muon (2024); steps as large as Adam's by Liu et al., "Muon is
scalable for LLM training", arXiv:2502.16982. PyTorch's own (2.9 and later) takes no convolutions, and multiplies in
bfloat16 even where that is only imitated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ribocast.learn.train.flat import lay_flat

# Of the fifth-degree iteration that Jordan et al. chose: singular values end between 0.7 and 1.2, not at 1.
_COEFFICIENTS, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5
_MOMENTUM = 0.95
# Of a step for every weight: half of what Adam's are like (0.2, Liu et al.), which overfitted.
_SIZE = 0.1


class Muon(torch.optim.AdamW):
    """AdamW that makes the momentum of matrices orthogonal before it follows it.

    Parameters
    ----------
    matrices : sequence of torch.nn.Parameter
        Weights of two or more dimensions; what follows the first counts as one.
    groups : list of dict
        Everything else, as `torch.optim.AdamW` takes it.
    lr, weight_decay : float
        Of `matrices`, and of groups that have none of their own.
    dtype : torch.dtype
        In which matrices are multiplied.
    fused : bool
        Whether Adam's steps are taken in one pass.
    """

    def __init__(
        self, matrices: Sequence[nn.Parameter], groups: list[dict[str, Any]], *, lr: float, weight_decay: float,
        dtype: torch.dtype, fused: bool,
    ) -> None:  # fmt: skip
        flat = lay_flat(matrices)
        groups = [*groups, {"params": [flat], "weight_decay": weight_decay}]
        super().__init__(groups, lr=lr, weight_decay=weight_decay, fused=fused)
        self.matrices, self.flat, self.dtype = list(matrices), flat, dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take a step along the gradients that there are."""
        *others, own = groups = self.param_groups
        self.param_groups = others
        try:
            super().step(closure)
        finally:
            self.param_groups = groups
        gradient = self.flat.grad
        assert gradient is not None
        state = self.state[self.flat]
        if not state:
            # AdamW looks for a step in every state that is loaded.
            state |= {"step": torch.zeros(()), "momentum": torch.zeros_like(self.flat)}
        momentum = state["momentum"]
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        ahead = gradient.lerp(momentum, _MOMENTUM)  # Nesterov's
        self.flat.mul_(1 - own["lr"] * own["weight_decay"])
        start = 0
        for weight in self.matrices:
            direction = orthogonal(ahead.as_strided(weight.shape, weight.stride(), start).flatten(1).to(self.dtype))
            scale = _SIZE * max(direction.shape) ** 0.5
            weight.add_(direction.reshape(weight.shape).to(weight.dtype), alpha=-own["lr"] * scale)
            start += weight.numel()


def orthogonal(matrix: Tensor) -> Tensor:
    """Bring the singular values of a matrix close to 1 by multiplications alone; it keeps shape and type."""
    first, third, fifth = _COEFFICIENTS
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        square = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(square, square, square, beta=third, alpha=fifth), wide, beta=first)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
