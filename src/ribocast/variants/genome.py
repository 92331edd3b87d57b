"""Reading a genome: letters by place, and contigs whether or not their names begin with chr."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ribocast.errors import InputError, RibocastError
from ribocast.io.inputs import Watch
from ribocast.variants.transcripts import Span, Transcript, reverse_complement

_NOT_A_LETTER = re.compile("[^ACGTN]")
_WINDOW = 1 << 13


def contig_key(name: str) -> str:
    """Spell a contig's name in one way: ``chr1`` and ``1`` are one, as are ``chrM``, ``M`` and ``MT``."""
    bare = name[3:] if name[:3].lower() == "chr" else name
    return "MT" if bare == "M" else bare


class Genome:
    """A FASTA file whose letters are read by place.

    Lower case, which soft-masks repeats, is read as upper case; letters that stand for several are read as N.

    Parameters
    ----------
    path : str or Path
        Plain FASTA; LF or CRLF. An index ``.fai`` is made beside it (elsewhere, and not kept, where nothing can be
        written there), or is used if there is one.

    Raises
    ------
    RibocastError
        If it is missing or no FASTA; while letters are read, if it is changed.
    """

    def __init__(self, path: str | Path) -> None:
        import pyfaidx

        self.path, self.name = Path(path), Path(path).name
        if not Path(path).is_file():
            raise InputError(f"{path}: {'not a plain file' if Path(path).exists() else 'no such file'}")
        with Path(path).open("rb") as raw:
            was, head = os.fstat(raw.fileno()), raw.read(2)
        if head == b"\x1f\x8b":
            raise InputError(f"{path}: a packed FASTA cannot be read by place; unpack it first (gunzip)")
        if head[:1] != b">":
            raise InputError(f"{path}: not a FASTA file (it does not begin with >)")
        self._index_folder: tempfile.TemporaryDirectory[str] | None = None
        index = self._index_of(Path(path))
        try:
            self._fasta = pyfaidx.Fasta(str(path), indexname=str(index), as_raw=True, sequence_always_upper=True)
        except Exception as error:  # of lines that differ in length, pyfaidx raises a plain RuntimeError
            self._forget_index()
            reason = " ".join(str(error).split())
            raise InputError(f"{self.name}: not a readable FASTA file: {reason}") from None
        self._watch = Watch(self._fasta.faidx.file.fileno(), self.name, path, was)
        try:
            self._watch.check()
        except RibocastError:
            # An index of half a file would pass for that of the whole one.
            self.close()
            index.unlink(missing_ok=True)
            raise
        self._lengths = {name: len(self._fasta[name]) for name in self._fasta.keys()}  # noqa: SIM118 (no dict)
        # Most places that are asked for are near the last one: what was read, from where, of which contig.
        self._window = ("", 0, "")
        self._by_key: dict[str, str] = {}
        for name in self._lengths:
            self._by_key.setdefault(contig_key(name), name)

    def _index_of(self, path: Path) -> Path:
        """Return where the index is, or is to be: beside the genome, unless nothing can be written there."""
        index = Path(f"{path}.fai")
        is_new = index.is_file() and index.stat().st_mtime >= path.stat().st_mtime
        if is_new or os.access(path.parent, os.W_OK):
            return index
        self._index_folder = tempfile.TemporaryDirectory(prefix="ribocast-")
        return Path(self._index_folder.name, index.name)

    def _forget_index(self) -> None:
        if self._index_folder:
            self._index_folder.cleanup()

    def contig(self, name: str) -> str | None:
        """Return what this file calls a contig; None if it has none of that name, with or without chr."""
        return name if name in self._lengths else self._by_key.get(contig_key(name))

    def length(self, name: str) -> int:
        """Return how long a contig is, nt."""
        return self._lengths[name]

    def letters(self, name: str, begin: int, end: int) -> str:
        """Return ``[begin, end)`` of a contig of this file; as much of it as there is, upper case."""
        begin, end = max(0, begin), min(end, self._lengths[name])
        if begin >= end:
            return ""
        held, first, letters = self._window
        if held != name or begin < first or end > first + len(letters):
            first = max(0, begin - _WINDOW // 8)
            letters = self._letters(name, first, min(max(end, first + _WINDOW), self._lengths[name]))
            self._window = (name, first, letters)
        return letters[begin - first : end - first]

    def _letters(self, name: str, begin: int, end: int) -> str:
        try:
            # By keyword-free slices of pyfaidx: 0-based and half-open like ours.
            letters = str(self._fasta[name][begin:end])
        except Exception as error:
            raise InputError(f"{self.name}: {name}:{begin + 1}-{end} cannot be read: {error}") from None
        self._watch.check()
        if len(letters) != end - begin:
            raise InputError(f"{self.name}: {name}:{begin + 1}-{end} is cut short; is its .fai of another file?")
        return _NOT_A_LETTER.sub("N", letters.upper().replace("U", "T"))

    def spliced(self, transcript: Transcript, blocks: Iterable[Span]) -> str:
        """Join blocks of a transcript's contig and read them on its strand, 5′→3′."""
        contig = self.contig(transcript.contig)
        if contig is None:
            raise InputError(f"{self.name}: has no contig {transcript.contig!r} (of {transcript.name})")
        joined = "".join(self.letters(contig, begin, end) for begin, end in blocks)
        return joined if transcript.strand == "+" else reverse_complement(joined)

    def close(self) -> None:
        """Close the file."""
        self._fasta.close()
        self._forget_index()
