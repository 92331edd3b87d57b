"""Reading and writing VCF as the text it is: what is not ours passes through letter by letter."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ribocast.errors import InputError
from ribocast.io.inputs import input_name
from ribocast.io.safe_text import for_stdout
from ribocast.io.text import POSITION, open_lines
from ribocast.io.writers import whole_file

VCF_ENDINGS = (".vcf", ".vcf.gz")
INFO_ID, LOG2_ID = "RIBOCAST", "RIBOCAST_LOG2"
ENTRY = ("allele", "gene", "transcript", "utr_position", "ref_mrl", "alt_mrl", "log2_fold_change", "log2_low",
         "log2_high", "consequence", "note")  # fmt: skip
"""What an entry of INFO/RIBOCAST holds, between ``|``."""
_LARGEST_HEADER_MB = 64
_OF_A_LINE = 60
"""The header is held in memory, with some bytes more for each line of it."""
_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_INFO = 7
_LETTERS = re.compile("[ACGTNacgtn]+")
_REF_LETTERS = re.compile("[ACGTNRYSWKMBDHVacgtnryswkmbdhv]+")
_END = re.compile(r"(?:^|;)END=([0-9]{1,18})(?:;|$)")
_SVLEN = re.compile(r"(?:^|;)SVLEN=([-+0-9.,]{1,999})(?:;|$)")
# What an insertion is long, it does not take from the genome.
_TAKES = re.compile("<(?:DEL|DUP|INV|CNV)[:>]")
NO_CHANGE = {".", "*", "<*>", "<NON_REF>"}
"""ALTs that say nothing of a letter here: none, one that another row deletes, and any other."""
_BREAKEND = re.compile(r"[ACGTNacgtn.]*[\[\]][^\[\]]+[\[\]][ACGTNacgtn.]*|\.[ACGTNacgtn]+|[ACGTNacgtn]+\.")
_OURS = re.compile(rf"(?:{INFO_ID}|{LOG2_ID})(?:=|$)")
_ENCODED = {letter: f"%{ord(letter):02X}" for letter in "%,;=|:\t\r\n"} | {" ": "_"}


class Record(NamedTuple):
    """A row of a VCF: its number from 1, its cells, and what those that matter say.

    The first eight cells; FORMAT and the samples, if there are any, follow as one text.
    """

    row: int
    cells: list[str]
    pos: int
    alts: list[str]

    @property
    def chrom(self) -> str:
        """The contig, as the VCF calls it."""
        return self.cells[0]

    @property
    def ref(self) -> str:
        """REF."""
        return self.cells[3]

    @property
    def span(self) -> tuple[int, int]:
        """What symbolic alleles concern, 0-based and half-open: what follows the letter at POS.

        Up to INFO/END, or as far as INFO/SVLEN of the alleles says, which may stand alone since VCF 4.4.
        """
        end = _END.search(self.cells[_INFO])
        last = max(int(end[1]) if end else 0, self.pos + self._longest)
        if last > self.pos:
            return self.pos, last
        return self.pos - 1, self.pos - 1 + len(self.ref)

    @property
    def _longest(self) -> int:
        """The longest of the symbolic alleles by INFO/SVLEN, one number for each; 0 without any."""
        given = _SVLEN.search(self.cells[_INFO])
        lengths = given[1].split(",") if given else []
        return max(
            (int(length.lstrip("+-")) for alt, length in zip(self.alts, lengths, strict=False)
             if _TAKES.match(alt) and re.fullmatch("[-+]?[0-9]{1,18}", length)),
            default=0,
        )  # fmt: skip


class BadRow(NamedTuple):
    """A row that cannot be read: its number from 1, its cells, and why."""

    row: int
    cells: list[str]
    reason: str


class Vcf(NamedTuple):
    """An open VCF: header lines, rows, and how many bytes of the file are read."""

    name: str
    header: list[str]
    rows: Iterator[Record | BadRow]
    read_bytes: Callable[[], int]


@contextmanager
def open_vcf(path: str | Path) -> Iterator[Vcf]:
    """Open a VCF, plain, gzip or bgzip; ``-`` is standard input. CRLF is read too.

    Raises
    ------
    RibocastError
        If it cannot be read, or has no header.
    """
    name = input_name(path)
    with open_lines(path) as (lines, read_bytes):
        yield read_vcf(lines, name, read_bytes)


def read_vcf(lines: Iterator[str], name: str, read_bytes: Callable[[], int]) -> Vcf:
    """Read the header of a VCF, whose rows are read later; see `open_vcf`."""
    header: list[str] = []
    size = 0
    for line in lines:
        header.append(line.rstrip("\r\n"))
        size += len(line) + _OF_A_LINE
        if size > _LARGEST_HEADER_MB << 20:
            raise InputError(f"{name} line {len(header)}: the header is larger than {_LARGEST_HEADER_MB} MB")
        if line.startswith("#CHROM"):
            break
        if line.startswith("BCF"):
            raise InputError(f"{name}: BCF is not read; make a VCF of it first (bcftools view)")
        if not line.startswith("##"):
            raise InputError(f"{name} line {len(header)}: no VCF header: a row comes before the line #CHROM")
    if not header or not header[-1].startswith("#CHROM"):
        raise InputError(f"{name}: no VCF header: the line #CHROM is missing")
    if not header[0].startswith("##fileformat=VCF"):
        raise InputError(f"{name}: no VCF header: the first line is not ##fileformat=VCF")
    columns = header[-1].split("\t")
    if tuple(columns[: len(_COLUMNS)]) != _COLUMNS:
        raise InputError(f"{name} line {len(header)}: the columns are not {' '.join(_COLUMNS)} between tabs")
    return Vcf(name, header, _rows(lines, len(columns)), read_bytes)


def _rows(lines: Iterator[str], columns: int) -> Iterator[Record | BadRow]:
    for row, line in enumerate(lines, start=1):
        line = line.rstrip("\r\n")
        cells, found = line.split("\t", len(_COLUMNS)), line.count("\t") + 1
        if found != columns:
            yield BadRow(row, cells, f"expected {columns} columns between tabs, found {found}")
        elif not POSITION.fullmatch(cells[1]):
            yield BadRow(row, cells, f"POS {cells[1][:60]!r} is not a position")
        elif not _REF_LETTERS.fullmatch(cells[3]):
            yield BadRow(row, cells, f"REF {cells[3][:60]!r} is not a sequence")
        else:
            yield Record(row, cells, int(cells[1]), cells[4].split(","))


def is_sequence(alt: str) -> bool:
    """Tell whether an ALT spells its letters, unlike ``<DEL>``, ``*`` and the ends of rearrangements."""
    return _LETTERS.fullmatch(alt) is not None


def kind_of(alt: str) -> str:
    """Name an ALT that does not spell its letters."""
    if _BREAKEND.fullmatch(alt):
        return "breakend"
    return "ambiguous letters in ALT" if _REF_LETTERS.fullmatch(alt) else "symbolic allele"


def with_our_header(header: Sequence[str], about: str) -> list[str]:
    """Describe what is added to INFO, in place of an earlier run's description."""
    ours = [
        f"##ribocast={about}",
        f'##INFO=<ID={INFO_ID},Number=.,Type=String,Description="What the allele does to the MRL of each '
        f"transcript whose 5' UTR it touches: {'|'.join(ENTRY)}. Positions count from the start codon: -1 is the last "
        f'letter of the UTR. A space is written _, and other special letters as %XX">',
        f'##INFO=<ID={LOG2_ID},Number=A,Type=Float,Description="Of the log2 fold changes of the MRL in '
        f'{INFO_ID}, the one furthest from 0">',
    ]
    old = ("##ribocast=", f"##INFO=<ID={INFO_ID},", f"##INFO=<ID={LOG2_ID},")
    return [line for line in header[:-1] if not line.startswith(old)] + ours + [header[-1]]


def with_our_info(cells: Sequence[str], entries: Sequence[Sequence[str]], log2: Sequence[float | None]) -> list[str]:
    """Add entries to a row's INFO, in place of an earlier run's.

    Parameters
    ----------
    cells : sequence of str
        The row.
    entries : sequence of sequences of str
        One per allele and transcript; the fields of ``ENTRY``.
    log2 : sequence of float or None
        One per ALT.
    """
    kept = [field for field in cells[_INFO].split(";") if field not in {"", "."} and not _OURS.match(field)]
    kept.append(f"{INFO_ID}={','.join('|'.join(map(encoded, entry)) for entry in entries)}")
    if any(value is not None for value in log2):
        kept.append(f"{LOG2_ID}={','.join('.' if value is None else f'{value:.5g}' for value in log2)}")
    return [*cells[:_INFO], ";".join(kept), *cells[_INFO + 1 :]]


def without_our_info(cells: list[str]) -> list[str]:
    """Take an earlier run's entries out of a row's INFO; a row without any, or without INFO, stays letter by letter."""
    if len(cells) <= _INFO or INFO_ID not in cells[_INFO]:
        return cells
    fields = cells[_INFO].split(";")
    kept = [field for field in fields if not _OURS.match(field)]
    return cells if len(kept) == len(fields) else [*cells[:_INFO], ";".join(kept) or ".", *cells[_INFO + 1 :]]


def encoded(text: str) -> str:
    """Write text so that it can stand in an INFO field (VCF 4.3, 1.2): ``%XX`` for special letters, _ for a space."""
    return "".join(_ENCODED.get(letter, letter) for letter in text)


@contextmanager
def create_vcf(path: str | Path | None) -> Iterator[Callable[[str], object]]:
    """Open a VCF for writing lines; ``.vcf.gz`` is block-gzipped, as indexing needs it. Standard output without it."""
    if path is None or str(path) == "-":
        yield lambda text: sys.stdout.write(for_stdout(text))
        return
    with whole_file(path) as partial:
        if Path(path).name.lower().endswith(".gz"):
            from pysam import BGZFile

            with BGZFile(str(partial), "wb", None) as packed:
                yield lambda text: packed.write(text.encode())
        else:
            with partial.open("w", encoding="utf-8", newline="") as stream:
                yield stream.write
