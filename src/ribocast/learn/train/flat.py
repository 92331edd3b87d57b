"""Weights in one block of memory: a step of the optimiser is then one pass over one tensor.

Small networks have a dozen tensors, and the calls for each of them would take as long as the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def lay_flat(weights: Sequence[nn.Parameter]) -> nn.Parameter:
    """Move weights, and their gradients to come, into one tensor each; every weight goes on as a part of it.

    Parameters
    ----------
    weights : sequence of torch.nn.Parameter
        Of one device and type, none laid out with gaps. Their values, shapes and orders in memory stay.

    Returns
    -------
    torch.nn.Parameter, shape (numbers of all weights,)
        To be given to an optimiser. Gradients are added up in it: set them to zero in place, not to None.
    """
    sizes = [weight.numel() for weight in weights]
    flat = nn.Parameter(torch.empty(sum(sizes), device=weights[0].device, dtype=weights[0].dtype))
    flat.grad = torch.zeros_like(flat)
    start = 0
    with torch.no_grad():
        for weight, size in zip(weights, sizes, strict=True):
            part = flat.detach().as_strided(weight.shape, weight.stride(), start)
            weight.data = part.copy_(weight)
            weight.grad = flat.grad.as_strided(weight.shape, weight.stride(), start)
            start += size
    return flat
