"""Predictors: the rest of the batch and its order change nothing, nothing is silent."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.errors import RibocastError, SequenceError
from ribocast.model.bundle import AssayCard, Interval
from ribocast.model.predictor import interval, padded
from ribocast.sequence.batch import Batch
from ribocast.sequence.letters import is_missing

UTRS = st.lists(
    st.text("ACGTUNacgtun", min_size=1, max_size=130).filter(lambda utr: not is_missing(utr)), min_size=1, max_size=12
)


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed)


@pytest.fixture(scope="module", params=["default", "framed", "fixed"])
def by_threads(request):
    """Give one model twice: with one thread, and with two."""
    folder = request.param if request.param == "default" else request.getfixturevalue(request.param)
    return [ribocast.load(folder, threads=threads) for threads in (1, 2)]


@settings(max_examples=20, deadline=None)
@given(
    utrs=st.lists(
        st.text("ACGTUNacgtun", min_size=1, max_size=300).filter(lambda utr: not is_missing(utr)),
        min_size=1,
        max_size=40,
    ),
    seed=st.integers(0, 9),
)
def test_order_company_and_threads_change_no_bit_of_a_prediction(by_threads, utrs, seed):
    one, two = by_threads
    mrls = one.mrl(utrs)
    order = np.random.default_rng(seed).permutation(len(utrs))
    some = order[: len(utrs) // 2 + 1]
    np.testing.assert_array_equal(two.mrl([utrs[row] for row in order]), mrls[order])
    np.testing.assert_array_equal(two.mrl([utrs[row] for row in some]), mrls[some])
    np.testing.assert_array_equal([one.mrl([utr])[0] for utr in utrs[:8]], mrls[:8])


def test_thousands_of_rows_of_any_length_are_each_what_they_are_alone(model, fixed):
    random = np.random.default_rng(1)
    lengths = np.concatenate([random.integers(1, 131, 3000), [1, 400, 2500]])
    utrs = ["".join(random.choice(list("ACGTN"), length, p=[0.24] * 4 + [0.04])) for length in lengths]
    for loaded in (model, ribocast.load(fixed)):
        together = loaded.mrl(utrs)
        some = [*range(0, 3000, 97), 3000, 3001, 3002]
        np.testing.assert_array_equal(together[some], [loaded.mrl([utrs[row]])[0] for row in some])


@settings(max_examples=25, deadline=None)
@given(utr=st.text("ACGT", min_size=1, max_size=100))
def test_u_is_t_and_case_does_not_matter(model, utr):
    spellings = [utr, utr.lower(), utr.replace("T", "U"), utr.lower().replace("t", "u")]
    assert len(set(model.mrl(spellings))) == 1


def test_a_list_a_series_and_a_frame_give_the_same_table(model):
    utrs = ["ACGT" * 12, "TTGCA" * 10]
    table = model.predict(utrs)
    assert table.columns.tolist() == ["seq", "mrl", "mrl_low", "mrl_high", "note"]
    assert table["seq"].tolist() == utrs
    frame = pd.DataFrame({"id": [1, 2], "UTR": utrs})
    for other in (tuple(utrs), np.array(utrs), iter(utrs), pd.Series(utrs), frame):
        pd.testing.assert_frame_equal(model.predict(other), table)
    for dtype in ("string", "category", object):
        pd.testing.assert_frame_equal(model.predict(pd.Series(utrs, dtype=dtype)), table)
    pd.testing.assert_frame_equal(model.predict(utrs[0]), table[:1])


def test_mrls_and_profiles_of_a_series_are_in_its_order_not_by_its_labels(model):
    utrs = ["ACGT" * 12, "TTGCA" * 10, "GGATGC" * 8]
    shuffled = pd.Series(utrs, index=[2, 0, 1])
    np.testing.assert_array_equal(model.mrl(shuffled), model.mrl(utrs))
    np.testing.assert_array_equal(model.profile(shuffled), model.profile(utrs))
    np.testing.assert_array_equal(model.mrl(shuffled[shuffled.index > 0]), model.mrl([utrs[0], utrs[2]]))
    # One string is one sequence, not one sequence a letter.
    np.testing.assert_array_equal(model.mrl(utrs[0]), model.mrl([utrs[0]]))


@settings(max_examples=25, deadline=None)
@given(utrs=UTRS)
def test_a_prediction_lies_in_its_interval(model, utrs):
    for assay in model.card.assays:
        table = model.predict(utrs, assay=assay.name)
        assert (table["mrl_low"] <= table["mrl"]).all()
        assert (table["mrl"] <= table["mrl_high"]).all()


@given(
    edges=st.lists(st.floats(-9, 9), max_size=4, unique=True).map(sorted),
    tail=st.floats(-5, 5),
    mrls=st.lists(st.floats(-20, 20), min_size=1, max_size=5),
)
def test_a_prediction_lies_in_its_interval_however_lopsided_the_calibration(edges, tail, mrls):
    count = len(edges) + 1
    found = Interval(coverage=0.9, edges=edges, below=[tail] * count, above=[-tail] * count, rows=9)
    card = AssayCard(name="a", before="", after="ATG", min_length=1, max_length=9, label_mean=0, label_scale=1,
                     interval=found)  # fmt: skip
    low, high = interval(card, np.array(mrls))
    assert (low <= mrls).all()
    assert (high >= mrls).all()


def test_a_model_without_calibration_leaves_the_interval_empty(model):
    card = model.card.assays[0].model_copy(update={"interval": None})
    low, high = interval(card, np.array([1.0, 2.0]))
    assert np.isnan(low).all()
    assert np.isnan(high).all()


@settings(max_examples=20, deadline=None)
@given(utr=st.text("ACGTUNacgtun", min_size=4, max_size=110))
def test_substitutions_are_those_predicted_one_by_one(model, utr):
    for assay in (None, "egfp_varying25to100"):
        mrls = model.substitutions(utr, assay=assay)
        assert mrls.shape == (len(utr), 4)
        written = [utr[:place] + base + utr[place + 1 :] for place in range(len(utr)) for base in "ACGT"]
        assert np.array_equal(mrls.flatten(), model.mrl(written, assay=assay))  # to the last bit


def test_substitutions_of_a_long_sequence_and_on_a_network_of_one_length(model, fixed):
    utr = "ACGTTGCAGG" * 70
    mrls = model.substitutions(utr)
    written = [utr[:place] + "C" + utr[place + 1 :] for place in range(0, 700, 30)]
    assert np.array_equal(mrls[::30, 1], model.mrl(written))
    mrls = ribocast.load(fixed).substitutions(utr[:60])
    # The network reads the last 50 alone.
    assert np.ptp(mrls[:10]) < 1e-6
    assert np.ptp(mrls[10:]) > 0
    with pytest.raises(SequenceError, match="row 1: 'X' at position 3"):
        model.substitutions("ACX")


def test_one_predictor_serves_several_threads_at_once(model, fixed):
    random = np.random.default_rng(2)
    for loaded in (model, ribocast.load(fixed), ribocast.load(fixed, engine="torch")):
        jobs = [["".join(random.choice(list("ACGT"), length)) for length in random.integers(5, 120, rows)]
                for rows in (1, 40, 700, 3, 90, 1, 250, 7)]  # fmt: skip
        alone = [loaded.mrl(job) for job in jobs]
        with ThreadPoolExecutor(len(jobs)) as pool:
            together = list(pool.map(loaded.mrl, jobs * 3))
        for one, other in zip(alone * 3, together, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_a_thread_whose_run_fails_leaves_the_others_all_they_need(model):
    def fail():
        raise KeyError

    batch = Batch.of(["ACGTTGCAGG" * 5] * 600)
    with ThreadPoolExecutor(4) as pool:
        failing = [pool.submit(model.run, batch, before_batch=fail) for _ in range(20)]
        mrls = list(pool.map(model.mrl, [["ACGT" * 9] * 300] * 8))
    assert all(isinstance(future.exception(), KeyError) for future in failing)
    assert len({tuple(row.tolist()) for row in mrls}) == 1


def test_what_is_unusual_about_a_sequence_is_noted(model, fixed):
    notes = model.predict(["A" * 50, "A" * 51, "ACGTN" * 10, "a" * 49 + "n"], assay="egfp_random50")["note"].tolist()
    assert notes == ["", "51 nt: extrapolated, measured were 50 nt", "10 unknown letters (N)", "1 unknown letter (N)"]
    notes = model.predict(["A" * 24, "A" * 25, "A" * 100, "A" * 101], assay="egfp_varying25to100")["note"].tolist()
    assert [bool(note) for note in notes] == [True, False, False, True]
    assert notes[0] == "24 nt: extrapolated, measured were 25 to 100 nt"
    (note,) = ribocast.load(fixed).predict("A" * 60)["note"]
    assert note == "60 nt: extrapolated, measured were 50 nt; only the last 50 nt are read"
    (note,) = ribocast.load(fixed).predict("A" * 30)["note"]
    assert note == "30 nt: extrapolated, measured were 50 nt"


def test_a_network_of_one_length_reads_the_last_letters_and_pads_on_the_left(fixed):
    model = ribocast.load(fixed)
    utr = "ACGTTGCAGG" * 5
    np.testing.assert_allclose(model.mrl(["TTTTT" + utr, "N" * 90 + utr]), model.mrl([utr, utr]), rtol=0, atol=1e-6)
    # No letter and an unknown one are alike to it.
    np.testing.assert_allclose(model.mrl(["ACG"]), model.mrl(["N" * 47 + "ACG"]), rtol=0, atol=1e-6)


def test_profiles_are_shares_whose_mean_is_the_mrl(model, fixed):
    utrs = ["ACGT" * 12, "TTGCATG" * 10, "N", "A" * 130]
    for assay in model.card.assays:
        fractions = model.profile(utrs, assay=assay.name)
        assert fractions.shape == (4, len(assay.fraction_weights))
        assert (fractions >= 0).all()
        np.testing.assert_allclose(fractions.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(fractions @ np.array(assay.fraction_weights), model.mrl(utrs, assay=assay.name))
        table = model.predict(utrs, assay=assay.name, profile=True)
        np.testing.assert_array_equal(table[[f"r{number}" for number in range(fractions.shape[1])]], fractions)
    for call in (lambda: ribocast.load(fixed).predict(utrs, profile=True), lambda: ribocast.load(fixed).profile(utrs)):
        with pytest.raises(RibocastError, match="gives no polysome profile"):
            call()


def test_no_sequences_give_an_empty_table(model):
    for nothing in ([], pd.Series(dtype=str), pd.DataFrame({"seq": []})):
        table = model.predict(nothing)
        assert table.empty
        assert table.columns.tolist() == ["seq", "mrl", "mrl_low", "mrl_high", "note"]


def test_a_utr_as_long_as_a_chromosome_is_refused_and_others_are_not(model):
    assert np.isfinite(model.mrl(["ACGT" * 5000])).all()
    chromosome = "ACGT" * 25_001
    assert [fault.row for fault in model.faults(["A", chromosome, "X", None])] == [1, 2, 3]
    with pytest.raises(SequenceError, match="row 2: sequence is 100,004 nt; the maximum is 100,000"):
        model.predict(["ACGT", chromosome])


@pytest.mark.parametrize(
    ("utrs", "words"),
    [
        (["ACGT", "ACX"], "row 2: 'X' at position 3"),
        (["ACGT" * 30, "ACGT", "A-"], "row 3: '-' at position 2"),
        (["ACGT", ""], "row 2: the sequence is empty"),
        (["ACGT", None], "row 2: the sequence is missing"),
        (pd.Series(["ACGT", pd.NA], dtype="string"), "row 2: the sequence is missing"),
        (pd.DataFrame({"seq": ["ACGT", np.nan]}), "row 2: the sequence is missing"),
        ([1, 2], "row 1: 1 is not a sequence"),
        (pd.DataFrame({"a": ["ACGT"]}), r"no sequence column \(seq, sequence, utr\) among: a"),
        (pd.DataFrame([["A", "C"]], columns=["seq", "seq"]), "columns of the same name"),
    ],
)
def test_what_cannot_be_predicted_is_said(model, utrs, words):
    with pytest.raises(RibocastError, match=words):
        model.predict(utrs)


def test_unknown_models_and_assays_are_said(model):
    with pytest.raises(RibocastError, match="'nope'; the model 'framed' has: egfp_random50, egfp_vary"):
        model.predict(["ACGT"], assay="nope")
    with pytest.raises(RibocastError, match="no such model"):
        ribocast.load("nowhere/at-all")


@given(st.lists(st.integers(1, 100_000), min_size=1))
def test_padding_is_little_and_depends_on_the_length_alone(lengths):
    widths = padded(np.array(lengths))
    assert (widths >= lengths).all()
    assert (widths <= np.maximum(np.array(lengths) * 1.13, np.array(lengths) + 2)).all()
    assert widths.tolist() == [int(padded(np.array([length]))[0]) for length in lengths]
    assert padded(np.array([25, 50, 100])).tolist() == [25, 50, 100]
