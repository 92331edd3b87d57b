"""Running the trials of a search: which fold is computed next, and when a trial is closed."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ribocast.learn.recipe import Recipe
from ribocast.learn.tune.pool import Workers
from ribocast.learn.tune.pruning import Trial, Verdict, assess_trials, winner
from ribocast.learn.tune.space import Space, divide
from ribocast.learn.tune.study import FOLDS_NAME, Study, key_of

_PATIENCE = 0.5
"""Seconds between looks at what other processes do."""

Watch = Callable[[int, int | None, str], None]


@dataclass(frozen=True)
class Plan:
    """How trials are proposed and scored.

    Attributes
    ----------
    space : Space
        What is tried.
    settings, recipe : dict, Recipe
        What all trials share, unless the space says otherwise.
    folds : int
        How many.
    prune : bool
        Whether hopeless trials are pruned.
    by_grid : bool
        Take all combinations in turn; else ask TPE.
    trials : int or None
        Maximum number of them.
    seed : int
        Of proposals.
    """

    space: Space
    settings: Mapping[str, Any]
    recipe: Recipe
    folds: int
    prune: bool
    by_grid: bool
    trials: int | None
    seed: int

    def verdicts(self, study: Study) -> list[Verdict]:
        """Return the verdicts on the trials so far."""
        return assess_trials(study.trials(), self.folds, prune=self.prune)

    def progress(self, verdicts: list[Verdict]) -> tuple[int, int | None]:
        """Return how many folds are done, those that a hopeless trial is spared among them, and of how many."""
        done = sum(len(verdict.scores) if verdict.state == "unfinished" else self.folds for verdict in verdicts)
        return done, self.trials * self.folds if self.trials else None

    def training(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], Recipe]:
        """Return the settings and the recipe of a trial."""
        chosen, changes = divide(values)
        return {**self.settings, **chosen}, dataclasses.replace(self.recipe, **changes)


class Run:
    """One process's part of a search.

    Parameters
    ----------
    study : Study
        The trials.
    plan : Plan
        How they are proposed and scored.
    workers : Workers
        Who computes.
    count : int
        How many they are.
    deadline : float
        When to stop, as ``time.monotonic`` has it.
    watch, say : callable
        Told of progress, and in words of trials.
    """

    def __init__(
        self, study: Study, plan: Plan, workers: Workers, *, count: int, deadline: float, watch: Watch,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._study, self._plan, self._workers, self._deadline = study, plan, workers, deadline
        self._watch, self._say = watch, say
        self._points = plan.space.points(plan.seed) if plan.by_grid else []
        self._active: list[int] = []
        self._began, self._done_before = time.monotonic(), plan.progress(plan.verdicts(study))[0]
        # In a grid what comes next is known, so nobody idles while the last folds of a trial are computed. TPE wants
        # to know how a trial ended before it proposes another.
        self._most_active = 1 + math.ceil(count / plan.folds) if plan.by_grid else 1

    def go(self) -> bool:
        """Work until nothing is left to do or the time is up; say whether nothing is left, here or elsewhere."""
        told: list[int] = []
        while time.monotonic() < self._deadline:
            self._hand_out()
            if self._workers.busy:
                if answer := self._workers.wait(min(_PATIENCE, max(self._deadline - time.monotonic(), 0))):
                    self._note(*cast("tuple[int, int]", answer[0]), answer[1])
            elif theirs := self._study.others_at_work():
                # Should they be killed, their trials are ours.
                if theirs != told:
                    numbers = ", ".join(str(number + 1) for number in theirs)
                    self._say(f"waiting for another process, at work on trial {numbers}")
                told = theirs
                time.sleep(_PATIENCE)
            elif not self._hand_out():
                return True
        return False

    def _hand_out(self) -> bool:
        """Give work to all who have none; say whether there was any."""
        given = False
        while self._workers.idle and (task := self._next_task()):
            trial, fold = task
            settings, recipe = self._plan.training(trial.values)
            output = fold_file(self._study.folder, trial.values, fold)
            self._workers.give(
                (trial.number, fold),
                {"settings": settings, "recipe": dataclasses.asdict(recipe), "fold": fold, "output": str(output)},
            )
            given = True
        return given

    def _next_task(self) -> tuple[Trial, int] | None:
        while True:
            trials = self._study.trials()
            for number in self._active:
                trial = trials[number]
                # After a fold that failed none is needed; those before it are, for the trial may be hopeless already.
                for fold in range(min(trial.failures, default=self._plan.folds)):
                    if fold not in trial.scores and (number, fold) not in self._workers.busy:
                        return trial, fold
            if len(self._active) >= self._most_active or not self._claim():
                return None

    def _claim(self) -> bool:
        number = self._study.claim(self._plan.trials, self._propose)
        if number is None:
            return False
        self._active.append(number)
        trial = self._study.trials()[number]
        of = f" of {self._plan.trials}" if self._plan.trials else ""
        done = f" (goes on after {len(trial.scores)} folds)" if trial.scores else ""
        self._say(f"trial {number + 1}{of}{done}: {describe(trial.values)}")
        self._settle()
        return True

    def _propose(self, trials: list[Trial]) -> dict[str, Any] | None:
        if self._plan.by_grid:
            return self._points[len(trials)] if len(trials) < len(self._points) else None
        verdicts = assess_trials(trials, self._plan.folds, prune=self._plan.prune)
        return self._study.suggest(verdicts, self._plan.seed)

    def _note(self, number: int, fold: int, result: dict[str, Any]) -> None:
        # Answers about a trial that was pruned meanwhile are too late.
        if number in self._active:
            if "r2" in result:
                self._study.record(number, fold, result["r2"], result["seconds"])
            elif "error" in result:
                self._study.record_failure(number, fold, result["error"])
        self._settle()

    def _settle(self) -> None:
        """Close the trials on which there is a verdict."""
        verdicts = self._plan.verdicts(self._study)
        best = winner(verdicts)
        best_yet = f"best so far: trial {best.trial.number + 1}, {best.mean:.4f}" if best else ""
        for number in list(self._active):
            verdict = verdicts[number]
            if verdict.state != "unfinished":
                for task in self._workers.busy:
                    if cast("tuple[int, int]", task)[0] == number:
                        self._workers.stop(task)
                self._study.end(verdict)
                self._active.remove(number)
                facts = [outcome(verdict), best_yet, self._time_left(verdicts)]
                self._say(f"trial {number + 1}: {'; '.join(filter(None, facts))}")
        now = ", ".join(f"trial {number + 1} fold {len(verdicts[number].scores) + 1}" for number in self._active)
        self._watch(*self._plan.progress(verdicts), f"{now}; {best_yet}" if best_yet else now)

    def _time_left(self, verdicts: list[Verdict]) -> str:
        """Say how long all others will take if they are as slow as those so far; nothing if that is not known."""
        done, total = self._plan.progress(verdicts)
        if not total or done >= total or done == self._done_before:
            return ""
        rate = (time.monotonic() - self._began) / (done - self._done_before)
        return f"about {rate * (total - done) / 60:.1f} minutes left"


def fold_file(folder: Path, values: Mapping[str, Any], fold: int) -> Path:
    """Return where the predictions for a fold are kept."""
    return folder / FOLDS_NAME / f"{key_of(values)}-{fold + 1}.npy"


def describe(values: Mapping[str, Any]) -> str:
    """Spell a combination of settings."""
    return ", ".join(f"{name}={spell(value)}" for name, value in values.items())


def spell(value: Any) -> str:
    """Spell a value of a setting."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(spell, value)) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def outcome(verdict: Verdict) -> str:
    """Say what became of a trial."""
    if verdict.state == "failed":
        return f"failed in fold {len(verdict.scores) + 1}: {verdict.trial.failures[len(verdict.scores)]}"
    text = f"r² {verdict.mean:.4f} (sd {verdict.sd:.4f}) over {len(verdict.scores)} folds"
    return f"{text}, pruned as hopeless" if verdict.state == "pruned" else text
