"""The layers that networks share, made to be fast in training: what they compute is what PyTorch's own do."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.learn.networks.network import Convolution, channels_last

SIZES = st.integers(1, 6)


def numbers(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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
