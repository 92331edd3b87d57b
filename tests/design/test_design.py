"""Designs: every rule always holds, rules that contradict each other are said, searches find what is wanted."""

import itertools
import json
import re
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
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
    forbid_sites,
    no_upstream_starts,
    propose,
)
from ribocast.design.algorithms import ALGORITHMS
from ribocast.design.automaton import LetterRules
from ribocast.design.codes import Near, codes_of, strings_of
from ribocast.design.distances import closer_than, edit_distance, quick_edit_distance
from ribocast.design.output import order_sheet
from ribocast.design.restriction_sites import COMMON_SITES, find_site
from ribocast.design.search_space import Space
from ribocast.design.select import choose, front
from ribocast.design.verify import find_violations
from ribocast.errors import RibocastError
from ribocast.sequence.construct import EGFP, Construct

DNA = st.text(st.sampled_from("ACGT"), max_size=14)
SEED = "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC"
SHORT = Construct(before="CCA", after="ATGGTC")
WEIGHTS = np.random.default_rng(5).normal(0, 0.1, (200, 4))


def cheap(seqs):
    """Stand in for a model: each letter adds to the MRL, an upstream ATG takes three ribosomes."""
    own = [WEIGHTS[np.arange(len(seq)), codes_of([seq])[0]].sum() for seq in seqs]
    return [6.5 + mrl - 3 * ("ATG" in "A" + seq) for mrl, seq in zip(own, seqs, strict=True)]


def random_rules(rng):
    """Draw a set of rules; some contradict each other."""
    length = int(rng.integers(12, 60))
    word = lambda size: "".join(rng.choice(list("ACGT"), size))  # noqa: E731
    seed = word(length)
    rules = [Length(length, length + int(rng.integers(0, 3)))]
    pool = [
        lambda: Forbid("ATG"),
        lambda: Forbid((word(3), word(4))),
        lambda: Forbid((word(2) + "N" + word(2),), both_strands=True),
        lambda: no_upstream_starts(near_cognates=True),
        lambda: forbid_sites(list(rng.choice(list(COMMON_SITES), 4))),
        lambda: NoInFrameStops(),
        lambda: NoExtensions(),
        lambda: GC(*np.sort(rng.uniform(0.2, 0.8, 2))),
        lambda: GC(0.2, 0.8, int(rng.integers(8, 14))),
        lambda: MaxRun(int(rng.integers(2, 6))),
        lambda: NoRepeat(int(rng.integers(4, 8))),
        lambda: Keep(seed, int(rng.integers(0, 6)), int(rng.integers(0, 6))),
        lambda: MaxEdits(seed, int(rng.integers(4, 20))),
        lambda: MinDistance(int(rng.integers(1, 5))),
        lambda: NoOverlap((word(80),), int(rng.integers(6, 10))),
        lambda: Template("".join(rng.choice(list("NNNNNNNNNACGTRYSW"), length))),
    ]
    picked = rng.choice(len(pool), int(rng.integers(1, 6)), replace=False)
    return rules + [pool[number]() for number in picked]


@pytest.mark.parametrize("wanted", [400, pytest.param(10_000, marks=pytest.mark.thorough)])
def test_no_design_over_random_rules_breaks_one(wanted):
    designs, contradictions = 0, []
    for number in itertools.count():
        rng = np.random.default_rng(number)
        rules = random_rules(rng)
        construct = [EGFP, SHORT, Construct("", "ATGACGATTTGA")][number % 3]
        request = DesignRequest(
            target=[None, 6.5][number % 2], n=min(100, wanted // 20), constraints=rules, construct=construct,
            algorithm=("genetic", "beam", "evolution")[number % 3], budget=5 * min(100, wanted // 20), seed=number,
        )  # fmt: skip
        try:
            found = propose(cheap, request, independent=None)
        except RibocastError as error:
            contradictions.append(str(error))
            continue
        seqs = list(found.table["seq"])
        designs += len(seqs)
        assert len(set(seqs)) == len(seqs)
        for seq in seqs:
            for rule in rules:
                assert not rule.violations(seq, construct), (rule, seq)
        least = max([1, *(rule.least for rule in rules if isinstance(rule, MinDistance))])
        if least > 1:
            assert all(edit_distance(one, other) >= least for one, other in itertools.combinations(seqs[:25], 2))
        if designs >= wanted:
            break
        assert number < 2_000
    assert len(contradictions) < number / 2
    for said in contradictions:
        assert re.search("contradict|no sequence of", said), said
        assert "\n" not in said


@given(first=DNA, second=DNA)
def test_the_fast_edit_distance_is_the_plain_one(first, second):
    edits = edit_distance(first, second)
    assert quick_edit_distance(first, second) == edits == edit_distance(second, first)
    assert [closer_than(first, second, least) for least in range(1, 17)] == [edits < least for least in range(1, 17)]


SMALL_RULES = st.lists(
    st.one_of(
        st.text(st.sampled_from("ACGTNRY"), min_size=1, max_size=4).map(Forbid),
        st.integers(1, 3).map(MaxRun),
        st.just(NoInFrameStops()),
        st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda ends: GC(min(ends), max(ends))),
        st.text(st.sampled_from("ACGTNNRSW"), min_size=5, max_size=5).map(Template),
        st.builds(Keep, st.just("ATGCA"), st.integers(0, 3), st.integers(0, 3)),
    ),
    min_size=1, max_size=4,
)  # fmt: skip
ALL_FIVES = ["".join(letters) for letters in itertools.product("ACGT", repeat=5)]


@settings(max_examples=30, deadline=None)
@given(rules=SMALL_RULES, seed=st.sampled_from(ALL_FIVES), most=st.integers(0, 5))
def test_the_automaton_keeps_draws_and_counts_what_the_rules_say_of_every_sequence(rules, seed, most):
    letters = LetterRules(rules, SHORT, 5, Near(codes_of([seed])[0], most))
    kept = letters.keep(codes_of(ALL_FIVES))
    near = [sum(a != b for a, b in zip(seq, seed, strict=True)) <= most for seq in ALL_FIVES]
    said = [not any(rule.violations(seq, SHORT) for rule in rules) for seq in ALL_FIVES]
    assert kept.tolist() == [one and other for one, other in zip(near, said, strict=True)]
    assert letters.possible() == bool(kept.any())
    if kept.any():
        drawn = strings_of(letters.draw(400, np.random.default_rng(0)))
        all_kept = {seq for seq, keep in zip(ALL_FIVES, kept, strict=True) if keep}
        assert set(drawn) <= all_kept
        # Each is as likely as any other: of few, all are drawn.
        assert len(all_kept) > 30 or set(drawn) == all_kept


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([Length(9, 9), Template("N" * 16)], "length 9 and template of 16 letters contradict each other"),
        ([Template("NNNNATGNNNN"), Forbid("ATG")], "template NNNNATGNNNN and forbid ATG contradict each other: the "
         "fixed letters hold ATG at -7"),
        ([Keep(SEED, 25), Forbid("TTTGC"), Length(50, 50)], "hold TTTGC at -47"),
        ([Forbid(("TG", "A")), Template("TGNNNNNN")], "contradict each other"),
        ([Template("TGNNNNNNNN"), Forbid("ATG")], "the fixed letters hold ATG at -11"),  # with the adapter's last A
        ([Length(20, 20), Forbid("CATG")], None),
        ([Template("NNNNNNNC"), Forbid("CATG")], "the fixed letters hold CATG at -1"),  # with the start codon
        ([Length(50, 50), GC(0.51, 0.515)], "no whole number of 50 letters has such a share"),
        ([Template("GGGGGGGGNN"), GC(0.2, 0.5)], "leave shares from 0.80 to 1.00"),
        ([Length(30, 30), Forbid(("A", "C", "G", "T"))], "no sequence of 30 nt keeps forbid A,C,G,T"),
        ([Forbid("A"), Forbid("C"), Forbid("G"), MaxRun(3), NoInFrameStops()], "forbid A, forbid C, forbid G and no "
         "run above 3 contradict each other"),
        ([MaxEdits("ATGATGATGATGATG", 1), Forbid("ATG")], "max edits 1 and forbid ATG contradict each other"),
        ([MaxEdits(SEED, 3), Length(60, 60)], "max edits 3 of a seed of 50 nt"),
        ([Template("AAANNN"), Keep("CCCTTT", 3)], "they leave no letter for position -6"),
        ([NoRepeat(1), Length(20, 20)], "no sequence of 20 nt was found that keeps all rules: what comes nearest "
         "breaks no repeat 1"),
    ],
)  # fmt: skip
def test_rules_that_contradict_each_other_are_said_in_one_line(rules, said):
    request = DesignRequest(n=2, constraints=rules, budget=50)
    if said is None:
        assert len(propose(cheap, request, independent=None).table) == 2
        return
    with pytest.raises(RibocastError) as error:
        propose(cheap, request, independent=None)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_rules_that_cannot_be_are_refused():
    for make, said in [
        (lambda: Forbid("AXG"), "'X' is not an IUPAC letter"),
        (lambda: GC(0.7, 0.2), "the lower one first"),
        (lambda: Length(0, 3), "at least 1 nt"),
        (lambda: MaxEdits("ACGN", 2), "'ACGN'"),
        (lambda: NoOverlap(("ACG",), 40), "1 to 31"),
        (lambda: DesignRequest(n=0), "n 0: must be at least 1"),
        (lambda: DesignRequest(algorithm="annealing"), "annealing"),
        (lambda: DesignRequest(constraints=["ATG"]), "is not a constraint"),
        (lambda: DesignRequest(target=float("nan")), "target nan"),
    ]:
        with pytest.raises(RibocastError, match=re.escape(said)):
            make()


def test_rules_read_across_the_joints_and_name_positions_as_people_do():
    assert Forbid("ATG").violations("TGCC", EGFP) == ["ATG at -5"]
    # The start codon itself is not an upstream start; what lies in the adapter or coding sequence alone is not counted.
    assert Forbid("ATG").violations("CCCC", EGFP) == []
    assert Forbid("GGGAC").violations("CCCC", EGFP) == []
    assert Forbid("CCATGG").violations("AACC", EGFP) == ["CCATGG at -2"]
    assert forbid_sites(["BsaI"]).violations("AGAGACCA", EGFP) == ["GAGACC at -7"]
    assert NoInFrameStops().violations("CTGACCTAG", EGFP) == ["in-frame TAG at -3"]
    assert MaxRun(3).violations("AAAC", EGFP) == ["4 A at -5"]
    assert GC(0.5, 0.6, 4).violations("GCGCATAT", EGFP) == ["GC of the 4 nt from -8 is 1.00"]
    assert NoOverlap(("TTTTACGTAAC",), 5).violations("GGTTACGGG", EGFP) == ["GTTAC at -8 is in the given sequences"]


def test_sites_are_those_of_biopython():
    restriction = pytest.importorskip("Bio.Restriction")
    for name, site in COMMON_SITES.items():
        assert restriction.AllEnzymes.get(name).site == site
    assert find_site("bcgi") == "CGANNNNNNTGC"
    with pytest.raises(RibocastError, match="did you mean EcoRI"):
        find_site("EcorI1")


@pytest.mark.parametrize(("written", "meant"), [("EcoR1", "EcoRI"), ("hind3", "HindIII"), ("EcoR5", "EcoRV")])
def test_sites_with_arabic_numerals_are_known_for_what_they_are(written, meant):
    with pytest.raises(RibocastError, match=rf"did you mean {meant}\?"):
        find_site(written)


def test_other_enzymes_need_biopython(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "Bio.Restriction", None)
    assert find_site("bsai") == "GGTCTC"
    with pytest.raises(RibocastError, match=r"ribocast\[design\]"):
        find_site("BcgI")


def test_free_energies_are_kept_where_they_can_be_computed():
    pytest.importorskip("RNA")
    found = propose(
        cheap, DesignRequest(n=3, constraints=[Length(24, 24), FreeEnergy(-6, -3)], budget=300), independent=None
    )
    assert found.table["free_energy"].between(-6, -3).all()


@pytest.mark.parametrize("algorithm", ["genetic", "beam", "evolution"])
def test_each_algorithm_climbs_far_beyond_random_sequences_and_repeats_itself(algorithm):
    request = DesignRequest(n=4, length=30, forbid="ATG", algorithm=algorithm, budget=1_500, seed=3)
    found = propose(cheap, request, independent=None)
    assert found.calls <= 1_500
    random = cheap(strings_of(np.random.default_rng(0).integers(0, 4, (1_500, 30)).astype(np.uint8)))
    assert found.table["mrl"].min() > max(random)
    assert found.table["mrl"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(found.table, propose(cheap, request, independent=None).table)
    other = propose(
        cheap, DesignRequest(n=4, length=30, forbid="ATG", algorithm=algorithm, budget=1_500, seed=4), independent=None
    )
    assert set(other.table["seq"]) != set(found.table["seq"])


def test_a_series_meets_its_targets_and_a_low_one_is_explained():
    found = propose(
        cheap, DesignRequest(target=(3, 6, 7), n=3, constraints=[Forbid("ATG", unless_needed=True)]), independent=None
    )
    assert (found.table["mrl"] - found.table["target"]).abs().max() < 0.1
    low = found.table["target"] == 3
    assert (found.table.loc[low, "uatgs"] > 0).all()
    assert (found.table.loc[~low, "uatgs"] == 0).all()
    (said,) = found.remarks
    assert said.startswith("target 3: avoid ATG is dropped")
    assert "a low MRL comes from an upstream ATG" in said
    firm = propose(cheap, DesignRequest(target=-9, n=2, forbid="ATG", budget=3_000), independent=None)
    assert (firm.table["uatgs"] == 0).all()
    assert any("avoid ATG, not forbid it" in line for line in firm.remarks)


def test_a_search_is_watched_and_stopped():
    seen, event = [], threading.Event()

    def watch(now):
        seen.append(now)
        if len(seen) == 3:
            event.set()

    found = propose(cheap, DesignRequest(n=2, length=20), independent=None, watch=watch, stop=event)
    assert found.stopped
    assert len(seen) == 3
    assert len(found.table) == 2
    assert [now.calls for now in seen] == sorted(now.calls for now in seen)
    assert seen[-1].best[0].score >= seen[0].best[0].score
    assert propose(cheap, DesignRequest(n=2, length=20), independent=None, stop=lambda: len(seen) > 2).stopped


def test_edits_are_counted_with_letters_put_in_and_left_out():
    request = DesignRequest(
        target=7.0, n=8, constraints=[MaxEdits(SEED, 5), Length(47, 53), Keep(SEED, 4, 6)], budget=1_000
    )
    table = propose(cheap, request, independent=None).table
    assert set(table["length"]) > {50}
    assert (table["edits"] == [edit_distance(seq, SEED) for seq in table["seq"]]).all()
    assert table["edits"].max() <= 5
    near = ribocast.design(cheap, n=2, like=SEED, budget=200, independent=None)
    assert near["edits"].max() <= len(SEED) // 4


def test_a_fixed_template_gives_its_one_sequence():
    found = propose(cheap, DesignRequest(n=3, constraints=[Template("ACGTACCTGA")]), independent=None)
    assert found.table["seq"].tolist() == ["ACGTACCTGA"]
    assert any("1 of 3 designs" in line for line in found.remarks)


def test_a_second_objective_is_added_or_gives_a_front():
    def few_gs(seqs):
        return [-seq.count("G") for seq in seqs]

    alone = ribocast.design(cheap, n=3, length=30, budget=1_500, independent=None)
    both = ribocast.design(cheap, n=3, length=30, budget=1_500, independent=None, second=few_gs, weight=5.0)
    assert both["second"].mean() > -alone["seq"].str.count("G").mean()
    table = ribocast.design(
        cheap, n=6, length=30, budget=3_000, independent=None, second=few_gs, pareto=True, out_of_distribution_penalty=0
    )
    assert len(table) > 1
    mrls, second = table["mrl"].to_numpy(), table["second"].to_numpy()
    assert (np.diff(mrls) < 0).all()
    assert (np.diff(second) > 0).all()
    with pytest.raises(RibocastError, match="second objective"):
        ribocast.design(cheap, pareto=True)


@given(points=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_nothing_is_better_in_both_than_the_front(points):
    first, second = np.array(points, dtype=float).T
    best = front(first, second)
    for number in range(len(points)):
        beaten = ((first > first[number]) & (second >= second[number])) | (
            (first >= first[number]) & (second > second[number])
        )
        assert not (number in best and beaten.any())
        assert beaten.any() or points[number] in [points[one] for one in best]


def test_designs_are_chosen_far_apart_where_it_costs_nothing():
    rng = np.random.default_rng(0)
    family = ["A" * 49 + letter for letter in "CGT"] + ["A" * 48 + two for two in ("CG", "GT")]
    others = strings_of(rng.integers(0, 4, (5, 50)).astype(np.uint8))
    seqs, scores = family + others, np.r_[np.full(5, 1.0), np.full(5, 0.99)]
    assert set(choose(seqs, scores, 5)) > set(range(5, 9))
    assert choose(seqs, np.r_[np.full(5, 1.0), np.zeros(5)], 5) == [0, 1, 2, 3, 4]
    assert len(choose(family, np.ones(5), 5, least=2)) < 5


def test_a_predictor_that_gives_nonsense_is_refused():
    for wrong, said in [
        (lambda seqs: [1.0], "shape"),
        (lambda seqs: ["much"] * len(seqs), "numbers"),
        (lambda seqs: [np.nan] * len(seqs), "nan"),
    ]:
        with pytest.raises(RibocastError, match=said):
            ribocast.design(wrong, n=1, independent=None)


def test_what_several_networks_differ_by_is_avoided():
    def one(seqs):
        return [5 + 0.1 * seq.count("A") + 0.1 * seq.count("C") for seq in seqs]

    def other(seqs):
        return [5 + 0.1 * seq.count("A") - 0.1 * seq.count("C") for seq in seqs]

    careless = ribocast.design(
        [one, other], n=2, length=30, budget=1_500, independent=None, risk_aversion=0, out_of_distribution_penalty=0
    )
    careful = ribocast.design(
        [one, other], n=2, length=30, budget=1_500, independent=None, risk_aversion=3, out_of_distribution_penalty=0
    )
    assert careful["seq"].str.count("C").max() <= 8
    assert careless["mrl"].tolist() == pytest.approx(
        [5 + 0.1 * seq.count("A") for seq in careless["seq"]]
    )  # fmt: skip


def test_a_trained_model_designs_and_is_predicted_independently(framed):
    model = ribocast.load(framed, threads=1)
    table = ribocast.design(
        model, 6.0, n=3, forbid="ATG", budget=600, independent=cheap, assay="egfp_random50", threads=1
    )
    assert table["mrl"].tolist() == pytest.approx(model.mrl(list(table["seq"])), abs=1e-3)
    assert table["independent_mrl"].tolist() == pytest.approx(cheap(table["seq"]), abs=1e-3)
    assert ((table["mrl_low"] <= table["mrl"]) & (table["mrl"] <= table["mrl_high"])).all()
    assert (table["gc"] == [sum(map(seq.count, "GC")) / 50 for seq in table["seq"]]).all()


def test_gradients_climb_under_rules(framed):
    model = ribocast.load(framed, threads=1)
    rules = [Forbid("ATG"), GC(0.3, 0.6), MaxEdits(SEED, 12)]
    request = DesignRequest(n=3, constraints=rules, algorithm="gradient", budget=400)
    found = propose(model, request, independent=None, threads=1)
    assert not any(find_violations(list(found.table["seq"]), rules, EGFP))
    assert found.calls <= 400 + 100
    assert found.steps[-1].score > found.steps[0].score
    with pytest.raises(RibocastError, match="needs a trained model"):
        propose(cheap, DesignRequest(algorithm="gradient"), independent=None)


@settings(max_examples=15, deadline=None)
@given(rules=SMALL_RULES, number=st.integers(0, 99))
def test_gradients_choose_the_best_sequence_that_the_motifs_allow(rules, number):
    from ribocast.learn.gradient import choose_letters

    rules = [rule for rule in rules if not isinstance(rule, GC)]
    letters = LetterRules(rules, SHORT, 5)
    kept = codes_of(ALL_FIVES)[letters.keep(codes_of(ALL_FIVES))]
    if len(kept):
        logits = np.random.default_rng(number).normal(size=(1, 5, 4))
        sums = logits[0, np.arange(5), kept].sum(axis=1)
        assert (choose_letters(logits, letters)[0] == kept[sums.argmax()]).all()


def test_a_space_changes_only_what_is_free_and_takes_edits_back():
    rng = np.random.default_rng(0)
    space = Space([Template("ACGTNNNNRY")], SHORT, 10, Near(codes_of(["ACGTACGTAC"])[0], 2))
    block = space.begin(50, rng)
    changed = space.change(block, rng, 5)
    assert (changed[:, :4] == block[:, :4]).all()
    assert space.keep(changed).all()
    assert (changed != block).any(axis=1).sum() > 20


def run(capsys, *arguments):
    code = main(["design", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_writes_table_order_and_figure(framed, tmp_path, capsys):
    output, figure = tmp_path / "d.one.csv", tmp_path / "d.png"
    code, out, err = run(
        capsys, "--target", 6, "--length", 50, "-n", 3, "--forbid", "ATG", "--forbid-sites", "BsaI,EcoRI", "--gc",
        "0.3:0.7", "--max-run", 5, "--model", framed, "--independent", framed, "--threads", 1, "--budget", 300, "-o",
        output, "--order", "idt", "--figure", figure,
    )  # fmt: skip
    assert (code, out) == (0, ""), err
    table = pd.read_csv(output)
    assert len(table) == 3
    assert not any(find_violations(list(table["seq"]), [Forbid("ATG"), forbid_sites(["BsaI", "EcoRI"])], EGFP))
    sheet = pd.read_csv(tmp_path / "d.one.order.csv")
    assert sheet["Sequence"].tolist() == [EGFP.around(seq) for seq in table["seq"]]
    assert list(sheet.columns) == ["Name", "Sequence", "Scale", "Purification"]
    assert figure.read_bytes()[:4] == b"\x89PNG"
    again = tmp_path / "again.csv"
    run(
        capsys, "--target", 6, "--length", 50, "-n", 3, "--forbid", "ATG", "--forbid-sites", "BsaI,EcoRI", "--gc",
        "0.3:0.7", "--max-run", 5, "--model", framed, "--independent", framed, "--threads", 1, "--budget", 300, "-o",
        again,
    )  # fmt: skip
    assert again.read_bytes() == output.read_bytes()


def test_the_command_takes_what_the_issue_shows(framed, tmp_path, capsys):
    seed, cds, fasta = tmp_path / "seed.fasta", tmp_path / "orf.fasta", tmp_path / "out.fasta"
    seed.write_text(f">s\n{SEED}\n")
    cds.write_text(">orf\nATGCCTCCCGAGAAGAAGATCAAGAGCGTG\n")
    common = ("--model", framed, "--threads", 1, "--budget", 300)
    code, out, err = run(capsys, "--maximise", "--like", seed, "--max-edits", 6, "--gc", "0.35:0.6", "--no-repeat", 6,
                         "--forbid-sites", "BsaI,BsmBI,EcoRI", "--json", *common)  # fmt: skip
    assert code == 0, err
    assert max(row["edits"] for row in json.loads(out)) <= 6
    code, out, err = run(capsys, "--series", "4:8:9", "--template", "NNNNNNNNNNGCCACC", "--keep-start", 5, *common)
    assert code == 0, err
    assert "5 of the 5 kept letters are open in the template" in err
    assert out.count("GCCACC,16") == 9
    code, out, err = run(capsys, "--maximise", "--for-cds", cds, "-n", 2, "--forbid", "CATGCC", "-o", fasta, *common)
    assert code == 0, err
    assert fasta.read_text().count(">design_") == 2
    assert all(not line.endswith("C") for line in fasta.read_text().splitlines() if line[0] != ">")
    assert "rules are kept in the given one" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "8", "--maximise"], "one of --target, --maximise and --series"),
        (["--target", "8", "--length", "9", "--template", "N" * 16], "length 9 and template of 16 letters contradict"),
        (["--maximise", "--like", "ACGTACGT", "--keep-end", "4", "--forbid", "ACGT"], "contradict each other"),
        (["--maximise", "--template", "NNATGNNN"], "ATG at -6; --allow-extensions allows it"),
        (["--maximise", "--like", "AAAATGACG", "--keep-end", "6"], "--allow-extensions allows it"),
        (["--maximise", "--cut-at-start"], "give --like too"),
        (["--maximise", "--gc", "0.6"], "such as 0.35:0.6"),
        (["--maximise", "--gc-window", "0.3:0.7:20.9"], "--gc-window 0.3:0.7:20.9: must be a whole number"),
        (["--series", "4:8"], "such as 4:8:9"),
        (["--maximise", "--length", "x"], "--length x: must be a whole number"),
        (["--maximise", "--like", "nofile.fa"], "neither a file nor a sequence"),
        (["--maximise", "--forbid-sites", "BsaX1"], "restriction enzyme 'BsaX1'"),
        (["--maximise", "--max-edits", "3"], "give --like too"),
        (["--maximise", "--order", "idt"], "give -o too"),
        (["--maximise", "--weight", "3"], "give --second too"),
        (["--maximise", "--figure", "x.gif"], "'.gif'"),
        (["--maximise", "--keep-start", "3"], "give one"),
        (["--maximise", "--forbid", ""], "no motif"),
        (["--maximise", "--avoid", " , "], "no motif"),
        (["--maximise", "-o", "designs.xls"], "designs.xls: unsupported file extension '.xls'; use .csv"),
        (["--maximise", "-o", "nowhere/designs.csv"], "nowhere/designs.csv: folder nowhere"),
        (["--maximise", "--figure", "nowhere/f.png"], "nowhere/f.png: folder nowhere"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(framed, capsys, arguments, said):
    code, out, err = run(capsys, *arguments, "--model", framed, "--threads", 1, "--budget", 200)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--like", "--for-cds", "--no-overlap"])
def test_what_is_not_there_in_a_file_of_sequences_is_said(framed, capsys, tmp_path, option):
    path = tmp_path / "given.csv"
    path.write_text("seq\nNA\n")
    code, _, err = run(capsys, "--maximise", option, path, "--model", framed, "--threads", 1)
    assert code == 2
    assert "given.csv row 1: the sequence is missing" in err
    assert err.count("\n") == 1


def test_designs_are_not_written_over_what_they_are_made_from(framed, capsys, tmp_path):
    like = tmp_path / "seed.fasta"
    like.write_text(">seed\nACGTACGTAACCGGTTACGTACGTAACCGGTT\n")
    code, _, err = run(capsys, "--maximise", "--like", like, "-o", like, "--model", framed, "--threads", 1)
    assert code == 2
    assert "seed.fasta: is an input: give another name" in err
    assert like.read_text().startswith(">seed")


def test_an_order_of_long_constructs_is_of_double_strands():
    table = pd.DataFrame({"name": ["a"], "seq": [SEED]})
    long = Construct(EGFP.before, "ATG" + "GCC" * 60)
    assert list(order_sheet(table, long, "idt").columns) == ["Name", "Sequence"]
    with pytest.raises(RibocastError, match="the maximum is 3,000"):
        order_sheet(table, Construct("", "ATG" + "GCC" * 2_000), "idt")
    with pytest.raises(RibocastError, match="order sheet"):
        order_sheet(table, EGFP, "corner shop")


def test_every_algorithm_is_named_in_the_help(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(name in out for name in ALGORITHMS)


def test_designs_add_no_residues_unless_allowed():
    model = ribocast.load(threads=1)
    options = {"n": 4, "budget": 600, "seed": 1, "independent": None}
    for target in (None, 4.0):
        table = ribocast.design(model, target, **options)
        for seq in table["seq"]:
            assert all((len(seq) - at.start()) % 3 for at in re.finditer("ATG", seq))
        assert not table["note"].str.contains("residues").any()
    table = ribocast.design(model, **options, allow_extensions=True)
    adds = table["n_terminal_extensions"] > 0
    assert adds.any()
    assert table["note"].str.contains("residues").tolist() == adds.tolist()


def test_an_in_frame_atg_across_the_adapter_is_read():
    construct = Construct("GGAT", "ATGGCC")
    assert NoExtensions().violations("GCCCC", construct) == []
    assert NoExtensions().violations("GCCC", construct) == ["in-frame ATG at -6"]
    assert NoExtensions().violations("GCCATGACC", construct) == ["in-frame ATG at -6"]
