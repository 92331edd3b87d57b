"""What is known of the published libraries, beside their own numbers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.learn.data.assays import ASSAYS, labelled_rows, reads_at_rank

UTRS = [letter * 10 + "ACGT" * 10 for letter in "ACG"]


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


@given(st.lists(st.integers(1, 280_000), min_size=2, unique=True))
def test_reads_fall_with_the_rank(ranks):
    reads = reads_at_rank(np.sort(np.array(ranks, dtype=np.float64)))
    assert (np.diff(reads) <= 0).all()
    assert (reads > 79).all()
    assert (reads < 4490).all()


def test_unknown_reads_are_estimated_by_rank_in_the_random_library_alone():
    table = pd.DataFrame(
        {"seq": UTRS, "mrl": [5.0, 6.0, 7.0], "reads": [900.0, None, None], "rank_by_reads": [20_000, 260_000, None]}
    )
    random = labelled_rows(table, "egfp_random50")[0]["reads"]
    assert random.iloc[:2].round().tolist() == [900, 115]
    assert np.isnan(random.iloc[2])
    human = labelled_rows(table, "egfp_human50")[0]["reads"]
    assert human.isna().tolist() == [False, True, True]


def test_a_rank_that_is_no_number_is_named(tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text(f"seq,mrl,rank_by_reads\n{UTRS[0]},5,1\n{UTRS[1]},6,first\n")
    with pytest.raises(RibocastError, match=r"rows\.csv row 2.*'first'.*rank_by_reads"):
        labelled_rows(table, "egfp_random50")
