"""Whether a run may take up what another left: the terms of both, compared down to the first that differs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import OutputError
from ribocast.io.resume import difference, refuse_other

VALUES = st.recursive(
    st.none() | st.integers(0, 2) | st.sampled_from(["a", "b"]),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.sampled_from(["seed", "x", "y"]), inside),
    max_leaves=6,
)


@given(before=VALUES, now=VALUES)
def test_a_difference_is_found_exactly_where_there_is_one(before, now):
    assert (difference(before, now) is None) == (before == now)


def test_the_first_setting_that_differs_is_named():
    before, now = {"model": {"recipe": {"batch_size": 64}, "z": 1}}, {"model": {"recipe": {"batch_size": 8}, "z": 2}}
    with pytest.raises(OutputError, match=r"^out: cannot resume: model recipe batch_size was 64 and is now 8; do so$"):
        refuse_other("out", before, now, "; do so")
    assert difference({"folds": [1, 2]}, {"folds": [1, 3]}) == ("folds 2", 2, 3)


def test_what_this_run_does_not_name_does_not_count():
    refuse_other("out", {"model": "a", "older": 1}, {"model": "a"})
    with pytest.raises(OutputError, match="assay was null and is now"):
        refuse_other("out", {"model": "a"}, {"model": "a", "assay": "b"})
