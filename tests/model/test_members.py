"""The networks of an averaged model: each predicts, and their mean is what the model gives."""

import numpy as np
import pytest

import ribocast
from ribocast.errors import StoppedError
from ribocast.model.members import members_of
from ribocast.model.stopping import stopping_when

SEQS = ["ACGTTGCAGG" * 5, "CCTCACCTCCACG", "ACGTTGCAGG" * 5 + "A", "CCTCACCTCCACC"]


@pytest.fixture(scope="module")
def large():
    return ribocast.load("default-large", threads=1)


def test_the_mean_of_all_is_the_models_mrl(large):
    mrls = members_of(large, threads=1).mrls(SEQS)
    assert mrls.shape == (len(large.card.contents), len(SEQS))
    np.testing.assert_allclose(mrls.mean(axis=0), large.mrl(SEQS), atol=1e-4)


def test_some_predict_what_they_do_among_all(large):
    every, some = members_of(large, threads=1), members_of(large, only=[2, 0], threads=1)
    np.testing.assert_array_equal(some.mrls(SEQS), every.mrls(SEQS)[[2, 0]])


def test_one_network_has_no_members():
    assert members_of(ribocast.load("default", threads=1)) is None


def test_unwanted_predictions_end_early(large):
    with stopping_when(lambda: True), pytest.raises(StoppedError):
        members_of(large, threads=1).mrls(SEQS)
