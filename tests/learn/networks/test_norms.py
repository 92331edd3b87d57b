"""Batch normalisation by length: rows are normalised as training did, and nothing else changes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.learn.networks.norms import LengthNorm, settle


def batches(lengths, rows=64, channels=3):
    """Give a batch for each length whose channels differ by it."""
    torch.manual_seed(0)
    return {length: torch.randn(rows, channels, length) * length / 20 + length for length in lengths}


def settled(lengths, longest=40):
    """Give a norm settled on a batch of each length, and by length the batch and what came of it in training."""
    norm = LengthNorm(3, longest)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    known = {}

    def run():
        for length, x in batches(lengths).items():
            known[length] = x, norm(x, torch.full((len(x),), length))
            yield np.full(len(x), length)

    settle([norm], run())
    return norm.eval(), known


@settings(deadline=None)
@given(st.sets(st.integers(5, 40), min_size=1, max_size=6))
def test_once_settled_a_row_is_normalised_as_in_training(lengths):
    norm, known = settled(sorted(lengths))
    for length, (x, trained) in known.items():
        # Training divides by the deviation of the batch, and keeps the estimate for all that might come.
        torch.testing.assert_close(norm(x, torch.full((len(x),), length)), trained, atol=1e-2, rtol=1e-2)


def test_lengths_that_do_not_occur_take_what_the_nearest_has():
    norm, _ = settled([10, 30])
    assert torch.equal(norm.means[0], norm.means[10])
    assert torch.equal(norm.means[19], norm.means[10])
    assert torch.equal(norm.means[21], norm.means[30])
    x = torch.randn(2, 3, 90)
    assert torch.equal(norm.eval()(x, torch.tensor([90, 90])), norm(x, torch.tensor([40, 40])))


def test_a_batch_of_several_lengths_counts_for_each_by_its_rows():
    norm = LengthNorm(3, 40)
    long, short = torch.randn(8, 3, 30) + 5, torch.randn(8, 3, 30)

    def run():
        for x, lengths in ((long, [30] * 8), (short, [20] * 6 + [30] * 2)):
            norm(x, torch.tensor(lengths))
            yield np.array(lengths)

    settle([norm], run())
    torch.testing.assert_close(norm.means[20], short.mean(dim=(0, 2)))
    torch.testing.assert_close(norm.means[30], 0.8 * long.mean(dim=(0, 2)) + 0.2 * short.mean(dim=(0, 2)))
    assert norm.momentum == pytest.approx(0.1)


def test_until_it_is_settled_it_is_batch_normalisation():
    norm, plain = LengthNorm(3, 40), torch.nn.BatchNorm1d(3)
    for _ in range(3):
        x = torch.randn(16, 3, 25) * 2 + 1
        assert torch.equal(norm(x, torch.full((16,), 25)), plain(x))
    x = torch.randn(4, 3, 12)
    torch.testing.assert_close(norm.eval()(x, torch.tensor([12, 11, 10, 50])), plain.eval()(x))


def test_what_multiplies_in_bfloat16_normalises_in_float32():
    norm, _ = settled([10, 30])
    x, lengths = torch.randn(6, 3, 30), torch.tensor([30, 10, 4, 40, 22, 30])
    with torch.autocast("cpu", torch.bfloat16):
        rounded = norm(x, lengths)
    assert torch.equal(rounded, norm(x, lengths))


def test_the_product_in_a_graph_gives_what_the_look_up_does(monkeypatch):
    norm, _ = settled([10, 30])
    x, lengths = torch.randn(6, 3, 30), torch.tensor([30, 10, 4, 40, 22, 30])
    looked_up = norm(x, lengths)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.equal(norm(x, lengths), looked_up)
