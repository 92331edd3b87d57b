"""What people paste and upload: text boxes read as the tables that the command line reads."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ribocast.errors import RibocastError
from ribocast.sequence import to_dna
from ribocast.tables import Chunk, open_chunk
from ribocast.vcf import NO_CHANGE, Broken, Record, is_sequence, read_vcf

PASTED = "the pasted text"
_GZIP = b"\x1f\x8b"
_NO_HEADER = ["##fileformat=VCFv4.3\n", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"]
_MORE = "\t.\t.\t."
ALLELES = ("chrom", "pos", "id", "ref", "alt")
"""Of a row of a VCF, what is shown beside its scores."""


def read_box(text: str, name: str = PASTED) -> Chunk:
    """Read a table, FASTA or sequences, one a line.

    Raises
    ------
    RibocastError
        If there is nothing, or it has no sequences.
    """
    if not text.strip():
        raise RibocastError("paste sequences, or upload a file")
    return open_chunk(io.BytesIO(text.strip("\n").encode("utf-8", "replace")), name)


def read_lines(text: str) -> list[str]:
    """Read sequences, one a line; blank lines are left out."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_upload(path: str, folder: Path, most_bytes: int) -> str:
    """Read an uploaded text file, packed or not, and remove it.

    Parameters
    ----------
    path : str
        Where it was put, by us, under a name that we made.
    folder : Path
        Where uploads are put: nothing else is read.
    most_bytes : int
        Of the unpacked text.

    Raises
    ------
    RibocastError
        If it is too large, damaged or no text.
    """
    file = Path(path).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise RibocastError("this is no uploaded file")
    name = file.name
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == _GZIP
            stream.seek(0)
            source = gzip.GzipFile(fileobj=stream) if packed else stream
            # No further than this: a small packed file can be a very large one.
            data = source.read(most_bytes + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise RibocastError(f"{name}: the gzip data is damaged or cut short") from None
    except OSError as error:
        raise RibocastError(f"{name}: {error.strerror or error}") from None
    finally:
        _remove(file, folder)
    if len(data) > most_bytes:
        raise RibocastError(f"{name}: more than {most_bytes:,} bytes{' when unpacked' if packed else ''}")
    if b"\0" in data or data[:4] == b"PAR1":
        raise RibocastError(f"{name}: not a text file (it holds binary data)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RibocastError(f"{name}: not UTF-8 text (it holds the byte 0x{error.object[error.start]:02x})") from None


def _remove(file: Path, folder: Path) -> None:
    """Remove an upload, and the empty file that Gradio makes beside each."""
    with suppress(OSError):
        file.unlink()
        file.parent.rmdir()
    for other in folder.glob("tmp*"):
        with suppress(OSError):
            if other.is_file() and not other.stat().st_size:
                other.unlink()


def read_alleles(text: str, transcripts: Chunk) -> tuple[list[list[str]], list[str], list[str]]:
    """Read a VCF whose CHROM names a transcript, and whose POS counts from 1 in its pasted 5′ UTR.

    Returns
    -------
    tuple of (list of list of str, list of str, list of str)
        For each allele: what ``ALLELES`` says, the UTR, and the UTR with the allele.

    Raises
    ------
    RibocastError
        At the first row that cannot be read, or does not fit the UTRs.
    """
    if not text.strip():
        raise RibocastError("paste a VCF, or upload one")
    utrs: dict[str, str] = {}
    for name, utr in zip(_names(transcripts), transcripts.utrs, strict=True):
        if name in utrs:
            raise RibocastError(f"two UTRs are called {name[:60]}: CHROM must name one: change a first word")
        if utr is None:
            raise RibocastError(f"the UTR {name[:60]}: the sequence is missing")
        utrs[name] = to_dna(utr)
    lines = [f"{line}\n" for line in text.strip("\n").splitlines()]
    if not lines[0].startswith("#"):
        # Rows alone will do, of five columns or more.
        lines = [*_NO_HEADER, *(_padded(line) for line in lines)]
    shown, refs, alts = [], [], []
    for record in read_vcf(iter(lines), "the VCF", lambda: 0).rows:
        if isinstance(record, Broken):
            raise RibocastError(f"the VCF row {record.row}: {record.reason}")
        for alt, changed in _changed(record, utrs):
            shown.append([record.chrom, str(record.position), record.cells[2], record.ref, alt])
            refs.append(utrs[record.chrom])
            alts.append(changed)
    if not shown:
        raise RibocastError("the VCF: there are no rows")
    return shown, refs, alts


def _changed(record: Record, utrs: dict[str, str]) -> list[tuple[str, str]]:
    where = f"the VCF row {record.row}"
    utr = utrs.get(record.chrom)
    if utr is None:
        raise RibocastError(f"{where}: CHROM is {record.chrom[:60]!r}; the pasted UTRs are {', '.join(list(utrs)[:5])}")
    begin, ref = record.position - 1, record.ref.upper()
    there = utr[begin : begin + len(ref)] if begin >= 0 else ""
    if there != ref:
        raise RibocastError(f"{where}: REF is {ref[:60]}, but {record.chrom} has {there[:60] or 'nothing'} there")
    changed = []
    for alt in record.alts:
        if alt in NO_CHANGE:
            continue
        if not is_sequence(alt):
            raise RibocastError(f"{where}: ALT {alt[:60]!r} is no sequence")
        changed.append((alt, utr[:begin] + alt.upper() + utr[begin + len(ref) :]))
    return changed


def _names(transcripts: Chunk) -> Sequence[str]:
    """Name UTRs by the first word of their titles; one without a title is called utr1, and so on."""
    by_lower = {str(column).lower(): column for column in transcripts.frame.columns}
    column = next((by_lower[name] for name in ("id", "name", "chrom") if name in by_lower), None)
    titles = transcripts.frame[column] if column is not None else [""] * len(transcripts)
    return [str(title).split()[0] if str(title).split() else f"utr{at}" for at, title in enumerate(titles, start=1)]


def _padded(line: str) -> str:
    cells = line.rstrip("\n").count("\t") + 1
    return line.rstrip("\n") + _MORE + "\n" if cells == 5 else line
