"""Score a VCF of simulated variants in a simulated genome: rows per second and peak memory.

    python benchmarks/vcf_speed.py [--variants 100000] [--genes 2000] [--all-genes 50] [--threads N]
                                   [--work DIR] [--json FILE]

Genes of one to four exons on both strands, UTRs of 20 to 300 nt, every variant in or beside a UTR, a tenth of them
insertions or deletions: the hardest case, as in most files nearly all rows are elsewhere. `--all` is timed on the first
of these genes, and what it would take for 30 million substitutions (a whole human annotation) is said.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import ribocast
from ribocast.variants.files import score_all, score_vcf
from ribocast.variants.utrs import open_utrs

HUMAN = 30_000_000
SPACE, WIDTH = 4_000, 60


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--all-genes", type=int, default=50, help="for --all; some 500 substitutions each")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--work", type=Path, help="where the files go; else a temporary folder")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    write_files(work, options.genes, options.variants)
    model = ribocast.load(threads=options.threads)
    figures: dict[str, float] = {"memory before, MB": peak()}
    utrs = open_utrs(work / "genes.gtf", work / "genome.fa", work / "scored.vcf.gz")
    began, worked = time.perf_counter(), time.process_time()
    done = score_vcf(model, work / "calls.vcf", utrs, work / "scored.vcf.gz")
    seconds = time.perf_counter() - began
    figures |= {"rows": done.rows, "scored": done.scored, "reported": done.reported, "seconds": round(seconds, 1),
                "seconds of work by all cores": round(time.process_time() - worked, 1),
                "rows per second": round(done.rows / seconds), "peak memory, MB": peak()}  # fmt: skip
    some = [line for line in (work / "genes.gtf").open() if int(line.split('"')[1][1:]) < options.all_genes]
    (work / "some.gtf").write_text("".join(some))
    utrs = open_utrs(work / "some.gtf", work / "genome.fa", work / "all.parquet")
    began = time.perf_counter()
    done = score_all(model, utrs, work / "all.parquet")
    seconds = time.perf_counter() - began
    figures |= {"--all, substitutions": done.scored, "--all, per second": round(done.scored / seconds),
                "--all, hours for 30 million": round(HUMAN * seconds / done.scored / 3600, 2),
                "--all, peak memory, MB": peak()}  # fmt: skip
    for name, value in figures.items():
        print(f"{name}: {value:,}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


def peak() -> int:
    """Return the most memory this process has held so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def write_files(folder: Path, genes: int, variants: int, seed: int = 0) -> None:
    """Write genome.fa, genes.gtf and calls.vcf."""
    random = np.random.default_rng(seed)
    # As bytes: the most memory held, which is measured later, should not be that of this.
    letters = (
        np.frombuffer(b"ACGT", np.uint8)[random.integers(4, size=genes * SPACE, dtype=np.uint8)].tobytes().decode()
    )
    lines, spans = [], []
    for number in range(genes):
        strand, at = "+-"[number % 2], number * SPACE + 200
        count = int(random.integers(1, 5))
        sizes = random.multinomial(int(random.integers(20, 301)), [1 / count] * count).clip(5)
        exons = []
        for size in [*sizes[:-1].tolist(), int(sizes[-1]) + 300]:
            exons.append((at, at + size))
            at += size + int(random.integers(50, 400))
        low, high = exons[0][0], exons[-1][1]
        coding = (high - 300, high)
        utr = [*exons[:-1], (exons[-1][0], coding[0])]
        if strand == "-":
            exons, utr = ([(low + high - e, low + high - b) for b, e in part] for part in (exons, utr))
            coding = (low, low + 300)
        spans += utr
        for kind, (begin, end) in [*(("exon", exon) for exon in exons), ("CDS", coding)]:
            lines.append(f'chr1\tsim\t{kind}\t{begin + 1}\t{end}\t.\t{strand}\t.\t'
                         f'gene_id "G{number}"; transcript_id "T{number}";')  # fmt: skip
    (folder / "genes.gtf").write_text("\n".join(lines) + "\n")
    (folder / "genome.fa").write_text(
        ">chr1\n" + "\n".join(letters[at : at + WIDTH] for at in range(0, len(letters), WIDTH)) + "\n"
    )
    rows = []
    for which in random.integers(len(spans), size=variants).tolist():
        spot = int(random.integers(spans[which][0] - 3, spans[which][1] + 3))
        kind, ref = random.random(), letters[spot]
        alt = "ACGT"[("ACGT".index(ref) + int(random.integers(1, 4))) % 4]
        if kind < 0.05:
            alt = ref + alt
        elif kind < 0.1:
            ref, alt = letters[spot : spot + 3], ref
        rows.append((spot + 1, ref, alt))
    with (folder / "calls.vcf").open("w") as file:
        file.write(f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={len(letters)}>\n")
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        file.writelines(f"chr1\t{spot}\t.\t{ref}\t{alt}\t.\tPASS\t.\n" for spot, ref, alt in sorted(rows))


if __name__ == "__main__":
    main()
