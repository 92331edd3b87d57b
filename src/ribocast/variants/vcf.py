"""Reading and writing VCF as the text it is: what is not ours passes through letter by letter."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ribocast.errors import InputError
from ribocast.io.inputs import input_name
from ribocast.io.readers import is_parquet
from ribocast.io.safe_text import for_stdout
from ribocast.io.tables import read_arrow
from ribocast.io.text import POSITION, open_lines
from ribocast.io.writers import whole_file
from ribocast.variants.allele_table import allele_columns, allele_rows, vcf_cells

VCF_ENDINGS = (".vcf", ".vcf.gz")
INFO_ID, LOG2_ID = "RIBOCAST", "RIBOCAST_LOG2"
ENTRY = ("allele", "gene", "transcript", "utr_position", "ref_mrl", "alt_mrl", "log2_fold_change", "log2_low",
         "log2_high", "consequence", "note")  # fmt: skip
"""What an entry of INFO/RIBOCAST holds, between ``|``."""
_FORMAT = "|".join(ENTRY).replace("consequence", "Consequence")
"""As ``bcftools +split-vep`` reads it: at the end of the description, with the name that VEP has."""
_LARGEST_HEADER_MB = 64
_OF_A_LINE = 60
"""The header is held in memory, with some bytes more for each line of it."""
_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_LEAST_COLUMNS = 5
_FILE_FORMAT = "##fileformat=VCFv4.2"
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

    A VCF without a header, and tables of alleles (see `ribocast.variants.allele_table`), become one with a header.

    Raises
    ------
    RibocastError
        If it cannot be read, or is none of these.
    """
    name = input_name(path)
    if is_parquet(path):
        yield _parquet(path, name)
        return
    with open_lines(path) as (lines, read_bytes):
        yield read_vcf(lines, name, read_bytes)


def read_vcf(lines: Iterator[str], name: str, read_bytes: Callable[[], int]) -> Vcf:
    """Read the header of a VCF or of a table of alleles, whose rows are read later; see `open_vcf`."""
    first = next(lines, None)
    lines = itertools.chain([] if first is None else [first], lines)
    if first and first.strip() and not first.startswith("##") and not _are_columns(first.rstrip("\r\n").split("\t")):
        return _without_header(first, lines, name, read_bytes)
    header: list[str] = []
    size = 0
    for line in lines:
        header.append(line.rstrip("\r\n"))
        size += len(line) + _OF_A_LINE
        if size > _LARGEST_HEADER_MB << 20:
            raise InputError(f"{name} line {len(header)}: the header is larger than {_LARGEST_HEADER_MB} MB")
        if line.startswith("#CHROM"):
            break
        if not line.startswith("##"):
            raise InputError(f"{name} line {len(header)}: no VCF header: a row comes before the line #CHROM")
    if not header or not header[-1].startswith("#CHROM"):
        raise InputError(f"{name}: no VCF header: the line #CHROM is missing")
    columns = header[-1].split("\t")
    least = len(_COLUMNS)
    if not header[0].startswith("##fileformat="):
        # Rows alone, with the names of their columns.
        header, least = [_FILE_FORMAT, *header], _LEAST_COLUMNS
    if len(columns) < least or not _are_columns(columns):
        raise InputError(f"{name} line {len(header)}: the columns are not {' '.join(_COLUMNS)} between tabs")
    return Vcf(name, [*header[:-1], _column_line(columns)], _rows(lines, len(columns)), read_bytes)


def _without_header(first: str, lines: Iterator[str], name: str, read_bytes: Callable[[], int]) -> Vcf:
    """Read rows of a VCF without its header, or a table of alleles, by their first line."""
    cells = first.rstrip("\r\n").split("\t")
    if len(cells) >= _LEAST_COLUMNS and POSITION.fullmatch(cells[1]) and _REF_LETTERS.fullmatch(cells[3]):
        samples = [f"sample{number}" for number in range(1, len(cells) - len(_COLUMNS))]
        columns = [*_COLUMNS, "FORMAT", *samples][: len(cells)]
        return Vcf(name, [_FILE_FORMAT, _column_line(columns)], _rows(lines, len(cells)), read_bytes)
    rows = allele_rows(lines, name)
    if rows is None:
        raise InputError(
            f"{name}: not a VCF (it has neither a header nor rows of CHROM POS ID REF ALT between tabs), nor a table "
            "with columns chrom, pos, ref, alt or ids such as 1-12345-A-G"
        )
    return _of_table(name, rows, read_bytes)


def _of_table(name: str, rows: Iterator[list[str]], read_bytes: Callable[[], int]) -> Vcf:
    padded = ([*cells, *["."] * (len(_COLUMNS) - len(cells))] for cells in rows)
    records = (_record(row, cells) for row, cells in enumerate(padded, start=1))
    return Vcf(name, [_FILE_FORMAT, _column_line(_COLUMNS)], records, read_bytes)


def _parquet(path: str | Path, name: str) -> Vcf:
    tables = read_arrow(path)
    first = next(tables)
    names = first.column_names
    where = allele_columns(
        names, ["" if cell is None else str(cell) for cell in first.slice(0, 1).to_pylist()[0].values()]
    )
    if where is None:
        raise InputError(f"{name}: has no columns chrom, pos, ref, alt, nor ids such as 1-12345-A-G")
    rows = (
        ["" if cell is None else str(cell) for cell in cells]
        for table in itertools.chain([first], tables)
        for cells in zip(*(column.to_pylist() for column in table.columns), strict=True)
    )
    return _of_table(name, (vcf_cells(cells, where) for cells in rows), lambda: 0)


def _are_columns(columns: Sequence[str]) -> bool:
    return len(columns) >= _LEAST_COLUMNS and tuple(columns[: len(_COLUMNS)]) == _COLUMNS[: len(columns)]


def _column_line(columns: Sequence[str]) -> str:
    """Name a VCF's columns, eight or more: those that a file lacks are written empty."""
    return "\t".join([*columns, *_COLUMNS[len(columns) :]])


def _rows(lines: Iterator[str], columns: int) -> Iterator[Record | BadRow]:
    more = ["."] * (len(_COLUMNS) - columns)
    for row, line in enumerate(lines, start=1):
        line = line.rstrip("\r\n")
        cells, found = line.split("\t", len(_COLUMNS)), line.count("\t") + 1
        if found != columns:
            yield BadRow(row, cells, f"expected {columns} columns between tabs, found {found}")
        else:
            yield _record(row, cells + more)


def _record(row: int, cells: list[str]) -> Record | BadRow:
    if not POSITION.fullmatch(cells[1]):
        return BadRow(row, cells, f"POS {cells[1][:60]!r} is not a position")
    if not _REF_LETTERS.fullmatch(cells[3]):
        return BadRow(row, cells, f"REF {cells[3][:60]!r} is not a sequence")
    alts = cells[4].split(",")
    if "" in alts or "-" in alts:
        return BadRow(
            row, cells, f"ALT {cells[4][:60]!r} lacks an allele; of an indel it begins with the letter before"
        )
    return Record(row, cells, int(cells[1]), alts)


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
        f"transcript whose 5' UTR it touches. Positions count from the start codon: -1 is the last letter of the UTR. "
        f'A space is written _, and other special letters as %XX. Format: {_FORMAT}">',
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
