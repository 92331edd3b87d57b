"""What is unlike what was measured: lengths, unknown letters, shares of bases; and what it costs in certainty."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.model.applicability import how_unusual, interval_scaling, remark
from ribocast.model.bundle import AssayCard, Composition, Interval, IntervalScaling, Knots
from ribocast.sequence.batch import Batch
from ribocast.sequence.letters import is_missing


def card(**scaling):
    return AssayCard(
        name="a", before="", after="ATG", min_length=25, max_length=100, label_mean=0, label_scale=1,
        composition=Composition(mean=(0.25, 0.25, 0.25), precision=((100, 0, 0), (0, 100, 0), (0, 0, 100))),
        interval=Interval(coverage=0.9, edges=(), below=(1,), above=(1,), rows=9, scaling=IntervalScaling(**scaling)),
    )  # fmt: skip


def test_lengths_unknown_letters_and_bases_are_compared_with_the_assays():
    utrs = ["ACGT" * 10, "ACGU" * 6, "acgt" * 26, "ACGTN" * 10, "G" * 40, "N" * 30]
    beyond, unknown, composition = how_unusual(Batch.of(utrs), card())
    assert beyond.tolist() == [0, 1, 4, 0, 0, 0]
    assert unknown.tolist() == [0, 0, 0, 0.2, 0, 1]
    np.testing.assert_allclose(composition, [0, 0, 0, 0, 10 * np.sqrt(0.75**2 + 2 * 0.25**2), 0], atol=1e-9)


def test_what_is_unusual_is_said_in_words():
    assay = card()
    said = [
        remark(assay, len(utr), how_unusual(Batch.of([utr]), assay).of(0))
        for utr in ("ACGT" * 10, "A" * 20, "ACGT" * 9 + "N")
    ]
    assert said == [
        [],
        ["20 nt: extrapolated, measured were 25 to 100 nt", "unusual shares of the bases"],
        ["1 unknown letter (N)"],
    ]  # fmt: skip


@pytest.fixture(scope="module")
def default():
    return ribocast.load(threads=1)


@given(st.lists(st.text("ACGTUN", min_size=1, max_size=150), min_size=1, max_size=5))
def test_intervals_are_never_narrower_for_what_is_unusual_and_grow_with_it(utrs):
    assay = card(beyond=Knots(at=(0, 10), factor=(1, 1.5)), unknown=Knots(at=(0, 0.1), factor=(1, 2)))
    factors = interval_scaling(how_unusual(Batch.of(utrs), assay), assay)
    assert (factors >= 1).all()
    assert (interval_scaling(how_unusual(Batch.of([utr + "N" for utr in utrs]), assay), assay) >= 1).all()
    longer = interval_scaling(how_unusual(Batch.of(["A" * 101, "A" * 110, "A" * 200]), assay), assay)
    np.testing.assert_allclose(longer, [1.05, 1.5, 6.0])


@settings(deadline=None, max_examples=40)
@given(utr=st.text("ACGTN", min_size=1, max_size=30), times=st.integers(1, 300))
def test_intervals_hold_the_prediction_and_end_where_mrls_do(default, utr, times):
    assume(not is_missing(utr * times))
    for assay in default.card.assays:
        row = default.predict([utr * times], assay=assay.name).iloc[0]
        assert min(assay.fraction_weights) <= row["mrl_low"] <= row["mrl"] <= row["mrl_high"]
        assert row["mrl_high"] <= max(assay.fraction_weights)


@pytest.mark.parametrize(
    ("knots", "wrong"),
    [
        ({"at": (0, 1), "factor": (1,)}, "as many numbers"),
        ({"at": (0, 0), "factor": (1, 2)}, "must rise"),
        ({"at": (0, 1), "factor": (2, 1)}, "not fall"),
        ({"at": (0,), "factor": (0.5,)}, "begin at 1"),
    ],
)
def test_knots_that_make_no_line_are_refused(knots, wrong):
    with pytest.raises(ValueError, match=wrong):
        Knots(**knots)
