"""Rows on a device: what a batch takes of them, padded to its longest row."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.learn.data.assays import ASSAYS, describe_assay
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import architecture
from ribocast.learn.train.batches import label
from ribocast.learn.train.device_rows import DeviceRows
from ribocast.sequence.batch import encode

ROWS = simulate(60, seed=3, min_length=25, max_length=100).assign(assay="egfp_varying25to100")
CARD = describe_assay(ASSAYS["egfp_varying25to100"], ROWS)


@settings(max_examples=20, deadline=None)
@given(batch=st.lists(st.integers(0, 59), min_size=1, max_size=20))
def test_a_batch_is_as_wide_as_its_longest_row(batch):
    network = architecture("framed").build((CARD,), channels=4, dilations=(1,))
    data = label(ROWS, [CARD], width=13, fixed_length=None, noise_reads=0)
    rows, batch = DeviceRows(data, network, torch.device("cpu")), np.array(batch)
    letters, seen = rows.inputs(batch)
    own = encode(ROWS["seq"].iloc[batch].tolist())
    np.testing.assert_array_equal(letters.numpy(), own)
    # Computed for all rows beforehand, in whatever company.
    with torch.no_grad():
        for ours, direct in zip(seen, network.look(torch.from_numpy(own)), strict=True):
            torch.testing.assert_close(ours, direct)
    half = slice(len(batch) // 2, None)
    assert rows.inputs(batch, half)[0].shape == own[half].shape
