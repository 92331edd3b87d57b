"""A comparison as one HTML file: tables, scatter plots, differences; nothing in it is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ribocast.io.figures import new_figure, png_of
from ribocast.io.text import number
from ribocast.learn.evaluation.compare import FIGURES, Comparison, Group

# Okabe & Ito's colours, which colour-blind readers tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MOST_ACROSS = 3


def write_report(
    path: str | Path, comparison: Comparison, *, source: str, by: str | None, remarks: Sequence[str], command: str,
    resamples: int,
) -> None:  # fmt: skip
    """Write a comparison as one HTML file. The same comparison gives the same bytes.

    Parameters
    ----------
    path : str or Path
        Where to.
    comparison : Comparison
        What is shown.
    source : str
        The name of the measured table.
    by : str, optional
        What the groups are.
    remarks : sequence of str
        What the reader should know of the models.
    command : str
        What made it, for whoever wants it again.
    resamples : int
        Of the bootstrap.
    """
    from ribocast.io.html import embedded, write_page

    models = list(comparison.predicted)
    write_page(
        path,
        "comparison.html",
        title=f"{' and '.join(models) if len(models) < 3 else f'{len(models)} models'} on {source}",
        rows=f"{len(comparison.measured):,}",
        source=source,
        by=by,
        resamples=f"{resamples:,}",
        remarks=remarks,
        labels=list(FIGURES.values()),
        groups=[_describe(group) for group in comparison.groups],
        scatter=embedded(png_of(_draw_scatter(comparison))),
        scatter_alt="Measured against predicted MRLs, one panel a model: " + "; ".join(
            f"{name} r² {number(comparison.groups[0].scores[name].as_dict()['pearson_r2'])}" for name in models
        ),
        bars=embedded(png_of(_draw_groups(comparison))) if len(comparison.groups) > 1 else "",
        bars_alt="r² of each model in each group, with its 95 % interval; the figures stand in the tables below",
        forest=embedded(png_of(_draw_differences(comparison))) if len(models) > 1 else "",
        forest_alt="Differences of r² in each group, with their 95 % intervals; they stand in the lists below",
        left_out=", ".join(f"{name} ({count})" for name, count in comparison.left_out.items()),
        command=command,
    )  # fmt: skip


def _describe(group: Group) -> dict[str, object]:
    figures = []
    for name, scores in group.scores.items():
        values = scores.as_dict()
        cells = [f"{number(values[figure])} [{', '.join(map(number, values['ci95'][figure]))}]" for figure in FIGURES]
        figures.append({"name": name, "cells": cells})
    return {
        "name": group.name,
        "n": f"{group.n:,}",
        "figures": figures,
        "differences": [difference.in_words() for difference in group.differences],
    }


def _draw_scatter(comparison: Comparison) -> Figure:
    names = list(comparison.predicted)
    across = min(len(names), _MOST_ACROSS)
    down = -(-len(names) // across)
    figure = new_figure(3.6 * across, 3.6 * down)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    everything = np.concatenate([comparison.measured, *comparison.predicted.values()])
    low, high = np.quantile(everything, [0.001, 0.999])
    edge = 0.03 * (high - low) or 1.0
    box = (low - edge, high + edge)
    for panel, name in zip(panels, names, strict=False):
        panel.hexbin(
            comparison.predicted[name], comparison.measured, gridsize=55, bins="log", cmap="viridis", lw=0, mincnt=1,
            extent=(*box, *box),
        )  # fmt: skip
        panel.axline((box[0], box[0]), slope=1, color="0.5", lw=0.8, ls=":")
        r2 = comparison.groups[0].scores[name].as_dict()["pearson_r2"]
        panel.set_title(f"{name}\nr² {number(r2)}", fontsize=10, parse_math=False)
        panel.set(xlim=box, ylim=box, xlabel="predicted (ribosomes per mRNA)")
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    panels[0].set_ylabel("measured (ribosomes per mRNA)")
    return figure


def _draw_groups(comparison: Comparison) -> Figure:
    groups, names = comparison.groups, list(comparison.predicted)
    figure = new_figure(7.2, 0.8 + 0.28 * len(groups) * (1 + len(names)))
    axes = figure.add_subplot()
    for place, name in enumerate(names):
        values = [group.scores[name].pearson_r2 for group in groups]
        intervals = np.array([group.scores[name].ci95["pearson_r2"] for group in groups])
        height = np.arange(len(groups)) + (place - (len(names) - 1) / 2) * 0.7 / len(names)
        colour = _COLOURS[place % len(_COLOURS)]
        # Not error bars: a percentile interval need not hold the value of all rows.
        axes.hlines(height, *intervals.T, color=colour, lw=1.5)
        axes.plot(values, height, "o", ms=5, color=colour, label=name)
    axes.set_yticks(range(len(groups)), [f"{group.name} (n = {group.n:,})" for group in groups], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("r², with its 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    for text in axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3).get_texts():
        text.set_parse_math(False)
    return figure


def _draw_differences(comparison: Comparison) -> Figure:
    pairs = list(combinations(comparison.predicted, 2))
    rows = [
        (f"{first} − {second}", pairs.index((first, second)), group.name, difference)
        for first, second in pairs
        for group in comparison.groups
        for difference in group.differences
        if (difference.first, difference.second, difference.figure) == (first, second, "pearson_r2")
    ]
    figure = new_figure(7.2, 0.9 + 0.3 * len(rows))
    axes = figure.add_subplot()
    for place, (_, pair, _, difference) in enumerate(rows):
        low, high = difference.ci95
        if difference.value is not None and low is not None and high is not None:
            colour = _COLOURS[pair % len(_COLOURS)]
            # Not an error bar: a percentile interval need not hold the value of all rows.
            axes.plot([low, high], [place, place], color=colour, lw=1.5)
            axes.plot([difference.value], [place], "o", ms=5, color=colour)
    axes.axvline(0, color="0.5", lw=0.8, ls=":")
    axes.set_yticks(range(len(rows)), [f"{pair}: {group}" for pair, _, group, _ in rows], parse_math=False)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel="difference of r², with its 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
