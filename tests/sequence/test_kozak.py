"""Contexts of start codons, in words and in numbers."""

import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.sequence.kozak import POSITIONS, WEIGHTS, kozak_score, kozak_strength

LETTERS, PAIRS = json.loads(WEIGHTS.read_text()).values()


@pytest.mark.parametrize(
    ("before", "after", "strength"),
    [("A", "G", "strong"), ("G", "G", "strong"), ("A", "C", "moderate"), ("T", "G", "moderate"), ("C", "A", "weak"),
     ("N", "N", "unknown"), ("A", "N", "unknown")],
)  # fmt: skip
def test_strength_is_a_purine_at_minus_three_and_g_at_plus_four(before, after, strength):
    assert kozak_strength(before, after) == strength


@given(letters=st.text(st.sampled_from("ACGTN"), min_size=11, max_size=11))
def test_a_score_is_the_sum_of_letters_and_pairs(letters):
    # There is no 0: +4 is the tenth of the eleven letters −6 to +5.
    own = {at: letters[at + 6 - (at > 0)] for at in POSITIONS if letters[at + 6 - (at > 0)] != "N"}
    expected = sum(LETTERS[letter][POSITIONS.index(at)] for at, letter in own.items())
    for a, b in combinations(own, 2):
        expected += PAIRS[f"{a:+} {b:+}"]["ACGT".index(own[a])]["ACGT".index(own[b])]
    assert kozak_score(letters) == pytest.approx(expected, abs=0.0051)


def test_what_is_unknown_is_average():
    assert kozak_score("NNNNNNATGNN") == 0
    assert all(abs(sum(column)) < 0.003 for column in zip(*LETTERS.values(), strict=True))
    for table in PAIRS.values():
        assert all(abs(sum(row)) < 0.003 for row in (*table, *zip(*table, strict=True)))


def test_the_best_known_letters_score_best():
    assert kozak_score("GCCACCATGGC") > kozak_score("GCCACCATGCC") > kozak_score("GCCTCCATGCC")
