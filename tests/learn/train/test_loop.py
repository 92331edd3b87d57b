"""The loss of the loop, and what it multiplies in."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ribocast.learn.train.loop import huber


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


TWO_LOSSES = """
    import numpy as np, torch
    from ribocast.learn.data.assays import labelled_rows
    from ribocast.learn.train.setup import own_recipe, prepare
    from ribocast.learn.device import has_bfloat16
    from ribocast.learn.data.simulate import simulate

    cpu = torch.device("cpu")
    rows, assays = labelled_rows(simulate(200, seed=0)[["seq", "mrl"]], "simulated")
    for bfloat16 in (False, True):
        recipe = own_recipe("optimus")
        loop = prepare(
            rows, np.arange(len(rows)), rows.iloc[:0], assays=assays, model="optimus", settings={"filters": 8},
            recipe=recipe.with_changes(bfloat16=bfloat16), seed=0, device=cpu, name="any", base=None,
            say=lambda _: None,
        )
        print(loop.learn(1, [], None))
    print(has_bfloat16(cpu))
"""


@pytest.mark.parametrize("capability", ["avx2", None])
def test_it_multiplies_in_bfloat16_only_where_the_processor_has_it(capability):
    allowed = {**os.environ, "ATEN_CPU_CAPABILITY": capability} if capability else os.environ
    command = [sys.executable, "-c", textwrap.dedent(TWO_LOSSES)]
    said = subprocess.run(command, env=allowed, capture_output=True, text=True, check=True).stdout
    exact, rounded, there = said.split()
    assert (exact != rounded) == (there == "True")
    assert capability is None or there == "False"
    # bfloat16 has 8 bits, through four layers; how their products are added up differs between processors.
    assert float(rounded) == pytest.approx(float(exact), rel=0.05)
