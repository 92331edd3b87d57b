"""A genome's letters: read by place as they stand in the file, and other files are refused."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.variants.genome import Genome, contig_key
from ribocast.variants.transcripts import reverse_complement

CONTIGS = st.lists(st.text("ACGTNacgtnRYryX", min_size=1, max_size=90), min_size=1, max_size=4)


def plain(letters):
    return "".join(letter if letter in "ACGTN" else "N" for letter in letters.upper())


@settings(deadline=None)
@given(CONTIGS, st.integers(1, 40), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_letters_are_read_by_place_whatever_the_lines(contigs, width, newline, ended, data):
    text = ""
    for number, letters in enumerate(contigs):
        lines = [letters[at : at + width] for at in range(0, len(letters), width)]
        text += newline.join([f">chr{number} words", *lines, ""])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "genome.fa")
        path.write_bytes((text if ended else text[: -len(newline)]).encode())
        genome = Genome(path)
        try:
            for _ in range(4):
                number = data.draw(st.integers(0, len(contigs) - 1))
                begin, end = data.draw(st.integers(-3, 100)), data.draw(st.integers(-3, 100))
                name = genome.contig(str(number))
                assert name == f"chr{number}"
                assert genome.length(name) == len(contigs[number])
                assert genome.letters(name, begin, end) == plain(contigs[number])[max(0, begin) : max(0, end)]
            assert genome.contig("other") is None
        finally:
            genome.close()


@settings(deadline=None)
@example(b"9\n\n\n9")
@given(st.text(">ACGTNacgt \n\r\t-9é", max_size=60).map(str.encode) | st.binary(max_size=60))
def test_any_bytes_are_a_genome_or_refused_in_one_line(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "genome.fa")
        path.write_bytes(b">" + content)
        try:
            genome = Genome(path)
        except RibocastError as error:
            assert "genome.fa: " in str(error)  # noqa: PT017
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            return
        try:
            titles = [line[1:].split() for line in path.read_text("utf-8", "replace").split("\n") if line[:1] == ">"]
            for name in filter(None, (genome.contig(title[0]) for title in titles if title)):
                try:
                    letters = genome.letters(name, 0, 100)
                except RibocastError as error:
                    assert len(str(error).splitlines()) == 1  # noqa: PT017
                else:
                    assert set(letters) <= set("ACGTN")
                    assert len(letters) == min(genome.length(name), 100)
        finally:
            genome.close()


def test_an_index_of_another_file_is_said(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\nACGTACGT\n")
    Genome(path).close()
    (tmp_path / "genome.fa.fai").write_text("chr1\t800\t6\t8\t9\n")
    genome = Genome(path)
    with pytest.raises(RibocastError, match=r"^genome\.fa: chr1:1-800 .*(cut short|cannot be read)"):
        genome.letters("chr1", 0, 800)
    genome.close()


def test_a_genome_of_rna_letters_is_read_as_dna(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\nACGUacgu\n")
    genome = Genome(path)
    assert genome.letters("chr1", 0, 8) == "ACGTACGT"
    genome.close()


@pytest.mark.parametrize("stale", [False, True])
def test_a_genome_where_nothing_can_be_written_gets_its_index_elsewhere(tmp_path, monkeypatch, stale):
    path, index = tmp_path / "genome.fa", tmp_path / "genome.fa.fai"
    path.write_text(">chr1\nACGTACGT\n")
    if stale:
        index.write_text("chr1\t8\t6\t4\t5\n")
        os.utime(index, (1, 1))
    # The superuser may write anywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = index.read_text() if stale else None
    genome = Genome(path)
    assert genome.letters("chr1", 2, 8) == "GTACGT"
    genome.close()
    assert (index.read_text() if index.exists() else None) == before


def test_an_index_as_old_as_its_genome_is_used_where_nothing_can_be_written(tmp_path, monkeypatch):
    path, index = tmp_path / "genome.fa", tmp_path / "genome.fa.fai"
    path.write_text(">chr1\nACGTACGT\n")
    index.write_text("chr1\t4\t6\t8\t9\n")  # the first half, as a sign
    monkeypatch.setattr(os, "access", lambda *_: False)
    for age, length in ((1, 4), (0, 4), (-1, 8)):
        os.utime(path, (100, 100))
        os.utime(index, (100 + age, 100 + age))
        genome = Genome(path)
        assert genome.length("chr1") == length
        genome.close()


@given(st.text(max_size=6).filter(lambda name: name[:3].lower() != "chr"))
def test_a_contig_has_one_name_with_and_without_chr(name):
    assert contig_key("chr" + name) == contig_key("CHR" + name) == contig_key(name)


@given(st.text("ACGTN"), st.text("ACGTN"))
def test_the_other_strand_is_read_backwards(one, other):
    assert reverse_complement(reverse_complement(one)) == one
    assert reverse_complement(one + other) == reverse_complement(other) + reverse_complement(one)
