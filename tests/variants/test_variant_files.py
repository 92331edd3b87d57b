"""VCF in, VCF or table out; annotations of every kind; and one clear line for every file that is not right."""

import gzip
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.model.predictor import Predictor
from ribocast.sequence.construct import Construct
from ribocast.sequence.uorf import consequence
from ribocast.variants import files as genomic_files
from ribocast.variants.alleles import COLUMNS
from ribocast.variants.annotation import read_annotation
from ribocast.variants.genome import Genome, contig_key
from ribocast.variants.score import score_variants
from ribocast.variants.utrs import open_utrs
from ribocast.variants.vcf import encoded
from small_genomes import expected, fasta, mirrored, small_genomes, small_variants, spliced_utr, turned
from small_genomes import gtf as genes

# One gene twice: on + with the UTR in two exons (11-30 and 41-70, ATG at 71), on - at the mirrored places.
UTR = "CCTCACCTCCACGCTCCTAC" + "CTGCCACCACGGCACTCTCCACCGCCCCAC"
CODING = "ATGACTAGCAAATTTCCCGGGAAAGCTTAA"
GENE = "T" * 10 + UTR[:20] + "GTAAGTCCAG" + UTR[20:] + CODING + "C" * 10
SIZE = len(GENE)
ROWS = [("exon", 11, 30), ("exon", 41, 100), ("CDS", 71, 100)]
HEADER = '##fileformat=VCFv4.2\n##contig=<ID=chr1,length=220>\n##INFO=<ID=AF,Number=A,Type=Float,Description="f">\n'
COLUMN_LINE = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def genome():
    letters = GENE + turned(GENE)
    return f">chr1 both\n{letters[:60].lower()}\n" + "".join(letters[at : at + 60] + "\n" for at in range(60, 220, 60))


def gtf():
    text = ""
    for name, strand in (("plus", "+"), ("minus", "-")):
        for kind, first, last in ROWS:
            if strand == "-":
                first, last = 2 * SIZE + 1 - last, 2 * SIZE + 1 - first
            text += (f'chr1\tx\t{kind}\t{first}\t{last}\t.\t{strand}\t.\tgene_id "G{name}"; '
                     f'gene_name "{name.upper()}"; transcript_id "{name}";\n')  # fmt: skip
    return text


def vcf(*rows, header=HEADER + COLUMN_LINE):
    return header + "".join("\t".join(map(str, (chrom, pos, name, ref, alt, ".", "PASS", info))) + "\n"
                            for chrom, pos, name, ref, alt, info in rows)  # fmt: skip


# chr1:54 is letter 34 of the UTR, -17 from the start codon; 167 is its mirror image.
GOOD = (
    ("chr1", 5, "far", "T", "C", "AF=0.5"),
    ("chr1", 54, "snv", "A", "G,T", "AF=0.1,0.2"),
    ("1", 2 * SIZE + 1 - 54, "mirror", "T", "C,A", "."),
    ("chr1", 60, "del", GENE[59:62], GENE[59], "."),
    ("chr1", 71, "start", "A", "G", "."),
    ("chr1", 31, "splice", "G", "A", "AF=0.3"),
    ("chr1", 101, "behind", "C", "T", "."),
)


@pytest.fixture(scope="module")
def model():
    return ribocast.load(threads=1)


@pytest.fixture
def here(tmp_path):
    (tmp_path / "genome.fa").write_text(genome())
    (tmp_path / "genes.gtf").write_text(gtf())
    (tmp_path / "calls.vcf").write_text(vcf(*GOOD))
    return tmp_path


def utrs(here, told=None, **settings):
    if told is not None:
        settings["say"] = told.append
    return open_utrs(here / "genes.gtf", here / "genome.fa", here / "out.tsv", **settings)


def score(model, here, name="out.tsv", **settings):
    return genomic_files.score_vcf(model, here / "calls.vcf", utrs(here), here / name, **settings)


def table(path):
    numbers = dict.fromkeys(("utr_position", "ref_mrl", "alt_mrl", "log2_fold_change"), "")
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=numbers)


def fault(here, call, match):
    with pytest.raises(RibocastError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert not (here / "out.tsv").exists()


def test_a_table_has_a_row_per_variant_and_transcript(model, here):
    done = score(model, here)
    got = table(here / "out.tsv")
    assert got.columns.tolist() == list(COLUMNS)
    assert got["id"].tolist() == ["snv", "snv", "mirror", "mirror", "del", "start", "splice"]
    assert got["utr_position"].tolist()[:4] == [-17] * 4
    assert (done.rows, done.scored, done.reported, done.rejected) == (7, 5, 2, 0)
    alt = UTR[:33] + "G" + UTR[34:]
    direct = score_variants(model, [UTR], [alt], assay=model.card.genome_assay.name)
    np.testing.assert_allclose(got["log2_fold_change"][0], direct["log2_fold_change"][0], atol=2e-4)
    assert got["consequence"][0] == consequence(UTR, alt, Construct("", CODING))
    assert got["consequence"].tolist()[5:] == [
        "touches the start codon: not scored",
        "touches a splice site: not scored",
    ]
    assert got["log2_fold_change"].isna().tolist() == [False] * 5 + [True] * 2
    for first, second in ((0, 2), (1, 3)):
        scores = got.drop(columns=["chrom", "pos", "id", "ref", "alt", "gene", "transcript"])
        assert scores.loc[first].tolist() == scores.loc[second].tolist()
    assert got["transcript"].tolist()[:4] == ["plus", "plus", "minus", "minus"]


def test_consequences_are_read_with_the_transcripts_own_coding_sequence(model, here):
    # Its +4 is A; that of eGFP is G, with which the same change would be from moderate to strong.
    rows = [("chr1", 68, "minus three", "C", "A", "."), ("chr1", 53, "gained", "CAC", "ATG", ".")]
    (here / "calls.vcf").write_text(vcf(*rows))
    score(model, here)
    got = table(here / "out.tsv")["consequence"]
    assert got[0] == "Kozak of the start codon changed at -3 (C to A), weak to moderate"
    assert got[1] == "uATG gained, weak Kozak, frame 0, no stop: N-terminal extension"


@pytest.mark.parametrize("name", ["scored.vcf", "scored.vcf.gz"])
def test_a_vcf_keeps_its_rows_in_order_and_gains_info(model, here, name):
    score(model, here, name)
    opener = gzip.open if name.endswith(".gz") else open
    with opener(here / name, "rt") as file:
        lines = file.read().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    old = vcf(*GOOD).splitlines()
    assert [row[:7] for row in rows] == [line.split("\t")[:7] for line in old if not line.startswith("#")]
    assert ["RIBOCAST=" in row[7] for row in rows] == [False, True, True, True, True, True, False]
    assert "\t".join(rows[0]) in old
    assert rows[1][7].startswith("AF=0.1,0.2;RIBOCAST=G|PLUS|plus|-17|")
    assert len(rows[1][7].partition("RIBOCAST_LOG2=")[2].split(",")) == 2
    assert "not_scored" in rows[4][7]
    assert "RIBOCAST_LOG2" not in rows[4][7]
    shutil.copy(here / name, here / "again.vcf.gz" if name.endswith(".gz") else here / "again.vcf")
    again = "again.vcf.gz" if name.endswith(".gz") else "again.vcf"
    genomic_files.score_vcf(model, here / again, utrs(here), here / f"twice{name}")
    assert (here / f"twice{name}").read_bytes() == (here / name).read_bytes()


def test_what_is_not_scored_again_keeps_nothing_of_an_earlier_run(model, here):
    score(model, here, "scored.vcf")
    (here / "genes.gtf").write_text("".join(line for line in gtf().splitlines(True) if "PLUS" not in line))
    genomic_files.score_vcf(model, here / "scored.vcf", utrs(here), here / "fewer.vcf")
    genomic_files.score_vcf(model, here / "calls.vcf", utrs(here), here / "alone.vcf")
    before, after, alone = ((here / f"{name}.vcf").read_text() for name in ("scored", "fewer", "alone"))
    assert after == alone
    assert before.count("|PLUS|") > 0 == after.count("|PLUS|")
    assert "RIBOCAST=" in after


@pytest.mark.skipif(shutil.which("bcftools") is None, reason="bcftools is not installed")
def test_bcftools_reads_what_is_written(model, here):
    score(model, here, "scored.vcf.gz")
    query = ["bcftools", "query", "-i", 'RIBOCAST_LOG2!="."', "-f", "%ID %RIBOCAST_LOG2 %RIBOCAST\\n"]
    # The mirrored row comes before its contig's last rows: only indexing would need it sorted.
    ran = subprocess.run([*query, here / "scored.vcf.gz"], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0
    assert "rror" not in ran.stderr
    assert "not defined" not in ran.stderr.replace("1' is not defined", "")
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["snv", "mirror", "del"]


@pytest.mark.skipif(shutil.which("bcftools") is None, reason="bcftools is not installed")
@pytest.mark.parametrize("name", ["scored.vcf", "scored.vcf.gz"])
def test_what_is_written_is_valid_for_bcftools(model, here, name):
    rows = [(5, "T", "C"), (54, "A", "G,T"), (60, GENE[59:62], GENE[59]), (71, "A", "G"), (2 * SIZE + 1 - 54, "T", "C")]
    text = phased_vcf([(spot, ref, alt, "GT", ["0|1", "1/1"]) for spot, ref, alt in rows], ["a", "b"])
    text = text.replace("##INFO", '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n##INFO', 1)
    (here / "calls.vcf").write_text(text)
    score(model, here, name)

    def bcftools(*arguments):
        ran = subprocess.run(
            ["bcftools", *arguments], cwd=here, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr.startswith("Lines") or not ran.stderr
        return ran.stdout

    opener = gzip.open if name.endswith(".gz") else open
    with opener(here / name, "rt") as file:
        ours = [line for line in file if not line.startswith("#")]
    assert len(ours) == len(rows)
    read = [line for line in bcftools("view", name).splitlines(keepends=True) if not line.startswith("#")]
    assert read == ours
    assert bcftools("norm", "-f", "genome.fa", "-c", "e", "-m", "-any", name).count("\tGT\t") == len(rows) + 1
    fields = bcftools("query", "-f", "%POS [%GT ]%RIBOCAST_LOG2\\n", name).splitlines()
    assert [line.split()[:3] for line in fields] == [[str(spot), "0|1", "1/1"] for spot, _, _ in rows]
    assert [line.split()[3] == "." for line in fields] == [True, False, False, True, False]
    if name.endswith(".gz"):
        bcftools("index", name)
        assert bcftools("query", "-r", "chr1:54-71", "-f", "%POS\\n", name).split() == ["54", "60", "71"]


def test_pysam_reads_what_is_written(model, here):
    import pysam

    score(model, here, "scored.vcf.gz")
    with pysam.VariantFile(str(here / "scored.vcf.gz")) as file:
        rows = {row.id: row for row in file}
    assert len(rows["snv"].info["RIBOCAST_LOG2"]) == 2
    assert len(rows["snv"].info["RIBOCAST"][0].split("|")) == 11


@pytest.mark.parametrize("pairs", [1, 3, 8192])
def test_pieces_of_any_size_give_the_same(model, here, monkeypatch, pairs):
    score(model, here, "whole.vcf")
    monkeypatch.setattr(genomic_files, "_BATCH_PAIRS", pairs)
    monkeypatch.setattr(genomic_files, "_BATCH_LETTERS", 400 * pairs)
    steps = []
    score(model, here, "pieces.vcf", done=lambda *step: steps.append(step))
    assert (here / "pieces.vcf").read_text() == (here / "whole.vcf").read_text()
    assert steps[-1][0] == 7


def test_all_is_every_substitution_of_every_utr(model, here):
    told = []
    done = genomic_files.score_all(model, utrs(here), here / "all.parquet", say=told.append)
    got = pd.read_parquet(here / "all.parquet")
    assert got.columns.tolist() == list(COLUMNS)
    assert len(got) == done.rows == 2 * 3 * len(UTR)
    assert "about 300 substitutions" in told[0]
    rows = [("chr1", row.pos, ".", row.ref, row.alt, ".") for row in got.itertuples()]
    (here / "calls.vcf").write_text(vcf(*rows))
    score(model, here, "same.parquet")
    pd.testing.assert_frame_equal(got, pd.read_parquet(here / "same.parquet"), atol=2e-4)
    plus, minus = (got[got["transcript"] == name] for name in ("plus", "minus"))
    np.testing.assert_array_equal(plus["utr_position"], minus["utr_position"])
    key = ["utr_position", "log2_fold_change", "consequence"]
    assert plus[key].sort_values(key).to_numpy().tolist() == minus[key].sort_values(key).to_numpy().tolist()


@pytest.mark.parametrize("remembered", [True, False])
def test_all_predicts_no_sequence_twice_in_bounded_memory(model, here, monkeypatch, remembered):
    asked, predict = [], Predictor.mrl

    def mrl(self, utrs, *, assay=None):
        asked.extend(utrs)
        return predict(self, utrs, assay=assay)

    monkeypatch.setattr(Predictor, "mrl", mrl)
    monkeypatch.setattr(genomic_files, "_BATCH_PAIRS", 7)
    if not remembered:
        monkeypatch.setattr(genomic_files, "_KNOWN_BYTES", 20 * (genomic_files._ENTRY_BYTES + len(UTR)))
    genomic_files.score_all(model, utrs(here), here / "all.csv")
    # The gene on - has the same UTR, but is read behind the one on +.
    assert set(asked) == {UTR} | {UTR[:at] + base + UTR[at + 1 :] for at in range(len(UTR)) for base in "ACGT"}
    assert (len(asked) == len(set(asked))) == remembered


def test_gff3_packed_and_with_crlf_is_the_same_annotation(here):
    for ensembl in (True, False):
        transcript, gene = ("transcript:", "gene:") if ensembl else ("rna-", "gene-")
        lines = ["##gff-version 3"]
        for name, strand in (("plus", "+"), ("minus", "-")):
            lines.append(f"chr1\tx\tgene\t1\t220\t.\t{strand}\t.\tID={gene}{name};Name={name.upper()}")
            lines.append(
                f"chr1\tx\tmRNA\t1\t220\t.\t{strand}\t.\tID={transcript}{name};Parent={gene}{name};tag=MANE Select"
            )
            for kind, first, last in ROWS:
                if strand == "-":
                    first, last = 2 * SIZE + 1 - last, 2 * SIZE + 1 - first
                phase = "0" if kind == "CDS" else "."
                lines.append(f"chr1\tx\t{kind}\t{first}\t{last}\t.\t{strand}\t{phase}\tParent={transcript}{name}")
        (here / "genes.gff3.gz").write_bytes(gzip.compress("\r\n".join([*lines, ""]).encode()))
        for canonical in (False, True):
            got = read_annotation(here / "genes.gff3.gz", canonical=canonical)
            assert got.transcripts == read_annotation(here / "genes.gtf").transcripts


def test_canonical_takes_mane_before_ensembl_and_says_when_there_are_no_tags(here):
    def named(name, tag):
        return gtf().replace('"plus"', f'"{name}"').replace(";\n", f'; tag "{tag}";\n')

    rows = named("a", "Ensembl_canonical") + named("b", "MANE_Select") + named("c", "basic")
    (here / "genes.gtf").write_text("".join(line + "\n" for line in rows.splitlines() if "minus" not in line))
    assert [one.name for one in read_annotation(here / "genes.gtf").transcripts] == ["a", "b", "c"]
    assert [one.name for one in read_annotation(here / "genes.gtf", canonical=True).transcripts] == ["b"]
    (here / "genes.gtf").write_text(gtf())
    with pytest.raises(RibocastError, match=r"^genes.gtf: no transcript is tagged MANE_Select, .*MANE_Plus_Clinical$"):
        read_annotation(here / "genes.gtf", canonical=True)


def test_canonical_tells_genes_by_their_id_and_lists_those_without_a_tag(here):
    def line(kind, first, last, gene, name, tag=""):
        return (f'chr1\tx\t{kind}\t{first}\t{last}\t.\t+\t0\tgene_id "{gene}"; gene_name "SAME"; '
                f'transcript_id "{name}";{tag}\n')  # fmt: skip

    text = ""
    for gene, name, tag in (
        ("G1", "first", ' tag "MANE_Select";'), ("G1", "other", ""), ("G2", "second", ' tag "Ensembl_canonical";'),
        ("G3", "untagged", ""),
    ):  # fmt: skip
        text += line("exon", 11, 90, gene, name, tag) + line("CDS", 41, 90, gene, name)
    (here / "genes.gtf").write_text(text)
    found = utrs(here, canonical=True)
    assert [one.name for one in found.transcripts] == ["first", "second"]
    assert pd.read_csv(here / "out.skipped.csv").to_numpy().tolist() == [
        [
            "SAME",
            "untagged",
            "no transcript of its gene is tagged MANE_Select, RefSeq_Select, Ensembl_canonical or MANE_Plus_Clinical",
        ]
    ]


def test_transcripts_that_cannot_be_used_are_counted_and_listed(here):
    def line(kind, first, last, name, contig="chr1", phase="0", more=""):
        return f'{contig}\tx\t{kind}\t{first}\t{last}\t.\t+\t{phase}\tgene_id "G"; transcript_id "{name}";{more}\n'

    bad = [
        line("exon", 1, 50, "noncoding"), line("exon", 5, 50, "without_utr"), line("CDS", 5, 50, "without_utr"),
        line("CDS", 5, 50, "without_exons"), line("exon", 5, 50, "outside"), line("CDS", 60, 70, "outside"),
        line("exon", 5, 50, "elsewhere", "chr9"), line("CDS", 20, 50, "elsewhere", "chr9"),
        line("exon", 5, 900, "long"), line("CDS", 400, 900, "long"),
        line("exon", 5, 50, "cut"), line("CDS", 20, 50, "cut", phase="2"),
        line("exon", 5, 50, "open", more=' tag "cds_start_NF";'), line("CDS", 20, 50, "open"),
        line("exon", 5, 50, "two"), line("CDS", 20, 50, "two"), line("start_codon", 23, 25, "two"),
        line("exon", 5, 50, "overlap"), line("exon", 40, 60, "overlap"), line("CDS", 20, 50, "overlap"),
        line("exon", 5, 21, "short"), line("CDS", 20, 21, "short"),
    ]  # fmt: skip
    (here / "genes.gtf").write_text(gtf() + "".join(bad))
    told = []
    found = utrs(here, told)
    assert sorted(one.name for one in found.transcripts) == ["minus", "plus"]
    listed = pd.read_csv(here / "out.skipped.csv").set_index("transcript")["reason"].to_dict()
    assert listed == {
        "noncoding": "no coding sequence", "without_utr": "no 5' UTR", "without_exons": "no exons",
        "outside": "its coding sequence does not begin in an exon", "elsewhere": "the FASTA file has no contig 'chr9'",
        "long": "it ends beyond the end of contig 'chr1' in the FASTA file",
        "cut": "the beginning of its coding sequence is not known",
        "open": "the beginning of its coding sequence is not known",
        "two": "its start codon is not where its coding sequence begins", "overlap": "its exons overlap",
        "short": "its coding sequence is shorter than a start codon",
    }  # fmt: skip
    assert told[2].startswith("skipped 11 transcripts (2: the beginning of its coding sequence is not known, ")
    (here / "genes.gtf").write_text(gtf())
    utrs(here)
    assert not (here / "out.skipped.csv").exists()


def test_exons_that_touch_are_one(here):
    (here / "genes.gtf").write_text(gtf().replace("\t41\t100\t", "\t41\t50\t", 1) + gtf().splitlines()[1].replace(
        "\t41\t100\t", "\t51\t100\t") + "\n")  # fmt: skip
    plus = next(one for one in read_annotation(here / "genes.gtf").transcripts if one.name == "plus")
    assert plus.utr == ((10, 30), (40, 70))


@pytest.mark.parametrize(("old", "new"), [("chr1", "1"), ("chrM", "MT"), ("chrX", "x")])
def test_contigs_have_their_names_with_or_without_chr(here, old, new):
    assert (contig_key(old) == contig_key(new)) == (new != "x")


def test_soft_masked_letters_and_others_are_read(here):
    (here / "genome.fa").write_text(">1\r\nacgtnRYacgt\r\nACGT\r\n>2\r\nA\r\n")
    fasta = Genome(here / "genome.fa")
    assert fasta.letters("1", 0, 99) == "ACGTNNNACGTACGT"
    assert fasta.contig("chr2") == "2"


def test_lengths_that_were_not_measured_and_other_starts_are_noted(model, here):
    text = genome().replace("ATGACTAGC", "CTGACTAGC")
    (here / "genome.fa").write_text(text)
    (here / "genes.gtf").write_text(
        gtf().replace("\t41\t100\t", "\t55\t100\t", 1).replace("\t11\t30\t", "\t30\t30\t", 1)
    )
    (here / "calls.vcf").write_text(vcf(("chr1", 60, ".", GENE[59], "A", ".")))
    score(model, here)
    note = table(here / "out.tsv")["note"][0]
    assert "17 nt: extrapolated, measured were " in note
    assert "its start codon is CTG, read as ATG" in note


def test_without_an_assay_it_is_the_one_of_most_lengths_and_changes_have_intervals(model, here):
    score(model, here)
    score(model, here, "named.tsv", assay="egfp_varying25to100")
    assert (here / "out.tsv").read_text() == (here / "named.tsv").read_text()
    got = table(here / "out.tsv")
    assert (got["log2_low"] != "").equals(got["log2_fold_change"].notna())
    score(model, here, "out.vcf")
    assert "assay egfp_varying25to100" in (here / "out.vcf").read_text()


def test_an_atg_that_only_the_adapter_makes_is_noted(model, here):
    # The adapter ends with A, and the UTR begins with CC.
    rows = [("chr1", 11, "made", "CC", "TG", "."), ("chr1", 11, "not", "C", "T", ".")]
    (here / "calls.vcf").write_text(vcf(*rows))
    score(model, here)
    got = table(here / "out.tsv").set_index("id")
    assert got["note"]["made"].startswith("the variant makes an ATG with the adapter, which the transcript lacks")
    assert got["consequence"]["made"] == "none"
    assert "adapter" not in got["note"]["not"]
    (here / "genome.fa").write_text(genome().replace("t" * 10 + "cc", "t" * 10 + "tg"))
    (here / "calls.vcf").write_text(vcf(("chr1", 11, "lost", "T", "C", ".")))
    score(model, here)
    assert table(here / "out.tsv")["note"][0].startswith("the reference makes an ATG with the adapter")


def test_symbolic_alleles_are_reported_and_stars_are_left(model, here):
    rows = [
        ("chr1", 60, "sv", GENE[59], "<DEL>", "SVTYPE=DEL;END=66"),
        ("chr1", 2, "wide", "T", "<DEL>", "END=65"),
        ("chr1", 60, "star", GENE[59], "*,<NON_REF>", "."),
        ("chr1", 2, "length", "T", "<INS>,<DEL>", "SVLEN=5000,-63"),
        ("chr1", 2, "inserted", "T", "<INS>,<DEL>", "SVLEN=5000,-3"),
        ("chr1", 2, "unsaid", "T", "<DEL>", "SVLEN=."),
        ("chr1", 102, "none", "C", "<DEL>", "END=105"),
        ("chr1", 110, "endless", GENE[109], "<DEL>", "END=99999999999999999"),
        ("chr1", 99999999999999999, "far", "A", "C", "."),
    ]
    (here / "calls.vcf").write_text(vcf(*rows))
    score(model, here, on_error="skip")
    got = table(here / "out.tsv")
    assert got[got["alt"] == "<DEL>"]["id"].tolist() == ["sv", "wide", "length", "endless"]
    assert got[got["alt"] == "<DEL>"]["transcript"].tolist() == ["plus", "plus", "plus", "minus"]
    assert got["id"].tolist() == ["sv", "wide", "length", "length", "endless"]
    assert got["consequence"].tolist() == ["symbolic allele: not scored"] * 5


def test_a_wrong_ref_stops_or_is_left_as_it_is_and_listed(model, here):
    wrong = ("chr1", 61, "wrong", "A" if GENE[60] != "A" else "C", "G", "AF=0.5")
    (here / "calls.vcf").write_text(vcf(*GOOD[:2], wrong, *GOOD[3:4]))
    fault(here, lambda: score(model, here), r"^calls.vcf row 3: chr1:61: REF is \w, but genome.fa has \w$")
    done = score(model, here, "out.vcf", on_error="skip")
    assert done.rejected == 1
    assert "\twrong\t" in (here / "out.vcf").read_text()
    listed = pd.read_csv(here / "out.rejected.csv")
    assert listed[["row", "pos", "id"]].to_numpy().tolist() == [[3, 61, "wrong"]]


def test_ref_is_checked_far_from_every_utr_and_not_where_the_genome_has_no_such_contig(model, here):
    far = "ACGTTGCA" * 4_000
    (here / "genome.fa").write_text(genome() + f">chr2\n{far}\n")
    (here / "calls.vcf").write_text(
        vcf(*GOOD, ("2", 30_000, "fine", far[29_999], "A", "."), ("2", 17, "w", "C", "A", "."))
    )
    fault(here, lambda: score(model, here), r"^calls.vcf row 9: 2:17: REF is C, but genome.fa has A$")
    (here / "calls.vcf").write_text(vcf(("chr9", 5, ".", "A", "C", "."), ("chr9", 6, ".", "A", "C", "."), *GOOD))
    told = []
    assert score(model, here, say=told.append).scored == 5
    assert told == ["2 rows are on contigs that genome.fa lacks, where REF is not checked: chr9"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "^calls.vcf: no VCF header: .*#CHROM"),
        ("chr1\t5\t.\tT\tC\t.\t.\t.\n", "^calls.vcf line 1: no VCF header: a row comes before"),
        (HEADER, "^calls.vcf: no VCF header: .*#CHROM"),
        (COLUMN_LINE, "^calls.vcf: no VCF header: the first line is not ##fileformat"),
        (HEADER + COLUMN_LINE.replace("\t", " "), "^calls.vcf line 4: the columns are not #CHROM POS"),
        (HEADER + COLUMN_LINE + "chr1 5 . T C . . .\n", "^calls.vcf row 1: expected 8 columns between tabs, found 1"),
        (HEADER + COLUMN_LINE + "chr1\tx\t.\tT\tC\t.\t.\t.\n", "^calls.vcf row 1: POS 'x'"),
        (HEADER + COLUMN_LINE + "chr1\t5\t.\tT!\tC\t.\t.\t.\n", "^calls.vcf row 1: REF 'T!'"),
        ("##fileformat=VCFv4.2\n\xff\n", "^calls.vcf: not UTF-8 text"),
        ("BCF\x02\n", "^calls.vcf: BCF is not read"),
    ],
)
def test_a_vcf_that_is_none_is_said_in_one_line(model, here, text, match):
    (here / "calls.vcf").write_bytes(text.encode("latin-1"))
    fault(here, lambda: score(model, here), match)


def test_bad_rows_can_be_skipped_and_crlf_is_read(model, here):
    text = vcf(*GOOD).replace("\n", "\r\n") + "chr1\t5\r\n"
    (here / "calls.vcf").write_bytes(text.encode())
    done = score(model, here, "crlf.vcf", on_error="skip")
    assert (done.scored, done.rejected) == (5, 1)
    (here / "calls.vcf").write_text(vcf(*GOOD))
    score(model, here, "lf.vcf")
    assert (here / "crlf.vcf").read_bytes() == (here / "lf.vcf").read_bytes()


@pytest.mark.parametrize("blocks", [True, False])
def test_packed_files_that_are_cut_short_are_said(model, here, blocks):
    if blocks:
        import pysam

        with pysam.BGZFile(str(here / "whole.gz"), "wb", None) as packed:
            packed.write(vcf(*GOOD).encode())
        data = (here / "whole.gz").read_bytes()
        cut = data[:-28]
    else:
        data = gzip.compress(vcf(*GOOD).encode())
        cut = data[:-12]
    (here / "calls.vcf").write_bytes(data)
    assert score(model, here, "whole.tsv").scored == 5
    (here / "calls.vcf").write_bytes(cut)
    fault(here, lambda: score(model, here), "^calls.vcf: the gzip data is damaged or cut short")
    (here / "genes.gtf").write_bytes(gzip.compress(gtf().encode())[:-12])
    fault(here, lambda: utrs(here), "^genes.gtf: the gzip data is damaged or cut short")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "^genes.gtf: has no exons"),
        (gtf().replace("\t", " "), "^genes.gtf line 1: expected 9 columns between tabs, found 1"),
        (gtf().replace("\t11\t", "\tx\t"), "^genes.gtf line 1: 'x' to '30' is not a range"),
        (gtf().replace("\t11\t", "\t31\t"), "^genes.gtf line 1: '31' to '30' is not a range"),
        (gtf().replace("\t11\t", "\t0\t"), "^genes.gtf line 1: '0' to '30' is not a range"),
        (gtf().replace("\t+\t", "\t?\t"), r"^genes.gtf line 1: the strand is '\?'"),
        (gtf().replace("transcript_id", "other"), "^genes.gtf line 1: the exon names no transcript"),
        (gtf().replace("CDS", "other"), r"^genes.gtf: no transcript has a 5' UTR \(2: no coding sequence\)"),
        (gtf().replace("chr1\t", "chr7\t"), "^genome.fa: the FASTA file has no contig 'chr7'"),
    ],
)
def test_an_annotation_that_is_none_is_said_in_one_line(here, text, match):
    (here / "genes.gtf").write_text(text)
    fault(here, lambda: utrs(here), match)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "not a FASTA file"),
        (b"ACGT\n", "not a FASTA file"),
        (b"\x1f\x8b\x08", "a packed FASTA cannot be read by place"),
        (b">chr1\nACGT\nAC\nACGT\n", "^genome.fa: not a readable FASTA file"),
    ],
)
def test_a_fasta_that_is_none_is_said_in_one_line(here, data, match):
    (here / "genome.fa").write_bytes(data)
    fault(here, lambda: utrs(here), match)
    (here / "genome.fa").unlink()
    fault(here, lambda: utrs(here), "no such file")


def test_a_genome_of_another_build_is_suspected(here):
    (here / "genome.fa").write_text(f">chr1\n{'C' * 220}\n")
    told = []
    utrs(here, told)
    assert told[0] == "making the index genome.fa.fai"
    assert told[-1] == "only 0% of the first start codons are ATG: is genome.fa the genome of genes.gtf?"


def test_rows_on_other_contigs_are_counted(model, here):
    (here / "genome.fa").write_text(genome() + ">Un\nGGGGAGGG\n")
    (here / "calls.vcf").write_text(vcf(("chrUn", 5, ".", "A", "C", "."), *GOOD))
    told = []
    score(model, here, say=told.append)
    assert told == ["1 row is on contigs without a 5' UTR in the annotation: chrUn"]


def test_the_command_line_scores_a_vcf_and_all(here, capsys, monkeypatch):
    monkeypatch.chdir(here)
    genome_options = ["--gtf", "genes.gtf", "--fasta", "genome.fa"]
    assert main(["variants", "calls.vcf", *genome_options, "-o", "scored.vcf.gz", "--threads", "1"]) == 0
    assert "5 changes of UTRs scored, 2 reported without a score" in capsys.readouterr().err
    assert main(["variants", "--all", *genome_options, "-o", "all.parquet", "--threads", "1"]) == 0
    assert len(pd.read_parquet("all.parquet")) == 300
    assert main(["variants", "calls.vcf", *genome_options, "--threads", "1"]) == 0
    assert capsys.readouterr().out.startswith("##fileformat=VCFv4.2\n")
    for wrong, words in (
        (["calls.vcf"], "need both --gtf and --fasta"), (["--all", *genome_options], "needs -o"),
        ([], "name a table or a VCF"), (["a.csv", "--canonical"], "are for variants of a genome"),
        (["calls.vcf", *genome_options, "-o", "out.bcf"], "out.bcf: unsupported file extension '.bcf'; use .vcf"),
        (["calls.vcf", *genome_options, "--assay", "nope"], "'nope'"),
    ):  # fmt: skip
        assert main(["variants", *wrong]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("error:") == 1


def hashed(utr):
    return 1 + zlib.crc32(utr.encode()) % 100_000 / 10_000


@settings(max_examples=40, deadline=None)
@given(data=st.data(), small=small_genomes(letters="ACGT"))
def test_the_scores_of_a_file_are_those_of_the_changed_genome_on_both_strands(model, data, small):
    assume(small.genes)
    drawn = [data.draw(small_variants(small.letters)) for _ in range(10)]
    size = len(small.letters)
    other = mirrored(small)
    back = [(size + 2 - spot - len(ref), turned(ref), turned(alt)) for spot, ref, alt in drawn]
    results = []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        # A number made of the letters alone: no two UTRs have the same MRL by accident.
        patched.setattr(Predictor, "mrl", lambda self, utrs, *, assay=None: np.array([hashed(utr) for utr in utrs]))
        here = Path(folder)
        for one, variants, name in ((small, drawn, "1"), (other, back, "chr1")):
            (here / "genome.fa").unlink(missing_ok=True)
            (here / "genome.fa.fai").unlink(missing_ok=True)
            (here / "genome.fa").write_text(fasta(one, "1"))
            (here / "genes.gtf").write_text(genes(one, "chr1"))
            rows = [(name, spot, number, ref, alt, ".") for number, (spot, ref, alt) in enumerate(variants)]
            (here / "calls.vcf").write_text(vcf(*rows))
            score(model, here)
            results.append(table(here / "out.tsv"))
    got = results[0]
    shown = ["id", "transcript", "utr_position", "ref_mrl", "alt_mrl", "log2_fold_change", "consequence", "note"]
    order = ["id", "transcript"]
    one, two = (frame[shown].sort_values(order).reset_index(drop=True) for frame in results)
    pd.testing.assert_frame_equal(one, two, check_dtype=False)
    rows = {(row.id, row.transcript): row for row in got.itertuples()}
    for number, (spot, ref, alt) in enumerate(drawn):
        for gene in small.genes:
            wanted, row = expected(small, gene, spot, ref, alt), rows.pop((number, gene.name), None)
            if wanted is None:
                assert row is None
            elif wanted[0] == "touches":
                assert row.consequence.startswith("touches ")
                assert np.isnan(row.ref_mrl)
            else:
                assert row.utr_position == wanted[2]
                np.testing.assert_allclose(row.ref_mrl, hashed(spliced_utr(small.letters, gene)), atol=1e-4)
                np.testing.assert_allclose(row.alt_mrl, hashed(wanted[1]), atol=1e-4)
    assert not rows


def test_samples_pass_through(model, here):
    rows = [(54, "A", "G", "GT:PS", ["0|1:7", "1/1"]), (102, "C", "A", "GT", ["./.", "0/1"])]
    (here / "calls.vcf").write_text(phased_vcf(rows, ["a", "b c"]))
    score(model, here, "out.vcf")
    old, new = ((here / name).read_text().splitlines()[-2:] for name in ("calls.vcf", "out.vcf"))
    assert new[1] == old[1]
    assert new[0].split("\t")[8:] == ["GT:PS", "0|1:7", "1/1"]


def test_text_in_info_is_one_value():
    assert encoded("uATG gained, a; b=c|d%") == "uATG_gained%2C_a%3B_b%3Dc%7Cd%25"


def phased_vcf(rows, samples):
    head = HEADER + COLUMN_LINE.rstrip("\n") + "\tFORMAT\t" + "\t".join(samples) + "\n"
    return head + "".join(
        "\t".join(["chr1", str(spot), ".", ref, alt, ".", ".", ".", keys, *cells]) + "\n"
        for spot, ref, alt, keys, cells in rows
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data(), turn=st.booleans())
def test_a_haplotype_is_all_its_variants_in_the_genome(model, data, turn):
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "genome.fa").write_text(genome())
        (here / "genes.gtf").write_text(gtf())
        spots = sorted(data.draw(st.sets(st.sampled_from([13, 16, 19, 22, 25, 44, 48, 52, 56, 60, 64]), min_size=2)))
        alts = [data.draw(st.text("ACGT", min_size=1, max_size=3)) for _ in spots]
        changes = [(spot, GENE[spot - 1 : spot + 1], alt) for spot, alt in zip(spots, alts, strict=True)]
        pieces = {11: GENE[10:30], 41: GENE[40:70]}
        for spot, ref, alt in reversed(changes):
            begin = 11 if spot < 31 else 41
            letters = pieces[begin]
            pieces[begin] = letters[: spot - begin] + alt + letters[spot - begin + len(ref) :]
        rows = [(spot, ref, alt, "GT", ["0|1"]) for spot, ref, alt in changes]
        if turn:
            rows = [(2 * SIZE - spot, turned(ref), turned(alt), "GT", ["1|0"]) for spot, ref, alt in changes][::-1]
        (here / "calls.vcf").write_text(phased_vcf(rows, ["one"]))
        score(model, here, phased=True)
        got = table(here / "out.tsv").query("haplotype != ''")
        real = [one for one in changes if one[1] != one[2]]
        if len(real) < 2:
            assert got.empty
            return
        assert got["samples"].tolist() == ["one:1" if turn else "one:2"]
        direct = score_variants(model, [UTR], [pieces[11] + pieces[41]], assay=model.card.genome_assay.name)
        np.testing.assert_allclose(got["log2_fold_change"], direct["log2_fold_change"], atol=2e-4)
        assert got["haplotype"].iloc[0].count(">") == len(real)


@pytest.mark.parametrize(
    ("letters", "written", "changed"),
    [
        # A C more at the left of a run of them, whose last is a T: moved to the right it would stand behind the T.
        (GENE, [(64, "G", "GC"), (68, "C", "T")], UTR[:44] + "CCCCT" + UTR[48:]),
        # A deletion that is written into the intron, where it can also be written into the exon.
        (GENE[:29] + "AA" + GENE[31:], [(31, "AT", "T"), (54, "A", "G")], UTR[:19] + UTR[20:33] + "G" + UTR[34:]),
    ],
)
def test_a_haplotype_has_alleles_where_written_if_possible(model, here, letters, written, changed):
    (here / "genome.fa").write_text(f">chr1\n{letters + turned(letters)}\n")
    (here / "calls.vcf").write_text(phased_vcf([(*one, "GT", ["0|1"]) for one in written], ["one"]))
    score(model, here, phased=True)
    (row,) = table(here / "out.tsv").query("haplotype != ''").to_dict("records")
    own = letters[10:30] + letters[40:70]
    direct = score_variants(model, [own], [changed], assay=model.card.genome_assay.name)
    np.testing.assert_allclose(row["log2_fold_change"], direct["log2_fold_change"][0], atol=2e-4)


def test_phased_genotypes_without_a_phase_set_are_of_one(model, here):
    rows = [(54, "A", "G", "GT", ["0|1"]), (58, GENE[57], "A", "GT:PS", ["0|1:."])]
    (here / "calls.vcf").write_text(phased_vcf(rows, ["a"]))
    score(model, here, phased=True)
    assert table(here / "out.tsv")["haplotype"].tolist() == ["", "", f"54:A>G+58:{GENE[57]}>A"]


def test_who_has_which_haplotype(model, here):
    rows = [
        (54, "A", "G", "GT:PS", ["0|1:7", "1/1", "0/1", "0|1:7", "1"]),
        (58, GENE[57], "A", "GT:PS", ["0|1:7", "0|1", "0/1", "1|0:7", "1"]),
        (62, GENE[61], "A", "GT:PS", ["0|1:9", "0|0", "1/1", "./.", "."]),
    ]
    (here / "calls.vcf").write_text(phased_vcf(rows, list("abcde")))
    score(model, here, phased=True)
    got = table(here / "out.tsv")
    assert got["haplotype"].tolist() == ["", "", "", f"54:A>G+58:{GENE[57]}>A"]
    assert got["samples"].iloc[-1] == "a:2 b:2 e:1"
    (here / "calls.vcf").write_text(phased_vcf(rows[::-1], list("abcde")))
    with pytest.raises(RibocastError, match="haplotypes need a sorted VCF"):
        score(model, here, phased=True)
    (here / "calls.vcf").write_text(vcf(*GOOD[:2]))
    with pytest.raises(RibocastError, match="the VCF has no samples"):
        score(model, here, phased=True)
    with pytest.raises(RibocastError, match=r"^--all and --phased .*out\.vcf: .* '\.vcf'; use \.csv"):
        score(model, here, "out.vcf", phased=True)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("how", ["stdin", "pipe"])
def test_standard_input_and_pipes_are_read_packed_or_not(here, packed, how):
    data, annotation = (gzip.compress(text.encode()) if packed else text.encode() for text in (vcf(*GOOD), gtf()))
    (here / "input").write_bytes(data)
    (here / "annotation").write_bytes(annotation)
    command = [sys.executable, "-m", "ribocast", "variants", "-" if how == "stdin" else "calls.pipe", "--gtf",
               "genes.pipe", "--fasta", "genome.fa", "-o", "out.tsv", "--threads", "1"]  # fmt: skip
    feeds = "cat annotation > genes.pipe & " + ("" if how == "stdin" else "cat input > calls.pipe & ")
    os.mkfifo(here / "genes.pipe")
    os.mkfifo(here / "calls.pipe")
    ran = subprocess.run(["bash", "-c", f"{feeds}exec {shlex.join(command)} < input"], cwd=here, capture_output=True,
                         text=True, timeout=60, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert table(here / "out.tsv")["id"].tolist() == ["snv", "snv", "mirror", "mirror", "del", "start", "splice"]


def test_a_reader_that_has_seen_enough_ends_the_command_silently(here):
    (here / "calls.vcf").write_text(vcf(*GOOD[:2] * 20_000))
    command = f"{sys.executable} -m ribocast variants calls.vcf --gtf genes.gtf --fasta genome.fa --threads 1"
    ran = subprocess.run(["bash", "-c", f"set -o pipefail; {command} | head -n 1"], cwd=here, capture_output=True,
                         text=True, timeout=60, check=False)  # fmt: skip
    assert ran.stdout == "##fileformat=VCFv4.2\n"
    assert ran.returncode == 141
    assert "rror" not in ran.stderr
    assert "Broken" not in ran.stderr
