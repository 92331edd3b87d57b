"""Prediction intervals: they cover nine rows in ten, wherever the prediction lies."""

import numpy as np

from ribocast.learn.evaluation.intervals import BEYOND_LENGTHS, FEWEST_ROWS, calibrate, conformal_interval
from ribocast.model.applicability import how_unusual, interval_scaling
from ribocast.model.bundle import AssayCard
from ribocast.model.predictor import interval
from ribocast.sequence.batch import Batch


def card(calibration):
    return AssayCard(name="a", before="", after="ATG", min_length=1, max_length=9, label_mean=0, label_scale=1,
                     interval=calibration)  # fmt: skip


def test_new_rows_fall_inside_nine_times_in_ten_in_every_part_of_the_range():
    random = np.random.default_rng(0)
    predicted = random.uniform(2, 9, 40_000)
    # Noise that grows with the MRL and is lopsided, as in the measurements.
    measured = predicted + predicted * 0.2 * (random.exponential(size=40_000) - 1)
    half = 20_000
    calibration = conformal_interval(measured[:half], predicted[:half])
    low, high = interval(card(calibration), predicted[half:])
    inside = (low <= measured[half:]) & (measured[half:] <= high)
    assert abs(inside.mean() - 0.9) < 0.01
    for start in range(2, 9):
        part = (predicted[half:] >= start) & (predicted[half:] < start + 1)
        assert 0.86 < inside[part].mean() < 0.94


def test_the_fewest_rows_make_one_bin_as_wide_as_their_worst_residuals():
    predicted = np.arange(float(FEWEST_ROWS))
    calibration = conformal_interval(predicted + np.linspace(-0.5, 1, FEWEST_ROWS), predicted)
    assert calibration.edges == ()
    assert calibration.above == (1.0,)
    assert calibration.below == (0.5,)


def test_predictions_that_do_not_differ_still_calibrate():
    calibration = conformal_interval(np.arange(1000.0), np.full(1000, 5.0))
    low, high = interval(card(calibration), np.array([4.0, 5.0, 6.0]))
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()


def gc_makes_noise(rows, seed):
    """MRLs that are noisier the more a sequence differs from the usual shares of bases."""
    random = np.random.default_rng(seed)
    gc = random.beta(5, 5, rows)
    utrs = ["".join(random.choice(list("ACGT"), 50, p=[(1 - g) / 2, g / 2, g / 2, (1 - g) / 2])) for g in gc]
    predicted = random.uniform(3, 8, rows)
    share = np.array([sum(base in "GC" for base in utr) / 50 for utr in utrs])
    return utrs, predicted + random.normal(size=rows) * (0.2 + 4 * (share - 0.5) ** 2), predicted


def test_intervals_are_wider_where_bases_are_unusual_and_still_cover_nine_in_ten():
    utrs, measured, predicted = gc_makes_noise(6000, seed=1)
    assay = calibrate(card(None), utrs, measured, predicted)
    utrs, measured, predicted = gc_makes_noise(6000, seed=2)
    unusual = how_unusual(Batch.of(utrs), assay)
    low, high = interval(assay, predicted, interval_scaling(unusual, assay))
    inside = (low <= measured) & (measured <= high)
    assert abs(inside.mean() - 0.9) < 0.02
    far = unusual.composition > np.quantile(unusual.composition, 0.95)
    plain = interval(assay, predicted, 1.0)
    assert inside[far].mean() > 0.82 > ((plain[0] <= measured) & (measured <= plain[1]))[far].mean()


def test_intervals_are_wider_where_letters_are_hidden_as_far_as_hiding_them_costs():
    random = np.random.default_rng(0)
    utrs = ["".join(random.choice(list("ACGT"), 50)) for _ in range(1500)]
    mrl = np.array([utr.count("A") / 5 for utr in utrs])
    measured = mrl + random.normal(0, 0.1, len(mrl))

    def count(others):
        return np.array([(utr.count("A") + utr.count("N") / 4) / 5 for utr in others])

    def predict(rows, others):
        for row, other in zip(rows, others, strict=True):
            assert all(letter in ("N", known) for letter, known in zip(other, utrs[row], strict=True))
        return count(others)

    assay = calibrate(card(None), utrs, measured, mrl, predict)
    for share in (0.1, 0.4):
        hidden = ["".join("N" if random.random() < share else base for base in utr) for utr in utrs]
        low, high = interval(assay, count(hidden), interval_scaling(how_unusual(Batch.of(hidden), assay), assay))
        assert abs(((low <= measured) & (measured <= high)).mean() - 0.9) < 0.06


def test_beyond_the_measured_lengths_intervals_grow_with_the_distance():
    utrs, measured, predicted = gc_makes_noise(1000, seed=3)
    assay = calibrate(card(None).model_copy(update={"max_length": 50}), utrs, measured, predicted)
    longer = how_unusual(Batch.of(["ACGTA" * 10, "ACGTA" * 11, "ACGTA" * 20, "ACGTA" * 40]), assay)
    factors = interval_scaling(longer, assay)
    assert (np.diff(factors) > 0).all()
    assert assay.interval.scaling.beyond == BEYOND_LENGTHS


def test_a_model_that_misses_nothing_calibrates_too():
    utrs, _, predicted = gc_makes_noise(600, seed=4)
    assay = calibrate(
        card(None).model_copy(update={"max_length": 50}), utrs, predicted, predicted, lambda rows, _: predicted[rows]
    )
    assert interval_scaling(how_unusual(Batch.of(utrs), assay), assay).tolist() == [1.0] * 600
