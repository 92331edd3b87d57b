"""Coordinates, proved: what a variant of a genome does to spliced 5′ UTRs, against a separate, slow way to find it."""

import tempfile
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ribocast.variants.alleles import every_substitution, find_alleles
from ribocast.variants.annotation import read_annotation
from ribocast.variants.genome import Genome
from ribocast.variants.utrs import GenomeUtrs
from ribocast.variants.vcf import Record
from small_genomes import expected, fasta, gtf, mirrored, small_genomes, small_variants, spliced_utr, turned


def opened(small, folder, contig="chr1", annotated="chr1"):
    Path(folder, "genes.gtf").write_text(gtf(small, annotated))
    Path(folder, "genome.fa").write_text(fasta(small, contig))
    return GenomeUtrs(read_annotation(Path(folder, "genes.gtf")), Genome(Path(folder, "genome.fa")))


def asked(utrs, spot, ref, alts, contig="chr1"):
    cells = [contig, str(spot), ".", ref, ",".join(alts), ".", ".", "."]
    return find_alleles(utrs, Record(1, cells, spot, list(alts)))


def as_expected(one):
    if one.alt is None:
        return ("touches", set(one.words.removeprefix("touches ").removesuffix(": not scored").split(" and ")))
    return ("scored", one.alt, one.utr_position)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), small=small_genomes() | small_genomes(letters="AAC"))
def test_every_variant_does_what_changing_the_genome_and_reading_it_again_does(data, small):
    assume(small.genes)
    with tempfile.TemporaryDirectory() as folder:
        utrs = opened(small, folder)
        for one in small.genes:
            found = next(utrs.read(at) for at, each in enumerate(utrs.transcripts) if each.name == one.name)
            assert found.utr == spliced_utr(small.letters, one)
        for _ in range(12):
            spot, ref, alt = data.draw(small_variants(small.letters))
            got = {one.cells[6]: as_expected(one) for one in asked(utrs, spot, ref, [alt])}
            for gene in small.genes:
                assert got.get(gene.name) == expected(small, gene, spot, ref, alt), (gene, spot, ref, alt)
        utrs.genome.close()


@settings(max_examples=150, deadline=None)
@given(data=st.data(), small=small_genomes(letters="AACGT"))
def test_a_plus_and_a_minus_copy_of_a_gene_have_the_same_variants(data, small):
    assume(small.genes)
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        one, other = opened(small, here), opened(mirrored(small), there)
        for _ in range(12):
            spot, ref, alt = data.draw(small_variants(small.letters))
            back = len(small.letters) + 2 - spot - len(ref)
            got = {
                found.cells[6]: (found.alt, found.utr_position, found.words) for found in asked(one, spot, ref, [alt])
            }
            turned_got = {
                found.cells[6]: (found.alt, found.utr_position, found.words)
                for found in asked(other, back, turned(ref), [turned(alt)])
            }
            assert got == turned_got
        one.genome.close()
        other.genome.close()


@settings(max_examples=60, deadline=None)
@given(small=small_genomes())
def test_every_substitution_is_what_the_same_rows_of_a_vcf_are(small):
    assume(small.genes)
    with tempfile.TemporaryDirectory() as folder:
        utrs = opened(small, folder)
        for number, transcript in enumerate(utrs.transcripts):
            listed = list(every_substitution(utrs.read(number)))
            utr = utrs.read(number).utr
            assert len(listed) == 3 * (len(utr) - utr.count("N"))
            assert len({one.alt for one in listed}) == len(listed)
            for one in listed[:: max(1, len(listed) // 10)]:
                spot, ref, alt = one.cells[1], one.cells[3], one.cells[4]
                rows = [row for row in asked(utrs, spot, ref, [alt]) if row.cells[6] == transcript.name]
                assert [(row.alt, row.utr_position, row.words) for row in rows] == [
                    (one.alt, one.utr_position, one.words)
                ]
        utrs.genome.close()
