"""Predicting a whole file: rows in, the same rows with their predictions out, in bounded memory.

Three things go on at the same time: this thread reads and checks pieces, two others run the network (one encodes while
the other's batches run), and one writes. Pieces are of a fixed size and at most a few are under way.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ribocast import __version__
from ribocast.arrow import as_array, from_texts
from ribocast.engine import Outputs
from ribocast.errors import RibocastError
from ribocast.journal import Journal
from ribocast.predictor import LONGEST, Predictor
from ribocast.seen import Question, Seen
from ribocast.sequence import Fault
from ribocast.sieve import OnError, Sieve, make_room
from ribocast.spelling import Spelled
from ribocast.tables import Chunk, read_chunks
from ribocast.writing import TableSink, open_table

_PREDICT_ROWS = 16_384
_UNDER_WAY = 4


class Predicted(NamedTuple):
    """What was done with a file.

    Attributes
    ----------
    rows, skipped : int
        Rows predicted, rows left out.
    rejects : Path or None
        Where those are listed.
    networked : int
        Sequences that the network ran for: neither repeats nor resumed.
    """

    rows: int
    skipped: int
    rejects: Path | None
    networked: int


class _Stopped(Exception):  # noqa: N818 (nothing is wrong with it)
    """The work is given up; why is told elsewhere."""


class _Piece(NamedTuple):
    """Rows on their way: the different sequences among them, which of these each row has, and which are new."""

    chunk: Chunk
    spelled: Spelled
    number_of: NDArray[np.int64]
    question: Question
    new: Spelled
    answers: Future[Outputs]
    was_resumed: bool


def predict_file(
    model: Predictor,
    path: str | Path,
    output: str | Path | None,
    *,
    assay: str | None = None,
    column: str | None = None,
    profile: bool = False,
    on_error: OnError = "stop",
    resume: bool = False,
    done: Callable[[int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Predict every row of a table and write the table with the predictions added.

    A sequence that stands in the file again, in any spelling, is not predicted again unless 262,144 different ones (or
    64 MB of letters) were since.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    path : str or Path
        Any table that `ribocast.tables.read_chunks` reads; ``-`` is standard input.
    output : str or Path, optional
        Any ending of `ribocast.writing.TABLE_ENDINGS`; standard output without it.
    assay : str, optional
        On whose scale; the model's default assay without it.
    column : str, optional
        The column of the sequences.
    profile : bool
        Add the polysome profile, ``r0`` …
    on_error : {"stop", "skip"}
        ``skip`` leaves unusable rows out and lists them, with the reason, in ``NAME.rejected.csv`` beside the
        output (by `say` where that is standard output).
    resume : bool
        Go on with a run to the same output that was killed or interrupted: what it had predicted is not predicted
        again, and the output is the same to the byte as if it had not been stopped (on the same machine).
    done : callable, optional
        Told the number of rows after each chunk.
    say : callable, optional
        Told, in a line, what the user should know.

    Raises
    ------
    RibocastError
        For an unreadable table or output, an unknown assay, and, unless they are skipped, the first bad row. Then
        no file is written; standard output has the rows before. On `resume`, also if the stopped run was of another
        model, assay or machine's engine.
    """
    say, done = say or (lambda _: None), done or (lambda _: None)
    run = _Run(model, assay, profile, say)
    with ExitStack() as stack:
        journal = None
        if "-" not in (str(path), str(output or "-")):
            journal = stack.enter_context(_journal(run, output or "", resume, say))
        elif resume:
            raise RibocastError("--resume needs an input file and an output file (-o)")
        mark = "resumable" if journal and journal.is_open else ""
        sink = stack.enter_context(open_table(output, mark=mark))
        sieve = stack.enter_context(Sieve(on_error, path, output, say, mark))
        rows = run.pump(read_chunks(path, column=column, chunk_rows=_PREDICT_ROWS), sieve, sink, journal, done)
        sieve.refuse_nothing(rows)
    return Predicted(rows, sieve.count, sieve.path if sieve.count else None, run.networked)


@contextmanager
def _journal(run: _Run, output: str | Path, resume: bool, say: Callable[[str], None]) -> Iterator[Journal]:
    journal = Journal(output, run.terms(), resume=resume, say=say)
    failed = True
    try:
        yield journal
        failed = False
    finally:
        if journal.close(failed=failed) and run.networked:
            say(f"{output}: what was predicted is kept; --resume goes on from there")


class _Run:
    """One file's way through reading, the network and writing."""

    def __init__(self, model: Predictor, assay: str | None, profile: bool, say: Callable[[str], None]) -> None:
        self.model, self.profile, self.say = model, profile, say
        self.assay = model.card.assay(assay)
        if profile:
            model.check_profile()
        self.networked = 0
        self._seen = Seen(model.card.width)
        self._stop = threading.Event()
        self._is_first = True

    def terms(self) -> dict[str, str]:
        """Return what the network's numbers depend on, to the last bit, beside the sequences."""
        engine, card = self.model.engine, self.model.card.model_dump_json().encode()
        return {
            "ribocast": __version__,
            "model": f"{self.model.card.name} {hashlib.sha256(card).hexdigest()[:16]}",
            "assay": self.assay.name,
            "engine": f"{engine.name} {engine.version} with {engine.streams} streams",
            "pieces": f"{_PREDICT_ROWS} rows",
        }

    def pump(
        self, chunks: Iterator[Chunk], sieve: Sieve, sink: TableSink, journal: Journal | None,
        done: Callable[[int], None],
    ) -> int:  # fmt: skip
        """Keep reading, the network and writing at work; return the number of rows."""
        rows, reading = 0, True
        under_way: deque[Future[int]] = deque()

        def finish(most: int) -> None:
            nonlocal rows
            while len(under_way) > most:
                rows += under_way.popleft().result()
                done(rows)

        with ThreadPoolExecutor(2, "network") as network, ThreadPoolExecutor(1, "writing") as writing:
            try:
                for chunk in chunks:
                    good, spelled = self._check(chunk, sieve)
                    reading = False
                    if len(good):
                        piece = self._begin(good, spelled, network, journal)
                        under_way.append(writing.submit(self._write, piece, sink, journal))
                    finish(_UNDER_WAY)
                    reading = True
                reading = False
                finish(0)
            except BaseException as error:
                # Rows before a bad one belong on standard output; a file will not be there anyway.
                if reading and journal is None and isinstance(error, RibocastError):
                    finish(0)
                self._stop.set()
                for pool in (network, writing):
                    pool.shutdown(wait=False, cancel_futures=True)
                raise
        return rows

    def _check(self, chunk: Chunk, sieve: Sieve) -> tuple[Chunk, Spelled]:
        """Leave the rows out that cannot be predicted, or stop at the first."""
        spelled = Spelled.of_column(chunk.table[chunk.seq_column])
        suspects = spelled.suspects(LONGEST)
        if not suspects.size:
            return chunk, spelled
        rows = np.zeros(len(chunk), dtype=bool)
        rows[suspects] = True
        faults = self.model.faults(chunk.keep(rows).utrs)
        good = sieve.keep(chunk, [Fault(int(suspects[fault.row]), fault.reason) for fault in faults])
        return good, Spelled.of_column(good.table[good.seq_column])

    def _begin(self, chunk: Chunk, spelled: Spelled, network: ThreadPoolExecutor, journal: Journal | None) -> _Piece:
        """Have the network run for the sequences that are new, unless the journal has them."""
        utrs, number_of = spelled.distinct()
        question = self._seen.ask(utrs)
        new = Spelled.of(utrs if question.is_new.all() else list(compress(utrs, question.is_new)))
        kept = journal.replay(new.checksum, len(new), self.model.card.width) if journal else None
        if kept is None:
            self.networked += len(new)
            answers = network.submit(self._answer, new)
        else:
            answers = Future()
            answers.set_result(kept)
        return _Piece(chunk, spelled, number_of, question, new, answers, kept is not None)

    def _answer(self, new: Spelled) -> Outputs:
        outputs = self.model.run(new, before_batch=self._stay)
        return np.ascontiguousarray(outputs[:, self.model.number(self.assay)])

    def _stay(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _write(self, piece: _Piece, sink: TableSink, journal: Journal | None) -> int:
        """Write a piece when its answers are there; pieces come in order."""
        answers = piece.answers.result()
        if journal and not piece.was_resumed:
            journal.add(piece.new.checksum, answers)
        outputs = self._seen.answer(piece.question, answers)[piece.number_of]
        # Far below any measurement's precision, and short to read; shares still sum to 1 within 1e-7.
        columns = {
            name: as_array(values.astype(np.float64).round(8 if name.startswith("r") else 5))
            for name, values in self.model.columns(outputs, self.assay, profile=self.profile).items()
        }
        notes, note_of = self.model.notes(piece.spelled, self.assay)
        columns["note"] = from_texts(notes).take(as_array(note_of))
        sink.write(_with_predictions(piece.chunk, columns, self.say if self._is_first else None))
        self._is_first = False
        return len(piece.chunk)


def _with_predictions(chunk: Chunk, columns: Mapping[str, pa.Array], say: Callable[[str], None] | None) -> pa.Table:
    renamed = make_room(chunk.table.column_names, columns)
    if renamed and say:
        changes = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
        say(f"the input has columns named like predictions: {changes}")
    table = chunk.table.rename_columns([renamed.get(name, name) for name in chunk.table.column_names])
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table
