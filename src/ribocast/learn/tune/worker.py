"""Training without one fold of the rows, and predicting it: the work of one of several processes.

It is started by `ribocast.learn.tune.pool`. Tasks come in on standard
input and results go out on standard output, one JSON object a line; it ends when standard input does, that is, with its
parent.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ribocast.errors import RibocastError
from ribocast.io.writers import whole_file
from ribocast.learn.data.assays import Assay
from ribocast.learn.device import pick_device
from ribocast.learn.evaluation.metrics import score
from ribocast.learn.recipe import Recipe
from ribocast.learn.train.loop import Step
from ribocast.learn.train.setup import prepare

FOLD_COLUMN = "fold"


@dataclass(frozen=True)
class TrialSetup:
    """What all trials of a search have in common.

    Attributes
    ----------
    rows : str
        A Parquet file of training rows (`ribocast.learn.data.assays.training_rows`) and the fold of each.
    assays : dict of str to Assay
        Those of the rows.
    model : str
        The architecture.
    seed : int
        Of weights, order and dropout: the same in every fold of every trial, so that trials differ by settings alone.
    threads : int
        CPU threads of a process.
    device : str or None
        As for `ribocast.learn.fit`.
    """

    rows: str
    assays: dict[str, Assay]
    model: str
    seed: int
    threads: int
    device: str | None


def predict_fold(
    setup: TrialSetup, rows: pd.DataFrame, fold: int, settings: Mapping[str, Any], recipe: Recipe,
    watch: Callable[[Step], None] | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Train on all rows but one fold, for all epochs of the recipe, and predict the fold by the last.

    No epoch is chosen by the rows that score, for that would flatter.

    Returns
    -------
    numpy.ndarray of float64, shape (rows in the fold,)
        Ribosomes per mRNA.
    """
    unseen = (rows[FOLD_COLUMN] == fold).to_numpy()
    loop = prepare(
        rows, np.flatnonzero(~unseen), rows.iloc[:0], assays=setup.assays, model=setup.model, settings=settings,
        recipe=recipe, seed=setup.seed, device=pick_device(setup.device), name=setup.model,
    )  # fmt: skip
    for epoch in range(1, recipe.epochs + 1):
        loop.learn(epoch, [], watch)
    loop.settle()
    return loop.predict(rows[unseen])


def score_fold(rows: pd.DataFrame, predicted: NDArray[np.float64]) -> float:
    """Return the squared Pearson correlation with the measured MRLs, the mean over assays.

    A correlation that is negative or undefined counts as none: its square would reward predicting the opposite.
    """
    measured, scores = rows["mrl"].to_numpy(np.float64), []
    for name in rows["assay"].unique():
        mine = (rows["assay"] == name).to_numpy()
        r = score(measured[mine], predicted[mine], resamples=0).pearson_r
        scores.append(r * r if r > 0 else 0.0)
    return float(np.mean(scores))


class _Stopped(Exception):  # noqa: N818
    """The parent wants this no more."""


class _Worker:
    def __init__(self, lines: IO[str], answers: IO[str]) -> None:
        self._answers = answers
        self._tasks: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._stop = threading.Event()
        self._alone = False
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()

    def run(self) -> None:
        first = self._tasks.get()
        if first is None:
            return
        setup = TypeAdapter(TrialSetup).validate_python(first)
        torch.set_num_threads(setup.threads)
        rows = pd.read_parquet(setup.rows)
        while task := self._tasks.get():
            result = self._do(setup, rows, task)
            if self._alone:
                return
            self._answers.write(json.dumps(result) + "\n")
            self._answers.flush()

    def _do(self, setup: TrialSetup, rows: pd.DataFrame, task: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        try:
            predicted = predict_fold(
                setup, rows, task["fold"], task["settings"], Recipe(**task["recipe"]), self._watch
            )  # fmt: skip
            r2 = score_fold(rows[rows[FOLD_COLUMN] == task["fold"]], predicted)
            with whole_file(task["output"]) as partial, partial.open("wb") as file:
                np.save(file, predicted.astype(np.float32), allow_pickle=False)
        except _Stopped:
            self._stop.clear()
            return {"stopped": True}
        except (RibocastError, MemoryError, RuntimeError) as error:
            # PyTorch tells of too little memory by a RuntimeError.
            return {"error": (str(error) or "not enough memory").splitlines()[0]}
        return {"r2": r2, "seconds": time.perf_counter() - began}

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            message = json.loads(line)
            if message == "stop":
                self._stop.set()
            else:
                self._stop.clear()
                self._tasks.put(message)
        # The parent has ended.
        self._alone = True
        self._stop.set()
        self._tasks.put(None)

    def _watch(self, _: Step) -> None:
        if self._stop.is_set():
            raise _Stopped


def main() -> None:
    """Work until standard input ends."""
    answers = sys.stdout
    # Whatever else prints must not come between results.
    sys.stdout = sys.stderr
    _Worker(sys.stdin, answers).run()
