"""The layers that networks share, made to be fast in training: what they compute is what PyTorch's own do."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ribocast.learn.models.network import Convolution, Halving, channels_last

SIZES = st.integers(1, 6)


def numbers(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(2, 60), st.booleans(), st.integers(0, 99))
def test_the_larger_of_two_positions_is_max_pooling_both_ways(rows, channels, length, rectified, seed):
    x = channels_last(numbers(rows, channels, length, seed=seed))
    x = x.relu() if rectified else x  # rectified ones have ties
    ours, theirs = (x.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    found, expected = Halving()(ours), F.max_pool2d(theirs, (1, 2))
    assert torch.equal(found, expected)
    slope = numbers(*found.shape, seed=seed + 1)
    assert torch.equal(*(torch.autograd.grad(y, leaf, slope)[0] for y, leaf in ((found, ours), (expected, theirs))))
    assert torch.equal(Halving().eval()(x), expected)


@settings(deadline=None)
@given(SIZES, st.integers(1, 12), SIZES, st.integers(1, 8), st.integers(0, 4), st.integers(0, 99))
def test_a_convolution_of_few_channels_is_one_in_training_too(rows, inputs, outputs, kernel, padding, seed):
    torch.manual_seed(seed)
    layer = Convolution(inputs, outputs, kernel, padding=padding)
    x = channels_last(numbers(rows, inputs, 11, seed=seed))
    found, expected = layer.train()(x), layer.eval()(x)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    slope = numbers(*found.shape, seed=seed + 1)
    ours, theirs = (torch.autograd.grad(y, list(layer.parameters()), slope) for y in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
