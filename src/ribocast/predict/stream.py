"""Rows of a file through the network: the same rows out, with columns added, in bounded memory.

Three things go on at the same time: this thread reads and checks pieces, two others run the network (one encodes while
the other's batches run), and one writes. Pieces are of a fixed size and at most a few are under way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ribocast.errors import OptionError, RibocastError
from ribocast.io.output_paths import OutputPaths
from ribocast.io.rejects import OnError, RowFilter, add_columns
from ribocast.io.resume import terms_of_model
from ribocast.io.tables import Chunk
from ribocast.io.writers import TableSink, open_table
from ribocast.model.bundle import AssayCard
from ribocast.model.engine import Outputs
from ribocast.model.predictor import LONGEST, Predictor
from ribocast.predict.cache import AnswerCache, Lookup
from ribocast.predict.journal import MAGIC, Journal, journal_of
from ribocast.sequence.batch import Batch
from ribocast.sequence.letters import Fault

_UNDER_WAY = 4


class Predicted(NamedTuple):
    """What was done with a file.

    Attributes
    ----------
    rows, skipped : int
        Rows predicted, rows left out.
    rejects : Path or None
        Where those are listed.
    networked : int or None
        Sequences that the network ran for: neither repeats nor resumed. None where that is not counted.
    """

    rows: int
    skipped: int
    rejects: Path | None
    networked: int | None = None


class Work(Protocol):
    """What is done for a table.

    Attributes
    ----------
    model : Predictor
        Whose network runs.
    assay : AssayCard
        In which assay's units.
    like : str
        What the added columns hold, for people.
    piece_rows : int
        Rows of a piece.
    """

    model: Predictor
    assay: AssayCard
    like: str
    piece_rows: int

    def chunks(self) -> Iterator[Chunk]:
        """Read the table in pieces."""

    def batch(self, chunk: Chunk) -> Batch:
        """Return the first sequence of every row, then the second of every row, and so on; unchecked.

        They are cut at their start codons where that is asked for.
        """

    def faults(self, chunk: Chunk) -> list[Fault]:
        """Find the rows that cannot be used."""

    def columns(
        self, chunk: Chunk, utrs: Batch, number_of: NDArray[np.int64], outputs: Outputs
    ) -> Mapping[str, pa.Array]:
        """Make the columns to add from the different sequences and what the network gave for them, (n, width).

        `number_of` says which of them the rows have: shape (sequences of a row × rows,), in the order of `batch`.
        """


class _Stopped(Exception):  # noqa: N818 (nothing is wrong with it)
    """The work was stopped; why is told elsewhere."""


class _Piece(NamedTuple):
    """Rows on their way: their different sequences, which of them each has, and which are new."""

    chunk: Chunk
    utrs: Batch
    number_of: NDArray[np.int64]
    question: Lookup
    new: Batch
    answers: Future[Outputs]
    was_resumed: bool


def work_through(
    work: Work,
    path: str | Path,
    output: str | Path | None,
    *,
    on_error: OnError = "stop",
    resume: bool = False,
    keep: bool = True,
    may_be_empty: bool = False,
    done: Callable[[int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Write a table with columns added to every row.

    A sequence that stands in the file again, in any spelling, is not predicted again unless 262,144 different ones (or
    64 MB of letters) were since. For the parameters see `ribocast.predict.files.predict_file`; of a part of a table
    (`may_be_empty`) all rows may be left out.
    """
    say, done = say or (lambda _: None), done or (lambda _: None)
    run = _Run(work, say)
    with ExitStack() as stack:
        journal, are_files = None, "-" not in (str(path), str(output or "-"))
        if resume and not are_files:
            raise OptionError("--resume needs an input file and an output file (-o)")
        outputs = OutputPaths((path, work.model.bundle.folder))
        outputs.add(output)
        if are_files and keep:
            outputs.add(journal_of(output or ""), f"what is kept to resume {output}", begins=MAGIC)
        row_filter = RowFilter(on_error, outputs, output, say)
        if are_files and keep:
            journal = kept = Journal(output or "", run.terms(), resume=resume, say=say)

            def let_go(failed: object, *_: object) -> None:
                if kept.close(failed=failed is not None) and run.networked:
                    say(f"{output}: what was predicted is kept; --resume goes on from there")

            stack.push(let_go)
        sink = stack.enter_context(open_table(output))
        stack.enter_context(row_filter)
        rows = run.pump(work.chunks(), row_filter, sink, journal, done)
        if may_be_empty:
            run.write_header(sink)
        else:
            row_filter.refuse_nothing(rows)
    return Predicted(rows, row_filter.count, row_filter.path if row_filter.count else None, run.networked)


class _Run:
    """One file's way through reading, the network and writing."""

    def __init__(self, work: Work, say: Callable[[str], None]) -> None:
        self.work, self.model, self.say = work, work.model, say
        self.networked = 0
        self._seen = AnswerCache(self.model.card.width)
        self._stop = threading.Event()
        self._is_first = True
        self._nothing: Chunk | None = None

    def terms(self) -> dict[str, str]:
        """Return what the network's numbers depend on, to the last bit, beside the sequences."""
        engine, card = self.model.engine, self.model.card
        return {
            **terms_of_model(card.name, card.model_dump_json()),
            "assay": self.work.assay.name,
            "engine": f"{engine.name} {engine.version} with {engine.streams} streams",
            "pieces": f"{self.work.piece_rows} rows",
        }

    def pump(
        self, chunks: Iterator[Chunk], row_filter: RowFilter, sink: TableSink, journal: Journal | None,
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
                    sink.check(chunk.table.schema)
                    good, batch = self._check(chunk, row_filter)
                    reading = False
                    if len(good):
                        piece = self._begin(good, batch, network, journal)
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

    def _check(self, chunk: Chunk, row_filter: RowFilter) -> tuple[Chunk, Batch]:
        """Leave the rows out that cannot be predicted, or stop at the first."""
        batch = self.work.batch(chunk)
        suspects = np.unique(batch.suspects(LONGEST) % len(chunk))
        if not suspects.size:
            return chunk, batch
        rows = np.zeros(len(chunk), dtype=bool)
        rows[suspects] = True
        faults = self.work.faults(chunk.keep(rows))
        good = row_filter.keep(chunk, [Fault(int(suspects[fault.row]), fault.reason) for fault in faults])
        self._nothing = None if len(good) else good
        return good, self.work.batch(good)

    def _begin(self, chunk: Chunk, batch: Batch, network: ThreadPoolExecutor, journal: Journal | None) -> _Piece:
        """Have the network run for the sequences that are new, unless the journal has them."""
        utrs, number_of = batch.distinct()
        question = self._seen.ask(utrs.texts)
        new = utrs if question.is_new.all() else utrs.take(np.flatnonzero(question.is_new))
        kept = journal.replay(new.checksum, len(new), self.model.card.width) if journal else None
        if kept is None:
            self.networked += len(new)
            answers = network.submit(self._answer, new)
        else:
            answers = Future()
            answers.set_result(kept)
        return _Piece(chunk, utrs, number_of, question, new, answers, kept is not None)

    def _answer(self, new: Batch) -> Outputs:
        outputs = self.model.run(new, before_batch=self._stay)
        return np.ascontiguousarray(outputs[:, self.model.number(self.work.assay)])

    def _stay(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _write(self, piece: _Piece, sink: TableSink, journal: Journal | None) -> int:
        """Write a piece when its answers are there; pieces come in order."""
        answers = piece.answers.result()
        if journal and not piece.was_resumed:
            journal.add(piece.new.checksum, answers)
        columns = self.work.columns(
            piece.chunk, piece.utrs, piece.number_of, self._seen.answer(piece.question, answers)
        )
        say = self.say if self._is_first else None
        sink.write(add_columns(piece.chunk.table, columns, like=self.work.like, say=say))
        self._is_first = False
        return len(piece.chunk)

    def write_header(self, sink: TableSink) -> None:
        """Write the columns where no row was written."""
        if self._is_first and self._nothing is not None:
            outputs = np.zeros((0, self.model.card.width), dtype=np.float32)
            columns = self.work.columns(self._nothing, Batch.of([]), np.zeros(0, dtype=np.int64), outputs)
            sink.write(add_columns(self._nothing.table, columns, like=self.work.like, say=None))
