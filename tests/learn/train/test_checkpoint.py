"""Checkpoints: what was kept comes back to the last bit, and a file that is not whole is refused in one line."""

import copy
import math
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ribocast.errors import RibocastError
from ribocast.learn.train.checkpoint import CHECKPOINT_NAME, Progress, load_checkpoint, save_checkpoint
from ribocast.learn.train.flat import lay_flat
from ribocast.model.bundle import open_bundle

LOSSES = st.floats(0, 1e9) | st.just(math.inf)
HISTORIES = st.lists(
    st.fixed_dictionaries({"epoch": st.integers(1, 99), "train_loss": LOSSES, "seconds": st.floats(0, 1e6)}), max_size=3
)


@pytest.fixture(scope="module")
def card():
    return open_bundle().card.model_dump(mode="json")


def begun(seed=0, steps=1):
    """Make a network that has trained a little, and its loop."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    optimiser = torch.optim.Adam(network.parameters())
    for _ in range(steps):
        optimiser.zero_grad()
        network(torch.randn(4, 3)).square().mean().backward()
        optimiser.step()
    return network, optimiser


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return one == other


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.integers(0, 3), HISTORIES, st.integers(0, 99), LOSSES)
def test_what_was_kept_comes_back_to_the_last_bit(card, seed, steps, history, best_epoch, best_loss):
    network, optimiser = begun(seed, steps)
    best = copy.deepcopy(begun(seed + 1)[0].state_dict())
    run = {"seed": seed, "model": card}
    other, other_optimiser = begun(seed + 2, 2)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), Progress(run, history, best_epoch, best_loss, best), network, optimiser)
        found = load_checkpoint(Path(folder), run, other, other_optimiser)
        assert (found.run, found.history, found.best_epoch, found.best_loss) == (run, history, best_epoch, best_loss)
        assert same(found.best_weights, best)
        assert same(dict(other.state_dict()), dict(network.state_dict()))
        assert same(other_optimiser.state_dict()["state"], optimiser.state_dict()["state"])
        with pytest.raises(RibocastError, match=r"cannot resume: seed was \d+ and is now -1$"):
            load_checkpoint(Path(folder), {**run, "seed": -1}, other, other_optimiser)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_checkpoint_that_was_cut_or_damaged_is_refused_in_one_line_or_is_whole(card, data):
    run = {"seed": 1, "model": card}
    network, optimiser = begun()
    with tempfile.TemporaryDirectory() as folder:
        best = copy.deepcopy(network.state_dict())
        save_checkpoint(Path(folder), Progress(run, [], 1, 0.5, best), network, optimiser)
        path = Path(folder, CHECKPOINT_NAME)
        content = bytearray(path.read_bytes())
        if data.draw(st.booleans(), "cut"):
            path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        else:
            header = int.from_bytes(content[:8], "little")
            content[data.draw(st.integers(0, header + 7))] = data.draw(st.integers(0, 255))
            path.write_bytes(content)
        try:
            found = load_checkpoint(Path(folder), run, network, optimiser)
        except RibocastError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
        else:
            assert found.run == run
            assert {name: (one.shape, one.dtype) for name, one in found.best_weights.items()} == {
                name: (one.shape, one.dtype) for name, one in best.items()
            }


def test_weights_of_another_kind_or_name_are_refused(card, tmp_path):
    run = {"model": card}
    network, optimiser = begun()
    best = copy.deepcopy(network.state_dict())
    for wrong in ({**best, "0.bias": best["0.bias"].int()}, {name: best[name] for name in list(best)[1:]}):
        save_checkpoint(tmp_path, Progress(run, [], 1, 0.5, wrong), network, optimiser)
        with pytest.raises(RibocastError, match=r"damaged: its weights are not those of the network$"):
            load_checkpoint(tmp_path, run, network, optimiser)


def test_a_checkpoint_from_before_weights_lay_in_one_block_is_refused_by_name(card, tmp_path):
    run = {"model": card}
    network, optimiser = begun()
    save_checkpoint(tmp_path, Progress(run, [], 0, 0.5, {}), network, optimiser)
    now = torch.optim.Adam([lay_flat(list(network.parameters()))], fused=True)
    with pytest.raises(RibocastError, match=r"cannot resume: it was written by an older version of ribocast$"):
        load_checkpoint(tmp_path, run, network, now)


def test_without_a_checkpoint_nothing_is_changed(tmp_path):
    network, optimiser = begun()
    before = copy.deepcopy(network.state_dict())
    assert load_checkpoint(tmp_path, {}, network, optimiser) is None
    assert same(dict(network.state_dict()), dict(before))
