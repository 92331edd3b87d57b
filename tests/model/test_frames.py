"""Frames and Series: what comes back stands under the index of what was given."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.errors import RibocastError
from ribocast.explain.explain import explain_all
from ribocast.learn import fit
from ribocast.learn.data.assays import labelled_rows
from ribocast.learn.data.simulate import simulate
from ribocast.learn.evaluation.variant_changes import pair_unseen
from ribocast.learn.train.setup import own_recipe

UTRS = ["ATGATGATGATG" * 4, "CCACC" * 10, "ACGT" * 12, "CAACAA" * 8, "GGC", "TTATG"]
INDEXES = {
    "filtered": [0, 2, 3, 7, 8, 9],
    "shuffled": [4, 0, 5, 1, 3, 2],
    "duplicated": [1, 1, 0, 0, 1, 0],
    "named": pd.Index(list("fedcba"), name="gene"),
    "of dates": pd.date_range("2024-01-01", periods=6)[::-1],
    "of levels": pd.MultiIndex.from_product([["x", "y"], [2, 1, 0]], names=["plate", "well"]),
    "with missing labels": [None, 1.0, np.nan, 2.0, 0.0, 3.0],
}


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed)


@pytest.fixture(params=INDEXES.values(), ids=INDEXES)
def frame(request):
    return pd.DataFrame({"other": range(6), "Seq": UTRS}, index=request.param)


def test_predictions_stand_under_the_index_of_what_was_given(model, frame):
    plain = model.predict(UTRS)
    assert plain.index.equals(pd.RangeIndex(6))
    for given_ in (frame, frame["Seq"]):
        got = model.predict(given_, profile=True)
        pd.testing.assert_index_equal(got.index, frame.index)
        pd.testing.assert_frame_equal(got[plain.columns].reset_index(drop=True), plain)
    if frame.index.is_unique:
        kept = frame[frame["Seq"].str.len() != 50].copy()
        kept["mrl"] = model.predict(kept)["mrl"]
        assert kept["mrl"].tolist() == model.mrl(kept["Seq"].tolist()).tolist()


@pytest.mark.parametrize("kind", [list, tuple, np.array, iter, pd.Index], ids=str)
def test_what_has_no_index_gets_a_fresh_one(model, kind):
    assert model.predict(kind(UTRS)).index.equals(pd.RangeIndex(6))


def test_arrays_are_in_the_order_of_the_rows_whatever_the_index_is(model, frame):
    utrs = frame["Seq"]
    np.testing.assert_array_equal(model.mrl(utrs), model.mrl(UTRS))
    np.testing.assert_array_equal(model.profile(utrs), model.profile(UTRS))
    np.testing.assert_array_equal(model.outputs(utrs), model.outputs(UTRS))
    bad = utrs.mask(np.arange(6) == 4, "ACX")
    assert [fault.row for fault in model.faults(bad)] == [4]
    with pytest.raises(RibocastError, match="row 5: "):
        model.predict(bad)


def test_scores_of_variants_stand_under_the_index_of_what_was_given(model, frame):
    refs, alts = frame["Seq"], frame["Seq"].str.slice(1) + "C"
    plain = ribocast.score_variants(model, list(refs), list(alts))
    assert plain.index.equals(pd.RangeIndex(6))
    for pair in ((refs, alts), (refs, list(alts)), (list(refs), alts)):
        got = ribocast.score_variants(model, *pair)
        pd.testing.assert_index_equal(got.index, frame.index)
        pd.testing.assert_frame_equal(got.reset_index(drop=True), plain)
    with pytest.raises(RibocastError, match="different indexes"):
        ribocast.score_variants(model, refs, alts.set_axis(range(100, 106)))


def test_explanations_come_in_the_order_of_the_rows(model, frame):
    found = list(explain_all(model, frame["Seq"], names=frame["other"].astype(str)))
    assert [one.seq for one in found] == UTRS
    assert [one.name for one in found] == list("012345")


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(6)), labels=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_a_row_keeps_its_label_in_any_order(model, order, labels):
    utrs = pd.Series(UTRS, index=labels).iloc[list(order)]
    got = model.predict(utrs)
    assert list(zip(got.index, got["seq"], strict=True)) == [(labels[row], UTRS[row]) for row in order]
    assert got["mrl"].tolist() == model.mrl(UTRS)[list(order)].tolist()


def test_training_rows_and_pairs_keep_their_index(frame):
    rows, _ = labelled_rows(frame.assign(mrl=np.arange(6.0)), "mine")
    pd.testing.assert_index_equal(rows.index, frame.index)
    assert rows["seq"].tolist() == UTRS
    pairs = pd.DataFrame({"ref_seq": UTRS, "alt_seq": UTRS[::-1]}, index=frame.index)
    known = pd.DataFrame({"seq": UTRS, "assay": "x", "fold": 0, "predicted": np.arange(1.0, 7.0)})
    pd.testing.assert_index_equal(pair_unseen(pairs, known, "x").index, frame.index)


def test_a_model_is_the_same_whatever_the_index_of_its_rows(tmp_path):
    rows, assays = labelled_rows(simulate(60, seed=1)[["seq", "mrl"]], "mine")
    recipe = own_recipe("attention-2conv").with_changes(epochs=1)
    losses = []
    for name, index in (("plain", rows.index), ("odd", [7] * 30 + list(range(30)))):
        labelled = rows.set_axis(index)
        trained = fit(labelled, tmp_path / name, assays=assays, model="attention-2conv", recipe=recipe, device="cpu",
                      export=False)  # fmt: skip
        losses.append([epoch["val_loss"] for epoch in trained.history])
    assert losses[0] == losses[1]
