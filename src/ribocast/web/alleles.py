"""A small VCF against 5′ UTRs that are sent with it: CHROM names a UTR, POS counts from 1 at its first letter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ribocast.errors import InputError
from ribocast.sequence.letters import to_dna
from ribocast.variants.vcf import NO_CHANGE, BadRow, Record, is_sequence, read_vcf
from ribocast.web.bodies import Rows
from ribocast.web.limits import RefusedError, RowError

_NO_HEADER = ["##fileformat=VCFv4.3\n", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"]
_MORE = "\t.\t.\t."
_SHOWN_LETTERS = 60


def read_alleles(utrs: Rows, vcf: str, most: int) -> tuple[Rows, list[RowError]]:
    """Read the alleles of a VCF.

    Parameters
    ----------
    utrs : Rows
        The 5′ UTRs, named by the first word of their titles; one without a title is called utr1, and so on.
    vcf : str
        The text of a VCF; rows alone will do, of five columns or more.
    most : int
        Alleles at most.

    Returns
    -------
    tuple of (Rows, list of RowError)
        A row for each allele that spells its letters, with the columns ``ref`` and ``alt`` (whole UTRs) and a table of
        ``chrom``, ``pos``, ``id``, ``vcf_ref``, ``vcf_alt``; and why the others cannot be scored.

    Raises
    ------
    RibocastError
        If the UTRs have no distinct names, or the VCF has no rows or more alleles than `most`.
    """
    import pyarrow as pa

    if not vcf.strip():
        raise RefusedError(422, "the VCF is empty", field="vcf")
    named = _by_name(utrs)
    lines = [f"{line}\n" for line in vcf.strip("\n").splitlines()]
    if not lines[0].startswith("#"):
        lines = [*_NO_HEADER, *map(_padded, lines)]
    numbers, refs, alts, errors = [], [], [], []
    cells: dict[str, list[Any]] = {name: [] for name in ("chrom", "pos", "id", "vcf_ref", "vcf_alt")}
    for record in read_vcf(iter(lines), "the VCF", lambda: 0).rows:
        for found in _alleles(record, named):
            if isinstance(found, RowError):
                errors.append(found)
                continue
            utr, changed, *shown = found
            numbers.append(record.row)
            refs.append(utr)
            alts.append(changed)
            for column, value in zip(cells.values(), shown, strict=True):
                column.append(value)
        if len(numbers) + len(errors) > most:
            raise RefusedError(413, f"the VCF has more than {most:,} alleles, the maximum of one call")
    if not numbers and not errors:
        raise RefusedError(422, "the VCF has no alleles to score", field="vcf")
    ids = [None if value == "." else value for value in cells["id"]]
    return Rows(numbers, ids, ("ref", "alt"), (refs, alts), pa.table(cells)), errors


Allele = tuple[str, str, str, int, str, str, str]
"""A 5′ UTR, the same with the allele; CHROM, POS, ID, REF, ALT."""


def _alleles(record: Record | BadRow, utrs: dict[str, str]) -> Iterator[RowError | Allele]:
    if isinstance(record, BadRow):
        yield RowError(record.row, None, "VCF", None, record.reason)
        return

    def wrong(column: str, value: str, reason: str) -> RowError:
        name = None if record.cells[2] == "." else record.cells[2]
        return RowError(record.row, name, column, value[:_SHOWN_LETTERS], reason)

    utr = utrs.get(record.chrom)
    if utr is None:
        there = ", ".join(list(utrs)[:5]) + (", …" if len(utrs) > 5 else "")
        yield wrong("CHROM", record.chrom, f"CHROM is {record.chrom[:_SHOWN_LETTERS]!r}; the UTRs are {there}")
        return
    begin, ref = record.pos - 1, record.ref.upper()
    there = utr[begin : begin + len(ref)] if begin >= 0 else ""
    if there != ref:
        has = f"has {there[:_SHOWN_LETTERS]} there" if there else f"ends at {len(utr)}"
        yield wrong("REF", record.ref, f"REF is {ref[:_SHOWN_LETTERS]}, but {record.chrom} {has}")
        return
    for alt in record.alts:
        if alt in NO_CHANGE:
            continue
        if is_sequence(alt):
            changed = utr[:begin] + alt.upper() + utr[begin + len(ref) :]
            yield utr, changed, record.chrom, record.pos, record.cells[2], record.ref, alt
        else:
            yield wrong("ALT", alt, f"ALT {alt[:_SHOWN_LETTERS]!r} does not spell its letters")


def _by_name(utrs: Rows) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, utr in zip(_names(utrs), utrs.values[0], strict=True):
        if name in named:
            raise InputError(f"two UTRs are called {name[:_SHOWN_LETTERS]}: CHROM must name one")
        if not isinstance(utr, str) or not utr:
            raise InputError(f"the UTR {name[:_SHOWN_LETTERS]}: the sequence is missing")
        named[name] = to_dna(utr)
    return named


def _names(utrs: Rows) -> Sequence[str]:
    titles = utrs.ids
    if utrs.table is not None and "chrom" in utrs.table.column_names and not any(titles):
        titles = utrs.table["chrom"].to_pylist()
    return [(str(title or "").split() or [f"utr{at}"])[0] for at, title in enumerate(titles, start=1)]


def _padded(line: str) -> str:
    cells = line.rstrip("\n").count("\t") + 1
    return line.rstrip("\n") + _MORE + "\n" if cells == 5 else line
