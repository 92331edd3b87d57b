"""What each constraint forbids, by a plain reading of its words; what a search counts agrees with what is said."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.design import (
    GC,
    DesignRequest,
    Forbid,
    FreeEnergy,
    Keep,
    Length,
    MaxEdits,
    MaxRun,
    MinDistance,
    NoExtensions,
    NoInFrameStops,
    NoOverlap,
    NoRepeat,
    Template,
)
from ribocast.design.codes import IUPAC, codes_of
from ribocast.design.constraints.base import Work, as_rule, reverse_complement
from ribocast.design.distances import edit_distance
from ribocast.design.feasibility import possible_lengths
from ribocast.errors import RibocastError
from ribocast.sequence.construct import EGFP, Construct

SEQS = st.text("ACGT", min_size=1, max_size=14)
SHORT = st.text("ACGT", max_size=5)
CONSTRUCTS = st.builds(lambda before, after: Construct(before, "ATG" + after), SHORT, SHORT)
PAIR = dict(zip("ACGT", "TGCA", strict=True))


def shown(at: int, length: int) -> int:
    """Count an index into a UTR as people do: −1 is the last base, +1 the A of the start codon."""
    return at - length if at < length else at - length + 1


def places(motif: str, seq: str, construct: Construct) -> list[int]:
    """List where a motif stands that has a letter in the UTR."""
    whole, first = construct.around(seq), len(construct.before)
    return [
        at - first
        for at in range(len(whole) - len(motif) + 1)
        if all(base in IUPAC[letter] for base, letter in zip(whole[at:], motif, strict=False))
        and at + len(motif) > first
        and at < first + len(seq)
    ]


# --- what is said ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", IUPAC)
def test_the_other_strand_has_the_bases_that_pair(letter):
    assert set(IUPAC[reverse_complement(letter)]) == {PAIR[base] for base in IUPAC[letter]}
    assert reverse_complement("A" + letter)[1] == "T"


@given(seq=SEQS, construct=CONSTRUCTS, motif=st.text("ACGTNRY", min_size=1, max_size=5), both=st.booleans())
def test_a_motif_is_named_wherever_it_touches_the_utr(seq, construct, motif, both):
    words = dict.fromkeys([motif, reverse_complement(motif)] if both else [motif])
    expected = [f"{word} at {shown(at, len(seq))}" for word in words for at in places(word, seq, construct)]
    assert Forbid(motif, both_strands=both).violations(seq, construct) == expected


@given(seq=SEQS, construct=CONSTRUCTS)
def test_stops_are_named_in_the_frame_of_the_start_codon_alone(seq, construct):
    expected = {
        f"in-frame {stop} at {shown(at, len(seq))}"
        for stop in ("TAA", "TAG", "TGA")
        for at in places(stop, seq, construct)
        if (len(seq) - at) % 3 == 0
    }
    assert set(NoInFrameStops().violations(seq, construct)) == expected


@given(seq=st.text("AAAC", min_size=1, max_size=12), construct=CONSTRUCTS, most=st.integers(1, 4))
def test_runs_are_named_with_the_letters_beyond_the_joints(seq, construct, most):
    first, at, expected = len(construct.before), 0, []
    for base, run in itertools.groupby(construct.around(seq)):
        size = len(list(run))
        if size > most and at + size > first and at < first + len(seq):
            expected.append(f"{size} {base} at {shown(at - first, len(seq))}")
        at += size
    assert MaxRun(most).violations(seq, construct) == expected


@given(seq=SEQS, ends=st.lists(st.sampled_from([0, 0.25, 0.3, 0.5, 0.6, 1]), min_size=2, max_size=2).map(sorted),
       window=st.none() | st.integers(1, 16))  # fmt: skip
def test_the_first_window_with_another_share_of_gc_is_named(seq, ends, window):
    low, high = ends
    size = min(window or len(seq), len(seq))
    shares = [sum(seq[at : at + size].count(base) for base in "GC") / size for at in range(len(seq) - size + 1)]
    wrong = [at for at, share in enumerate(shares) if share < low - 1e-9 or share > high + 1e-9]
    said = GC(low, high, window).violations(seq, EGFP)
    assert len(said) == bool(wrong)
    if wrong:
        assert f"{shares[wrong[0]]:.2f}" in said[0]
        assert (f"{size} nt from {shown(wrong[0], len(seq))} " in said[0]) == (size < len(seq))


@given(seq=SEQS, given_ones=st.lists(st.text("ACGTN", max_size=9), max_size=3), size=st.integers(1, 6))
def test_the_first_shared_word_is_named_on_either_strand(seq, given_ones, size):
    known = {
        one[at : at + size]
        for given_one in given_ones
        for one in (given_one, reverse_complement(given_one))
        for at in range(len(given_one) - size + 1)
    }
    shared = [at for at in range(len(seq) - size + 1) if seq[at : at + size] in known]
    said = NoOverlap(tuple(given_ones), size).violations(seq, EGFP)
    assert [one.split()[:3] for one in said] == [
        [seq[at : at + size], "at", str(shown(at, len(seq)))] for at in shared[:1]
    ]


@given(seq=SEQS, letters=st.text("ACGTNRYSW", min_size=1, max_size=14))
def test_a_template_names_each_base_that_it_does_not_have(seq, letters):
    said = Template(letters).violations(seq, EGFP)
    if len(seq) != len(letters):
        assert len(said) == 1
        assert {f"{len(seq)}", f"{len(letters)}"} <= set(re.findall(r"\d+", said[0]))
    else:
        wrong = [at for at, base in enumerate(seq) if base not in IUPAC[letters[at]]]
        assert said == [f"{seq[at]} at {at - len(seq)}, not {letters[at]}" for at in wrong]


@given(seq=SEQS, seed=SEQS, data=st.data())
def test_each_end_that_is_not_kept_is_named(seq, seed, data):
    first, last = (data.draw(st.integers(0, len(seed))) for _ in range(2))
    begin, end = seed[:first], seed[len(seed) - last :]
    said = " ".join(Keep(seed, first, last).violations(seq, EGFP))
    assert ("begin" in said) == (seq[:first] != begin)
    assert ("end" in said) == (last > 0 and seq[-last:] != end)


@given(seq=SEQS, low=st.integers(1, 14), more=st.integers(0, 5))
def test_a_length_outside_its_limits_is_named(seq, low, more):
    said = Length(low, low + more).violations(seq, EGFP)
    assert said == ([] if low <= len(seq) <= low + more else [f"{len(seq)} nt"])


# --- what a search counts --------------------------------------------------------------------------------------

BLOCKS = st.integers(1, 40).flatmap(
    lambda size: st.lists(st.text("ACGT", min_size=size, max_size=size), min_size=1, max_size=5)
)


def penalties(rule, seqs):
    """Give what a search counts of sequences of one length."""
    return rule.penalty(EGFP, len(seqs[0]), None)(codes_of(seqs)).tolist()


@given(seqs=BLOCKS, size=st.integers(1, 4))
def test_a_search_counts_each_word_that_stands_again(seqs, size):
    rule = NoRepeat(size)
    assert penalties(rule, seqs) == [len(rule.violations(seq, EGFP)) for seq in seqs]


@pytest.mark.parametrize("size", [30, 31, 32, 40])
def test_long_words_that_stand_again_are_counted_too(size):
    word = "".join(np.random.default_rng(1).choice(list("ACGT"), size))
    seqs = [word + word, word + word[::-1], word + "A" * size]
    assert penalties(NoRepeat(size), seqs) == [len(NoRepeat(size).violations(seq, EGFP)) for seq in seqs]
    assert penalties(NoRepeat(size), seqs)[:2] == [1, 0]
    assert penalties(NoRepeat(size), [word[1:]]) == [0]


@given(seqs=BLOCKS, known=st.text("ACGTN", max_size=30), size=st.integers(1, 5))
def test_a_search_counts_each_word_that_is_shared(seqs, known, size):
    words = {one[at : at + size] for one in (known, reverse_complement(known)) for at in range(len(known) - size + 1)}
    shared = [sum(seq[at : at + size] in words for at in range(len(seq) - size + 1)) for seq in seqs]
    assert penalties(NoOverlap((known,), size), seqs) == shared


@given(seqs=BLOCKS, ends=st.lists(st.sampled_from([0, 0.2, 0.25, 0.5, 0.6, 1]), min_size=2, max_size=2).map(sorted),
       window=st.integers(1, 40))  # fmt: skip
def test_a_search_counts_the_letters_that_windows_have_too_many_or_too_few_of(seqs, ends, window):
    rule, length = GC(*ends, window), len(seqs[0])
    if window >= length:
        assert rule.penalty(EGFP, length, None) is None
        low, high = rule.gc_counts(length)
        for seq in seqs:
            assert (low <= seq.count("G") + seq.count("C") <= high) == (not rule.violations(seq, EGFP))
        return
    assert rule.gc_counts(length) == (0, length)
    assert [beyond > 0 for beyond in penalties(rule, seqs)] == [bool(rule.violations(seq, EGFP)) for seq in seqs]
    fewest = [at for at in range(window + 1) if at / window >= ends[0] - 1e-9][:1] or [window + 1]
    most = [at for at in range(window + 1) if at / window <= ends[1] + 1e-9][-1]
    counted = [
        sum(
            max(fewest[0] - gc, 0) + max(gc - most, 0)
            for at in range(length - window + 1)
            if (gc := sum(seq[at : at + window].count(base) for base in "GC")) is not None
        )
        for seq in seqs
    ]
    assert penalties(rule, seqs) == counted


@given(seqs=BLOCKS, seed=SEQS, most=st.integers(0, 9))
def test_a_search_counts_the_edits_beyond_what_is_allowed(seqs, seed, most):
    assert penalties(MaxEdits(seed, most), seqs) == [max(0, edit_distance(seq, seed) - most) for seq in seqs]


def test_a_search_counts_the_kcal_beyond_what_is_allowed():
    vienna = pytest.importorskip("RNA")
    seqs = ["GGGGGCAAAAGCCCCC", "GGGAAAATTTTCCCAA", "A" * 16]
    energies = [vienna.fold(seq)[1] for seq in seqs]
    for low, high in ((-5.0, -2.0), (-1.0, 1.0), (-30.0, -9.0)):
        beyond = [max(0.0, low - energy, energy - high) for energy in energies]
        rule = FreeEnergy(low, high)
        assert penalties(rule, seqs) == pytest.approx(beyond, abs=1e-4)
        assert [bool(rule.violations(seq, EGFP)) for seq in seqs] == [one > 0 for one in beyond]


def test_an_energy_at_a_limit_keeps_it():
    vienna = pytest.importorskip("RNA")
    for seq in ("GGGGGCAAAAGCCCCC", "GGGAAAATTTTCCCAA", "A" * 16):
        energy = round(vienna.fold(seq)[1], 1)
        assert FreeEnergy(energy, energy).violations(seq, EGFP) == []
        for low, high in ((energy - 9, energy - 0.1), (energy + 0.1, energy + 9)):
            assert FreeEnergy(low, high).violations(seq, EGFP) == [f"free energy is {energy:.1f}"]


def test_a_users_own_object_is_counted_by_what_it_says():
    class Purines:
        def violations(self, seq, construct):
            return [base for base in seq if base in "AG"]

    assert penalties(as_rule(Purines()), ["AACC", "CCCC", "GAGA"]) == [2, 0, 4]
    for wrong in ("ATG", Purines, None):
        with pytest.raises(RibocastError, match="is not a constraint"):
            as_rule(wrong)


@given(size=st.integers(1, 12), seed=SEQS, most=st.integers(0, 12), number=st.integers(0, 9))
def test_a_seed_is_laid_along_with_its_letters_in_order(size, seed, most, number):
    rule = MaxEdits(seed, most)
    found = list(rule.layings(size, np.random.default_rng(number)))
    assert len(found) == 1 if len(seed) == size else len(found) > 1
    codes = codes_of([seed])[0].tolist()
    for near in found:
        kept = [letter for letter in near.letters.tolist() if letter != 255]
        assert len(near.letters) == size
        assert near.most == most - abs(size - len(seed))
        assert near.rule is rule
        assert len(kept) == min(size, len(seed))
        rest = iter(codes)
        assert all(letter in rest for letter in kept)  # a subsequence


# --- limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "edge", "beyond"),
    [
        (NoRepeat, 1, 0),
        (MinDistance, 1, 0),
        (MaxRun, 1, 0),
        (MaxRun, 2_000, 2_001),
        (lambda size: NoOverlap(("ACGT",), size), 1, 0),
        (lambda size: NoOverlap(("ACGT",), size), 31, 32),
        (lambda size: NoOverlap(("A" * (size - 9), "C" * 9)), 5_000_000, 5_000_001),
        (lambda most: MaxEdits("ACGT", most), 0, -1),
        (lambda low: Length(low, 5), 1, 0),
        (lambda high: Length(5, high), 5, 4),
        (lambda window: GC(0, 1, window), 1, 0),
        (lambda low: GC(low, 0.5), 0.5, 0.51),
        (lambda low: GC(low, 0.5), 0, -0.01),
        (lambda high: GC(0.5, high), 1, 1.01),
        (lambda first: Keep("ACGT", first), 4, 5),
        (lambda first: Keep("ACGT", first, 1), 0, -1),
        (lambda last: Keep("ACGT", 1, last), 4, 5),
        (lambda last: Keep("ACGT", 1, last), 0, -1),
        (lambda low: FreeEnergy(low, -2), -2, -1.9),
        (lambda size: Forbid("A" * size), 2_000, 2_001),
        (lambda size: DesignRequest(no_repeat=size), 1, 0),
        (lambda size: DesignRequest(no_repeat=size), 2_000, 2_001),
        (lambda size: DesignRequest(min_distance=size), 2_000, 2_001),
        (lambda size: DesignRequest(min_distance=size), 1, 0),
        (lambda size: DesignRequest(max_run=size), 2_000, 2_001),
        (lambda size: DesignRequest(no_overlap=("ACGT",), overlap=size).rules, 31, 32),
        (lambda size: DesignRequest(no_overlap=("ACGT",), overlap=size).rules, 1, 0),
        (lambda most: DesignRequest(like="ACGT", max_edits=most), 0, -1),
        (lambda most: DesignRequest(like="ACGT", max_edits=most), 2_000, 2_001),
        (lambda first: DesignRequest(like="ACGT", keep_start=first).rules, 4, 5),
        (lambda first: DesignRequest(template="ACGT", keep_start=first).rules, 4, 5),
        (lambda last: DesignRequest(template="ACGT", keep_end=last).rules, 4, 5),
        (lambda size: DesignRequest(template="N" * size).rules, 2_000, 2_001),
        (lambda size: DesignRequest(like="A" * size).rules, 2_000, 2_001),
        (lambda low: DesignRequest(gc=(low, 1)), 0, -0.1),
        (lambda high: DesignRequest(gc=(0, high)), 1, 1.1),
        (lambda size: DesignRequest(gc_window=(0, 1, size)), 2_000, 2_001),
        (lambda count: DesignRequest(forbid=["ACGT"] * count), 1_000, 1_001),
    ],
)
def test_a_limit_is_taken_and_what_is_beyond_it_refused(make, edge, beyond):
    make(edge)
    with pytest.raises(RibocastError) as caught:
        make(beyond)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("rule", "lengths"),
    [
        (Length(3, 9), (3, 9)),
        (Template("ACGTN"), (5, 5)),
        (MaxEdits("ACGTACGT", 3), (5, 11)),
        (MaxEdits("ACGT", 9), (1, 13)),
        (Keep("ACGTACGT", 2, 6), (6, 1_000)),
        (Keep("ACGTACGT", 5), (5, 1_000)),
        (Keep("ACGTACGT"), (1, 1_000)),
    ],
)
def test_a_constraint_leaves_the_lengths_that_it_can_be_kept_with(rule, lengths):
    low, high = lengths
    assert rule.lengths()[1:3] == lengths
    assert possible_lengths([Length(1, high), rule] if high <= 1_000 else [rule])[0] == low
    for beyond in {low - 1, high + 1} - {0, 1_001}:
        with pytest.raises(RibocastError, match="contradict each other"):
            possible_lengths([Length(beyond, beyond), rule])


def usual_work(**options):
    return Work(**({"designs": 10, "targets": 1, "predictions": 6_000, "has_budget": False, "longest": 50} | options))


@pytest.mark.parametrize(
    ("rule", "edge", "beyond"),
    [
        (MinDistance(50), {"longest": 50}, {"longest": 49}),
        (MinDistance(7), {"longest": 49, "designs": 10_000}, {"longest": 48, "designs": 10_000}),
        (MinDistance(10), {"designs": 1_732}, {"designs": 1_733}),
        (MaxEdits("ACGT" * 250, 9), {"longest": 1_000, "designs": 1_500}, {"longest": 1_000, "designs": 1_501}),
        (MaxEdits("ACGT" * 250, 9), {"longest": 1_000, "designs": 500, "targets": 3},
         {"longest": 1_000, "designs": 501, "targets": 3}),
        (FreeEnergy(0, 1), {}, None),
        (FreeEnergy(0.1, 1), None, {}),
        (FreeEnergy(-200, -100), {"longest": 50}, {"longest": 49}),
        (FreeEnergy(-9, -1), {"predictions": 900_000}, {"predictions": 900_001}),
        (FreeEnergy(-9, -1), {"longest": 100, "predictions": 225_000}, {"longest": 100, "predictions": 225_001}),
        (FreeEnergy(-9, -1), {"predictions": 2_000_000, "has_budget": True}, {"predictions": 2_000_000}),
    ],
)  # fmt: skip
def test_work_is_refused_from_where_it_cannot_be_or_takes_hours(rule, edge, beyond):
    if edge is not None:
        rule.check_work(usual_work(**edge))
    if beyond is not None:
        with pytest.raises(RibocastError) as caught:
            rule.check_work(usual_work(**beyond))
        assert str(rule) in str(caught.value) or "seed of 1,000 nt" in str(caught.value)


def test_what_is_possible_instead_is_possible():
    with pytest.raises(RibocastError) as caught:
        MinDistance(20).check_work(usual_work(designs=10_000))
    most, least = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+\d|\d", str(caught.value))[-2:])
    MinDistance(20).check_work(usual_work(designs=most))
    MinDistance(least).check_work(usual_work(designs=10_000))
    for rule, designs in ((MinDistance(20), most + 1), (MinDistance(least + 1), 10_000)):
        with pytest.raises(RibocastError):
            rule.check_work(usual_work(designs=designs))


# --- requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({}, []),
        ({"forbid": "ATG"}, [Forbid("ATG")]),
        ({"forbid": "ATG, CCC ,"}, [Forbid(("ATG", "CCC"))]),
        ({"forbid": ["aug,CC", "R"]}, [Forbid(("ATG", "CC", "R"))]),
        ({"forbid": ""}, []),
        ({"forbid": []}, []),
        ({"avoid": "ATG"}, [Forbid("ATG", unless_needed=True)]),
        ({"forbid_sites": "EcoRI"}, [Forbid.sites(["EcoRI"])]),
        ({"no_near_cognates": True}, [Forbid.upstream_starts(near_cognates=True)]),
        ({"length": 20}, [Length(20, 20)]),
        ({"length": (20, 30)}, [Length(20, 30)]),
        ({"length": [20]}, [Length(20, 20)]),
        ({"template": "ACGN"}, [Template("ACGN")]),
        ({"like": "ACGTACGT"}, [MaxEdits("ACGTACGT", 2)]),
        ({"like": "ACG"}, [MaxEdits("ACG", 1)]),
        ({"like": "ACGTACGT", "max_edits": 0}, [MaxEdits("ACGTACGT", 0)]),
        ({"like": "ACGT", "keep_start": 2}, [MaxEdits("ACGT", 1), Keep("ACGT", 2)]),
        ({"like": "ACGT", "keep_end": 1}, [MaxEdits("ACGT", 1), Keep("ACGT", 0, 1)]),
        ({"gc": (0.2, 0.5), "gc_window": (0.1, 0.9, 7)}, [GC(0.2, 0.5), GC(0.1, 0.9, 7)]),
        ({"max_run": 3}, [MaxRun(3)]),
        ({"no_repeat": 5}, [NoRepeat(5)]),
        ({"no_stops": True}, [NoInFrameStops()]),
        ({"min_distance": 1}, []),
        ({"min_distance": 2}, [MinDistance(2)]),
        ({"no_overlap": ("ACGT",)}, [NoOverlap(("ACGT",))]),
        ({"no_overlap": ("ACGT",), "overlap": 3}, [NoOverlap(("ACGT",), 3)]),
    ],
    ids=str,
)
def test_each_field_of_a_request_is_its_constraint(fields, rules):
    assert set(DesignRequest(**fields).rules) == {*rules, NoExtensions()}
    assert list(DesignRequest(**fields, allow_extensions=True).rules) == rules


def test_a_seed_without_edits_leaves_them_to_an_object():
    given_rule = MaxEdits("ACGTACGT", 5)
    assert list(DesignRequest(like="ACGTACGT", constraints=[given_rule]).rules) == [given_rule, NoExtensions()]


@pytest.mark.parametrize(
    ("first", "last", "said"), [(3, 2, "1 of the 5 "), (4, 3, "3 of the 7 "), (2, 2, None), (0, 4, "2 of the 4 ")]
)
def test_kept_letters_that_a_template_leaves_open_are_counted(first, last, said):
    remarks = DesignRequest(template="ACNNAC", keep_start=first, keep_end=last).remarks
    assert (said in remarks[0]) if said else not remarks


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Length(3, 3), "length 3"),
        (Length(3, 4), "length 3:4"),
        (Keep("ACGT", 1), "keep start 1"),
        (Keep("ACGT", 0, 2), "keep end 2"),
        (Keep("ACGT", 1, 2), "keep start 1, keep end 2"),
        (GC(0.25, 0.5), "GC 0.25:0.5"),
        (GC(0.25, 0.5, 9), "GC 0.25:0.5 in windows of 9"),
        (Forbid(("A", "C")), "forbid A,C"),
        (Forbid("A", unless_needed=True), "avoid A"),
        (Forbid.sites(["BsaI", " EcoRI "]), "forbid sites BsaI,EcoRI"),
        (Forbid.upstream_starts(), "no upstream ATG"),
        (Forbid.upstream_starts(near_cognates=True), "no upstream starts"),
        (MaxEdits("ACGT", 3), "max edits 3"),
        (MaxRun(3), "no run above 3"),
        (MinDistance(3), "min distance 3"),
        (NoRepeat(3), "no repeat 3"),
        (NoOverlap(("ACGT",), 3), "no overlap of 3 nt"),
        (FreeEnergy(-8.5, 2), "free energy -8.5:2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_constraint_is_called_by_what_it_asks(rule, words):
    assert str(rule) == words


def test_a_wrong_motif_and_a_wrong_seed_are_shown_by_their_beginning():
    for make in (lambda letters: Forbid(letters + "X"), lambda letters: MaxEdits(letters + "X", 1)):
        with pytest.raises(RibocastError) as caught:
            make("ACGT" * 30)
        assert "'" + "ACGT" * 15 + "'" in str(caught.value)
    with pytest.raises(RibocastError) as caught:
        Forbid("ACGT" * 501)
    assert "ACGT" * 5 + "…: 2,004 letters" in str(caught.value)
    for empty in ("", "  "):
        with pytest.raises(RibocastError, match="is empty"):
            Forbid(empty)
        with pytest.raises(RibocastError, match="cannot start from"):
            MaxEdits(empty, 1)


@pytest.mark.parametrize(
    ("rule", "said"),
    [(Forbid("ATG"), "avoid ATG, not forbid it"), (Forbid("ATG", unless_needed=True), "upstream ATG"),
     (Forbid("CTG"), "")],
)  # fmt: skip
def test_a_low_mrl_out_of_reach_is_explained_by_what_forbids_atgs(rule, said):
    why = rule.why_low()
    assert (said in why) if said else why == ""
    assert ("not forbid it" in why) == (said.startswith("avoid"))
