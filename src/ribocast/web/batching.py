"""Predicting for many callers at once: what waits while the network works is its next batch.

Nobody waits for others to come: a lone call is run at once, and calls that come meanwhile are run together.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from ribocast.bundle import AssayCard
from ribocast.predictor import Predictor
from ribocast.spelling import Spelled

Columns = dict[str, Any]
_WORKERS, _WORKERS_ALONE = 2, 8
"""Two, so that one batch's numbers become columns while the next is in the network."""
_WARM_ROWS = 64
_ROUNDED_ROWS = 256
"""Up to so many sequences are filled up to a round number; more of them are split into like batches anyway."""


class Ask(NamedTuple):
    """One call: checked sequences, on whose scale, and whether profiles are wanted."""

    spelled: Spelled
    assay: AssayCard
    profile: bool


class Batcher:
    """Runs a model for many callers; to be closed at the end.

    Parameters
    ----------
    model : Predictor
        The model.
    together : bool
        Whether calls are put together; else each is run by itself, several at a time.
    most_letters : int
        Letters of a batch; a larger call is run by itself.
    ran : callable, optional
        Told the calls and the sequences of each batch.
    """

    def __init__(
        self, model: Predictor, *, together: bool = True, most_letters: int = 250_000,
        ran: Callable[[int, int], None] | None = None,
    ) -> None:  # fmt: skip
        self._model, self._together, self._most, self._ran = model, together, most_letters, ran
        self._waiting: deque[tuple[Ask, Future[Columns]]] = deque()
        self._changed, self._closed = threading.Condition(), False
        # OpenVINO takes its memory when batches first come that are large enough to be shared out: now, not at the
        # busiest moment.
        model.run(Spelled.of(["A" * 50] * _WARM_ROWS))
        workers = _WORKERS if together else _WORKERS_ALONE
        self._threads = [threading.Thread(target=self._work, name="batcher", daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, ask: Ask) -> Future[Columns]:
        """Hand in a call; the result is what `Predictor.columns` gives, but ``note`` too is indexed by row."""
        future: Future[Columns] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the server is stopping")
            self._waiting.append((ask, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Finish what was handed in, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while calls := self._take():
            try:
                self._run(calls)
            except BaseException as error:
                for _, future in calls:
                    if not future.done():
                        future.set_exception(error)

    def _take(self) -> list[tuple[Ask, Future[Columns]]]:
        """Wait for calls and take as many as may go together; none at the end."""
        taken: list[tuple[Ask, Future[Columns]]] = []
        letters = 0
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            while self._waiting and (not taken or self._together):
                ask, future = self._waiting[0]
                if taken and letters + len(ask.spelled.letters) > self._most:
                    break
                self._waiting.popleft()
                # Of a caller who has gone, nothing is computed.
                if future.set_running_or_notify_cancel():
                    taken.append((ask, future))
                    letters += len(ask.spelled.letters)
        return taken or (self._take() if not self._closed or self._waiting else [])

    def _run(self, calls: list[tuple[Ask, Future[Columns]]]) -> None:
        outputs = self._model.run(rounded(Spelled.joined([ask.spelled for ask, _ in calls])))
        groups: dict[tuple[str, bool], list[tuple[Ask, Future[Columns], slice]]] = {}
        first = 0
        for ask, future in calls:
            rows = slice(first, first + len(ask.spelled))
            groups.setdefault((ask.assay.name, ask.profile), []).append((ask, future, rows))
            first = rows.stop
        if self._ran:
            self._ran(len(calls), first)
        for members in groups.values():
            self._answer(members, outputs)

    def _answer(self, members: list[tuple[Ask, Future[Columns], slice]], outputs: Any) -> None:
        """Make the columns of calls on one scale together, and give each caller its rows."""
        import numpy as np

        ask = members[0][0]
        spelled = Spelled.joined([one.spelled for one, _, _ in members])
        mine = np.concatenate([outputs[rows, self._model.number(ask.assay)] for _, _, rows in members])
        columns = self._model.columns(spelled, mine, ask.assay, profile=ask.profile)
        first = 0
        for one, future, _ in members:
            rows = slice(first, first + len(one.spelled))
            future.set_result({name: values[rows] for name, values in columns.items()})
            first = rows.stop


def rounded(spelled: Spelled) -> Spelled:
    """Fill sequences up to one of 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on, by repeating the shortest.

    What waits is of ever other numbers, and OpenVINO keeps memory for each shape that it meets.
    """
    rows = len(spelled)
    if not 0 < rows <= _ROUNDED_ROWS:
        return spelled
    whole = 1 << (rows - 1).bit_length()
    wanted = whole * 3 // 4 if whole >= 4 and rows <= whole * 3 // 4 else whole
    if wanted == rows:
        return spelled
    shortest = int(spelled.lengths.argmin())
    letters = spelled.letters[spelled.bounds[shortest] : spelled.bounds[shortest + 1]]
    return Spelled.joined([spelled, *[Spelled.of([letters.decode()])] * (wanted - rows)])
