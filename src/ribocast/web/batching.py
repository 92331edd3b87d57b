"""Predicting for many callers at once: what waits while the network works is its next batch.

Nobody waits for others to come: a lone call is run at once, and calls that come meanwhile are run together.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ribocast.errors import StoppedError
from ribocast.model.bundle import AssayCard
from ribocast.model.predictor import Predictor
from ribocast.model.stopping import stopping_when
from ribocast.sequence.batch import Batch
from ribocast.web.limits import stopping
from ribocast.web.turns import Workers, client_now

Columns = dict[str, Any]
_WORKERS, _WORKERS_ALONE = 2, 8
"""Two, so that one batch's numbers become columns while the next is in the network."""
_WARM_ROWS = 64
_ROUNDED_ROWS = 256
"""Up to this many sequences are filled up to a round number; more of them are split into like batches anyway."""


class Ask(NamedTuple):
    """One call: checked sequences, in which assay's units, and whether profiles are wanted."""

    batch: Batch
    assay: AssayCard
    profile: bool


@dataclass(eq=False)
class _Call:
    """A call, whose result is what its parts gave."""

    ask: Ask
    left: int
    parts: dict[int, Columns] = field(default_factory=dict)
    result: Future[Columns] = field(default_factory=Future)


class _Part(NamedTuple):
    """Some rows of a call, from its row `first` on."""

    call: _Call
    first: int
    batch: Batch


class Batcher(Workers[_Part]):
    """Runs a model for many callers, in turn; to be closed at the end.

    Parameters
    ----------
    model : Predictor
        The model.
    together : bool
        Whether calls are put together; else each is run by itself, several at a time.
    most_letters : int
        Letters of a batch; a larger call is run in parts, with those of others between them.
    ran : callable, optional
        Told the calls and the sequences of each batch.
    """

    def __init__(
        self, model: Predictor, *, together: bool = True, most_letters: int = 50_000,
        ran: Callable[[int, int], None] | None = None,
    ) -> None:  # fmt: skip
        self._model, self._together, self._most, self._ran = model, together, most_letters, ran
        # OpenVINO takes its memory when batches first come that are large enough to be shared out: now, not at the
        # busiest moment.
        model.run(Batch.of(["A" * 50] * _WARM_ROWS))
        super().__init__("batcher", _WORKERS if together else _WORKERS_ALONE)

    def submit(self, ask: Ask) -> Future[Columns]:
        """Hand in a call; the result is what `Predictor.columns` gives, but ``note`` too is indexed by row.

        Nothing more is computed for a result that is cancelled.

        Raises
        ------
        RefusedError
            With 503 after `close`.
        """
        parts = _parts(ask.batch, self._most)
        call, client = _Call(ask, len(parts)), client_now.get()
        with self._changed:
            if self._is_closed:
                raise stopping()
            for first, batch in parts:
                self._waiting.add(client, _Part(call, first, batch))
            self._changed.notify_all()
        return call.result

    def close(self) -> None:
        """Take and do no more; what runs is told to stop."""
        with self._changed:
            self._is_closed = True
            unanswered = {part.call for part in (*self._waiting.clear(), *self._running)}
            self._changed.notify_all()
        for call in unanswered:
            _fail(call, stopping())

    def _work_once(self) -> bool:
        parts = self._take()
        try:
            if parts:
                with stopping_when(lambda: all(part.call.result.done() for part in parts)):
                    self._run(parts)
        except StoppedError:
            pass
        except BaseException as error:
            for part in parts:
                _fail(part.call, error)
        finally:
            self._stop_running(parts)
        return bool(parts)

    def _take(self) -> list[_Part]:
        """Wait for calls and take as many as may go together; none at the end."""
        taken: list[_Part] = []
        letters = 0
        with self._changed:
            while not taken:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return []
                while (found := self._waiting.first()) and (not taken or self._together):
                    client, part = found
                    if taken and letters + len(part.batch.letters) > self._most:
                        break
                    self._waiting.take(client)
                    # Of a caller who has gone, nothing is computed.
                    if not part.call.result.done():
                        taken.append(part)
                        letters += len(part.batch.letters)
            self._running += taken
        return taken

    def _run(self, parts: list[_Part]) -> None:
        outputs = self._model.run(rounded(Batch.joined([part.batch for part in parts])))
        groups: dict[tuple[str, bool], list[tuple[_Part, slice]]] = {}
        first = 0
        for part in parts:
            rows = slice(first, first + len(part.batch))
            groups.setdefault((part.call.ask.assay.name, part.call.ask.profile), []).append((part, rows))
            first = rows.stop
        if self._ran:
            self._ran(len(parts), first)
        for members in groups.values():
            self._answer(members, outputs)

    def _answer(self, members: list[tuple[_Part, slice]], outputs: Any) -> None:
        """Make the columns of calls on one scale together, and give each caller its rows."""
        ask = members[0][0].call.ask
        batch = Batch.joined([part.batch for part, _ in members])
        mine = np.concatenate([outputs[rows, self._model.number(ask.assay)] for _, rows in members])
        columns = self._model.columns(batch, mine, ask.assay, profile=ask.profile)
        first = 0
        for part, _ in members:
            rows = slice(first, first + len(part.batch))
            self._give(part, {name: values[rows] for name, values in columns.items()})
            first = rows.stop

    def _give(self, part: _Part, columns: Columns) -> None:
        call = part.call
        with self._changed:
            call.parts[part.first] = columns
            call.left -= 1
            is_whole = call.left == 0
        if is_whole and call.result.set_running_or_notify_cancel():
            call.result.set_result(_whole([call.parts[first] for first in sorted(call.parts)]))


def _fail(call: _Call, error: BaseException) -> None:
    with suppress(InvalidStateError):
        call.result.set_exception(error)


def _parts(batch: Batch, most: int) -> list[tuple[int, Batch]]:
    """Divide sequences into parts of about `most` letters, each with the number of its first row."""
    if len(batch.letters) <= most:
        return [(0, batch)]
    parts, first, bounds = [], 0, batch.bounds
    while first < len(batch):
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + most, side="right")) - 1)
        letters = batch.letters[bounds[first] : bounds[last]]
        parts.append((first, Batch(letters, bounds[first : last + 1] - bounds[first], batch.is_clean)))
        first = last
    return parts


def _whole(parts: list[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {
        name: np.concatenate([part[name] for part in parts])
        if isinstance(values, np.ndarray)
        else [value for part in parts for value in part[name]]
        for name, values in parts[0].items()
    }


def rounded(batch: Batch) -> Batch:
    """Fill sequences up to one of 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on, by repeating the shortest.

    What waits is of ever other numbers, and OpenVINO keeps memory for each shape that it meets.
    """
    rows = len(batch)
    if not 0 < rows <= _ROUNDED_ROWS:
        return batch
    whole = 1 << (rows - 1).bit_length()
    wanted = whole * 3 // 4 if whole >= 4 and rows <= whole * 3 // 4 else whole
    if wanted == rows:
        return batch
    return Batch.joined([batch, *[batch.take(np.array([batch.lengths.argmin()]))] * (wanted - rows)])
