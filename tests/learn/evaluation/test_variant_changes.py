"""Changes of variants: their intervals hold nine in ten and are mirror images; no pair is evaluated by what saw it."""

import numpy as np
import pandas as pd
import pytest

from ribocast.errors import RibocastError
from ribocast.learn.evaluation.intervals import conformal_change_interval
from ribocast.learn.evaluation.variant_changes import covered_unseen, detect, pair_unseen, with_change_interval
from ribocast.model.bundle import open_bundle
from ribocast.model.predictor import around


def simulated(rows, seed=0):
    """Most variants do nearly nothing; what is predicted to change much is missed by more."""
    random = np.random.default_rng(seed)
    predicted = random.standard_t(2, rows) * 0.05
    return predicted + random.normal(0, 0.1 + 0.3 * np.abs(predicted)), predicted


def test_new_pairs_fall_inside_nine_times_in_ten_whatever_the_size_of_the_change():
    measured, predicted = simulated(40_000)
    inside, width = covered_unseen(measured, predicted, np.arange(40_000) % 5)
    assert abs(inside.mean() - 0.9) < 0.01
    for low, high in ((0, 0.05), (0.1, 0.2), (0.4, 10)):
        part = (np.abs(predicted) >= low) & (np.abs(predicted) < high)
        assert 0.87 < inside[part].mean() < 0.93
    assert width[np.abs(predicted) > 0.4].mean() > 1.3 * width[np.abs(predicted) < 0.05].mean()


def test_the_interval_of_the_exchanged_pair_is_the_mirror_image():
    measured, predicted = simulated(3000)
    card = conformal_change_interval(measured, predicted)
    at = np.linspace(-1.03, 1.03, 50)
    low, high = around(card, at)
    swapped_low, swapped_high = around(card, -at)
    np.testing.assert_allclose(low, -swapped_high)
    np.testing.assert_allclose(high, -swapped_low)
    assert card == conformal_change_interval(-measured, -predicted)


def test_few_pairs_share_one_bin():
    measured, predicted = simulated(30)
    card = conformal_change_interval(measured, predicted)
    assert card.edges == ()
    assert card.below == card.above == (float(np.sort(np.abs(measured - predicted))[-3]),)


def test_large_changes_are_found_only_in_their_direction():
    found = detect(np.array([0.6, -0.6, 0.5, 0.1, -0.7]), np.array([0.7, 0.7, 0.4, -0.5, -0.5]))
    assert (found.measured, found.predicted, found.both) == (4, 4, 2)
    assert (found.precision, found.recall) == (0.5, 0.5)
    assert detect(np.zeros(2), np.zeros(2)).precision is None


def test_only_pairs_whose_two_sequences_were_unseen_together_are_evaluated():
    rows = pd.DataFrame({"seq": ["A", "C", "G", "A"], "assay": ["x", "x", "x", "y"], "fold": [0, 0, 1, 0],
                         "predicted": [4.0, 2.0, 4.0, 9.0]})  # fmt: skip
    pairs = pd.DataFrame({"ref_seq": ["A", "A", "A"], "alt_seq": ["C", "G", "T"], "log2_fold_change": [-1.1, 0.0, 0.0]})
    got = pair_unseen(pairs, rows, "x")
    assert got[["alt_seq", "predicted", "fold"]].to_numpy().tolist() == [["C", -1.0, 0]]
    with pytest.raises(RibocastError, match="no out-of-fold predictions for 'z'"):
        pair_unseen(pairs, rows, "z")


def test_an_interval_is_written_for_its_assay_alone(framed):
    card = open_bundle(framed).card
    filled = with_change_interval(card, "egfp_varying25to100", *simulated(500))
    assert [assay.change_interval is None for assay in filled.assays] == [True, False]
    assert card.variant_assay.name == "egfp_random50"
    assert filled.variant_assay.name == "egfp_varying25to100"
    with pytest.raises(RibocastError, match="18 pairs: at least 19"):
        with_change_interval(card, "egfp_random50", *simulated(18))
    with pytest.raises(RibocastError, match="assay 'z'"):
        with_change_interval(card, "z", *simulated(500))
