"""What is asked for at and beyond every limit of a design: one line at once, or designs in minutes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.cli import main
from ribocast.design import DesignRequest, FreeEnergy, Length, MaxEdits, MaxRun, MinDistance, NoOverlap, NoRepeat
from ribocast.design.distances import edit_distance
from ribocast.design.feasibility import possible_lengths
from ribocast.design.select import are_enough, choose
from ribocast.design.verify import find_violations
from ribocast.errors import RibocastError
from ribocast.sequence.construct import EGFP

BEYOND = str(10**30)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--length", "1001"], "1,001 nt; the maximum is 1,000"),
        (["--length", "1:1001"], "1,001 nt; the maximum is 1,000"),
        (["--length", BEYOND], "the maximum is 1,000"),
        (["--template", "N" * 1_001], "1,001 nt; the maximum is 1,000"),
        (["--template", "N" * 5_000], "5,000 letters"),
        (["--like", "ACGT" * 300], "1,200 nt; the maximum is 1,000"),
        (["--like", "ACGT", "--max-edits", BEYOND], "the maximum is 2,000"),
        (["--min-distance", "51"], "min distance 51"),
        (["--max-run", BEYOND], "2,000"),
        (["--forbid", "A" * 2_001], "2,001 letters; the maximum is 2,000"),
        (["--forbid", ",".join("A" * size for size in range(1_000, 1_030))], "letters; the maximum is 20,000"),
        (["--free-energy", "5:10"], "free energy 5:10"),
        (["--free-energy", "-1e6:-1e5"], "free energy"),
        (["-n", "10001"], "the maximum is 10,000"),
        (["-n", "10000", "--length", "1000"], "hours of one core"),
        (["-n", "10000", "--min-distance", "20"], "a distance of up to 7"),
        (["--budget", BEYOND], "10,000,000"),
        (["--risk-aversion", "1e308"], "--risk-aversion 1e+308"),
        (["--out-of-distribution-penalty", "inf"], "--out-of-distribution-penalty inf"),
    ],
)
def test_what_is_beyond_a_limit_is_said_in_one_line(arguments, said, framed, tmp_path, capsys):
    if arguments[0] == "--free-energy":
        pytest.importorskip("RNA")
    output = tmp_path / "designs.csv"
    usual = ["design", "--target", "7", "--model", str(framed), "--threads", "1", "-o", str(output)]
    assert main([*usual, *arguments]) == 2
    line = capsys.readouterr().err
    assert len(line.splitlines()) == 1
    assert said in line
    assert not output.exists()


def test_targets_are_mrls_and_not_too_many(framed, capsys):
    for arguments in (["--target", "1e308"], ["--series", "-1e308:1e308:3"], ["--series", "4:8:1000", "-n", "11"]):
        assert main(["design", *arguments, "--model", str(framed), "--threads", "1"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_longest_of_each_kind_are_taken():
    assert possible_lengths([Length(1, 1_000)]) == range(1, 1_001)
    assert possible_lengths([MaxEdits("ACGT" * 250, 250)]) == range(1_000, 1_001)
    DesignRequest(n=10_000, constraints=[MinDistance(7)]).check_work(range(50, 51))
    DesignRequest(n=10_000, budget=1_000).check_work(range(1_000, 1_001))
    DesignRequest(constraints=[FreeEnergy(-10, -1)]).check_work(range(50, 51))
    with pytest.raises(RibocastError, match="folding"):
        DesignRequest(constraints=[FreeEnergy(-200, -100)]).check_work(range(1_000, 1_001))


def test_rules_that_no_one_can_mean_are_refused():
    with pytest.raises(RibocastError, match="min distance 0"):
        MinDistance(0)
    with pytest.raises(RibocastError, match="2,000"):
        MaxRun(2_001)
    with pytest.raises(RibocastError, match="6,000,000 nt are given"):
        NoOverlap(("ACG" * 2_000_000,))


# Letters changed here and there in a few sequences: many pairs are near each other.
FAMILIES = st.lists(
    st.tuples(st.sampled_from(["ACGTTGCAACGGTCAT", "TTTTGGGGCCCCAAAATT"]), st.lists(st.tuples(
        st.integers(0, 17), st.sampled_from(["", "A", "C", "GT"])), max_size=6)),
    max_size=25,
)  # fmt: skip


def grown(families):
    made = []
    for seq, changes in families:
        for at, letters in changes:
            seq = seq[:at] + letters + seq[at + 1 :]
        made.append(seq or "A")
    return list(dict.fromkeys(made))


@settings(deadline=None)
@given(families=FAMILIES, least=st.integers(1, 9), count=st.integers(1, 12))
def test_chosen_are_the_best_that_are_far_enough_apart_and_the_check_sees_what_is_not(families, least, count):
    seqs = grown(families)
    scores = -np.arange(len(seqs), dtype=np.float64)
    expected = []
    for number, seq in enumerate(seqs):
        if len(expected) < count and all(edit_distance(seq, seqs[other]) >= least for other in expected):
            expected.append(number)
    # Without slack, what is further apart is only taken where it is as good.
    assert choose(seqs, scores, count, least=least, slack=0) == expected
    assert are_enough(seqs, scores, count, least=least) == (len(expected) == count)
    wrong = find_violations(seqs, [MinDistance(least)], EGFP)
    near = [any(edit_distance(seq, other) < least for other in seqs[:at]) for at, seq in enumerate(seqs)]
    assert [bool(said) for said in wrong] == near


def test_as_many_designs_as_are_asked_for_are_looked_at():
    seqs = ["".join(letters) for letters in itertools.islice(itertools.product("ACGT", repeat=7), 6_000)]
    assert len(choose(seqs, np.arange(6_000.0), 6_000)) == 6_000


def test_words_that_stand_again_are_named_at_each_place_but_the_first():
    assert NoRepeat(2).violations("ACACAC", EGFP) == [
        "AC again at -4", "CA again at -3", "AC again at -2"
    ]  # fmt: skip
