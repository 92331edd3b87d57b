import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.learn.data import simulate as module
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.simulate import FRACTION_WEIGHTS, HIGHEST_MRL, LOWEST_MRL, simulate, true_mrl
from ribocast.sequence.construct import EGFP, Construct
from ribocast.sequence.letters import is_missing

STRONG_START = "GCCACCATGG"
START_CODON = STRONG_START.index("ATG")
FRACTIONS = [f"r{number}" for number in range(len(FRACTION_WEIGHTS))]

utrs = st.text("ACGTUNacgtun", min_size=1, max_size=60).filter(lambda utr: not is_missing(utr))


def quiet(length: int = 50) -> str:
    """A UTR with no start or stop codon, near-cognates included, in any frame."""
    return ("CAA" * length)[:length]


def place(piece: str, at: int, utr: str | None = None) -> str:
    utr = utr or quiet()
    assert 0 <= at <= len(utr) - len(piece)
    return utr[:at] + piece + utr[at + len(piece) :]


def mrl(utr: str, construct: Construct = EGFP) -> float:
    return float(true_mrl([utr], construct=construct)[0])


def out_of_frame(at: int, length: int = 50) -> bool:
    return (length - at - START_CODON) % 3 != 0


# One ribosome's way, letter by letter: what the vectorised scan must amount to.
def mrl_by_hand(utr: str, construct: Construct) -> float:
    text = construct.around(utr) + "N" * 4
    start = construct.start(utr)

    def chance(position: int) -> float:
        odds = module._AVERAGE_CONTEXT
        for offset, row in module._CONTEXT.items():
            letter = text[position + offset] if position + offset >= 0 else "N"
            odds += row["ACGT".index(letter)] if letter != "N" else 0
        return module._START_CODONS.get(text[position : position + 3], 0) / (1 + math.exp(-odds))

    weights = [math.exp(-position / module._CAP_NT) for position in range(start)]
    bound = [
        {"G": 1, "C": 1, "N": 0.5}.get(letter, 0) * weight for letter, weight in zip(text[:start], weights, strict=True)
    ]
    armed = 1 / (1 + math.exp((sum(bound) / sum(weights) - module._GC_HALF) / module._GC_SLOPE))
    spent, loaded, released = 0.0, 0.0, {}
    for position in range(start):
        spent += released.get(position, 0)
        rearmed = spent * (1 - math.exp(-1 / module._REARM_NT))
        spent, armed = spent - rearmed, armed + rearmed
        taken = armed * chance(position)
        armed -= taken
        stops = [end for end in range(position + 6, start + 1, 3) if text[end - 3 : end] in module._STOP_CODONS]
        if stops:
            codons = (stops[0] - position) / 3
            back = taken * module._SCANS_ON * math.exp(-codons / module._FORGET_CODONS)
            released[stops[0]] = released.get(stops[0], 0) + back
        elif (start - position) % 3 == 0:
            loaded += taken
    loaded += armed * (1 - module._MISSED_START * (1 - chance(start)))
    return LOWEST_MRL + (HIGHEST_MRL - LOWEST_MRL) * loaded


@settings(max_examples=100)
@given(
    st.lists(utrs, min_size=1, max_size=6),
    st.text("ACGT", max_size=30),
    st.sampled_from(["ATG", "ATGG", "ATGCCC"]),
)
def test_the_scan_is_what_one_ribosome_after_another_does(utrs, before, after):
    construct = Construct(before, after)
    expected = [mrl_by_hand(utr, construct) for utr in utrs]
    np.testing.assert_allclose(true_mrl(utrs, construct=construct), expected, rtol=1e-12)


@settings(max_examples=50)
@given(utrs)
def test_t_is_u_and_case_does_not_matter(utr):
    same = [utr, utr.lower(), utr.upper(), utr.upper().replace("U", "T"), utr.upper().replace("T", "U")]
    assert len(set(true_mrl(same))) == 1


@settings(max_examples=40)
@given(st.lists(utrs, min_size=1, max_size=8))
def test_an_mrl_does_not_depend_on_the_other_sequences(utrs):
    together = true_mrl(utrs)
    assert together.tolist() == [mrl(utr) for utr in utrs]
    assert true_mrl(utrs[::-1]).tolist() == together.tolist()[::-1]
    assert ((together > LOWEST_MRL) & (together < HIGHEST_MRL)).all()


def test_long_and_short_utrs_share_a_batch():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        mrls = true_mrl([quiet(45_000), quiet(20), "A"])
    assert mrls[1:].tolist() == [mrl(quiet(20)), mrl("A")]


@given(st.integers(0, 40))
def test_a_strong_upstream_start_costs_much_out_of_frame_and_little_in_frame(at):
    utr = place(STRONG_START, at)
    if out_of_frame(at):
        assert mrl(utr) < mrl(quiet()) - 3
    else:
        assert mrl(utr) > mrl(quiet()) - 0.5


def test_kozak_strength_orders_upstream_starts():
    at = 21
    assert out_of_frame(at)
    by_letter = {letter: mrl(place(f"CAA{letter}CAATGC", at)) for letter in "ACGT"}
    assert by_letter["A"] < by_letter["G"] < by_letter["C"] <= by_letter["T"]
    assert mrl(place("CAATCAATGG", at)) < by_letter["T"] - 0.5


def test_near_cognates_cost_little():
    atg, ctg = (mrl(place(f"GCCACC{codon}G", 21)) for codon in ("ATG", "CTG"))
    assert atg < ctg - 3
    assert mrl(place("GCCACCAAGG", 21)) - 0.3 < ctg < mrl(place("GCCACCAAGG", 21))


@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_stop_lets_ribosomes_reinitiate_the_more_the_farther_from_the_start(at):
    lost = place(STRONG_START, at)
    stops = range(at + START_CODON + 6, 47, 3)
    assert out_of_frame(at)
    mrls = [mrl(place("TAA", stop, lost)) for stop in stops]
    assert mrl(lost) < min(mrls)
    assert max(mrls) < mrl(quiet()) - 1
    assert mrls == sorted(mrls, reverse=True)


def test_a_stop_out_of_frame_restores_nothing():
    lost = place(STRONG_START, 1)
    assert mrl(place("TAA", 1 + START_CODON + 7, lost)) == pytest.approx(mrl(lost), abs=0.1)


def test_a_start_codon_across_the_adapter_joint_counts():
    assert EGFP.before.endswith("A")
    utr = place("TGG", 0, quiet(49))
    elsewhere = Construct(EGFP.before[:-1] + "T", EGFP.after)
    assert mrl(utr) < mrl(utr, elsewhere) - 2


def test_a_start_codon_with_an_unknown_letter_is_none():
    assert mrl(place("GCCACCNTGG", 21)) > mrl(quiet()) - 0.5
    assert 2.6 < mrl("N" * 50) < HIGHEST_MRL


def test_gc_lowers_the_mrl_more_near_the_cap():
    near, far = mrl("GC" * 10 + "CA" * 15), mrl("CA" * 15 + "GC" * 10)
    assert near < far < mrl("CA" * 25)


# --- the library ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library():
    return simulate(20_000, seed=7)


def test_columns(library):
    assert library.columns.tolist() == ["seq", "mrl", "true_mrl", "reads", *FRACTIONS, "origin"]
    assert library["seq"].str.fullmatch("[ACGT]{50}").all()
    assert library["seq"].is_unique
    assert library["reads"].dtype == np.int64
    assert library["reads"].min() >= 1
    assert (library["origin"] == "simulated").all()
    assert library["true_mrl"].tolist() == true_mrl(library["seq"].tolist()).tolist()


def test_weights_are_those_of_the_random_library():
    assert ASSAYS["egfp_random50"].fraction_weights == FRACTION_WEIGHTS


def test_fractions_sum_to_one_and_their_mean_is_the_mrl(library):
    fractions = library[FRACTIONS].to_numpy()
    np.testing.assert_allclose(fractions.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(fractions @ np.array(FRACTION_WEIGHTS), library["mrl"], atol=1e-9)
    counts = fractions * library[["reads"]].to_numpy()
    np.testing.assert_allclose(counts, counts.round(), atol=1e-6)


def test_it_looks_like_the_random_library(library):
    assert 5.5 < library["mrl"].mean() < 6.7
    assert 1.5 < library["mrl"].std() < 2
    no_start = ~("A" + library["seq"]).str.contains("ATG")
    assert 7.4 < library["mrl"][no_start].mean() < 7.9
    assert library["mrl"][~no_start].mean() < 5.5
    assert library["reads"].median() == pytest.approx(600, rel=0.05)


def test_noise_is_unbiased_and_falls_with_reads(library):
    error = library["mrl"] - library["true_mrl"]
    assert abs(error.mean()) < 0.01
    by_reads = error.groupby(library["reads"].rank(pct=True) // 0.2501).std()
    assert by_reads.is_monotonic_decreasing
    few, many = (simulate(2_000, reads=reads) for reads in (30, 3_000))
    assert few["seq"].equals(many["seq"])
    assert few["true_mrl"].equals(many["true_mrl"])
    noise_of_few, noise_of_many = ((part["mrl"] - part["true_mrl"]).std() for part in (few, many))
    assert noise_of_few / noise_of_many == pytest.approx(10, rel=0.2)


@pytest.mark.parametrize("weights", [ASSAYS["egfp_varying25to100"].fraction_weights, (2.5, 9), (1_000, 0, 1)])
def test_other_fractions_measure_the_same_mrl(weights):
    library = simulate(500, fraction_weights=weights, reads=1e8)
    assert [column for column in library if column[1:].isdigit()] == [f"r{i}" for i in range(len(weights))]
    sd = np.ptp(weights) / np.sqrt(library["reads"])
    assert ((library["mrl"] - library["true_mrl"]).abs() < 3 * sd).all()


@pytest.mark.parametrize("lengths", [(50, 50), (5, 23)])
def test_the_seed_says_everything_and_more_rows_only_add(lengths, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_ROWS", 64)
    shortest, longest = lengths
    library = simulate(200, seed=3, min_length=shortest, max_length=longest)
    assert library.equals(simulate(200, seed=3, min_length=shortest, max_length=longest))
    for fewer in (1, 63, 64, 65, 131):
        part = simulate(fewer, seed=3, min_length=shortest, max_length=longest)
        assert part.equals(library[:fewer])
    other = simulate(200, seed=4, min_length=shortest, max_length=longest)
    assert not set(other["seq"]) & set(library["seq"])
    monkeypatch.setattr(module, "_CHUNK_LETTERS", 100)
    assert simulate(200, seed=3, min_length=shortest, max_length=longest).equals(library)


def test_no_global_randomness():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    simulate(10)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_lengths_stay_in_their_range():
    lengths = simulate(2_000, min_length=25, max_length=100)["seq"].str.len()
    assert set(lengths) == set(range(25, 101))


def test_progress_counts_rows(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_ROWS", 64)
    done: list[int] = []
    simulate(150, progress=done.append)
    assert done == [64, 128, 150]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "at least 1"),
        ({"seed": -1}, "seed is -1"),
        ({"min_length": 0}, "shortest length is 0 nt"),
        ({"min_length": 51}, "longest length, 50 nt, is below the shortest, 51 nt"),
        ({"reads": 0}, "reads is 0"),
        ({"reads": float("nan")}, "reads is nan"),
        ({"fraction_weights": ()}, "from 0 to 1000"),
        ({"fraction_weights": (0, float("nan"), 9)}, "from 0 to 1000"),
        ({"fraction_weights": (-1, 9)}, "from 0 to 1000"),
        ({"fraction_weights": (0, 1, 2)}, "reach from 0 to 2"),
    ],
)
def test_errors_are_one_line(settings, message):
    with pytest.raises(RibocastError, match=message) as caught:
        simulate(**{"n": 5} | settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", ["", "ACGX", None])
def test_a_bad_sequence_is_named(bad):
    with pytest.raises(RibocastError, match="row 2"):
        true_mrl(["ACGT", bad])


def test_no_sequences_no_mrls():
    assert true_mrl([]).shape == (0,)


def test_simulating_needs_no_torch():
    program = "import sys, ribocast.learn.data.simulate as s; s.simulate(3); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
