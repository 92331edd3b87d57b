"""Hairpins in the graph against a count of every stem, base by base."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.learn.networks.hairpins import _PAIRS, _RT, _STACKS, Hairpins, _loop
from ribocast.learn.networks.network import LetterTable
from ribocast.sequence.batch import encode
from ribocast.sequence.construct import EGFP
from ribocast.sequence.letters import to_dna

AFTER = EGFP.after[:20]
# Stems must be short enough for their weights not to be capped.
UTRS = st.text("ACGTN", min_size=1, max_size=60) | st.text("ACGT", min_size=20, max_size=60)


def run(utrs, before=EGFP.before, after=AFTER, reach=12):
    letters = torch.from_numpy(encode(utrs))
    channels, summaries = Hairpins(before, after, reach)(letters, LetterTable()(letters)[:, 4:])
    return channels.numpy(), summaries.numpy()


def count_by_hand(utr, before=EGFP.before, after=AFTER, reach=12):
    """Go through every stem from its outermost pair inwards."""
    around = before + utr + after
    downstream, upstream, every = np.zeros(len(around)), np.zeros(len(around)), 0.0
    for first in range(len(around)):
        for last in range(first + 4, min(len(around), first + 2 * reach + 2)):
            energy, inner = 0.0, 0
            while last - first - 2 * inner >= 4 and around[first + inner] + around[last - inner] in _PAIRS:
                if inner:
                    outer_pair = around[first + inner - 1] + around[last - inner + 1]
                    inner_pair = around[first + inner] + around[last - inner]
                    energy += _STACKS[_PAIRS.index(outer_pair)][_PAIRS.index(inner_pair)]
                weight = math.exp(-energy / _RT) * _loop(last - first - 2 * inner - 1)
                every += weight
                downstream[first : first + inner + 1] += weight
                upstream[last - inner : last + 1] += weight
                inner += 1
    logs = np.log1p(np.stack([downstream, upstream])) / 10
    begin, end = len(before), len(before) + len(utr)
    summaries = [math.log1p(every) / 10, logs[:, :begin].sum() / 50, logs[:, end:].sum() / 50]
    return logs[:, begin:end], summaries


@settings(max_examples=40, deadline=None)
@given(utrs=st.lists(UTRS, min_size=1, max_size=4))
def test_every_stem_is_counted_once_with_what_stands_around(utrs):
    channels, summaries = run(utrs)
    for row, utr in enumerate(utrs):
        by_base, of_all = count_by_hand(utr)
        padding = channels.shape[2] - len(utr)
        np.testing.assert_allclose(channels[row, :, padding:], by_base, atol=2e-5)
        np.testing.assert_allclose(summaries[row], of_all, atol=2e-5)
        assert not channels[row, :, :padding].any()


def test_a_hairpin_shows_where_its_stem_is_and_an_unknown_letter_breaks_it():
    stem, broken = "AAAAAGGCGCCAAAAGGCGCCAAAAA", "AAAAAGGCNCCAAAAGGCGCCAAAAA"
    channels, _ = run([stem, broken], before="", after="")
    paired = channels.sum(axis=1) > 0.5
    assert paired[0].tolist() == [base != "A" for base in stem]
    assert channels[1].max() < channels[0].max()


def test_the_longest_stem_that_fits_gives_finite_numbers():
    channels, summaries = run(["GC" * 40 + "AAAA" + "GC" * 40], reach=60)
    assert np.isfinite(channels).all()
    assert np.isfinite(summaries).all()


@given(utr=st.text("ACGTUacgtu", min_size=1, max_size=40))
@settings(max_examples=20, deadline=None)
def test_u_is_t_and_case_does_not_matter(utr):
    for as_written, plain in zip(run([utr]), run([to_dna(utr).upper()]), strict=True):
        np.testing.assert_array_equal(as_written, plain)
