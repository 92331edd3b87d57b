"""Weights that lie in one block: what a network computes, and what an optimiser makes of it, stay the same."""

import copy

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ribocast.learn.networks.network import Convolution, channels_last
from ribocast.learn.train.flat import lay_flat


def network(channels, kernel, seed):
    torch.manual_seed(seed)
    return nn.Sequential(Convolution(4, channels, kernel), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 7), st.integers(0, 999))
def test_training_is_what_it_was_with_weights_one_by_one(channels, kernel, seed):
    rows = channels_last(torch.randn(5, 4, 9, generator=torch.Generator().manual_seed(seed)))
    apart = network(channels, kernel, seed)
    apart(rows)
    together = copy.deepcopy(apart)
    strides = [weight.stride() for weight in together.parameters()]
    flat = lay_flat(list(together.parameters()))
    assert [weight.stride() for weight in together.parameters()] == strides
    torch.testing.assert_close(together(rows), apart(rows), rtol=0, atol=0)
    for model, weights in ((apart, list(apart.parameters())), (together, [flat])):
        adam = torch.optim.Adam(weights, lr=0.01, fused=True)
        for _ in range(3):
            adam.zero_grad(set_to_none=False)
            model(rows).square().mean().backward()
            adam.step()
    for one, other in zip(apart.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(other, one)


def test_no_number_of_the_block_is_without_a_weight():
    model = network(3, 2, seed=1)
    model(channels_last(torch.zeros(1, 4, 9)))
    flat = lay_flat(list(model.parameters()))
    with torch.no_grad():
        flat.copy_(torch.arange(len(flat)))
    numbers = torch.cat([weight.flatten() for weight in model.parameters()])
    assert sorted(numbers.tolist()) == list(range(len(flat)))
