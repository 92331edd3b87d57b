"""Places and people: what is near a place, what is read there, who carries what, and how long it takes, in words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.variants.alleles import UtrAllele, joint_note
from ribocast.variants.annotation import Annotation, count_reasons, read_annotation
from ribocast.variants.files import in_time, is_vcf
from ribocast.variants.genome import Genome, contig_key
from ribocast.variants.haplotypes import Carrier, Haplotypes, carriers_of
from ribocast.variants.placement import Edit, SplicedTranscript, UtrEdit, map_to_utr, remark, utr_position
from ribocast.variants.transcripts import build, first_letters
from ribocast.variants.utrs import GenomeUtrs, open_utrs, own_construct
from ribocast.variants.vcf import Record, create_vcf, is_sequence, read_vcf


def spliced_of(strand="+"):
    """Give a UTR of 10 + 6 letters around an intron of 10, on either strand."""
    exons, start = ([(10, 20), (30, 60)], 36) if strand == "+" else ([(40, 70), (80, 90)], 64)
    return SplicedTranscript(build("g", "t", "chr1", strand, exons, start), "ACGTACGTACGTACGT", "ATGCCC")


# --- a genome --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_genome(tmp_path_factory):
    random = np.random.default_rng(1)
    letters = {name: "".join(random.choice(list("ACGTN"), size)) for name, size in (("a", 30_000), ("b", 9))}
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text("".join(f">{name}\n" + "\n".join(text[at : at + 60] for at in range(0, len(text), 60)) + "\n"
                            for name, text in letters.items()))  # fmt: skip
    genome = Genome(path)
    yield genome, letters
    genome.close()


@settings(deadline=None)
@given(asked=st.lists(st.tuples(st.sampled_from("aab"), st.integers(-9, 30_009), st.integers(0, 12_000)), max_size=9))
def test_letters_are_those_of_the_place_whatever_was_read_before(long_genome, asked):
    genome, letters = long_genome
    for name, begin, size in asked:
        for first in (begin, begin + 1, begin - 1, begin + 8_192, begin - 1_024):
            assert genome.letters(name, first, first + size) == letters[name][max(0, first) : max(0, first + size)]


def test_letters_beside_the_last_ones_are_not_read_again(long_genome, monkeypatch):
    genome, _ = long_genome
    pyfaidx = pytest.importorskip("pyfaidx")
    reads, get = [], pyfaidx.FastaRecord.__getitem__
    monkeypatch.setattr(pyfaidx.FastaRecord, "__getitem__", lambda self, key: reads.append(key) or get(self, key))
    for begin in range(10_000, 17_000, 10):
        genome.letters("a", begin, begin + 60)
    for begin in range(16_900, 10_000, -50):
        genome.letters("a", begin - 20, begin)
    assert len(reads) < 20


@pytest.mark.parametrize(
    ("name", "key"),
    [("chr1", "1"), ("1", "1"), ("CHRX", "X"), ("chrM", "MT"), ("M", "MT"), ("MT", "MT"), ("chrMT", "MT"),
     ("ch1", "ch1"), ("chr", "")],
)  # fmt: skip
def test_contigs_have_one_key(name, key):
    assert contig_key(name) == key


def annotated(starts, size=30):
    """Make transcripts of one exon that begin at places."""
    return Annotation([build("g", f"t{at}", "chr1", "+", [(at, at + size + 9)], at + size) for at in starts], [])


@settings(deadline=None, max_examples=50)
@given(
    starts=st.lists(st.sampled_from([0, 1, 2_000, 2_017, 2_018, 2_047, 2_048, 2_049, 4_090, 9_000]), min_size=1,
                    max_size=5, unique=True),
    begin=st.integers(-5, 10_000) | st.sampled_from([2_046, 2_047, 2_048, 2_049, 4_095, 4_096, 6_144, 6_200, 8_191]),
    size=st.integers(0, 5_000) | st.sampled_from([0, 1, 2]),
)  # fmt: skip
def test_all_that_a_place_touches_is_near_it_and_nothing_far_away(long_genome, starts, begin, size):
    class Here:
        name = "genome.fa"

        def contig(self, name):
            return name

        def length(self, name):
            return 30_000

    utrs = GenomeUtrs(annotated(starts), Here())
    near = utrs.near("1", begin, begin + size)
    assert near == sorted(set(near))
    for number, transcript in enumerate(utrs.transcripts):
        # With a letter on either side, for insertions.
        if transcript.overlaps(begin - 1, begin + size + 1):
            assert number in near
        # What is looked up together is 2,048 letters.
        if transcript.utr[0][0] - 2_050 > begin + size or transcript.zones[0].end + 2_050 < begin:
            assert number not in near
    assert utrs.knows("1")
    assert not utrs.knows("2")
    assert utrs.near("2", begin, begin + size) == []


def test_a_transcript_beyond_the_end_of_its_contig_is_skipped_and_one_at_its_end_is_not(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">1\n" + "ACGTATGCCC" * 5 + "\n")
    genome = Genome(path)
    utrs = GenomeUtrs(annotated([11, 12]), genome)
    assert [one.name for one in utrs.transcripts] == ["t11"]
    assert [(name, "beyond the end of contig 'chr1'" in why) for _, name, why in utrs.skipped] == [("t12", True)]
    genome.close()
    path.write_text(">2\nACGT\n")
    genome = Genome(path)
    with pytest.raises(RibocastError, match=r"^genome\.fa: .* no contig 'chr1'.*: t0, and so for all others"):
        GenomeUtrs(annotated([0]), genome)
    genome.close()


def test_a_transcript_is_read_once(long_genome):
    genome, letters = long_genome
    annotation = Annotation([build("g", f"t{at}", "a", "+", [(at, at + 40)], at + 30) for at in range(0, 90, 9)], [])
    utrs = GenomeUtrs(annotation, genome)
    first = utrs.read(0)
    assert first.utr == letters["a"][:30]
    assert utrs.read(0) is first


@pytest.mark.parametrize("count", [1, 2])
def test_transcripts_are_counted_in_words(tmp_path, count):
    (tmp_path / "g.fa").write_text(f">1\n{'C' * 9}ATG{'GCC' * 9}\n")
    lines = [("exon", 1, 30, name) for name in "abcd"[: 2 * count]] + [("CDS", 10, 30, name) for name in "ab"[:count]]
    (tmp_path / "g.gtf").write_text("".join(
        f'1\tx\t{kind}\t{first}\t{last}\t.\t+\t.\tgene_id "g"; transcript_id "{name}";\n'
        for kind, first, last, name in lines
    ))  # fmt: skip
    said = []
    for expected in (True, False):
        open_utrs(tmp_path / "g.gtf", tmp_path / "g.fa", tmp_path / "out.csv", say=said.append)
        assert any(f"{count} transcript{'s' * (count > 1)} with a 5' UTR" in line for line in said)
        (line,) = [line for line in said if line.startswith("skipped")]
        assert f"skipped {count} transcript{'s' * (count > 1)} (" in line
        assert "out.skipped.csv" in line
        assert any("index" in line for line in said) == expected
        said.clear()


@pytest.mark.parametrize(("atgs", "is_said"), [(0, True), (4, True), (5, False), (10, False)])
def test_few_start_codons_that_are_atg_are_said(tmp_path, atgs, is_said):
    genome, lines = "", []
    for number in range(10):
        at = len(genome)
        genome += "C" * 9 + ("ATG" if number < atgs else "CTG") + "GCC" * 3
        for kind, first, last in (("exon", at + 1, len(genome)), ("CDS", at + 10, len(genome))):
            lines.append(f'1\tx\t{kind}\t{first}\t{last}\t.\t+\t.\tgene_id "g"; transcript_id "t{number}";')
    (tmp_path / "g.fa").write_text(f">1\n{genome}\n")
    (tmp_path / "g.gtf").write_text("\n".join(lines) + "\n")
    said = []
    utrs = open_utrs(tmp_path / "g.gtf", tmp_path / "g.fa", tmp_path / "out.csv", say=said.append)
    assert utrs.with_atg() == atgs / 10
    assert any(f"only {atgs * 10}% of the first start codons" in line for line in said) == is_said
    assert any("10 transcripts with" in line for line in said)
    construct, note = own_construct(utrs.read(9))
    assert construct.after.startswith("ATGGCC")
    assert ("CTG" in note) == (atgs < 10)


# --- placing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize(
    ("begin", "end", "noted"),
    [(0, 1, "first letter"), (1, 2, ""), (6, 7, ""), (7, 8, "splice"), (9, 10, "splice"), (10, 11, "splice"),
     (12, 13, "splice"), (13, 14, ""), (5, 8, "splice"), (16, 16, "right before the start codon"), (16, 17, ""),
     (15, 16, ""), (7, 7, ""), (8, 8, "splice"), (12, 12, "splice"), (13, 13, "")],
)  # fmt: skip
def test_what_is_special_about_a_place_is_noted(strand, begin, end, noted):
    said = remark(spliced_of(strand), begin, end, set())
    assert (noted in said) if noted else said == ""
    assert "touching a and b" in remark(spliced_of(strand), begin, end, {"b", "a"})


@pytest.mark.parametrize(
    ("strand", "edit", "index"),
    [("+", (10, 11), 0), ("+", (19, 20), 9), ("+", (30, 31), 10), ("+", (35, 36), 15), ("-", (89, 90), 0),
     ("-", (80, 81), 9), ("-", (69, 70), 10), ("-", (64, 65), 15)],
)  # fmt: skip
def test_a_letter_of_the_genome_is_a_letter_of_the_utr(strand, edit, index):
    placed = map_to_utr(spliced_of(strand), [Edit(*edit, "A")])
    assert isinstance(placed, UtrEdit)
    assert (placed.begin, placed.end, placed.letters) == (index, index + 1, "A" if strand == "+" else "T")
    assert utr_position(spliced_of(strand), placed) == index - 16


@pytest.mark.parametrize(
    ("edit", "words"),
    [((9, 10, "A"), None), ((5, 12, ""), "5' end"), ((18, 22, ""), "splice site"), ((10, 20, ""), "whole exon"),
     ((34, 37, ""), "start codon"), ((36, 37, "C"), "start codon"), ((39, 40, "C"), None), ((24, 25, "A"), None),
     ((10, 10, "A"), "5' end"), ((20, 20, "A"), "splice site")],
)  # fmt: skip
def test_what_is_not_wholly_in_a_utr_is_said(edit, words):
    placed = map_to_utr(spliced_of(), [Edit(*edit)])
    assert placed is None if words is None else words in placed


def test_the_first_letters_are_those_that_the_strand_reads():
    blocks = [(0, 5), (10, 15), (20, 25)]
    assert first_letters(blocks, "+", 7) == [(0, 5), (10, 12)]
    assert first_letters(blocks, "-", 7) == [(13, 15), (20, 25)]
    assert first_letters(blocks, "+", 10) == [(0, 5), (10, 15)]
    assert first_letters(blocks, "-", 99) == blocks


@pytest.mark.parametrize(
    ("exons", "start", "said"),
    [([(0, 10), (9, 20)], 5, "overlap"), ([(0, 10), (12, 20)], 11, "does not begin in an exon"),
     ([(0, 10)], 0, "no 5' UTR"), ([(0, 10)], 8, "shorter than a start codon"),
     ([(0, 10)], 10, "does not begin in an exon"), ([(0, 10)], 7, None), ([(0, 10), (10, 20)], 1, None)],
)  # fmt: skip
def test_exons_make_a_transcript_or_a_reason(exons, start, said):
    built = build("g", "t", "chr1", "+", exons, start)
    turned = build("g", "t", "chr1", "-", [(20 - end, 20 - begin) for begin, end in exons], 20 - start)
    if said:
        assert said in built
        assert turned == built
    else:
        assert built.length == turned.length == start


@pytest.mark.parametrize(
    ("ref", "alt", "said"),
    [("TGC", "TCC", "reference"), ("TCC", "TGC", "variant"), ("TGC", "TGA", ""), ("CCC", "CCA", ""),
     ("GCC", "CCC", "")],
)  # fmt: skip
def test_an_atg_with_the_adapter_is_noted_of_the_utr_that_makes_it(ref, alt, said):
    note = joint_note("CCA", ref, alt)
    assert (f"the {said} makes an ATG" in note) if said else note == ""
    assert joint_note("CAT", "GCC", "CCC").startswith("the reference makes")


# --- people ----------------------------------------------------------------------------------------------------


def row_of(form, *samples, alt="C"):
    cells = ["chr1", "7", ".", "A", alt, ".", ".", ".", "\t".join([form, *samples])]
    return Record(1, cells, 7, alt.split(","))


@pytest.mark.parametrize(
    ("form", "sample", "allele", "found"),
    [
        ("GT", "0|1", 1, [(2, "")]),
        ("GT", "1|0", 1, [(1, "")]),
        ("GT", "1|1", 1, [(0, "")]),
        ("GT", "1/1", 1, [(0, "")]),
        ("GT", "0/1", 1, []),
        ("GT", "1", 1, [(1, "")]),
        ("GT", "0", 1, []),
        ("GT", ".|1", 1, [(2, "")]),
        ("GT", "1|2", 2, [(2, "")]),
        ("GT", "1|2", 1, [(1, "")]),
        ("GT", "10|0", 1, []),
        ("GT", "1|0|1", 1, [(1, ""), (3, "")]),
        ("GT", "|0|1", 1, [(2, "")]),
        ("GT", "|1", 1, [(1, "")]),
        ("GT", "/1", 1, [(1, "")]),
        ("GT", "/0/1", 1, []),
        ("GT", "|1/0", 1, [(1, "")]),
        ("GT", "/1|0", 1, []),
        ("GT", "0/1|1", 1, [(3, "")]),
        ("GT", "0|0|0|1", 1, [(4, "")]),
        ("GT", "1/1/1", 1, [(0, "")]),
        ("GT:PS", "|0|0|1:8", 1, [(3, "8")]),
        ("GT:PS", "0|1:77", 1, [(2, "77")]),
        ("GT:PS", "0|1:.", 1, [(2, "")]),
        ("GT:PS", "0|1", 1, [(2, "")]),
        ("GT:PS", "1|1:77", 1, [(0, "")]),
        ("DP:PS:GT", "9:5:1|0", 1, [(1, "5")]),
        ("DP:GT", "9", 1, []),
        ("DP", "9", 1, []),
    ],
)
def test_who_has_an_allele_on_which_chromosome(form, sample, allele, found):
    other = ":".join({"GT": "0|0", "PS": "3", "DP": "8"}[key] for key in form.split(":"))
    cells = row_of(form, other, sample).cells
    genotype = dict(zip(form.split(":"), sample.split(":"), strict=False)).get("GT", "")
    ploidy = len(genotype.lstrip("/|").replace("/", "|").split("|"))
    assert carriers_of(cells, allele) == [Carrier(1, side, phase_set, ploidy) for side, phase_set in found]


def alleles_of(*edits):
    """Give alleles of one transcript, placed where the genome has them."""
    spliced = spliced_of()
    for at, (pos, ref, alt) in enumerate(edits):
        cells = ("chr1", pos, f"v{at}", ref, alt, "g", "t")
        yield UtrAllele(0, 0, cells, None, spliced, "A", "")


HEADER = ["##x", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann\tbob"]


def haplotypes_of(rows):
    """Collect haplotypes of rows: position, genotypes of two samples, and a letter that is put there."""
    collected, found = Haplotypes(None, HEADER), []
    alleles = list(alleles_of(*((pos, "C", "T") for pos, *_ in rows)))
    spliced = alleles[0].spliced
    for one, (pos, *genotypes) in zip(alleles, rows, strict=True):
        record = Record(
            1, ["chr1", str(pos), ".", "C", "T", ".", ".", ".", "\t".join(["GT:PS", *genotypes])], pos, ["T"]
        )
        found += collected.add(record, [one._replace(spliced=spliced)])
    return [*found, *collected.finish()]


def test_variants_of_one_chromosome_are_one_haplotype_with_its_carriers():
    rows = [(12, "0|1:1", "1|1:."), (14, "0|1:1", "0|1:2"), (16, "1|0:1", "0/1:.")]
    found = haplotypes_of(rows)
    assert [(one.spelling, one.samples) for one in found] == [("12:C>T+14:C>T", "ann:2 bob:2")]
    assert found[0].found.utr_position == 12 - 1 - 10 - 16
    assert found[0].found.cells[:5] == ("chr1", 12, "v0+v1", "C+C", "T+T")
    assert found[0].found.alt == "A" + "T" + "G" + "T" + "ACGTACGTACGT"
    assert haplotypes_of([(12, "0|1:1", "0|0:1"), (14, "0|1:2", "0|0:1")]) == []
    assert haplotypes_of(rows[:1]) == []


@pytest.mark.parametrize(
    ("genotype", "sides"),
    [("0|0|1", [3]), ("0|0|0|1", [4]), ("1|0|1|0", [1, 3]), ("|0|1", [2]), ("|1", [1]), ("1", [1]), ("0/1|1", [3]),
     ("1/1/1", [1, 2, 3]), ("0/1/1", [])],
)  # fmt: skip
def test_haplotypes_of_any_ploidy_are_named_by_chromosome(genotype, sides):
    found = haplotypes_of([(12, genotype, "0|0"), (14, genotype, "0|0")])
    assert [one.samples for one in found] == [" ".join(f"ann:{side}" for side in sides)] * bool(sides)


def test_variants_that_overlap_are_told_and_not_scored():
    (one,) = haplotypes_of([(12, "1|1:.", "0|0:."), (12, "1|1:.", "0|0:.")])
    assert one.found.alt is None
    assert "overlap" in one.found.words


def test_a_vcf_that_is_not_sorted_or_has_no_samples_is_refused():
    with pytest.raises(RibocastError, match="no samples"):
        Haplotypes(None, ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"])
    collected = Haplotypes(None, HEADER)
    record = row_of("GT", "0|1", "0|0")
    list(collected.add(record, []))
    list(collected.add(record, []))  # at the same place
    with pytest.raises(RibocastError, match="chr1:6: haplotypes need a sorted VCF"):
        list(collected.add(record._replace(pos=6), []))
    other = record._replace(cells=["chr2", *record.cells[1:]])
    list(collected.add(other, []))
    with pytest.raises(RibocastError, match="chr1:7: haplotypes need a sorted VCF"):
        list(collected.add(record, []))


def test_a_haplotype_is_given_once_a_sorted_file_is_past_its_utr():
    # Exons end at 60 (half-open); an insertion can be written up to 2,500 nt away.
    collected = Haplotypes(None, HEADER)
    one, other = alleles_of((12, "C", "T"), (14, "C", "T"))
    both = [one, other._replace(spliced=one.spliced, allele=0)]
    for pos, allele in ((12, both[0]), (14, both[1])):
        record = Record(1, ["chr1", str(pos), ".", "C", "T", ".", ".", ".", "GT\t1|1\t0|0"], pos, ["T"])
        assert list(collected.add(record, [allele])) == []
    end = max(one.spliced.transcript.utr[-1][1], one.spliced.transcript.coding[-1][1]) + 2_500
    nothing = row_of("GT", "0|0", "0|0")
    assert list(collected.add(nothing._replace(pos=end + 1), [])) == []
    assert len(list(collected.add(nothing._replace(pos=end + 2), []))) == 1
    assert list(collected.finish()) == []


# --- words and files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (150, "2 min"), (5_399, "90 min"), (5_400, "1.5 h"), (9_000, "2.5 h")],
)
def test_a_duration_is_in_words(seconds, words):
    assert in_time(seconds) == words


@pytest.mark.parametrize(
    ("output", "only_table", "expected"),
    [(None, False, True), ("-", False, True), ("a.VCF", False, True), ("a.vcf.gz", False, True),
     ("a.tsv", False, False), ("a.parquet", True, False), ("a.vcf", True, None), ("-", True, None), (None, True, None),
     ("a.doc", False, None)],
)  # fmt: skip
def test_an_output_is_a_vcf_or_a_table_by_its_name(output, only_table, expected):
    if expected is None:
        with pytest.raises(RibocastError, match=r"use \.") as caught:
            is_vcf(output, only_table=only_table)
        assert ("standard output" in str(caught.value)) == (output in (None, "-"))
        assert (".vcf" in str(caught.value).split("use ")[1]) == (not only_table)
    else:
        assert is_vcf(output, only_table=only_table) == expected


def test_reasons_are_counted_with_the_most_frequent_first():
    assert count_reasons([("g", "a", "x"), ("g", "b", "y"), ("g", "c", "y")]) == "2: y, 1: x"


@pytest.mark.parametrize("megabytes", [63, 65])
def test_a_header_may_be_of_sixty_four_megabytes(megabytes):
    line = "##" + "x" * 9_998
    lines = ["##fileformat=VCFv4.2", *[line] * (megabytes * 104), "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    if megabytes == 63:
        assert len(read_vcf(iter(lines), "t.vcf", lambda: 0).header) == len(lines)
        return
    with pytest.raises(RibocastError, match=r"t\.vcf line \d+: the header is larger than 64 MB"):
        read_vcf(iter(lines), "t.vcf", lambda: 0)


def test_lines_of_a_vcf_are_written_as_they_are(tmp_path, capsys):
    for path in (None, "-"):
        with create_vcf(path) as write:
            write("a\n")
    assert capsys.readouterr().out == "a\na\n"
    with create_vcf(tmp_path / "t.VCF") as write:
        write("é\r\n")
    assert (tmp_path / "t.VCF").read_bytes() == "é\r\n".encode()
    assert is_sequence("ACGTNacgtn")


def gff(*rows):
    return "".join("\t".join(["1", "x", kind, str(first), str(last), ".", strand, phase, text]) + "\n"
                   for kind, first, last, strand, phase, text in rows)  # fmt: skip


@pytest.mark.parametrize("strand", "+-")
def test_a_coding_sequence_begins_at_its_first_part_with_the_phase_that_is_there(tmp_path, strand):
    # Of the strand that is read backwards, the last part is the first.
    first, last = ((31, 40), (51, 60)) if strand == "+" else ((51, 60), (31, 40))
    ids = 'gene_id "g"; transcript_id "t";'

    def found(*phases):
        rows = [("exon", 1, 100, strand, ".", ids)]
        rows += [("CDS", *part, strand, phase, ids) for part, phase in zip((last, first), phases, strict=True)]
        (tmp_path / "g.gtf").write_text(gff(*rows))
        return read_annotation(tmp_path / "g.gtf")

    (transcript,) = found("2", "0").transcripts
    assert transcript.length == (30 if strand == "+" else 40)
    with pytest.raises(RibocastError, match="beginning of its coding sequence is not known"):
        found("0", "1")


@pytest.mark.parametrize(
    ("cells", "said"),
    [(("exon", 0, 5, "+", ".", 'transcript_id "t";'), "'0' to '5' is not a range"),
     (("exon", 6, 5, "+", ".", 'transcript_id "t";'), "'6' to '5' is not a range"),
     (("exon", 1, 5, ".", ".", 'transcript_id "t";'), "the strand is '.'"),
     (("exon", 1, 5, "+", ".", "gene_id g;"), "the exon names no transcript"),
     (("gene", 1, 5, "+", ".", "gene_id g;"), "has no exons of transcripts")],
)  # fmt: skip
def test_lines_that_are_wrong_are_named(tmp_path, cells, said):
    (tmp_path / "g.gtf").write_text("\n#x\n" + gff(cells))
    with pytest.raises(RibocastError, match=said) as caught:
        read_annotation(tmp_path / "g.gtf")
    assert ("line 3" in str(caught.value)) == (cells[0] == "exon")
