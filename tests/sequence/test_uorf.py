"""Upstream starts and stops in their construct, and what variants do to them, in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.sequence.construct import EGFP, Construct
from ribocast.sequence.kozak import kozak_score, kozak_strength
from ribocast.sequence.uorf import (
    MOST_TOLD,
    NEAR_COGNATES,
    NO_CONSEQUENCE,
    STOPS,
    consequence,
    find_uorfs,
    start_of,
)

ANY = st.text(st.sampled_from("ACGT"), max_size=60)
CALM = "C" * 50


def put(at, letters, into=CALM):
    """Write letters at a position counted from the start codon (−1 is the last base)."""
    index = len(into) + at
    return into[:index] + letters + into[index + len(letters) :]


@given(utr=ANY, before=ANY, after=ANY)
def test_every_upstream_atg_is_found_where_it_stands_and_read_to_its_stop(utr, before, after):
    construct = Construct(before, "ATG" + after)
    whole, start = construct.around(utr), construct.start(utr)
    expected = [at for at in range(start) if whole[at : at + 3] == "ATG"]
    found = find_uorfs(utr, construct)
    assert [uorf.position + start for uorf in found] == expected
    for uorf, at in zip(found, expected, strict=True):
        codons = [whole[place : place + 3] for place in range(at, len(whole), 3)]
        stops = [number for number, codon in enumerate(codons) if codon in ("TAA", "TAG", "TGA")]
        ends_inside = bool(stops) and at + 3 * stops[0] + 3 <= start
        assert uorf.frame == (at - start) % 3
        assert uorf.kind == ("uORF" if ends_inside else "overlapping uORF" if uorf.frame else "N-terminal extension")
        if stops:
            first = at + 3 * stops[0] - start
            # People count … −2, −1, +1, +2 …: there is no 0.
            assert uorf.stop == (first if first < 0 else first + 1)
        else:
            assert uorf.stop is None
        around = "N" * 6 + whole + "N" * 6
        assert uorf.context == around[at : at + 11]
        assert uorf.context[6:9] == uorf.codon == "ATG"


# Starts and stops stand close together in these.
CROWDED = st.lists(st.sampled_from(["ATG", "TAA", "TGA", "A", "C"]), max_size=60).map("".join)


@given(utr=CROWDED)
def test_reading_each_frame_once_finds_what_reading_on_from_every_start_finds(utr):
    construct = Construct("", "ATGTAACTAACTAA")
    whole = construct.around(utr)
    for uorf in find_uorfs(utr, construct):
        stops = (at for at in range(len(utr) + uorf.position + 3, len(whole) - 2, 3) if whole[at : at + 3] in STOPS)
        at = next(stops) - len(utr)
        assert uorf.stop == (at if at < 0 else at + 1)


class Counted(str):
    """A construct that counts how often it is read."""

    __slots__ = ("reads",)

    def __getitem__(self, key):
        self.reads = getattr(self, "reads", 0) + 1
        return super().__getitem__(key)


@pytest.mark.parametrize("word", ["ATG", "ATGAAA", "ATGC", "CTGATGTAA"])
def test_stops_are_sought_in_a_time_that_grows_with_the_length_alone(word):
    class Whole(Construct):
        def around(self, utr):
            return read

    utr = word * 2_000
    read = Counted(EGFP.around(utr))
    found = find_uorfs(utr, Whole(EGFP.before, EGFP.after))
    # Three reads describe a start, and each codon is looked at once at most.
    assert read.reads <= 3 * len(found) + len(read)


def test_of_a_variant_that_moves_a_great_many_stops_the_first_are_told_and_how_many_more():
    ref = "ATGAAA" * 100 + CALM
    alt = ref[:597] + "T" + ref[598:]
    told = consequence(ref, alt).split("; ")
    assert len(told) == MOST_TOLD + 1
    assert told[0].startswith(f"stop gained of the uATG at {-len(ref)}")
    # The last one, right before the change, has another Kozak context too.
    assert told[-1] == f"and {101 - MOST_TOLD} more"


def test_as_many_consequences_as_are_told_are_told_without_more():
    ref = "ATGAAA" * MOST_TOLD + CALM
    # Not right before the change, where it would be in the Kozak context too.
    alt = ref[: 6 * MOST_TOLD + 9] + "TGA" + ref[6 * MOST_TOLD + 12 :]
    told = consequence(ref, alt).split("; ")
    assert len(told) == MOST_TOLD
    assert all(one.startswith("stop gained of the uATG") for one in told)


@given(utr=ANY)
def test_rna_and_lower_case_have_the_same_uorfs(utr):
    assert find_uorfs(utr.replace("T", "u").lower()) == find_uorfs(utr)


@given(utr=ANY)
def test_near_cognates_come_on_top_of_the_atgs_in_order(utr):
    everything = find_uorfs(utr, near_cognates=True)
    assert [uorf for uorf in everything if uorf.codon == "ATG"] == find_uorfs(utr)
    positions = [uorf.position for uorf in everything]
    assert positions == sorted(set(positions))
    assert {uorf.codon for uorf in everything} <= NEAR_COGNATES | {"ATG"}
    assert len(NEAR_COGNATES) == 9


def test_an_atg_at_the_very_end_is_at_minus_three_and_in_frame():
    (uorf,) = find_uorfs("CCCCCCCATG")
    assert (uorf.position, uorf.frame, uorf.kind) == (-3, 0, "N-terminal extension")
    assert uorf.context == "CCCCCCATGAT"


def test_an_atg_forms_across_the_joint_with_the_adapter():
    (uorf,) = find_uorfs("TG" + "C" * 48)
    assert (uorf.position, uorf.frame) == (-51, 0)
    assert uorf.context == EGFP.before[-7:] + "TGCC"
    assert not find_uorfs("TG" + "C" * 48, Construct("", EGFP.after))


@pytest.mark.parametrize(("end", "frame"), [("TA", 1), ("TG", 1)])
def test_a_stop_across_the_joint_with_the_coding_sequence_overlaps_the_start_codon(end, frame):
    utr = "C" * 10 + "ATG" + "CCC" + end
    (uorf,) = find_uorfs(utr)
    assert (uorf.position, uorf.frame, uorf.stop, uorf.kind) == (-8, frame, -2, "overlapping uORF")


def test_a_near_cognate_forms_across_the_joint_with_the_coding_sequence():
    assert find_uorfs("CCCCAT", Construct("", "ATGC"), near_cognates=True)[-1].codon == "ATA"
    assert find_uorfs("CCCCAT", Construct("", "ATGC"), near_cognates=True)[-1].position == -2


def test_a_stop_right_before_the_start_codon_is_inside_the_utr():
    (uorf,) = find_uorfs("CCCATGCCCTAA")
    assert (uorf.position, uorf.stop, uorf.kind) == (-9, -3, "uORF")
    assert uorf.in_words() == "weak Kozak, frame 0, stop at -3: uORF"


def test_the_start_codon_itself_is_no_uorf_and_a_stop_in_the_coding_sequence_is_placed_from_plus_one():
    assert find_uorfs("C" * 20) == []
    (uorf,) = find_uorfs(put(-20, "ATG"))
    # GFP's ATG GGC GAA TTA AGT AAG: the TAA of TTAAGT begins at its 11th base.
    assert (uorf.frame, uorf.stop, uorf.kind) == (1, 11, "overlapping uORF")


def test_an_n_is_part_of_no_start_and_of_no_stop():
    assert find_uorfs("CCCANGCCC") == []
    assert find_uorfs("CCCATGTANCCC")[0].kind == "N-terminal extension"


@pytest.mark.parametrize(
    ("alt", "words"),
    [
        (put(-26, "ACCATGG"), "uATG gained, strong Kozak, frame 1, no stop: overlapping uORF"),
        (put(-27, "CCCATGG"), "uATG gained, moderate Kozak, frame 0, no stop: N-terminal extension"),
        (put(-26, "CCCATGCCCTGA"), "uATG gained, weak Kozak, frame 1, stop at -17: uORF"),
        (put(-3, "A"), "Kozak of the start codon changed at -3 (C to A), moderate to strong"),
        (put(-5, "T"), NO_CONSEQUENCE),
        (CALM, NO_CONSEQUENCE),
        ("CCC" + CALM, NO_CONSEQUENCE),
        (put(-50, "TG"), "uATG gained, weak Kozak, frame 0, no stop: N-terminal extension"),
    ],
)
def test_what_a_variant_of_a_calm_utr_does_is_said_in_words(alt, words):
    assert consequence(CALM, alt) == words


def test_what_is_lost_is_described_as_it_was():
    ref = put(-26, "ACCATGG")
    assert consequence(ref, put(-22, "C", ref)) == "uATG lost, strong Kozak, frame 1, no stop: overlapping uORF"


def test_a_stop_lost_and_gained_and_a_changed_context_name_their_uatg():
    ref = put(-26, "ACCATGGCCTGA")
    lost = put(-17, "C", ref)
    assert consequence(ref, lost) == ("stop lost of the uATG at -23, strong Kozak, frame 1, no stop: overlapping uORF")
    assert consequence(lost, ref) == "stop gained of the uATG at -23, strong Kozak, frame 1, stop at -17: uORF"
    longer = put(-11, "TAA", ref)
    assert consequence(longer, put(-17, "C", longer)) == (
        "stop lost of the uATG at -23, strong Kozak, frame 1, stop at -11: uORF"
    )
    assert consequence(ref, put(-26, "T", ref)) == "Kozak of the uATG at -23 changed at -3 (A to T), strong to moderate"
    assert consequence(ref, put(-26, "G", ref)) == "Kozak of the uATG at -23 changed at -3 (A to G), still strong"


def test_a_deletion_after_an_upstream_atg_moves_its_frame():
    ref = put(-26, "ACCATGG")
    alt = ref[:-10] + ref[-9:]
    assert consequence(ref, alt) == (
        "frame changed of the uATG at -22, strong Kozak, frame 2, no stop: overlapping uORF"
    )


def test_an_indel_before_an_upstream_atg_changes_nothing_of_it():
    ref = put(-26, "ACCATGG")
    assert consequence(ref, "CC" + ref) == NO_CONSEQUENCE
    assert consequence(ref, ref[3:]) == NO_CONSEQUENCE


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_an_indel_in_windows_of_one_length_moves_what_is_before_it(size):
    whole = "GATTACAGGCACCATGGTTACAGCCGTTAGACCAGTTGACCTTGCAAACCGTTCAGCACC"
    ref, alt = whole[10:], (whole[:40] + whole[40 + size :])[-50:]
    assert len(ref) == len(alt) == 50
    told = consequence(ref, alt)
    assert "gained" not in told.replace("stop gained", "")
    assert "uATG lost" not in told
    assert told == consequence(whole, whole[:40] + whole[40 + size :])
    assert consequence(alt, ref) == consequence(whole[:40] + whole[40 + size :], whole)


@pytest.mark.parametrize(
    ("ref", "alt", "is_indel"),
    [
        ("AATGC", "GAATG", True),  # four letters moved, four differ
        ("ATGCC", "GGATG", False),  # three moved
        ("AAAATGC", "AAAAATG", False),  # three differ
    ],
)
def test_an_indel_in_a_window_moves_four_letters_and_makes_four_differ(ref, alt, is_indel):
    # Windows of one length: C behind the first letters is deleted, and letters come in before them.
    for before in ("", "CCCCC"):
        for old, new in ((ref, alt), (alt, ref)):
            told = consequence(old + CALM, new + CALM, Construct(before, "ATGGCC"))
            assert ("uATG lost" in told) == ("uATG gained" in told) == (not is_indel)


@pytest.mark.parametrize("end", ["TA", "T"])
def test_a_stop_across_the_start_codon_is_none_before_it(end):
    utr = "C" * 10 + "ATGCCC" + end
    told = consequence("C" * len(utr), utr, Construct("", "ATGAAA"))
    assert "no stop" in told


def test_a_kozak_context_begins_with_the_first_letter_of_the_construct():
    bare = Construct("", "ATGGCC")
    assert consequence("ACCCCC" + CALM, "ACCATG" + CALM, bare).startswith("uATG gained, moderate Kozak")
    assert consequence("CCC", "ACC", bare) == "Kozak of the start codon changed at -3 (C to A), moderate to strong"


@given(ref=ANY, alt=ANY)
def test_gained_one_way_is_lost_the_other_way(ref, alt):
    there, back = consequence(ref, alt), consequence(alt, ref)
    assert there.count("uATG gained") == back.count("uATG lost")
    assert there.count("stop gained") == back.count("stop lost")
    assert (there == NO_CONSEQUENCE) == (back == NO_CONSEQUENCE)
    gained = len(find_uorfs(alt)) - len(find_uorfs(ref))
    assert there.count("uATG gained") - there.count("uATG lost") == gained


def fewest_gained(ref, alt):
    """Count the ATGs that the variant makes, read at whichever of its equal places it makes fewest."""
    ref, alt = (EGFP.before + utr + EGFP.after[:2] for utr in (ref, alt))
    atgs_ref, atgs_alt = ({at for at in range(len(word)) if word[at : at + 3] == "ATG"} for word in (ref, alt))
    counts = []
    for head in range(min(len(ref), len(alt)) + 1):
        tail = 0
        while tail < min(len(ref), len(alt)) - head and ref[-1 - tail] == alt[-1 - tail]:
            tail += 1
        if ref[:head] == alt[:head]:
            kept = {at: at for at in atgs_ref if at + 3 <= head}
            kept |= {at: at + len(alt) - len(ref) for at in atgs_ref if at >= len(ref) - tail}
            # What is touched is the same if it is as far from the start codon.
            kept |= {at: now for at in atgs_ref - set(kept) if (now := at + len(alt) - len(ref)) in atgs_alt}
            counts.append(len(atgs_alt - set(kept.values())))
    return min(counts)


@given(utr=st.text(st.sampled_from("ATG"), min_size=1, max_size=30), place=st.integers(0, 29), gone=st.integers(0, 8),
       come=st.text(st.sampled_from("ATG"), max_size=8))  # fmt: skip
def test_an_allele_gains_no_atg_that_was_there(utr, place, gone, come):
    place = min(place, len(utr))
    # Of one length, more than three letters can be read as an indel in a window.
    come = come[:3] if len(come) == len(utr[place : place + gone]) else come
    alt = utr[:place] + come + utr[place + gone :]
    told = consequence(utr, alt)
    assert told.count("uATG gained") == fewest_gained(utr, alt)
    assert told.count("uATG lost") == fewest_gained(alt, utr)


def test_one_a_of_two_before_an_atg_may_go():
    assert consequence("CCTTCAATGGCTCC", "CCTTCATGGCTCC") == NO_CONSEQUENCE


@given(alt=ANY, before=st.text("ACGT", max_size=4), after=st.text("ACGT", max_size=4))
def test_uatgs_that_come_into_a_utr_without_any_are_told_as_they_are_found(alt, before, after):
    bare, construct = "C", Construct(before.replace("G", "C"), "ATG" + after)
    told = consequence(bare, alt, construct).split("; ")
    found = find_uorfs(alt, construct)
    assert told[: len(found)] == ["uATG gained, " + uorf.in_words() for uorf in found]
    assert not any("uATG gained" in one for one in told[len(found) :])
    told = consequence(alt, bare, construct).split("; ")
    assert told[: len(found)] == ["uATG lost, " + uorf.in_words() for uorf in found]


@given(utr=ANY, before=st.text("ACGT", max_size=4), after=st.text("ACGT", max_size=2))
def test_the_start_codon_is_graded_by_the_letters_around_it(utr, before, after):
    start, whole = start_of(utr, Construct(before, "ATG" + after)), before + utr + "ATG" + after
    around = "N" * 6 + whole + "NN"
    at = len(before + utr)
    assert start.context == around[at : at + 11]
    assert start.strength == kozak_strength(start.context[3], start.context[9])
    assert start.score == kozak_score(start.context)


@pytest.mark.parametrize("size", [3, 4, 11, 12, 20])
def test_many_letters_that_differ_in_a_window_move_nothing_if_no_indel_explains_them(size):
    ref = "CCCATGCCC" + "GATTACCAGGATACC" + "C" * size + "GTTACCA"
    alt = ref.replace("C" * size + "GTTACCA", "T" * size + "GTTACCA")
    assert consequence(ref, alt) == consequence(alt, ref) == NO_CONSEQUENCE


@given(utr=ANY)
def test_a_sequence_beside_itself_has_no_consequence(utr):
    assert consequence(utr, utr.lower().replace("t", "u")) == NO_CONSEQUENCE


@pytest.mark.parametrize(
    ("utr", "after", "strength"),
    [("N" * 50, "ATGGCC", "unknown"), ("N" * 47 + "ACC", "ATGGCC", "strong"), ("ACC", "ATGNCC", "unknown"),
     ("ACC", "ATGACC", "moderate"), ("CC", "ATGGCC", "unknown")],
)  # fmt: skip
def test_the_start_codon_has_a_strength_only_where_its_letters_are_known(utr, after, strength):
    assert start_of(utr, Construct("", after)).strength == strength
