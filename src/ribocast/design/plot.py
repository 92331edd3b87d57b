"""Designs as a figure: the path of the search, and the final set. Needs ``plots``."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ribocast.design.design import Designs
from ribocast.io.figures import new_figure

_COLOURS = {"A": "#2a9d3a", "C": "#2b5fc2", "G": "#e09a1a", "T": "#cc3333"}
_MOST_LETTERS = 60


def draw_designs(designs: Designs) -> Figure:
    """Draw how the best MRL of each goal came about, the MRLs of the designs, and their letters.

    Parameters
    ----------
    designs : Designs
        What `ribocast.design.design` gave.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels: the MRL of the best sequence by number of predictions, with the targets as lines; the MRLs of the
        designs with their intervals and the independent prediction, where there is one; up to 60 designs, a row each,
        aligned at the start codon.
    """
    shown = min(len(designs.table), _MOST_LETTERS)
    figure = new_figure(11.0, 6.0 + 0.11 * shown)
    grid = figure.add_gridspec(2, 2, height_ratios=(4.0, 1.2 + 0.11 * shown))
    _draw_path(figure.add_subplot(grid[0, 0]), designs)
    _draw_mrls(figure.add_subplot(grid[0, 1]), designs)
    _draw_letters(figure.add_subplot(grid[1, :]), designs, shown)
    return figure


def _draw_path(axes: Axes, designs: Designs) -> None:
    for number, goal in enumerate(dict.fromkeys(step.goal for step in designs.steps)):
        mine = [step for step in designs.steps if step.goal == goal]
        colour = f"C{number % 10}"
        axes.plot([step.calls for step in mine], [step.mrl for step in mine], ".-", color=colour, markersize=4)
        if goal.target is not None:
            axes.axhline(goal.target, color=colour, linewidth=0.8, linestyle=":")
    axes.set(xlabel="sequences predicted", ylabel="MRL of the best, ribosomes per mRNA")
    axes.set_title("path of the search", fontsize="medium")


def _draw_mrls(axes: Axes, designs: Designs) -> None:
    table = designs.table
    places = np.arange(1, len(table) + 1)
    mrls = table["mrl"].to_numpy(float)
    low, high = (np.nan_to_num(table[name].to_numpy(float), nan=0.0) for name in ("mrl_low", "mrl_high"))
    if table["mrl_low"].notna().any():
        axes.vlines(places, low, high, color="0.8", linewidth=2, label="90 % interval")
    axes.plot(places, mrls, "o", color="C0", markersize=4, label="predicted")
    if table["independent_mrl"].notna().any():
        axes.plot(places, table["independent_mrl"], "x", color="C3", markersize=5, label="independent prediction")
    if table["target"].notna().any():
        axes.plot(places, table["target"], "_", color="black", markersize=7, label="target")
    axes.set(xlabel="design", ylabel="ribosomes per mRNA")
    axes.set_title("final set", fontsize="medium")
    axes.legend(fontsize="small", frameon=False)


def _draw_letters(axes: Axes, designs: Designs, shown: int) -> None:
    seqs = list(designs.table["seq"][:shown])
    longest = max(map(len, seqs), default=1)
    size = min(7.0, 560.0 / longest)
    for row, seq in enumerate(seqs):
        for at, letter in enumerate(seq):
            axes.text(at - len(seq) + 0.5, row, letter, color=_COLOURS[letter], fontsize=size, family="monospace",
                      ha="center", va="center")  # fmt: skip
    axes.set_yticks(range(shown), [str(name).removeprefix("design_") for name in designs.table["name"][:shown]],
                    fontsize="x-small")  # fmt: skip
    axes.set(xlim=(-longest, 0), ylim=(max(shown, 1) - 0.5, -0.5), xlabel="position from the start codon")
    if shown < len(designs.table):
        axes.set_title(f"the first {shown} of {len(designs.table)}", fontsize="medium")
    axes.spines[["top", "right", "left"]].set_visible(False)
