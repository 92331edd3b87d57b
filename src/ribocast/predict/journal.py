"""What a long prediction has predicted so far, beside its output, so that it can go on after it was killed.

The journal holds the network's own numbers for each piece of the input, not the output's text. A resumed run reads the
input again from its beginning, takes the numbers that are here, and runs the network from there on: its output is that
of a run which was never stopped, in any format, and the network does not run twice for a row. Each piece bears a
checksum of its letters, so that numbers are never taken for other sequences.
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from ribocast.errors import OutputError, UnavailableError
from ribocast.io.locks import is_at, take_lock
from ribocast.io.resume import refuse_other
from ribocast.io.writers import sync_folder
from ribocast.model.engine import Outputs

MAGIC = b"ribocast journal 1\n"
_LONGEST_TERMS = 65_536
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_WORTH_SECONDS = 10.0
"""A run that failed sooner leaves nothing: beginning again costs no more than knowing about it."""
# Checksum of the piece's letters; answers, and numbers in each; checksum of the answers.
_RECORD = struct.Struct("<IIII")


class Journal:
    """The answers of a run, piece by piece, in a hidden file beside its output.

    Parameters
    ----------
    output : str or Path
        The file that is being made.
    terms : mapping of str to str
        All that the numbers depend on but the sequences.
    resume : bool
        Take up what a stopped run left, instead of beginning anew.
    say : callable
        Told, in a line, what the user should know.

    Attributes
    ----------
    is_open : bool
        Whether anything is kept: not where another run holds the journal, or the folder cannot be written to (which
        whoever writes the output will say).
    holds : int
        Pieces in it.

    Raises
    ------
    RibocastError
        On `resume`, if the stopped run had other terms, or is still running.
    """

    def __init__(
        self, output: str | Path, terms: Mapping[str, str], *, resume: bool, say: Callable[[str], None]
    ) -> None:
        self._say, self._path = say, journal_of(output)
        self._file: IO[bytes] | None = None
        self._replaying = self._was_resumed = self._is_ours = False
        self._began = time.monotonic()
        self._head = MAGIC + json.dumps(dict(terms)).encode() + b"\n"
        self.holds = 0
        with suppress(OSError):
            self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666), "r+b")
        if self._file is None:
            return
        # Who held it before may have removed it by now.
        if not (take_lock(self._file.fileno()) and is_at(self._path, self._file.fileno())):
            self._let_go()
            if resume:
                raise UnavailableError(f"{output}: cannot resume: another run is writing it")
            return
        left = self._read_terms(self._file)
        if left is None and resume:
            say(f"{output}: no stopped run to resume; beginning one")
        elif left is not None and not resume:
            say(f"{output}: a stopped run could be resumed (--resume); beginning anew")
        elif left is not None:
            try:
                refuse_other(output, left, terms, "; without --resume it begins anew")
            except OutputError:
                self._let_go()
                raise
            self._replaying = self._was_resumed = True

    @property
    def is_open(self) -> bool:
        """Whether anything is kept."""
        return self._file is not None

    def replay(self, checksum: int, answers: int, width: int) -> Outputs | None:
        """Return the numbers of the next piece, or None from the first piece on that is not there as it is now.

        Parameters
        ----------
        checksum : int
            Of the piece's letters.
        answers, width : int
            The shape of what is expected.
        """
        if not self._replaying or self._file is None:
            return None
        began = self._file.tell()
        head = self._file.read(_RECORD.size)
        if len(head) == _RECORD.size:
            *piece, sum_of_answers = _RECORD.unpack(head)
            data = self._file.read(4 * answers * width)
            if piece != [checksum, answers, width]:
                self._say("the input is not what it was when the run was stopped: from here on it is predicted anew")
            elif len(data) == 4 * answers * width and zlib.crc32(data) == sum_of_answers:
                self.holds += 1
                return np.frombuffer(data, dtype="<f4").reshape(answers, width)
        # The rest is cut off in the middle, damaged, or of other sequences.
        self._file.seek(began)
        self._file.truncate()
        self._replaying = False
        return None

    def add(self, checksum: int, outputs: Outputs) -> None:
        """Keep the numbers of a piece that was predicted."""
        if self._file is None:
            return
        if not self._was_resumed and not self._is_ours:
            # Only now: a run that fails at once takes nothing from the one that was stopped before it.
            self._file.seek(0)
            self._file.truncate()
            self._file.write(self._head)
            self._is_ours = True
        data = np.ascontiguousarray(outputs, dtype="<f4").tobytes()
        self._file.write(_RECORD.pack(checksum, *outputs.shape, zlib.crc32(data)) + data)
        self._file.flush()
        os.fsync(self._file.fileno())
        if not self.holds:
            sync_folder(self._path.parent)
        self.holds += 1

    def close(self, *, failed: bool) -> bool:
        """Let go of the file; say whether it stays: after a failure, where there is something in it worth resuming."""
        if self._file is None:
            return False
        if self._is_ours:
            stays = failed and time.monotonic() - self._began > _WORTH_SECONDS
        else:
            stays = failed and os.fstat(self._file.fileno()).st_size > 0
        if not stays:
            with suppress(OSError):
                self._path.unlink()
        self._let_go()
        return stays

    def _let_go(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    @staticmethod
    def _read_terms(file: IO[bytes]) -> dict[str, str] | None:
        """Return the terms of the run that left a journal; None if there is none. The file is then at its pieces."""
        if file.readline(len(MAGIC)) != MAGIC:
            return None
        try:
            terms = json.loads(file.readline(_LONGEST_TERMS))
        except ValueError:
            return None
        return terms if isinstance(terms, dict) else None


def journal_of(output: str | Path) -> Path:
    """Return where the journal of an output is."""
    target = Path(os.path.realpath(output))
    return target.with_name(f".{target.name}.resume")
