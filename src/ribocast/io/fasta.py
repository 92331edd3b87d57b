"""FASTA and one sequence a line: blocks of bytes in, Arrow tables out, without a step for each line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ribocast.errors import InputError
from ribocast.io.inputs import LONGEST_ROW_MB, too_long
from ribocast.sequence.arrow import as_array, as_mask, as_texts, bounds_of, letters_of

_NUMBERS = r"^[0-9]+[\s\p{Z}]+|[\s\p{Z}]+[0-9]+$"
"""Positions beside the lines of a sequence, as GenBank and many programs print them."""


def read_lines(pieces: Iterable[bytes], name: str) -> Iterator[pa.Table]:
    """Read one sequence a line.

    Blank lines at the end are ignored; one in the middle is an empty sequence, to be reported as such.
    """
    blank = 0
    for block in _whole_lines(pieces, name, "row"):
        lines = _lines_of(block)
        filled = np.flatnonzero(np.diff(bounds_of(lines)))
        if filled.size:
            used = int(filled[-1]) + 1
            yield pa.table({"seq": pa.concat_arrays([as_texts(b"", np.zeros(blank + 1, np.int64)), lines[:used]])})
            blank = len(lines) - used
        else:
            blank += len(lines)


def read_fasta(pieces: Iterable[bytes], name: str) -> Iterator[pa.Table]:
    """Read FASTA records: their titles (``id``) and sequences, which may span lines.

    Numbers at either end of a line are left out.

    Raises
    ------
    RibocastError
        If anything but blank lines stands before the first title, or a record is longer than `LONGEST_ROW_MB`.
    """
    waiting: list[Any] = []
    rows = size = 0
    for block in _whole_lines(pieces, name, "line"):
        lines = _lines_of(block)
        titles = np.flatnonzero(_are_titles(lines))
        if not titles.size:
            # A long record goes on: its lines are joined once it is known where it ends.
            waiting.append(lines)
            size += len(block)
            if size > LONGEST_ROW_MB << 20:
                raise too_long(f"{name} row {rows + 1}")
            continue
        for table in _records([*waiting, lines[: titles[-1]]], name):
            rows += len(table)
            yield table
        waiting, size = [lines[titles[-1] :]], 0
    if waiting:
        yield from _records(waiting, name)


def _records(parts: list[Any], name: str) -> Iterator[pa.Table]:
    lines = pa.concat_arrays(parts)
    is_title = _are_titles(lines)
    titles = np.flatnonzero(is_title)
    before = lines[: titles[0]] if titles.size else lines
    if np.diff(bounds_of(before)).any():
        raise InputError(f"{name}: not FASTA: the first record does not begin with '>'")
    if not titles.size:
        return
    lines, titles = lines[titles[0] :], titles - titles[0]
    ids = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(lines.take(as_array(titles)), 1))
    # Without the titles, the lines of a record stand one after the other: its sequence is there already.
    others = lines.filter(as_mask(~is_title[-len(lines) :]))
    if pc.any(pc.match_substring_regex(others, _NUMBERS)).as_py():
        others = pc.replace_substring_regex(others, _NUMBERS, "")
    bounds = bounds_of(others)[np.append(titles - np.arange(len(titles)), len(others))]
    sequences = as_texts(others.buffers()[2] or b"", bounds)
    yield pa.table({"id": ids, "seq": sequences})


def _whole_lines(pieces: Iterable[bytes], name: str, kind: str) -> Iterator[bytes]:
    """Cut text into blocks of whole lines, all ended by line feeds; messages call a line a `kind`."""
    lines = 0

    def where(more: int = 0) -> str:
        return f"{name} {kind} {lines + more + 1}"

    for block in _blocks(pieces, where):
        if (at := block.find(b"\0")) >= 0:
            before = block.count(b"\n", 0, at)
            raise InputError(f"{where(before)}: not text (it holds a NUL byte)")
        yield block
        lines += block.count(b"\n")


def _blocks(pieces: Iterable[bytes], where: Callable[..., str]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for piece in pieces:
        # A carriage return at the very end may be half of a pair.
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r", 0, len(piece) - 1)) + 1
        if rest and rest[-1].endswith(b"\r"):
            end = max(end, int(piece.startswith(b"\n")))
            if not end:
                # The return that waited was a line's end by itself.
                yield _with_line_feeds(b"".join(rest))
                rest = []
        if end:
            yield _with_line_feeds(b"".join([*rest, piece[:end]]))
            rest = []
        rest.append(piece[end:])
        if sum(map(len, rest)) > LONGEST_ROW_MB << 20:
            raise too_long(where())
    if last := b"".join(rest):
        yield _with_line_feeds(last)


def _with_line_feeds(text: bytes) -> bytes:
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text if text.endswith(b"\n") else text + b"\n"


def _lines_of(block: bytes) -> Any:
    """Return the lines of a block without the white space around them, as an array of text."""
    block.decode("utf-8")  # says what is wrong if it is not
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    bounds = np.concatenate([[0], ends + 1]).astype(np.int64)
    return pc.utf8_trim_whitespace(as_texts(block, bounds))


def _are_titles(lines: Any) -> NDArray[np.bool_]:
    """Say which lines begin with ``>``."""
    bounds = bounds_of(lines)
    first = np.frombuffer(bytes(letters_of(lines)) + b"\n", np.uint8)[bounds[:-1]]
    are_titles: NDArray[np.bool_] = (first == ord(">")) & (np.diff(bounds) > 0)
    return are_titles
