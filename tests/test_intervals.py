"""Prediction intervals: they cover nine rows in ten, wherever the prediction lies."""

import numpy as np

from ribocast.bundle import AssayCard
from ribocast.learn.intervals import FEWEST_ROWS, conformal_interval
from ribocast.predictor import interval


def card(calibration):
    return AssayCard(name="a", before="", after="ATG", min_length=1, max_length=9, label_mean=0, label_scale=1,
                     interval=calibration)  # fmt: skip


def test_new_rows_fall_inside_nine_times_in_ten_in_every_part_of_the_range():
    random = np.random.default_rng(0)
    predicted = random.uniform(2, 9, 40_000)
    # Noise that grows with the load and is lopsided, as in the measurements.
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
