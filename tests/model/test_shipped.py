"""The shipped models: small, described, sane on UTRs that biologists know, right on the measurements."""

import numpy as np
import pandas as pd
import pytest

import ribocast
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.simulate import simulate
from ribocast.learn.evaluation.metrics import evaluate
from ribocast.model.bundle import PRETRAINED, open_bundle, shipped_models
from where import MEASUREMENTS

NEEDED = {  # what two networks without hairpins reached, on each library's unseen rows
    ("egfp_random50", "published test rows"): 0.940,
    ("egfp_human50", "rows with most reads"): 0.831,
    ("egfp_human50", "other rows (fewer reads)"): 0.742,
    ("egfp_varying25to100", "random"): 0.890,
    ("egfp_varying25to100", "human, rows with most reads"): 0.832,
    ("egfp_random50_m1psi", "all"): 0.794,
}


MOST_BYTES = {"default": 8_000_000, "default-large": 40_000_000}


@pytest.fixture(scope="module", params=MOST_BYTES)
def model(request):
    return ribocast.load(request.param)


def test_those_and_no_others_are_shipped():
    assert shipped_models() == sorted(MOST_BYTES)


@pytest.mark.parametrize("name", MOST_BYTES)
def test_they_are_small_and_know_the_four_libraries(name):
    bundle = open_bundle(name)
    assert sum(path.stat().st_size for path in (PRETRAINED / name).iterdir()) < MOST_BYTES[name]
    assert [assay.name for assay in bundle.card.assays] == list(ASSAYS)
    assert all(assay.interval is not None and assay.interval.rows > 10_000 for assay in bundle.card.assays)
    assert sum(data.rows for data in bundle.card.data) == 100_280
    assert {data.assay for data in bundle.card.distilled} == set(ASSAYS)


@pytest.mark.parametrize("name", MOST_BYTES)
@pytest.mark.parametrize(("assay", "subset"), NEEDED)
def test_their_out_of_fold_figures_reach_the_starting_points(name, assay, subset):
    (figure,) = [f for f in open_bundle(name).card.evaluations if (f.assay, f.subset) == (assay, subset)]
    assert figure.split.startswith("out of fold, 5 folds grouped by shared 24-mers")
    assert figure.pearson_r2 >= NEEDED[assay, subset]


def test_an_upstream_start_out_of_frame_costs_mrl_and_more_so_in_a_strong_context(model):
    quiet = "C" * 20 + "CACCTCC" + "C" * 23
    weak, strong = (quiet[:21] + context + quiet[28:] for context in ("TTTATGT", "ACCATGG"))
    mrls = model.mrl([quiet, weak, strong])
    assert mrls[0] > mrls[1] > mrls[2]
    assert mrls[0] - mrls[2] > 1


def test_an_upstream_start_in_frame_costs_less_than_one_out_of_frame(model):
    utrs = ["C" * at + "ATGG" + "C" * (46 - at) for at in range(5, 40)]
    mrls = model.mrl(utrs)
    in_frame = np.array([(50 - at) % 3 == 0 for at in range(5, 40)])
    assert mrls[in_frame].mean() - mrls[~in_frame].mean() > 1


def test_profiles_of_random_utrs_sum_to_one_and_mean_the_mrl_that_is_reported(model):
    utrs = simulate(1000, seed=4)["seq"].tolist()
    for assay in model.card.assays:
        table = model.predict(utrs, assay=assay.name, profile=True)
        weights = np.array(assay.fraction_weights)
        fractions = table[[f"r{number}" for number in range(len(weights))]].to_numpy()
        assert (fractions >= 0).all()
        np.testing.assert_allclose(fractions.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(fractions @ weights, table["mrl"], atol=1e-4)


def test_they_are_less_sure_of_what_is_unlike_the_measured_sequences(model):
    usual = simulate(40, seed=6)["seq"].tolist()
    width = [table["mrl_high"] - table["mrl_low"] for table in (
        model.predict(usual), model.predict([utr[:20] + "N" * 20 + utr[40:] for utr in usual]),
        model.predict([utr * 3 for utr in usual]), model.predict(["G" * 46 + "ACTT"] * 40),
    )]  # fmt: skip
    relative = [(part / width[0]).median() for part in width]
    assert all(times > 1.2 for times in relative[1:])


@pytest.mark.skipif(not MEASUREMENTS.is_dir(), reason="the measurements are not on this machine")
@pytest.mark.parametrize("assay", ASSAYS)
def test_they_fit_the_rows_they_were_trained_on(model, assay):
    rows = pd.read_csv(MEASUREMENTS / f"{assay}.csv.gz").sample(2000, random_state=0)
    assert evaluate(model, rows[["seq", "mrl"]], assay=assay).pearson_r2 > 0.8
