"""Distilling: what new sequences are like, what their labels are, and that a student fits them."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ribocast
from ribocast import learn
from ribocast.errors import RibocastError
from ribocast.learn import distilled_rows
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import architecture
from ribocast.sequence.letters import is_missing

# The running form, which takes longer than these trainings, is tested once an architecture (test_registries).
fit = partial(learn.fit, export=False)


@pytest.fixture(scope="module")
def teachers():
    return [ribocast.load()]


@pytest.fixture(scope="module")
def rows():
    """Give rows of two libraries: one of random UTRs, one of others."""
    random = simulate(150, seed=1)[["seq", "mrl"]].assign(assay="egfp_random50", origin="random")
    human = simulate(100, seed=2)[["seq", "mrl"]].assign(assay="egfp_human50", origin="human")
    return pd.concat([random, human], ignore_index=True)


def test_every_assay_gets_its_share_and_no_measured_sequence_comes_back(teachers, rows):
    distilled = distilled_rows(teachers, rows, 200, seed=3)
    assert not set(distilled["seq"]) & set(rows["seq"])
    shares = distilled["assay"].value_counts()
    assert shares["egfp_random50"] == 100
    assert 90 <= shares["egfp_human50"] <= 100  # a few mutants are their parents again
    assert (distilled["seq"].str.len() == 50).all()


def test_labels_are_the_mean_of_the_teachers_and_agree_with_the_profile(rows):
    default = ribocast.load()
    distilled = distilled_rows([default, default], rows, 40, seed=3)
    for name, part in distilled.groupby("assay"):
        assert part["mrl"].to_numpy() == pytest.approx(default.mrl(part["seq"].tolist(), assay=name), abs=1e-4)
        weights = np.array(default.card.assay(name).fraction_weights)
        profile = part[[f"r{number}" for number in range(len(weights))]].to_numpy()
        assert profile @ weights == pytest.approx(part["mrl"].to_numpy(), abs=1e-5)


def test_teachers_that_know_mrls_alone_teach_those(rows, tmp_path):
    table = rows[rows["assay"] == "egfp_random50"]
    recipe = architecture("attention-2conv").recipe.with_changes(epochs=1)
    fit(table, tmp_path, assays={"egfp_random50": ASSAYS["egfp_random50"]}, model="attention-2conv", recipe=recipe)
    teacher = ribocast.load(tmp_path)
    for teachers in ([teacher], [ribocast.load(), teacher]):
        distilled = distilled_rows(teachers, table, 20, seed=3)
        assert "r0" not in distilled
        mrls = np.mean([one.mrl(distilled["seq"].tolist(), assay="egfp_random50") for one in teachers], axis=0)
        assert distilled["mrl"].to_numpy() == pytest.approx(mrls, abs=1e-4)


def test_a_seed_gives_the_same_sequences_again(teachers, rows):
    first, again, other = (distilled_rows(teachers, rows, 60, seed=seed)["seq"].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_utrs_that_are_not_random_get_relatives(teachers, rows):
    distilled = distilled_rows(teachers, rows, 400, seed=3)
    known = set(kmers(rows[rows["assay"] == "egfp_human50"]["seq"]))
    related = [bool(known & set(kmers([utr]))) for utr in distilled[distilled["assay"] == "egfp_human50"]["seq"]]
    strange = [bool(known & set(kmers([utr]))) for utr in distilled[distilled["assay"] == "egfp_random50"]["seq"]]
    assert np.mean(related) > 0.8
    assert not any(strange)


@given(
    st.lists(st.text("ACGTN", min_size=1, max_size=30).filter(lambda utr: not is_missing(utr)), min_size=1, max_size=5),
    st.integers(0, 1000),
)
def test_any_utrs_have_relatives_of_letters_only(teachers, utrs, seed):
    measured = pd.DataFrame({"seq": utrs, "assay": "egfp_varying25to100"})
    distilled = distilled_rows(teachers, measured, 8, seed=seed)
    assert all(utr and not utr.strip("ACGTN") and len(utr) <= max(map(len, utrs)) for utr in distilled["seq"])


def test_a_student_fits_distilled_rows_and_its_card_says_so(teachers, rows, tmp_path):
    recipe = architecture("framed").recipe.with_changes(epochs=4)
    small = {"channels": 16, "dilations": (1, 2)}
    distilled = distilled_rows(teachers, rows, 1500, seed=3)
    assays = {name: ribocast.learn.data.assays.ASSAYS[name] for name in ("egfp_random50", "egfp_human50")}
    alone, student = (
        fit(rows, tmp_path / name, assays=assays, settings=small, recipe=recipe, held_out=0.0, seed=1, distilled=more)
        for name, more in (("alone", None), ("student", distilled))
    )
    counts = distilled["assay"].value_counts().to_dict()
    assert {entry.assay: entry.rows for entry in student.bundle.card.distilled} == counts
    assert student.bundle.card.data == alone.bundle.card.data
    assert not alone.bundle.card.distilled
    unseen = simulate(300, seed=9)["seq"].tolist()
    truth = teachers[0].mrl(unseen, assay="egfp_random50")

    def agreement(run):
        return np.corrcoef(ribocast.load(run.bundle.folder).mrl(unseen, assay="egfp_random50"), truth)[0, 1]

    assert agreement(student) > agreement(alone) + 0.1


def test_nobody_teaches_nothing(rows):
    with pytest.raises(RibocastError, match="at least one trained model"):
        distilled_rows([], rows, 10, seed=1)


def test_distilled_rows_of_an_untrained_assay_are_refused(teachers, rows, tmp_path):
    distilled = distilled_rows(teachers, rows, 20, seed=1)
    with pytest.raises(RibocastError, match="egfp_human50, which is not trained here"):
        fit(rows[rows["assay"] == "egfp_random50"], tmp_path, distilled=distilled, held_out=0.0)


def kmers(utrs, k=16):
    return {utr[at : at + k] for utr in utrs for at in range(len(utr) - k + 1)}
