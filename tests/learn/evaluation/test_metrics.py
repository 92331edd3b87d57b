"""Scores: equal to those of scipy and scikit-learn, with intervals that cover."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

import ribocast
from ribocast.errors import RibocastError
from ribocast.learn.evaluation.metrics import evaluate, score, score_profile

UTRS = st.lists(st.text("ACGTUNacgt", min_size=4, max_size=70), min_size=3, max_size=20)
MRLS = st.floats(-20, 20).map(lambda mrl: round(mrl, 4))


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(5, 200), seed=st.integers(0, 10_000), offset=st.floats(-50, 50), ties=st.booleans())
def test_figures_are_those_of_scipy_and_scikit_learn(rows, seed, offset, ties):
    random = np.random.default_rng(seed)
    measured = random.normal(size=rows) + offset
    predicted = measured + random.normal(size=rows)
    if ties:
        measured, predicted = measured.round(), predicted.round()
    if np.ptp(measured) == 0 or np.ptp(predicted) == 0:
        return
    ours = score(measured, predicted, resamples=5)
    assert ours.n == rows
    assert ours.mse == pytest.approx(metrics.mean_squared_error(measured, predicted))
    assert ours.rmse == pytest.approx(metrics.mean_squared_error(measured, predicted) ** 0.5)
    assert ours.mae == pytest.approx(metrics.mean_absolute_error(measured, predicted))
    assert ours.r2 == pytest.approx(metrics.r2_score(measured, predicted))
    assert ours.pearson_r == pytest.approx(stats.pearsonr(measured, predicted).statistic)
    assert ours.pearson_r2 == pytest.approx(ours.pearson_r * abs(ours.pearson_r))
    assert ours.spearman_r == pytest.approx(stats.spearmanr(measured, predicted).statistic)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(5, 60), seed=st.integers(0, 10_000))
def test_predictions_that_fall_are_worse_than_any_that_rise(rows, seed):
    random = np.random.default_rng(seed)
    measured = random.normal(size=rows)
    falls, noisy = score(measured, -measured), score(measured, measured + random.normal(size=rows) / 4)
    assert falls.pearson_r2 == pytest.approx(-1)
    assert falls.ci95["pearson_r2"][1] < 0 < noisy.pearson_r2
    profile = score_profile(np.column_stack([measured, measured]), np.column_stack([measured, -measured]))
    assert profile.pearson_r2 == pytest.approx((1, -1))


def test_an_offset_costs_r2_and_errors_but_no_correlation():
    measured = np.random.default_rng(0).normal(size=500)
    scores = score(measured, measured + 1, resamples=10)
    assert scores.pearson_r2 == pytest.approx(1)
    assert scores.mse == pytest.approx(1)
    assert scores.r2 < 0.1


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(3, 60), times=st.integers(1, 5), seed=st.integers(0, 99))
def test_copies_of_rows_in_a_group_with_them_make_no_interval_narrower(rows, times, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    y = x + random.normal(size=rows)
    group = random.permutation(rows)
    once, many = (score(np.repeat(x, k), np.repeat(y, k), groups=np.repeat(group, k), resamples=50) for k in (1, times))
    assert many.ci95["pearson_r2"] == pytest.approx(once.ci95["pearson_r2"])
    assert many.ci95["mae"] == pytest.approx(once.ci95["mae"])
    alone = score(x, y, groups=np.arange(rows), resamples=50)
    assert alone.ci95["pearson_r2"] == pytest.approx(score(x, y, resamples=50).ci95["pearson_r2"])


def test_intervals_of_rows_that_hang_together_cover_only_by_groups():
    hits = {"rows": 0, "groups": 0}
    group = np.repeat(np.arange(60), 10)
    for seed in range(60):
        random = np.random.default_rng(seed)
        # All rows of a group are off alike: there are 60 errors, not 600.
        error = random.normal(size=60)[group]
        for name, groups in (("rows", None), ("groups", group)):
            low, high = score(error, np.zeros(600), groups=groups, resamples=200, seed=seed).ci95["mse"]
            hits[name] += low <= 1 <= high
    assert hits["groups"] >= 50
    assert hits["rows"] <= 40


def test_groups_are_there_for_every_row():
    with pytest.raises(RibocastError, match="3 measurements cannot be in the groups of 2"):
        score(np.arange(3.0), np.arange(3.0), groups=np.arange(2))


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truth, hits = 0.5, 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        x = random.normal(size=300)
        y = truth * x + np.sqrt(1 - truth**2) * random.normal(size=300)
        low, high = score(x, y, resamples=200, seed=seed).ci95["pearson_r"]
        hits += low <= truth <= high
    assert 86 <= hits <= 100


def test_the_bootstrap_is_repeatable():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(2, 50))
    assert score(x, y, seed=3) == score(x, y, seed=3)
    assert score(x, y, seed=3).ci95 != score(x, y, seed=4).ci95


def test_correlation_with_a_constant_is_undefined_not_a_number_made_up():
    scores = score(np.arange(9.0), np.full(9, 4.2), resamples=10).as_dict()
    assert scores["pearson_r"] is None
    assert scores["spearman_r"] is None
    assert scores["ci95"]["pearson_r"] == [None, None]
    assert scores["mae"] == pytest.approx(np.abs(np.arange(9) - 4.2).mean())


def test_too_few_or_unequal_rows_are_refused():
    with pytest.raises(RibocastError, match="2 rows: at least 3"):
        score(np.arange(2.0), np.arange(2.0))
    with pytest.raises(RibocastError, match="cannot be compared"):
        score(np.ones(3), np.ones(4))


def test_profiles_are_scored_fraction_by_fraction():
    random = np.random.default_rng(0)
    measured = random.dirichlet(np.ones(4), size=60)
    predicted = measured + random.normal(size=measured.shape) * 0.1
    predicted[:, 3] = 0.25
    scores = score_profile(measured, predicted)
    expected = [stats.pearsonr(measured[:, k], predicted[:, k]).statistic ** 2 for k in range(3)]
    assert scores.n == 60
    assert scores.pearson_r2[:3] == pytest.approx(expected)
    assert scores.pearson_r2[3] is None
    assert scores.mean_pearson_r2 == pytest.approx(np.mean(expected))


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed, threads=1)


@settings(max_examples=25, deadline=None)
@given(utrs=UTRS, data=st.data())
def test_a_model_is_evaluated_by_what_it_predicts_in_whatever_order(model, utrs, data):
    mrls = np.array(data.draw(st.lists(MRLS, min_size=len(utrs), max_size=len(utrs))))
    order = np.array(data.draw(st.permutations(range(len(utrs)))))
    assay = data.draw(st.sampled_from([None, *(card.name for card in model.card.assays)]))
    rows = pd.DataFrame({"seq": utrs, "label": mrls})
    scores_of_rows, again = (evaluate(model, table, assay=assay) for table in (rows, rows.iloc[order]))
    errors = model.mrl(utrs, assay=assay) - mrls
    assert scores_of_rows.n == again.n == len(utrs)
    for scores in (scores_of_rows, again):
        assert scores.mae == pytest.approx(np.abs(errors).mean(), abs=1e-5)
        assert scores.mse == pytest.approx((errors**2).mean(), abs=1e-4)
    perfect = evaluate(model, rows.assign(label=model.mrl(utrs, assay=assay)), assay=assay)
    assert perfect.mae < 1e-5


@settings(max_examples=25, deadline=None)
@given(utrs=UTRS, fault=st.sampled_from([("seq", "ACXGT"), ("seq", ""), ("label", "many"), ("label", "nan")]),
       data=st.data())  # fmt: skip
def test_a_row_that_cannot_be_evaluated_is_named(model, utrs, fault, data):
    rows = pd.DataFrame({"seq": utrs, "label": "1.5"})
    bad = data.draw(st.integers(0, len(utrs) - 1))
    column, value = fault
    rows.loc[bad, column] = value
    with pytest.raises(RibocastError, match=rf"row {bad + 1}\b") as caught:
        evaluate(model, rows)
    assert len(str(caught.value).splitlines()) == 1
    said = {"": "empty", "nan": "missing", "ACXGT": "X"}.get(value, value)
    assert said in str(caught.value)
