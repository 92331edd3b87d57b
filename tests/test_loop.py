"""The loss of the loop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ribocast.learn.loop import huber


@given(st.lists(st.floats(-10, 10), min_size=1), st.floats(0.1, 5))
def test_large_errors_count_by_their_size(errors, bound):
    errors = np.array(errors)
    loss = huber(torch.from_numpy(errors**2), bound).numpy()
    assert loss == pytest.approx(2 * special.huber(bound, errors), abs=1e-9)


@given(st.floats(-10, 10), st.floats(0.1, 5))
def test_no_row_pulls_harder_than_one_at_the_bound(error, bound):
    wrong = torch.tensor(error, dtype=torch.float64, requires_grad=True)
    huber(wrong**2, bound).backward()
    assert abs(wrong.grad.item()) <= 2 * bound + 1e-9
    assert wrong.grad.item() * error >= 0
