"""``ribocast variants``: what changes of a 5′ UTR do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ribocast.cli import options
from ribocast.cli.parts import Parts, do_files, do_substitutions
from ribocast.cli.terminal import progress, say
from ribocast.errors import InputError, OptionError

if TYPE_CHECKING:
    from ribocast.model.predictor import Predictor

_EPILOG = (
    "Example: ribocast variants table.csv -o out.csv; "
    "ribocast variants calls.vcf.gz --gtf genes.gtf.gz --fasta genome.fa -o scored.vcf.gz; "
    "ribocast variants --all --gtf genes.gtf.gz --fasta genome.fa -o all.parquet"
)


@options.app.command(epilog=_EPILOG)
def variants(
    table: Annotated[
        str | None,
        typer.Argument(
            help="Rows with ref_seq and alt_seq (or ref and alt): whole UTRs. CSV, TSV, Parquet; .gz; -. With --gtf, "
            "a VCF (plain, gzip or bgzip)."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="PATH",
            help=".csv, .tsv (also .gz), .parquet, with --gtf .vcf(.gz), in parts a folder; else stdout.",
        ),
    ] = None,
    gtf: Annotated[Path | None, typer.Option(help="For a VCF: where the 5′ UTRs are, GTF or GFF3; .gz.")] = None,
    fasta: Annotated[Path | None, typer.Option(help="For a VCF: the genome, FASTA.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Score every substitution in every UTR of --gtf.")] = False,
    canonical: Annotated[
        bool,
        typer.Option(
            "--canonical",
            help="Of each gene_id, only the transcript tagged MANE_Select, or else RefSeq_Select, or else "
            "Ensembl_canonical; and those tagged MANE_Plus_Clinical.",
        ),
    ] = False,
    phased: Annotated[
        bool, typer.Option("--phased", help="Also score a sample's variants of one UTR together (a table; sorted VCF).")
    ] = False,
    model: Annotated[str, typer.Option(help="A folder, or the name of a shipped model.")] = "default",
    assay: Annotated[
        str | None,
        typer.Option(
            help="In which assay's units; else the one with calibrated changes, or for a genome that of most lengths."
        ),
    ] = None,
    ref_column: Annotated[str | None, typer.Option(help="Column of the references; else ref_seq or ref.")] = None,
    alt_column: Annotated[str | None, typer.Option(help="Column of the variants; else alt_seq or alt.")] = None,
    cut_at_start: options.CutAtStart = False,
    on_error: options.OnError = "stop",
    resume: options.Resume = False,
    shard: options.Shard = None,
    ray: options.Ray = None,
    engine: options.Engine = "auto",
    threads: options.Threads = None,
) -> None:  # fmt: skip
    """Score variants of 5′ UTRs: the log2 fold change of the mean ribosome load (MRL), with a 90 % interval, and why.

    A table's columns and row order are kept; ref_mrl, alt_mrl, log2_fold_change, log2_low, log2_high, consequence and
    note are added. Sequences end right before the start codon: without the ATG, and without coding sequence.

    Of a VCF, the variants in 5′ UTRs are scored, in a VCF (INFO/RIBOCAST) or a table of one row per variant and
    transcript. The MRLs are those of the UTR in the construct of the assay, whose adapter and coding sequence the
    model was measured with; the consequence is read in the transcript, with its own coding sequence. Every REF is
    compared with the genome.
    """
    from ribocast.model.predictor import load

    of_genome = gtf is not None or fasta is not None or every
    named_vcf = table is not None and Path(table).name.lower().endswith((".vcf", ".vcf.gz", ".bcf"))
    if (of_genome or named_vcf) and (gtf is None or fasta is None):
        raise OptionError("variants of a genome need both --gtf and --fasta")
    if every and (table is not None or output is None):
        raise OptionError("--all takes no file of variants, and needs -o")
    if not every and table is None:
        raise OptionError("name a table or a VCF (or --all)")
    if (canonical or phased) and not of_genome:
        raise OptionError("--canonical and --phased are for variants of a genome")
    if of_genome and (ref_column or alt_column or cut_at_start):
        raise OptionError("--ref-column, --alt-column and --cut-at-start are for tables of pairs")
    if phased and every:
        raise OptionError("--phased is for a VCF, not for --all")
    parts = Parts(shard, ray, resume, threads)
    in_parts = parts.are_needed(output)
    if of_genome and not every and in_parts:
        raise OptionError("--shard, --ray and folders are for tables and --all; divide a VCF by its contigs")
    if resume and of_genome and not in_parts:
        raise OptionError("--resume is for tables of pairs, and for --all in parts")
    loaded = load(model, engine=engine, threads=parts.of_one)
    if gtf is None or fasta is None:
        from ribocast.variants.score import score_table

        settings: dict[str, Any] = {
            "assay": assay, "ref_column": ref_column, "alt_column": alt_column, "cut_at_start": cut_at_start,
            "on_error": on_error,
        }  # fmt: skip
        with progress("scoring", results_to=output) as (advance, tell):
            if output is not None and in_parts:
                do_files(loaded, score_table, settings, [table or ""], output, parts, advance, tell)
            else:
                score_table(loaded, table or "", output, **settings, resume=resume, say=tell, done=advance)
    elif output is not None and in_parts:
        from ribocast.variants.work import Substitutions

        if assay:
            loaded.card.assay(assay)
        work = Substitutions(str(gtf.resolve()), str(fasta.resolve()), canonical, assay)
        with progress("scoring", results_to=output) as (advance, tell):
            do_substitutions(loaded, work, output, parts, advance, tell)
    else:
        _of_genome(loaded, table, output, gtf, fasta, canonical, phased, assay, on_error)
    options.say_assay(assay, loaded, loaded.card.genome_assay if of_genome else loaded.card.variant_assay)


def _of_genome(
    model: Predictor, path: str | None, output: str | None, gtf: Path, fasta: Path, canonical: bool, phased: bool,
    assay: str | None, on_error: options.OnError,
) -> None:  # fmt: skip
    from ribocast.io.output_paths import OutputPaths
    from ribocast.variants.files import is_vcf, score_all, score_vcf
    from ribocast.variants.utrs import open_utrs

    # Before an annotation is read for a minute.
    is_vcf(output, only_table=phased or path is None)
    if assay:
        model.card.assay(assay)
    if path not in (None, "-") and not Path(str(path)).exists():
        raise InputError(f"{path}: no such file")
    outputs = OutputPaths((path, gtf, fasta, f"{fasta}.fai", model.bundle.folder))
    outputs.add(output)
    outputs.add_list(output, "skipped", "the list of skipped transcripts")
    if on_error == "skip":
        outputs.add_list(output, "rejected", "the list of bad rows")
    with progress("scoring", results_to=output) as (advance, tell):
        utrs = open_utrs(gtf, fasta, output, canonical=canonical, say=tell)
        if path is not None:
            done = score_vcf(
                model, path, utrs, output, assay=assay, phased=phased, on_error=on_error, done=advance, say=tell
            )
        elif output is not None:
            done = score_all(model, utrs, output, assay=assay, done=advance, say=tell)
    say(f"{done.scored:,} changes of UTRs scored, {done.reported:,} reported without a score; {done.rate:,.0f} rows/s")
