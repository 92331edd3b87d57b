"""Muon: what it makes of matrices, and that all else is AdamW's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from ribocast.learn.train.flat import lay_flat  # noqa: E402
from ribocast.learn.train.muon import Muon, orthogonal  # noqa: E402


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv1d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv1d(8, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 6, 1)
    )


def muon_of(own: nn.Module, decay: float = 0.1, rate: float = 1e-2) -> Muon:
    weights = [tensor for tensor in own.parameters() if tensor.ndim > 1]
    others = [tensor for tensor in own.parameters() if tensor.ndim == 1]
    groups = [{"params": [lay_flat([weights[0], weights[-1]])], "weight_decay": decay},
              {"params": [lay_flat(others)], "weight_decay": 0.0}]  # fmt: skip
    return Muon(weights[1:-1], groups, lr=rate, weight_decay=decay, dtype=torch.float32, fused=True)


def step(own: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> float:
    random = torch.Generator().manual_seed(seed)
    x, y = torch.randn(16, 4, 6, generator=random), torch.randn(16, 1, generator=random)
    for group in optimiser.param_groups:
        for block in group["params"]:
            block.grad.zero_()
    loss = ((own(x) - y) ** 2).mean()
    loss.backward()
    optimiser.step()
    return loss.item()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 20), st.integers(2, 20), st.integers(0, 1000), st.floats(1e-4, 1e4))
def test_singular_values_end_near_one_whatever_the_scale(rows: int, columns: int, seed: int, scale: float) -> None:
    drawn = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    before = torch.linalg.svdvals(drawn)
    made = orthogonal(drawn * scale)
    assert made.shape == drawn.shape
    # The iteration lifts what is a hundredth of the whole or more.
    count = int((before / before.norm() > 0.01).sum())
    found = torch.linalg.svdvals(made)[:count]
    assert ((found > 0.65) & (found < 1.25)).all(), found
    # Directions stay: what is made of it is the matrix's own rotation.
    torch.testing.assert_close(made @ drawn.T, (made @ drawn.T).T, rtol=0, atol=1e-8 * float(before.sum()) + 1e-9)


def test_a_step_of_a_matrix_is_as_large_in_every_direction_however_small_its_gradient() -> None:
    own = network()
    inner = own[2].weight
    before = inner.detach().clone()
    optimiser = muon_of(own, decay=0.0)
    step(own, optimiser, 1)
    moved = torch.linalg.svdvals((inner.detach() - before).flatten(1))
    expected = 1e-2 * 0.1 * 24**0.5
    pulled = moved[moved > 1e-3 * expected]  # filters that no row lights up pull nowhere
    assert len(pulled) >= 5
    assert ((pulled > 0.65 * expected) & (pulled < 1.25 * expected)).all()


def test_everything_else_is_stepped_as_adamw_does() -> None:
    own, plain = network(), network()
    optimiser = muon_of(own)
    weights = [tensor for tensor in plain.parameters() if tensor.ndim > 1]
    biases = [tensor for tensor in plain.parameters() if tensor.ndim == 1]
    adam = torch.optim.AdamW(
        [{"params": [lay_flat([weights[0], weights[-1]])], "weight_decay": 0.1},
         {"params": [lay_flat(biases)], "weight_decay": 0.0},
         {"params": [lay_flat(weights[1:-1])], "weight_decay": 0.0}], lr=1e-2,
    )  # fmt: skip
    for number in range(3):
        # From the same weights each time: the matrix inside is stepped in another way.
        with torch.no_grad():
            plain[2].weight.copy_(own[2].weight)
        step(own, optimiser, number)
        step(plain, adam, number)
        for index in (0, 4):
            torch.testing.assert_close(own[index].weight, plain[index].weight)
            torch.testing.assert_close(own[index].bias, plain[index].bias)
    assert not torch.allclose(own[2].weight, plain[2].weight)


def test_weights_decay_where_nothing_pulls() -> None:
    own = network()
    optimiser = muon_of(own, decay=0.5, rate=0.1)
    before = own[2].weight.detach().clone()
    for group in optimiser.param_groups:
        for block in group["params"]:
            block.grad.zero_()
    optimiser.step()
    torch.testing.assert_close(own[2].weight.detach(), before * 0.95)


def test_it_goes_on_from_its_saved_state_as_if_nothing_had_been() -> None:
    unbroken, first, second = network(), network(), network()
    optimiser = muon_of(unbroken)
    losses = [step(unbroken, optimiser, number) for number in range(6)]
    before = muon_of(first)
    assert [step(first, before, number) for number in range(3)] == losses[:3]
    second.load_state_dict(first.state_dict())
    after = muon_of(second)
    after.load_state_dict(before.state_dict())
    assert [step(second, after, number) for number in range(3, 6)] == losses[3:]


def test_it_lowers_the_loss() -> None:
    own = network()
    optimiser = muon_of(own, decay=0.0)
    losses = [step(own, optimiser, 1) for _ in range(60)]
    assert losses[-1] < 0.2 * losses[0]
