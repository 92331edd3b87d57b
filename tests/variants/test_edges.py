"""Edges of what a variant touches: repeats, splice sites, ends of spans, long REFs, borders of bins."""

import pytest

from ribocast.errors import RibocastError
from ribocast.variants.alleles import find_alleles
from ribocast.variants.annotation import read_annotation
from ribocast.variants.genome import Genome
from ribocast.variants.placement import equivalent_edits, trim
from ribocast.variants.utrs import GenomeUtrs
from ribocast.variants.vcf import Record
from small_genomes import Gene, Small, fasta, gtf, mirrored, turned

# A UTR of 10 + 10 nt around an intron of 20, then the start codon.
SPLICED = Small("C" * 60 + "ATGGCC" + "G" * 40, [Gene("g", "+", [(31, 40), (51, 106)], 61)])


@pytest.fixture
def utrs_of(tmp_path):
    opened = []

    def open_utrs(small, contig="chr1"):
        (tmp_path / "genes.gtf").write_text(gtf(small, contig))
        (tmp_path / "genome.fa").write_text(fasta(small, "chr1"))
        opened.append(Genome(tmp_path / "genome.fa"))
        return GenomeUtrs(read_annotation(tmp_path / "genes.gtf"), opened[-1])

    yield open_utrs
    for genome in opened:
        genome.close()


def row(spot, ref, alt, info="."):
    return Record(1, ["chr1", str(spot), ".", ref, alt, ".", ".", info], spot, alt.split(","))


@pytest.mark.parametrize("repeat", [3, 60, 68, 69, 300, 2_000])
def test_an_indel_stands_anywhere_in_its_repeat(utrs_of, repeat):
    small = Small("GC" + "A" * repeat + "CG" * 20 + "ATGGCCTAA", [Gene("g", "+", [(1, repeat + 51)], repeat + 43)])
    for spot in (2, repeat // 2 + 2, repeat + 1):
        ref = small.letters[spot - 1 : spot + 1]
        found = equivalent_edits(utrs_of(small).genome, "chr1", trim(spot, ref, ref[0]))
        assert [edit.begin for edit in found] == list(range(2, 2 + repeat))


@pytest.mark.parametrize(
    ("spot", "touched"),
    [(40, False), (41, True), (42, True), (43, False), (48, False), (49, True), (50, True), (51, False)],
)
def test_a_splice_site_is_two_letters_at_either_end(utrs_of, spot, touched):
    found = find_alleles(utrs_of(SPLICED), row(spot, "C", "T"))
    assert any("splice site: not scored" in one.words for one in found) == touched


def test_a_span_ends_where_it_no_longer_overlaps(utrs_of):
    transcript = utrs_of(SPLICED).transcripts[0]
    (first, last), _ = transcript.utr
    assert not transcript.overlaps(first - 3, first)
    assert transcript.overlaps(first - 3, first + 1)
    # The UTR, two letters of the intron, and no more.
    assert transcript.overlaps(last + 1, last + 2)
    assert not transcript.overlaps(last + 2, last + 3)


@pytest.mark.parametrize(
    ("alts", "info", "span"),
    [("<DEL>", "SVLEN=-63", (50, 113)), ("<DUP>,<DEL>", "SVLEN=70,-63", (50, 120)),
     ("<DEL>,T", "SVLEN=-63,.", (50, 113)), ("<DEL>", "END=90", (50, 90)),
     ("<DEL>", ".", (49, 50)), ("<INS>", "SVLEN=63", (49, 50))],
)  # fmt: skip
def test_the_first_length_counts_like_the_others(alts, info, span):
    assert row(50, "C", alts, info).span == span


@pytest.mark.parametrize(("letters", "shown"), [(60, "A" * 60), (61, "A" * 59 + "…")])
def test_a_long_ref_is_shown_by_its_beginning(utrs_of, letters, shown):
    with pytest.raises(RibocastError, match=rf"chr1:1: REF is {shown}, but genome\.fa has C"):
        find_alleles(utrs_of(SPLICED), row(1, "A" * letters, "C"))


def test_an_indel_reaches_over_the_border_of_a_bin(utrs_of):
    # A repeat in the UTR goes on before it, to where no transcript is near: 2,048 letters are looked up together.
    small = Small("C" * 2_030 + "A" * 40 + "CG" * 10 + "ATGGCCTAA", [Gene("g", "+", [(2_060, 2_099)], 2_091)])
    found = find_alleles(utrs_of(small), row(2_030, "CA", "C"))
    assert [one.alt for one in found] == ["A" * 10 + "CG" * 10]


@pytest.mark.parametrize(
    ("spot", "ref", "alt", "words"),
    [(61, "A", "AA", None), (62, "T", "TG", "nothing"), (63, "G", "GG", "nothing"), (63, "GG", "G", "nothing"),
     (62, "T", "TGCA", "nothing"), (62, "TG", "T", "nothing"), (62, "T", "TC", "touches the start codon: not scored"),
     (61, "AT", "A", "touches the start codon: not scored")],
)  # fmt: skip
def test_an_indel_that_leaves_the_start_codon_touches_nothing(utrs_of, spot, ref, alt, words):
    # Of the reversed gene, what stands behind the start codon stands before it in the genome.
    for small in (SPLICED, mirrored(SPLICED)):
        there = small is SPLICED
        begin = spot if there else len(small.letters) + 2 - spot - len(ref)
        change = (ref, alt) if there else (turned(ref), turned(alt))
        found = find_alleles(utrs_of(small), row(begin, *change))
        if words is None:  # one A more, before the ATG
            assert [one.alt for one in found] == ["C" * 20 + "A"]
        else:
            assert [one.words for one in found] == ([] if words == "nothing" else [words])


@pytest.mark.parametrize(
    ("first", "last", "changed", "utr", "words"),
    [(40, 45, {40: "A", 45: "T"}, "C" * 9 + "A" + "C" * 10, "within 3 nt of a splice site; also changes "),
     (60, 70, {60: "T", 70: "A"}, "C" * 19 + "T", "also changes letters outside the UTR"),
     (35, 55, {35: "G", 55: "T"}, "CCCCGCCCCC" + "CCCCTCCCCC", ""),
     (28, 31, {28: "A", 31: "G"}, "G" + "C" * 19, "at the first letter of the UTR; also changes"),
     (30, 31, {30: "A", 31: "G"}, "G" + "C" * 19, "at the first letter of the UTR; also changes"),
     (44, 46, {44: "A", 46: "T"}, None, None), (64, 70, {64: "A", 70: "T"}, None, None),
     (60, 70, {60: "T", 62: "A"}, None, "touches the start codon: not scored"),
     (40, 70, {41: "T", 62: "A"}, None, "touches a splice site and the start codon: not scored")],
)  # fmt: skip
def test_a_block_substitution_is_the_letters_that_it_changes(utrs_of, first, last, changed, utr, words):
    ref = SPLICED.letters[first - 1 : last]
    alt = "".join(changed.get(at, letter) for at, letter in enumerate(ref, start=first))
    found = find_alleles(utrs_of(SPLICED), row(first, ref, alt))
    assert [one.alt for one in found] == ([] if words is None else [utr])
    assert all(one.words.startswith(words) and bool(one.words) == bool(words) for one in found)
    if utr:
        assert found[0].utr_position == min(at - 20 for at in range(20) if utr[at] != "C")


@pytest.mark.parametrize(
    ("alt", "words"),
    [("<DEL>", "symbolic allele"), ("N]chr1:90]", "breakend"), ("]chr1:90]N", "breakend"), ("C[<ctg1>:7[", "breakend"),
     (".C", "breakend"), ("C.", "breakend"), ("R", "ambiguous letters in ALT"), ("CY", "ambiguous letters in ALT")],
)  # fmt: skip
@pytest.mark.parametrize("ref", ["C", "N"])
def test_what_is_not_scored_is_called_what_it_is(utrs_of, ref, alt, words):
    assert [one.words for one in find_alleles(utrs_of(SPLICED), row(35, ref, alt))] == [f"{words}: not scored"]


def test_an_unknown_ref_is_any_letter(utrs_of):
    for ref, alt in (("N", "A"), ("CN", "CA")):
        (found,) = find_alleles(utrs_of(SPLICED), row(36 - len(ref), ref, alt))
        assert found.alt == "CCCCACCCCC" + "C" * 10
    with pytest.raises(RibocastError, match="REF is NA, but"):
        find_alleles(utrs_of(SPLICED), row(35, "NA", "N"))


def test_a_genome_without_the_contigs_names_the_last_transcript(utrs_of):
    with pytest.raises(RibocastError, match=r"^genome\.fa: .*: g, and so for all others"):
        utrs_of(SPLICED, "chr9")
