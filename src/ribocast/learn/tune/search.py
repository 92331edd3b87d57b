"""Searching settings by cross-validation: every trial scored on folds it was not trained on; the winner refitted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import pandas as pd
import torch

from ribocast.errors import OptionError, OutputError
from ribocast.io.output_paths import OutputPaths
from ribocast.io.writers import make_folder, sync_folder, whole_file
from ribocast.learn.data.assays import Assay, labelled_rows
from ribocast.learn.data.splits import Folds, SplitKind, divide_into_folds
from ribocast.learn.device import pick_device
from ribocast.learn.evaluation.calibration import calibrate_card
from ribocast.learn.networks import architecture
from ribocast.learn.recipe import Recipe
from ribocast.learn.train.fit import fit
from ribocast.learn.train.loop import seeded
from ribocast.learn.train.setup import longer_than_read, own_recipe, prepare, with_profile
from ribocast.learn.tune.pool import Workers
from ribocast.learn.tune.pruning import Verdict, winner
from ribocast.learn.tune.report import write_report
from ribocast.learn.tune.scheduler import Plan, Run, Watch, describe, fold_file, outcome
from ribocast.learn.tune.space import Range, Space, check_space, read_space
from ribocast.learn.tune.study import (
    BEST_NAME,
    FOLDS_NAME,
    JOURNAL_NAME,
    REFIT_PREFIX,
    ROWS_NAME,
    SEARCH_FILES,
    Study,
    clear,
    refuse_others,
)
from ribocast.learn.tune.worker import FOLD_COLUMN, TrialSetup
from ribocast.model.bundle import CARD_NAME, LEARNING_NAME, RUNNING_NAME, Bundle, open_bundle, write_bundle

Sampler = Literal["auto", "grid", "tpe"]
# Of two points, r² is 1 whatever the network.
_FEWEST_ROWS = 3


class Found(NamedTuple):
    """What a search found.

    Attributes
    ----------
    model : str
        The architecture.
    verdicts : list of Verdict
        On every trial, in the order of their numbers.
    winner : Verdict or None
        The best of the complete ones.
    bundle : Bundle or None
        The winner, trained on all rows; None while another process is still at work.
    folds : int
        How many, chosen as `how` says.
    how, sampler : str
        The split in words; ``grid`` or ``tpe``.
    seed, rows : int
        Seed of everything random; rows trained on.
    """

    model: str
    verdicts: list[Verdict]
    winner: Verdict | None
    bundle: Bundle | None
    folds: int
    how: str
    sampler: str
    seed: int
    rows: int


def search(
    table: str | Path | pd.DataFrame,
    folder: str | Path,
    *,
    grid: str | Path | Mapping[str, Any],
    model: str = "optimus",
    assay: str | None = None,
    assays: Mapping[str, Assay] | None = None,
    settings: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    folds: int = 10,
    split_kind: SplitKind = "auto",
    sampler: Sampler = "auto",
    trials: int | None = None,
    timeout: float | None = None,
    prune: bool = True,
    seed: int = 42,
    workers: int | None = None,
    threads: int = 1,
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    others: Callable[[Callable[[], None]], None] | None = None,
    watch: Watch = lambda done, total, text: None,
    say: Callable[[str], None] = lambda _: None,
) -> Found:
    """Search settings of an architecture and its training; refit the best on all rows.

    A trial is trained once a fold, without that fold, for all its epochs; its score is the mean over folds of the
    squared Pearson correlation on the fold. The winner depends on the rows, the grid and the seed; not on the number
    of workers, on timing, or on being killed and resumed (by TPE, if one process at a time searches).

    Parameters
    ----------
    table : str, Path or pandas.DataFrame
        Sequences and mean ribosome loads (MRLs); see `ribocast.learn.fit`.
    folder : str or Path
        For ``study.journal`` (Optuna's), ``trials.csv``, ``search.json``, ``importance.png``, the bundle ``best``, and
        the predictions of every trial for its folds. Several processes may work on one folder (`resume`).
    grid : str, Path or mapping
        What to try; see `ribocast.learn.tune.space.read_space`.
    model, assay, assays, settings, recipe
        As for `ribocast.learn.fit`; what all trials share unless the grid says otherwise.
    folds : int
        At least 2.
    split_kind : {"auto", "random", "grouped"}
        As for `ribocast.learn.data.splits.split`: rows that share a 24-mer stay in one fold, where rows do.
    sampler : {"auto", "grid", "tpe"}
        Every combination of lists, or proposals by TPE. Auto: the grid, if it is one and `trials` allows all of it.
    trials : int, optional
        Maximum number of trials; of a grid, this many at random.
    timeout : float, optional
        Seconds after which no fold is begun or continued.
    prune : bool
        Give hopeless trials up; see `ribocast.learn.tune.pruning.is_hopeless`.
    seed : int
        Of folds, proposals, weights, order and dropout.
    workers : int, optional
        Processes; as many as there are cores without it.
    threads : int
        CPU threads of each. Figures may depend on it in their last digits.
    device : str, optional
        As for `ribocast.learn.fit`.
    resume : bool
        Continue the search in the folder, or help the process that is at work on it.
    overwrite : bool
        Remove the search in the folder.
    others : callable, optional
        Called when the folder is ready, before this process works on it: other processes may do so meanwhile
        (`resume`). It is given a function that tells `watch` how far they are.
    watch, say : callable, optional
        Told of folds done, of how many, and where that is; and in words of trials.

    Raises
    ------
    RibocastError
        For a grid that cannot be, too few rows, another search in the folder; if no trial could be scored.
    """
    deadline = time.monotonic() + (math.inf if timeout is None else timeout)
    folder = Path(folder)
    if resume and overwrite:
        raise OptionError("resume continues a search, overwrite replaces it: give one of them")
    if not resume and not overwrite and (folder / JOURNAL_NAME).exists():
        raise OutputError(f"{folder}: holds a search already; --resume continues it, --overwrite replaces it")
    OutputPaths(name for name in (table, grid) if isinstance(name, str | Path)).add_folder(folder, SEARCH_FILES)
    refuse_others(folder)
    recipe = dataclasses.replace(recipe or own_recipe(model), patience=None)
    space = read_space(grid, architecture(model), recipe)
    by_grid, most = _choose(space, sampler, trials, timeout)
    if assays is None:
        rows, assays = labelled_rows(table, assay)
    else:
        rows = cast("pd.DataFrame", table).reset_index(drop=True)
    if recipe.target == "profile":
        rows = with_profile(rows, say)
    divided = _divide(rows, folds, split_kind, seed)
    _try_out(rows, assays, model, settings or {}, recipe, space, seed, say)
    facts = {
        "model": model, "settings": dict(settings or {}), "recipe": dataclasses.asdict(recipe),
        "grid": {name: dataclasses.asdict(choice) if isinstance(choice, Range) else choice
                 for name, choice in space.settings.items()},
        "folds": divided.how, "sampler": "grid" if by_grid else "tpe", "pruning": prune, "seed": seed,
        "threads": threads, "device": str(pick_device(device)), "rows": len(rows), "data": _digest(rows),
        "assays": {name: dataclasses.asdict(assay) for name, assay in assays.items()}, "fold networks": "settled",
    }  # fmt: skip
    make_folder(folder / FOLDS_NAME)
    if overwrite:
        clear(folder)
        (folder / FOLDS_NAME).mkdir()
    study = Study(folder, json.loads(json.dumps(facts)), space)
    with study.lock("study"):
        if not (folder / ROWS_NAME).is_file():
            with whole_file(folder / ROWS_NAME) as partial:
                rows.assign(**{FOLD_COLUMN: divided.of_row}).to_parquet(partial)
    count = workers or _cores()
    say(f"{'grid' if by_grid else 'TPE'}: {most or 'any number of'} trials, {divided.how}; "
        f"{count} process{'es' * (count != 1)}, {threads} thread{'s' * (threads != 1)} each")  # fmt: skip
    plan = Plan(space, settings or {}, recipe, folds, prune, by_grid, most, seed)
    setup = TrialSetup(str(folder / ROWS_NAME), dict(assays), model, seed, threads, device)
    try:
        if others:
            others(lambda: watch(*plan.progress(plan.verdicts(study)), "other machines are at work"))
        with Workers(count, setup) as crew:
            run = Run(study, plan, crew, count=count, deadline=deadline, watch=watch, say=say)
            if not run.go():
                say("the time is up; --resume goes on")
    except KeyboardInterrupt:
        say("stopped; --resume goes on where it was")
        raise
    finally:
        study.release_all()
    with study.lock("refit"):
        verdicts = plan.verdicts(study)
        best = winner(verdicts)
        found = Found(model, verdicts, best, None, folds, divided.how, "grid" if by_grid else "tpe", seed, len(rows))
        if best is None:
            write_report(folder, found)
            raise OptionError(_why_nothing(verdicts, folder))
        if study.others_at_work():
            say("another process goes on; it will refit the winner")
        else:
            found = found._replace(bundle=_refit(rows, folder, study, plan, best, found, setup, say))
        write_report(folder, found)
    return found


def _choose(space: Space, sampler: Sampler, trials: int | None, timeout: float | None) -> tuple[bool, int | None]:
    """Say whether the grid is gone through, and how many trials there are."""
    if sampler == "grid" or (sampler == "auto" and space.is_grid and (trials is None or space.size <= trials)):
        for name, choice in space.settings.items():
            if isinstance(choice, Range):
                raise OptionError(f"{space.source}: {name}: a range is for --sampler tpe; a grid takes lists")
        return True, min(space.size, trials or space.size)
    if trials is None and timeout is None:
        raise OptionError(f"{space.source}: TPE does not end by itself: give --trials or --timeout")
    return False, trials


def _divide(rows: pd.DataFrame, folds: int, kind: SplitKind, seed: int) -> Folds:
    if folds < 2:
        raise OptionError(f"folds must be at least 2, not {folds}")
    divided = divide_into_folds(rows["seq"].tolist(), folds, seed=seed, kind=kind)
    for assay in rows["assay"].unique():
        fewest = int(np.bincount(divided.of_row[(rows["assay"] == assay).to_numpy()], minlength=folds).min())
        if fewest < _FEWEST_ROWS:
            raise OptionError(f"{folds} folds: one has only {fewest} rows of {assay}: too few to score; fewer folds")
    return divided


def _try_out(
    rows: pd.DataFrame, assays: Mapping[str, Assay], model: str, settings: Mapping[str, Any], recipe: Recipe,
    space: Space, seed: int, say: Callable[[str], None],
) -> None:  # fmt: skip
    """Build what will be trained, once, so that what cannot be shows at the start."""
    cpu = torch.device("cpu")
    with seeded(seed, 0, cpu), warnings.catch_warnings(action="ignore"):
        loop = prepare(
            rows, np.arange(len(rows)), rows.iloc[:0], assays=assays, model=model, settings=settings, recipe=recipe,
            seed=seed, device=cpu, name=model,
        )  # fmt: skip
        check_space(space, architecture(model), loop.card.assays, settings, recipe)
    if remark := longer_than_read(rows, loop.network):
        say(remark)


def _digest(rows: pd.DataFrame) -> str:
    digest = hashlib.sha256(",".join(rows.columns).encode())
    digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _refit(
    rows: pd.DataFrame, folder: Path, study: Study, plan: Plan, best: Verdict, found: Found, setup: TrialSetup,
    say: Callable[[str], None],
) -> Bundle:  # fmt: skip
    """Train the winner on all rows, or find that it was; calibrate it by what its like said of the folds."""
    target, number = folder / BEST_NAME, best.trial.number
    if study.refitted == number and (target / CARD_NAME).is_file():
        return open_bundle(target)
    say(f"refitting trial {number + 1} on all {len(rows):,} rows: {describe(best.trial.values)}")
    settings, recipe = plan.training(best.trial.values)
    partial = folder / f"{REFIT_PREFIX}{number + 1}"
    threads = torch.get_num_threads()
    torch.set_num_threads(_cores())
    try:
        trained = fit(
            rows, partial, assays=setup.assays, model=setup.model, settings=settings, recipe=recipe, held_out=0.0,
            seed=setup.seed, resume=True, device=setup.device, name=folder.resolve().name, say=say,
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    how = f"out of fold, {found.how}; the best of {len(found.verdicts)} trials by these very folds"
    card = calibrate_card(trained.bundle.card, rows, _out_of_fold(folder, best, plan.folds), how)
    files = {name: trained.bundle.read(name) for name in (RUNNING_NAME, LEARNING_NAME)}
    write_bundle(partial, card, files)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    sync_folder(folder)
    study.refitted = number
    for left in folder.glob(f"{REFIT_PREFIX}[0-9]*"):
        shutil.rmtree(left, ignore_errors=True)
    return open_bundle(target)


def _out_of_fold(folder: Path, best: Verdict, folds: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    of_row = pd.read_parquet(folder / ROWS_NAME, columns=[FOLD_COLUMN])[FOLD_COLUMN].to_numpy()
    predicted = np.empty(len(of_row))
    for fold in range(folds):
        path = fold_file(folder, best.trial.values, fold)
        try:
            predicted[of_row == fold] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path}: predictions that the search has made are gone: {error}") from None
    return predicted


def _why_nothing(verdicts: list[Verdict], folder: Path) -> str:
    failed = [verdict for verdict in verdicts if verdict.state == "failed"]
    if failed and len(failed) == len(verdicts):
        return f"no trial could be scored; trial {failed[0].trial.number + 1} {outcome(failed[0])}"
    return f"{folder}: no trial is complete yet; --resume goes on"


def _cores() -> int:
    # What a container or taskset leaves us, where the system tells.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
