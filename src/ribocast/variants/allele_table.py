"""Alleles of a genome in a table: columns chrom, pos, ref and alt, or ids such as ``1-12345-A-G``."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ribocast.errors import InputError
from ribocast.io.columns import column_called

_CHROM = ("chrom", "#chrom", "chr", "#chr", "chromosome", "contig")
_POS = ("pos", "position", "bp")
_REF = ("ref", "reference", "ref_allele", "reference_allele", "reference allele")
_ALT = ("alt", "alternate", "alternative", "alt_allele", "alternate_allele", "alternate allele")
_NAME = ("id", "name", "variant_id", "variant", "rsid", "rsids")
_HYPHENS = re.compile(r"(\S+)-([0-9]{1,18})-([ACGTNacgtn]+)-([ACGTNacgtn]+)")
# With colons, NCBI's SPDI counts from 0; its contigs are NC_000001.11 and the like.
_COLONS = re.compile(r"([A-Za-z0-9.]+):([0-9]{1,18}):([ACGTNacgtn]+):([ACGTNacgtn]+)")


class AlleleColumns(NamedTuple):
    """Where a table has its alleles: the indexes of chrom, pos, ref and alt, or of ids that spell all four; a name."""

    spelled: tuple[int, ...]
    name: int | None


def allele_columns(columns: Sequence[str], first: Sequence[str]) -> AlleleColumns | None:
    """Find the alleles of a table by its columns, or by ids in its first row; None if it has none."""
    found = [column_called(columns, names) for names in (_CHROM, _POS, _REF, _ALT)]
    named = column_called(columns, _NAME)
    name = None if named is None else columns.index(named)
    spelled = tuple(columns.index(column) for column in found if column is not None)
    if len(spelled) == len(found):
        return AlleleColumns(spelled, name)
    ids = next((at for at, text in enumerate(first) if spelled_allele(text)), None)
    return None if ids is None else AlleleColumns((ids,), name)


def spelled_allele(text: str) -> tuple[str, ...] | None:
    """Read an id such as ``1-12345-A-G`` or ``chr1:12345:A:G``, positions from 1: contig, position, REF, ALT."""
    found = _HYPHENS.fullmatch(text.strip()) or _COLONS.fullmatch(text.strip())
    return found.groups() if found else None


def allele_rows(lines: Iterable[str], name: str) -> Iterator[list[str]] | None:
    """Read the rows of a CSV or TSV of alleles as the first five cells of a VCF's; None if it is not one.

    Parameters
    ----------
    lines : iterable of str
        The table; ids alone may come without a header.
    name : str
        What messages call it.
    """
    lines = iter(lines)
    head = next(lines, "")
    rows = _read(lines, "\t" if "\t" in head else ",", name)
    (columns,) = list(_read([head], "\t" if "\t" in head else ",", name)) or [[]]
    if len(columns) == 1 and spelled_allele(columns[0]):
        return _spelled([columns], rows, AlleleColumns((0,), None))
    first = next(rows, [])
    where = allele_columns(columns, first)
    if where and not first:
        raise InputError(f"{name}: has no rows")
    return None if where is None else _spelled([first], rows, where)


def _read(lines: Iterable[str], delimiter: str, name: str) -> Iterator[list[str]]:
    blank = 0
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if row:
                yield from [[]] * blank
                yield row
            # Blank lines at the end are no rows.
            blank = 0 if row else blank + 1
    except csv.Error as error:
        raise InputError(f"{name}: not a readable table: {error}") from None


def _spelled(first: list[list[str]], rows: Iterator[list[str]], where: AlleleColumns) -> Iterator[list[str]]:
    return (vcf_cells(row, where) for row in itertools.chain(first, rows))


def vcf_cells(row: Sequence[str], where: AlleleColumns) -> list[str]:
    """Return a row's CHROM, POS, ID, REF and ALT; empty where it has none."""
    cells = [row[at].strip() if at < len(row) else "" for at in where.spelled]
    name = row[where.name].strip() if where.name is not None and where.name < len(row) else ""
    if len(where.spelled) == 1:
        name = name or cells[0]
        cells = list(spelled_allele(cells[0]) or (cells[0], "", "", ""))
    chrom, pos, ref, alt = cells
    # White space and tabs cannot stand in a VCF.
    return [chrom, pos.removesuffix(".0"), re.sub(r"[\s;]+", "_", name) or ".", ref, alt]
