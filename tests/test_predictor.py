"""Predictors: engines agree, company and order change nothing, nothing is silent."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.errors import RibocastError
from ribocast.sequence import SequenceError, encode

UTRS = st.lists(st.text("ACGTUNacgtun", min_size=1, max_size=130), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed)


@settings(max_examples=25, deadline=None)
@given(utrs=UTRS)
def test_openvino_pytorch_and_onnx_runtime_agree(framed, fixed, utrs):
    for folder in (framed, fixed):
        ours = ribocast.load(folder)
        outputs = ours.outputs(utrs)
        torch = ribocast.load(folder, engine="torch")
        for assay in ours.card.assays:
            np.testing.assert_allclose(ours.mrl(utrs, assay=assay.name), torch.mrl(utrs, assay=assay.name), atol=1e-4)
        letters = encode(utrs)
        if length := ours.card.fixed_length:
            letters = np.pad(letters[:, -length:], ((0, 0), (max(0, length - letters.shape[1]), 0)))
        session = onnxruntime.InferenceSession(ours.bundle.running.read_bytes())
        np.testing.assert_allclose(session.run(None, {"letters": letters})[0], outputs, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(utrs=UTRS, seed=st.integers(0, 99))
def test_order_and_company_change_no_prediction(model, utrs, seed):
    loads = model.mrl(utrs)
    order = np.random.default_rng(seed).permutation(len(utrs))
    np.testing.assert_allclose(model.mrl([utrs[row] for row in order]), loads[order], atol=1e-5)
    np.testing.assert_allclose([model.mrl([utr])[0] for utr in utrs], loads, atol=1e-5)


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
    assert (table["mrl_low"] <= table["mrl"]).all()
    assert (table["mrl"] <= table["mrl_high"]).all()
    for other in (pd.Series(utrs, index=[7, 3]), pd.DataFrame({"id": [1, 2], "UTR": utrs})):
        pd.testing.assert_frame_equal(model.predict(other), table)
    pd.testing.assert_frame_equal(model.predict(utrs[0]), table[:1])


def test_what_is_unusual_about_a_sequence_is_noted(model, fixed):
    notes = model.predict(["A" * 50, "A" * 51, "ACGTN" * 10], assay="egfp_random50")["note"].tolist()
    assert notes == ["", "51 nt: extrapolated, measured were 50 nt", "10 unknown letters (N)"]
    notes = model.predict(["A" * 24, "A" * 25, "A" * 100, "A" * 101], assay="egfp_varying25to100")["note"].tolist()
    assert [bool(note) for note in notes] == [True, False, False, True]
    (note,) = ribocast.load(fixed).predict("A" * 60)["note"]
    assert note == "60 nt: extrapolated, measured were 50 nt; only the last 50 nt are read"


def test_a_network_of_one_length_reads_the_last_letters_and_pads_on_the_left(fixed):
    model = ribocast.load(fixed)
    utr = "ACGTTGCAGG" * 5
    assert model.mrl(["TTTTT" + utr])[0] == pytest.approx(model.mrl([utr])[0], abs=1e-6)
    assert np.isfinite(model.mrl(["ACG"])).all()


def test_profiles_are_shares_whose_mean_is_the_load(model, fixed):
    utrs = ["ACGT" * 12, "TTGCATG" * 10]
    for assay in model.card.assays:
        fractions = model.profile(utrs, assay=assay.name)
        assert fractions.shape == (2, len(assay.fraction_weights))
        np.testing.assert_allclose(fractions.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(fractions @ np.array(assay.fraction_weights), model.mrl(utrs, assay=assay.name))
    with pytest.raises(RibocastError, match="gives no polysome profile"):
        ribocast.load(fixed).predict(utrs, profile=True)


def test_no_sequences_give_an_empty_table(model):
    assert model.predict([]).empty


def test_bad_input_is_said(model):
    with pytest.raises(SequenceError, match="row 2: 'X' at position 3"):
        model.predict(["ACGT", "ACX"])
    with pytest.raises(RibocastError, match="'nope' is none that the model 'framed' knows: egfp_random50, egfp_vary"):
        model.predict(["ACGT"], assay="nope")
    with pytest.raises(RibocastError, match=r"no sequence column \(seq, sequence, utr\) among: a"):
        model.predict(pd.DataFrame({"a": ["ACGT"]}))
    with pytest.raises(RibocastError, match="no such model"):
        ribocast.load("nowhere/at-all")
