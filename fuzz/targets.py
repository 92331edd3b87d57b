"""What is fuzzed: readers that get bytes from strangers. Each takes them or raises a RibocastError of one line.

``python fuzz/targets.py NAME CORPUS [libFuzzer options]``; ``python fuzz/run.py`` runs them all.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ribocast"]):
    from ribocast.errors import RibocastError
    from ribocast.io import csv, csv_text, fasta, readers, tables, text  # noqa: F401
    from ribocast.model import bundle, onnx_cost
    from ribocast.model import onnx_check as graph_module
    from ribocast.sequence import batch as batch_module
    from ribocast.sequence import letters as letters_module
    from ribocast.variants import annotation, transcripts, vcf  # noqa: F401

MOST_BYTES = 1 << 14
_FOLDER = Path(tempfile.mkdtemp(prefix="ribocast-fuzz-"))
_ENDINGS = (".fasta", ".csv", ".tsv", ".txt", ".csv.gz", "")


def _at(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


def sequence(data: bytes) -> None:
    """Text as a sequence: what is not a fault can be encoded and comes back, in any spelling."""
    # Bytes that are not UTF-8 become lone surrogates, which no reader of files lets through but any caller may have.
    utrs = data.decode("utf-8", "surrogateescape").split("\n")
    faults = {fault.row for fault in batch_module.find_faults(utrs)}
    good = [utr for row, utr in enumerate(utrs) if row not in faults]
    if good:
        dna = [letters_module.to_dna(utr) for utr in good]
        if batch_module.Batch.of(good).texts != dna:
            raise AssertionError("it does not come back")
        rows = batch_module.encode(good)
        if [bytes(row[row != letters_module.PAD]).decode() for row in rows] != dna:
            raise AssertionError("the letters are others")


def fasta(data: bytes) -> None:
    """FASTA and the other texts of sequences, whole and in pieces: the same rows."""
    path = _at(f"t{_ENDINGS[data[0] % len(_ENDINGS)]}" if data else "t.fasta", data[1:])
    whole = [utr for chunk in tables.read_chunks(path) for utr in chunk.utrs]
    pieces = [utr for chunk in tables.read_chunks(path, chunk_rows=3) for utr in chunk.utrs]
    if whole != pieces:
        raise AssertionError("pieces are another table")


def variants(data: bytes) -> None:
    """Read a VCF; its rows can be written again."""
    with vcf.open_vcf(_at("t.vcf", data)) as opened:
        vcf.with_our_header(opened.header, "about")
        for record in opened.rows:
            if isinstance(record, vcf.Record):
                if record.span[0] > record.span[1]:
                    raise AssertionError("a span that ends before it begins")
                [vcf.is_sequence(alt) for alt in record.alts]
                vcf.with_our_info(record.cells, [], [])


def gtf(data: bytes) -> None:
    """GTF and GFF3."""
    for canonical in (False, True):
        annotation.read_annotation(_at("t.gtf", data), canonical=canonical)


def card(data: bytes) -> None:
    """Read a model.json; what is accepted can be written and read again."""
    _at("model.json", data)
    read = bundle._read_card(_FOLDER / "model.json")
    again = bundle._parse_card(read.model_dump_json(), Path("model.json"))
    if again != read:
        raise AssertionError("it does not come back")


def graph(data: bytes) -> None:
    """Read an ONNX file; what is let through can be followed, and is read again the same."""
    read = graph_module.parse_graph(data)
    again = graph_module.parse_graph(read.content)
    if again.content != read.content or again.nodes != read.nodes:
        raise AssertionError("it does not come back")
    onnx_cost.check_cost(read, 2, 50)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "sequence": sequence, "fasta": fasta, "vcf": variants, "gtf": gtf, "card": card, "graph": graph,
}  # fmt: skip


def main() -> None:
    """Fuzz one target."""
    target = TARGETS[sys.argv.pop(1)]

    def once(data: bytes) -> None:
        try:
            target(data)
        except RibocastError as error:
            if len(str(error).splitlines()) > 1:
                raise AssertionError("a message of several lines") from error

    atheris.Setup([*sys.argv, f"-max_len={MOST_BYTES}", "-timeout=20", "-rss_limit_mb=3000"], once)
    # Nothing that a reader says belongs on the terminal.
    os.environ["PYTHONWARNINGS"] = "ignore"
    atheris.Fuzz()


if __name__ == "__main__":
    main()
