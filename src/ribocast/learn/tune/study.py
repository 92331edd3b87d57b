"""A search on disk: an Optuna study in a journal, which several processes may share and any of them may leave.

Every change is one line of the journal, so that a process that is killed leaves a trial whole or not at all. Who works
on a trial holds a lock on it, which the system lifts when he ends: a trial that is begun and not locked is taken up
by the next to come, with its finished folds.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState, create_trial

from ribocast.errors import OutputError, UnavailableError
from ribocast.io.locks import FileLock
from ribocast.io.resume import refuse_other
from ribocast.io.writers import sync_folder
from ribocast.learn.tune.pruning import Trial, Verdict
from ribocast.learn.tune.space import Range, Space

JOURNAL_NAME = "study.journal"
ROWS_NAME = "rows.parquet"
FOLDS_NAME = "folds"
BEST_NAME = "best"
REFIT_PREFIX = "refit-"
SEARCH_FILES = (JOURNAL_NAME, ROWS_NAME, "trials.csv", "search.json", "importance.png")
"""What a search writes to its folder, beside the folders of folds, of the best model and of what it is made from."""
_NAME = "search"
_LOCKS = ".locks"
_OPEN = (TrialState.RUNNING, TrialState.WAITING)
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL,
           "unfinished": TrialState.RUNNING}  # fmt: skip


class Study:
    """The trials of a search.

    Parameters
    ----------
    folder : Path
        Of the search; it is there.
    facts : dict
        What is searched on what and how, in JSON's types; a study of another search is refused.
    space : Space
        For how values are written.

    Raises
    ------
    RibocastError
        If the journal is damaged, or of another search: it names the first fact that differs.
    """

    def __init__(self, folder: Path, facts: dict[str, Any], space: Space) -> None:
        self.folder, self._space = folder, space
        self._journal = folder / JOURNAL_NAME
        self._held: dict[int, FileLock] = {}
        (folder / _LOCKS).mkdir(exist_ok=True)
        with self.lock("study"), _quiet():
            try:
                backend = JournalFileBackend(str(self._journal), _JournalLock(self._journal, self.lock("journal")))
                self._storage = JournalStorage(backend)
                self._study = optuna.create_study(
                    storage=self._storage, study_name=_NAME, direction="maximize", load_if_exists=True
                )
                self._study_id = self._storage.get_study_id_from_name(_NAME)
                stored = self._study.user_attrs.get("facts")
            except (ValueError, KeyError, TypeError, AssertionError, AttributeError) as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                raise OutputError(f"{self._journal}: damaged: {reason}") from None
            # Optuna sees to what it writes, but not to the file's name.
            sync_folder(folder)
            if stored is None:
                self._study.set_user_attr("facts", facts)
                stored = facts
        refuse_other(self._journal, stored, facts)

    def lock(self, name: str) -> FileLock:
        """Return the lock of that name; it is not taken yet."""
        return FileLock(self.folder / _LOCKS / name)

    def trials(self) -> list[Trial]:
        """Return all trials, in the order of their numbers."""
        return [self._read(frozen) for frozen in self._study.get_trials(deepcopy=False)]

    def claim(self, most: int | None, propose: Callable[[list[Trial]], dict[str, Any] | None]) -> int | None:
        """Take up a trial that was left, or begin a new one.

        Parameters
        ----------
        most : int, optional
            How many trials there may be.
        propose : callable
            Given the trials so far, returns the values of the next, or None if there is none.

        Returns
        -------
        int or None
            Its number; None if there is nothing to take up or begin.
        """
        with self.lock("study"):
            every = self._study.get_trials(deepcopy=False)
            for frozen in every:
                if frozen.state in _OPEN and frozen.number not in self._held and self._hold(frozen.number):
                    return frozen.number
            if most is not None and len(every) >= most:
                return None
            trials = [self._read(frozen) for frozen in every]
            values = propose(trials)
            if values is None:
                return None
            number = len(every)
            self._hold(number)
            # Whoever proposes the same again need not train it again.
            twin = next((trial for trial in trials if trial.values == values and trial.scores), None)
            attributes = {} if twin is None else {_fold_name(fold): [r2, 0.0] for fold, r2 in twin.scores.items()}
            self._study.add_trial(self._write(values, TrialState.RUNNING, user_attrs=attributes))
            return number

    def others_at_work(self) -> list[int]:
        """Return the numbers of open trials that another process holds."""
        theirs = []
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.state in _OPEN and frozen.number not in self._held:
                lock = self.lock(f"trial-{frozen.number}")
                if not lock.try_acquire():
                    theirs.append(frozen.number)
                lock.release()
        return theirs

    def record(self, number: int, fold: int, r2: float, seconds: float) -> None:
        """Write down the score of a fold."""
        self._set(number, _fold_name(fold), [r2, seconds])

    def record_failure(self, number: int, fold: int, reason: str) -> None:
        """Write down why a fold could not be scored."""
        self._set(number, f"failure {fold + 1}", reason)

    def end(self, verdict: Verdict) -> None:
        """Close a trial and let go of it."""
        number = verdict.trial.number
        for done in range(1, len(verdict.scores) + 1):
            mean = float(np.mean(verdict.scores[:done]))
            self._storage.set_trial_intermediate_value(self._id(number), done, mean)
        value = None if verdict.state == "failed" else [verdict.mean]
        self._storage.set_trial_state_values(self._id(number), _STATES[verdict.state], value)
        self._held.pop(number).release()

    def release_all(self) -> None:
        """Let go of the trials that are not closed."""
        for lock in self._held.values():
            lock.release()
        self._held.clear()

    @property
    def refitted(self) -> int | None:
        """The number of the trial whose settings were refitted."""
        number = self._study.user_attrs.get("refitted")
        return number if isinstance(number, int) else None

    @refitted.setter
    def refitted(self, number: int) -> None:
        self._study.set_user_attr("refitted", number)

    def suggest(self, verdicts: list[Verdict], seed: int) -> dict[str, Any]:
        """Propose values by TPE (Bergstra et al., NIPS 24, 2011), which depend on the verdicts and the seed alone."""
        with _quiet():
            own_seed = int(np.random.SeedSequence([seed, len(verdicts)]).generate_state(1)[0])
            copy = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=own_seed))
            for verdict in verdicts:
                if verdict.state != "failed":
                    value = None if verdict.state == "unfinished" else verdict.mean
                    reported = {len(verdict.scores): verdict.mean} if verdict.state == "pruned" else None
                    state = _STATES[verdict.state]
                    copy.add_trial(self._write(verdict.trial.values, state, value=value, intermediate_values=reported))
            asked = copy.ask(self._distributions())
        return {name: self._from_optuna(name, value) for name, value in asked.params.items()}

    def _hold(self, number: int) -> bool:
        lock = self.lock(f"trial-{number}")
        if not lock.try_acquire():
            return False
        self._held[number] = lock
        return True

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _set(self, number: int, name: str, value: Any) -> None:
        self._storage.set_trial_user_attr(self._id(number), name, value)

    def _read(self, frozen: FrozenTrial) -> Trial:
        scores, seconds, failures = {}, {}, {}
        for name, value in frozen.user_attrs.items():
            kind, _, fold = name.partition(" ")
            if kind == "fold":
                scores[int(fold) - 1], seconds[int(fold) - 1] = value
            elif kind == "failure":
                failures[int(fold) - 1] = value
        values = {name: self._from_optuna(name, frozen.params[name]) for name in self._space.settings}
        return Trial(frozen.number, values, scores, seconds, failures)

    def _write(self, values: Mapping[str, Any], state: TrialState, **more: Any) -> FrozenTrial:
        params = {name: _plain(value) for name, value in values.items()}
        return create_trial(state=state, params=params, distributions=self._distributions(), **more)

    def _distributions(self) -> dict[str, BaseDistribution]:
        made: dict[str, BaseDistribution] = {}
        for name, choice in self._space.settings.items():
            if not isinstance(choice, Range):
                made[name] = CategoricalDistribution([_plain(value) for value in choice])
            elif isinstance(choice.low, int) and isinstance(choice.high, int):
                made[name] = IntDistribution(choice.low, choice.high, choice.log, int(choice.step or 1))
            else:
                made[name] = FloatDistribution(choice.low, choice.high, choice.log, choice.step)
        return made

    def _from_optuna(self, name: str, value: Any) -> Any:
        choice = self._space.settings[name]
        return value if isinstance(choice, Range) else next(own for own in choice if _plain(own) == value)


class _JournalLock(JournalFileOpenLock):
    """Optuna's own stay behind when their holder is killed, until half a minute has passed."""

    def __init__(self, journal: Path, lock: FileLock) -> None:
        super().__init__(str(journal))
        self._journal, self._lock = journal, lock

    def acquire(self) -> bool:
        self._lock.acquire()
        # Who was killed while he wrote left half a line: what is added must not follow on it.
        with self._journal.open("r+b") as file:
            size = file.seek(0, 2)
            tail = b""
            while size and not tail.endswith(b"\n"):
                file.seek(size - 1)
                tail = file.read(1)
                size -= tail != b"\n"
            file.truncate(size)
        return True

    def release(self) -> None:
        self._lock.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's remarks from the user, and leave its settings as they were."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        optuna.logging.set_verbosity(level)


def clear(folder: Path) -> None:
    """Remove a search from its folder.

    Raises
    ------
    RibocastError
        If another process is at work on it.
    """
    with ExitStack() as stack:
        for lock in map(FileLock, sorted((folder / _LOCKS).glob("*"))):
            if not lock.try_acquire():
                raise UnavailableError(f"{folder}: another process is at work on the search there")
            stack.callback(lock.release)
        (folder / JOURNAL_NAME).unlink(missing_ok=True)
        (folder / ROWS_NAME).unlink(missing_ok=True)
        for path in _folders(folder):
            shutil.rmtree(path, ignore_errors=True)


def refuse_others(folder: Path) -> None:
    """Raise if a folder that holds no search holds something that one would replace or remove."""
    if (folder / JOURNAL_NAME).exists():
        return
    there = [name for name in SEARCH_FILES if (folder / name).exists()]
    # An empty one may be of a search that was killed before it had begun.
    there += [path.name for path in _folders(folder) if path.is_dir() and any(path.iterdir())]
    if there:
        raise OutputError(f"{folder}: holds {there[0]}, but no search: it would be replaced; give another folder")


def _folders(folder: Path) -> list[Path]:
    return [folder / FOLDS_NAME, folder / BEST_NAME, *folder.glob(f"{REFIT_PREFIX}[0-9]*")]


def key_of(values: Mapping[str, Any]) -> str:
    """Name a combination of values, for files."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _fold_name(fold: int) -> str:
    return f"fold {fold + 1}"


def _plain(value: Any) -> Any:
    """Write lists as JSON, since a study has none."""
    return json.dumps(value) if isinstance(value, tuple) else value
