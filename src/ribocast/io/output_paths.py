"""Where a run writes: all its outputs, compared with each other and with what it reads before anything is written."""

from __future__ import annotations

import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ribocast.errors import OutputError
from ribocast.io.writers import TABLE_ENDINGS, check_output

# How each list begins that is written beside an output without having been asked for by name.
LISTS = {"rejected": b"row,reason,", "skipped": b"gene,transcript,reason\n", "order": b"Name,Sequence"}


class OutputPaths:
    """The outputs of a run.

    Parameters
    ----------
    inputs : iterable of str or Path
        Files that are read, ``-``, or folders of models, whose ``model.*`` count; what is not a file is passed
        over (a sequence, None).
    """

    def __init__(self, inputs: Iterable[str | Path | None] = ()) -> None:
        self._inputs = {known for name in inputs if name is not None for known in _identities_of_input(str(name))}
        # By what the system knows them by, and by folder and name: what each is for.
        self._taken: dict[tuple[int, int], str] = {}
        self._names: dict[tuple[int, int, str], list[tuple[str, str]]] = {}

    def add(self, path: str | Path | None, what: str = "the output", *, begins: bytes | None = None) -> None:
        """Add an output; None names none, and ``-`` or no path with a `what` is standard output.

        Parameters
        ----------
        path : str, Path or None
            A file that will be written or removed.
        what : str
            What is written there, for people.
        begins : bytes, optional
            How a file begins that an earlier run wrote there. One that begins otherwise is somebody's own.

        Raises
        ------
        RibocastError
            If it cannot be written, is an input, is an output of this run already, or holds a file that is not ours.
        """
        if path is None or str(path) == "-":
            self._refuse_appending_to_an_input()
            return
        check_output(path)
        target = Path(os.path.realpath(path))
        known = _identity(target)
        if known is not None and known in self._inputs:
            raise OutputError(f"{path}: is an input: give another name")
        other = self._taken.get(known) if known else None
        folder = target.parent.stat()
        names = self._names.setdefault((folder.st_dev, folder.st_ino, _folded(target.name)), [])
        for name, taken in names:
            if name == target.name or not _tells_apart(target.parent, name, target.name):
                other = taken
        if other is not None:
            raise OutputError(f"{other} and {what} would both become {path}")
        if begins is not None and not begins_with(target, begins):
            raise OutputError(f"{path}: {what} goes there, but this file is not one of ribocast's: move it away")
        if known:
            self._taken[known] = what
        names.append((target.name, what))

    def add_list(self, output: str | Path | None, kind: str, what: str) -> Path | None:
        """Add the list of a kind (see ``LISTS``) that goes beside an output; return where. None beside stdout."""
        if output is None or str(output) == "-":
            return None
        listing = beside(output, kind)
        self.add(listing, what, begins=LISTS[kind])
        return listing

    def add_folder(self, folder: str | Path, names: Iterable[str]) -> None:
        """Add files of a folder, which need not be there."""
        folder = Path(folder)
        if Path(os.path.realpath(folder)).is_symlink():
            raise OutputError(f"{folder}: is a link that leads to itself")
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file; name a folder")
        for name in names:
            if folder.is_dir():
                self.add(folder / name, f"{name} of {folder}")

    def add_numbered(self, output: Path, what: str) -> None:
        """Add all of ``NAME-1.png``, ``NAME-2.png`` … for ``NAME.png``, as far as they are there."""
        pattern = re.compile(re.escape(output.stem) + r"-\d+" + re.escape(output.suffix), re.IGNORECASE)
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in output.parent.iterdir():
                if pattern.fullmatch(path.name):
                    self.add(path, what)

    def _refuse_appending_to_an_input(self) -> None:
        try:
            facts = os.fstat(1)
        except OSError:
            return
        if stat.S_ISREG(facts.st_mode) and (facts.st_dev, facts.st_ino) in self._inputs:
            raise OutputError("standard output is an input: send it to another file")


def beside(output: str | Path, kind: str) -> Path:
    """Name the list that goes beside an output: ``NAME.KIND.csv``."""
    path = Path(output) if Path(output).name.strip(".") else Path(output).resolve()
    endings = sorted((*TABLE_ENDINGS, ".vcf", ".vcf.gz"), key=len, reverse=True)
    ending = next((ending for ending in endings if path.name.lower().endswith(ending)), "")
    return path.with_name(f"{path.name[: len(path.name) - len(ending)]}.{kind}.csv")


def remove_list(path: Path, kind: str) -> bool:
    """Remove the list of an earlier run, which would pass for this one's; say whether there was one."""
    if not path.is_file() or not begins_with(path, LISTS[kind]):
        return False
    path.unlink(missing_ok=True)
    return True


def begins_with(path: Path, begins: bytes) -> bool:
    """Tell whether a file begins so, is empty (after a power cut) or is not there."""
    try:
        with path.open("rb") as file:
            found = file.read(len(begins))
    except FileNotFoundError:
        return True
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from None
    return found in (b"", begins)


def _identities_of_input(name: str) -> Iterable[tuple[int, int]]:
    """Return how the system knows an input, whatever it is called: device and number."""
    # A sequence may stand for a file, and be longer than a file's name.
    with suppress(OSError, ValueError):
        facts = os.fstat(0) if name == "-" else os.stat(name)  # noqa: PTH116
        if stat.S_ISDIR(facts.st_mode):
            parts = map(_identity, Path(name).glob("model.*"))
            return [part for part in parts if part]
        if stat.S_ISREG(facts.st_mode):
            return [(facts.st_dev, facts.st_ino)]
    return []


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError, ValueError):
        facts = path.stat()
        return facts.st_dev, facts.st_ino
    return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _tells_apart(folder: Path, one: str, other: str) -> bool:
    """Tell whether two names that differ in case or composition alone are two files in a folder."""
    begin = f".{secrets.token_hex(6)}."
    probe = folder / f"{begin}{one}"
    with suppress(OSError):
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            return not (folder / f"{begin}{other}").exists()
        finally:
            probe.unlink()
    return False
