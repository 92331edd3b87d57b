"""What a search found, as a table, JSON and a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ribocast.io.writers import open_table, whole_file
from ribocast.learn.tune.pruning import Verdict, importance
from ribocast.learn.tune.scheduler import outcome, spell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ribocast.learn.tune.search import Found

_SHOWN = {"complete": "complete", "pruned": "pruned", "failed": "failed", "unfinished": "not finished"}


def write_report(folder: Path, found: Found) -> None:
    """Write ``trials.csv``, ``search.json`` and ``importance.png``."""
    with open_table(folder / "trials.csv") as sink:
        sink.write(trials_table(found.verdicts, found.folds))
    with whole_file(folder / "search.json") as partial:
        partial.write_text(json.dumps(as_dict(found), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    draw_importance(folder / "importance.png", found.verdicts)


def trials_table(verdicts: Sequence[Verdict], folds: int) -> pd.DataFrame:
    """Return one row a trial: number from 1, state, mean r² and its spread over folds, settings, r² of each fold."""
    rows = []
    for verdict in verdicts:
        trial, counted = verdict.trial, range(len(verdict.scores))
        rows.append({
            "trial": trial.number + 1,
            "state": verdict.state,
            "r2": verdict.mean,
            "r2_sd": verdict.sd,
            "folds": len(verdict.scores),
            "seconds": round(sum(trial.seconds[fold] for fold in counted), 2),
            **{name: json.dumps(value) if isinstance(value, tuple) else value for name, value in trial.values.items()},
            **{f"fold_{fold + 1}": verdict.scores[fold] if fold in counted else math.nan for fold in range(folds)},
            "note": outcome(verdict) if verdict.state == "failed" else "",
        })  # fmt: skip
    return pd.DataFrame(rows)


def rows_for_people(verdicts: Sequence[Verdict]) -> tuple[list[str], list[list[str]]]:
    """Return a header and rows, the best first; trials that were pruned or failed after those that are complete."""
    states = list(_SHOWN)
    ranked = sorted(verdicts, key=lambda verdict: (states.index(verdict.state), -_or(verdict.mean, -1.0)))
    names = list(verdicts[0].trial.values) if verdicts else []
    rows = [
        [str(verdict.trial.number + 1), *(spell(verdict.trial.values[name]) for name in names),
         _figure(verdict.mean), _figure(verdict.sd), str(len(verdict.scores)), _SHOWN[verdict.state],
         f"{sum(verdict.trial.seconds[fold] for fold in range(len(verdict.scores))):.1f}"]
        for verdict in ranked
    ]  # fmt: skip
    return ["trial", *names, "mean r²", "sd", "folds", "state", "seconds"], rows


def as_dict(found: Found) -> dict[str, Any]:
    """Return what was found, for JSON; what is undefined is None."""
    best = found.winner
    return {
        "model": found.model,
        "folds": found.folds,
        "split": found.how,
        "sampler": found.sampler,
        "seed": found.seed,
        "rows": found.rows,
        "score": "mean over folds of the squared Pearson correlation on the fold that the model was not trained on",
        "winner": _trial(best) if best else None,
        "bundle": str(found.bundle.folder) if found.bundle else None,
        "importance": importance(found.verdicts),
        "trials": [_trial(verdict) for verdict in found.verdicts],
    }


def _trial(verdict: Verdict) -> dict[str, Any]:
    return {
        "trial": verdict.trial.number + 1,
        "state": verdict.state,
        "settings": verdict.trial.values,
        "r2": _or(verdict.mean, None),
        "r2_sd": _or(verdict.sd, None),
        "scores": list(verdict.scores),
        "note": outcome(verdict) if verdict.state == "failed" else None,
    }


def draw_importance(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Draw the score of every trial over the values of each setting, the most important setting first."""
    from ribocast.io.figures import new_figure, save_figure

    shares = importance(verdicts)
    scored = [verdict for verdict in verdicts if verdict.scores and verdict.state in ("complete", "pruned")]
    if not scored:
        return
    names = sorted(shares, key=lambda name: -shares[name])
    columns = min(len(names), 3)
    lines = math.ceil(len(names) / columns)
    figure = new_figure(1 + 3 * columns, 0.6 + 2.8 * lines)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for panel, name in zip(panels, names, strict=False):
        _draw_setting(panel, name, scored)
        panel.set_title(f"{name}: {shares[name]:.0%} of the variance", fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
    for spare in panels[len(names) :]:
        spare.set_visible(False)
    for panel in panels[::columns]:
        panel.set_ylabel("mean r² over folds")
    panels[0].legend(frameon=False, fontsize=8)
    with whole_file(path) as partial:
        save_figure(figure, partial, ".png")


def _draw_setting(panel: Axes, name: str, scored: Sequence[Verdict]) -> None:
    values = [verdict.trial.values[name] for verdict in scored]
    means = np.array([verdict.mean for verdict in scored])
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    different = sorted(set(values)) if numbers else list(dict.fromkeys(values))
    if numbers and len(different) > 5:
        places = np.array(values, dtype=np.float64)
        if places.min() > 0 and places.max() / places.min() > 30:
            panel.set_xscale("log")
    else:
        # Few values stand side by side, with the mean of each.
        places = np.array([different.index(value) for value in values], dtype=np.float64)
        panel.set_xticks(range(len(different)), [spell(value) for value in different])
        panel.set_xlim(-0.5, len(different) - 0.5)
        averages = [means[places == place].mean() for place in range(len(different))]
        panel.plot(range(len(different)), averages, color="#0072b2", marker="_", ms=18, lw=1, label="mean")
    pruned = np.array([verdict.state == "pruned" for verdict in scored])
    panel.scatter(places[~pruned], means[~pruned], s=18, color="#0072b2", label="all folds")
    if pruned.any():
        panel.scatter(places[pruned], means[pruned], s=18, facecolors="none", edgecolors="0.5", label="pruned")
    best = int(np.argmax(np.where(pruned, -1.0, means)))
    panel.scatter(places[best], means[best], s=90, color="#d55e00", marker="*", zorder=3, label="best")


def _or(value: float, otherwise: Any) -> Any:
    return value if math.isfinite(value) else otherwise


def _figure(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""
