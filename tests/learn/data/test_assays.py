"""What is known of the published libraries, beside their own numbers."""

import numpy as np
import pytest

from ribocast.learn.data.assays import ASSAYS


def test_weights_of_human50_give_published_mrls():
    # Two rows of the authors' table of variants, how many reads each fraction had in all, and their MRLs there.
    counts = [[1763, 1880, 2154, 2959, 2122, 1896, 2618, 1899, 1007, 1075, 720, 897, 810, 846],
              [776, 808, 847, 1237, 1189, 1146, 1567, 1238, 623, 698, 467, 598, 538, 524]]  # fmt: skip
    totals = [6493569, 6108176, 5650849, 7646546, 8168107, 7198112, 9231216, 7860206, 7945856, 8127555, 5361551,
              5120027, 3767284, 3925001]  # fmt: skip
    shares = np.array(counts) / totals
    shares /= shares.sum(axis=1, keepdims=True)
    mrls = shares @ ASSAYS["egfp_human50"].fraction_weights
    assert mrls == pytest.approx([4.82308169062, 5.48789239077], abs=1e-10)
