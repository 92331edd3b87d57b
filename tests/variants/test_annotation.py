"""GTF and GFF3: whatever stands in them is read or refused in one line, and both say the same of the same genes."""

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.variants.annotation import read_annotation
from small_genomes import gtf, small_genomes

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


def gff3(small):
    """Write the genes of a small genome as Ensembl does."""
    lines = ["##gff-version 3"]
    for line in gtf(small).splitlines():
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


@pytest.mark.parametrize("big", ["1" * 5000, "9" * 19])
def test_a_position_of_very_many_digits_is_none(big):
    with pytest.raises(RibocastError, match=r"^genes\.gtf line 1: '1' to '[19]{19,60}' is not a range$"):
        read(f'chr1\tx\texon\t1\t{big}\t.\t+\t.\ttranscript_id "a";\n')
