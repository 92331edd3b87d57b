"""GTF and GFF3: whatever stands in them is read or refused in one line, and both say the same of the same genes."""

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.variants.annotation import read_annotation
from small_genomes import gtf, mrna, small_genomes

# What stands in annotations, and what nearly does.
CELLS = st.sampled_from(["chr1", "exon", "CDS", "start_codon", "transcript", "mRNA", "gene", "1", "7", "30", "+", "-",
                         ".", "0", "1" * 5000, "-3", "٣", "²", "", " ", "##FASTA", "#"])  # fmt: skip
ATTRIBUTES = st.sampled_from(['transcript_id "a";', 'gene_id "g"; transcript_id b; tag "MANE_Select";', "Parent=a,b",
                              "ID=a;Parent=g", "ID=g;Name=%C3%A9;tag=x", "Parent=", ";;=;", '"', "transcript_id",
                              'transcript_id "";'])  # fmt: skip
LINES = st.one_of(
    st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS, CELLS, CELLS, CELLS, ATTRIBUTES).map("\t".join),
    st.tuples(
        st.just("chr1\tx"), st.sampled_from(["exon", "CDS", "start_codon", "mRNA", "transcript"]),
        st.integers(-1, 20).map(str), st.integers(-1, 40).map(str), st.just("."), st.sampled_from("+-."),
        st.sampled_from("012."), ATTRIBUTES,
    ).map("\t".join),
    st.text(max_size=20),
)  # fmt: skip


def read(text, **settings):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "genes.gtf")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_annotation(path, **settings)


def gff3(small, written=None):
    """Write the genes of a small genome as Ensembl does."""
    lines = ["##gff-version 3"]
    for line in gtf(small).splitlines() if written is None else written:
        *cells, attributes = line.split("\t")
        name = attributes.split('"')[3]
        lines.append("\t".join([*cells, f"Parent=transcript:{name}"]))
        lines.append("\t".join([*cells[:2], "mRNA", *cells[3:], f"ID=transcript:{name};Parent=gene:G{name}"]))
    return "\n".join(lines) + "\n"


@settings(deadline=None)
@given(st.lists(LINES, max_size=6).map("\n".join) | st.binary(max_size=200), st.booleans())
def test_anything_is_read_or_refused_in_one_line(text, canonical):
    try:
        found = read(text, canonical=canonical)
    except RibocastError as error:
        assert str(error).startswith("genes.gtf")  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return
    assert found.transcripts
    for one in found.transcripts:
        assert one.length > 0
        assert all(begin < end for begin, end in (*one.utr, *one.coding))


@settings(deadline=None)
@given(small=small_genomes(), data=st.data())
def test_gtf_and_gff3_say_the_same_with_their_lines_in_any_order(small, data):
    assume(small.genes)
    lines = gtf(small).splitlines(keepends=True)
    whole = read("".join(lines)).transcripts
    assert {one.name: one.length > 0 for one in whole} == {gene.name: True for gene in small.genes}
    assert read("".join(data.draw(st.permutations(lines)))).transcripts == whole
    # Which of the two it is, the first line with a ninth column says.
    assert read(gff3(small)).transcripts == whole
    assert read(gzip.compress(gff3(small).replace("\n", "\r\n").encode())).transcripts == whole


@settings(deadline=None)
@given(small=small_genomes(), twice=st.booleans())
def test_exons_repeated_or_made_of_parts_are_the_same(small, twice):
    assume(small.genes)
    lines = gtf(small).splitlines(keepends=True)
    whole = read("".join(lines)).transcripts
    assert read("".join(lines + lines)).transcripts == whole
    if twice:
        lines += lines
    assert read("".join(lines + utr_lines(small))).transcripts == whole
    parts = [line for line in lines if "\texon\t" not in line] + utr_lines(small)
    # Parts that touch are of one exon, and so are exons.
    assert read("".join(parts)).transcripts == whole
    assert read(gff3(small, parts)).transcripts == whole


def utr_lines(small):
    """Write the 5′ UTRs, as the annotations of many organisms have them in place of exons."""
    lines = []
    for gene in small.genes:
        spots = mrna(gene)
        before = set(spots[: spots.index(gene.first)])
        for first, last in gene.exons:
            if inside := [spot for spot in range(first, last + 1) if spot in before]:
                lines.append(f"chr1\ttest\tfive_prime_UTR\t{min(inside)}\t{max(inside)}\t.\t{gene.strand}\t.\t"
                             f'gene_id "G{gene.name}"; transcript_id "{gene.name}";\n')  # fmt: skip
    return lines


def tagged(*tags):
    """Write transcripts a, b, … of one gene with a tag each, and one of another gene without a tag."""
    return "".join(
        f'chr1\tx\t{kind}\t{first}\t90\t.\t+\t.\tgene_id "{gene}"; transcript_id "{name}"; tag "{tag}";\n'
        for name, tag in (*zip("abcde", tags, strict=False), ("other", "basic"))
        for gene in ("h" if name == "other" else "g",)
        for kind, first in (("exon", 11), ("CDS", 41))
    )


@pytest.mark.parametrize(
    ("tags", "kept"),
    [(("MANE_Select", "MANE_Plus_Clinical", "Ensembl_canonical", "basic"), "ab"),
     (("MANE Select", "MANE Plus Clinical", "RefSeq Select"), "ab"),
     (("RefSeq Select", "MANE Plus Clinical", "basic"), "ab"), (("Ensembl_canonical", "RefSeq_Select"), "b"),
     (("basic", "MANE_Plus_Clinical"), "b"), (("MANE_Plus_Clinical", "Ensembl_canonical"), "ab")],
)  # fmt: skip
def test_canonical_keeps_transcripts_of_clinical_variants(tags, kept):
    found = read(tagged(*tags), canonical=True)
    assert [one.name for one in found.transcripts] == list(kept)
    assert [(name, "MANE_Plus_Clinical" in why) for _, name, why in found.skipped] == [("other", True)]


@pytest.mark.parametrize("big", ["1" * 5000, "9" * 19])
def test_a_position_of_very_many_digits_is_none(big):
    with pytest.raises(RibocastError, match=r"^genes\.gtf line 1: '1' to '[19]{19,60}' is not a range$"):
        read(f'chr1\tx\texon\t1\t{big}\t.\t+\t.\ttranscript_id "a";\n')
