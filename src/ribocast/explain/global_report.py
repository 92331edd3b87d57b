"""What a model has learnt as one page: model beside measurements, figure by figure. Needs the extra ``plots``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ribocast.explain.global_effects import GROUPS, LETTERS, GlobalEffects
from ribocast.io.figures import new_figure, png_of
from ribocast.io.html import embedded, write_page
from ribocast.sequence.kozak import POSITIONS as KOZAK_POSITIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Okabe & Ito's colours, which colour-blind readers tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#e69f00")
_SIDES = {"model": "#0072b2", "measured": "#d55e00"}


def write_global_report(
    path: str | Path,
    model: GlobalEffects,
    measured: GlobalEffects | None,
    *,
    title: str,
    source: str,
    assay: str,
    command: str,
) -> None:
    """Write the page; the same summaries give the same bytes.

    Parameters
    ----------
    path : str or Path
        Where to.
    model : GlobalEffects
        Summary of predicted mean ribosome loads (MRLs); see `ribocast.explain.global_effects.summarise`.
    measured : GlobalEffects, optional
        Summary of measured MRLs of the same sequences.
    title, source, assay, command : str
        What the page is called, of what sequences it is, in which assay's units, and what made it.
    """
    sides = {"model": model} if measured is None else {"model": model, "measured": measured}
    sections = [_groups(sides), _positions(sides), _context(sides), _letters(sides)]
    if len(model.lengths) > 1:
        sections.append(_lengths(sides))
    write_page(
        path, "global_effects.html", title=title, source=source, assay=assay, command=command,
        measured=measured is not None, sections=sections,
    )  # fmt: skip


def agreement(sides: Mapping[str, GlobalEffects]) -> dict[str, float | None]:
    """Correlate what the model has learnt with what was measured; None where there is too little of either."""
    if "measured" not in sides:
        return {}
    model, measured = sides["model"], sides["measured"]
    both = model.positions.merge(measured.positions, on=["position", "frame"])
    cells = model.matrix.merge(measured.matrix, on=["minus_3", "plus_4"])
    context = None
    if model.context is not None and measured.context is not None:
        context = _correlation(model.context.ravel(), measured.context.ravel())
    return {
        "positions": _correlation(both["effect_x"].to_numpy(), both["effect_y"].to_numpy()),
        "minus_3_plus_4": _correlation(cells["mean_x"].to_numpy(), cells["mean_y"].to_numpy()),
        "context": context,
    }


def _groups(sides: Mapping[str, GlobalEffects]) -> dict[str, Any]:
    figure, (axes,) = _panels(1, 7.5, 3.4)
    for number, (side, effects) in enumerate(sides.items()):
        at = effects.groups["group"].map(GROUPS.index) + (number - (len(sides) - 1) / 2) * 0.3
        axes.errorbar(effects.groups["mean"], at, xerr=1.96 * effects.groups["error"], fmt="o", ms=5, lw=1.2,
                      color=_SIDES[side], label=side)  # fmt: skip
    axes.set_yticks(range(len(GROUPS)), GROUPS)
    axes.invert_yaxis()
    axes.set_xlabel("mean MRL (ribosomes per mRNA)")
    axes.legend(frameon=False)
    return _section(
        "Upstream starts and stops",
        "Mean MRL by what stands upstream: no ATG, one that a stop ends soon or late, one in frame (its protein is "
        "only longer), one whose reading overlaps the start codon. Codons are counted from the ATG to before the stop.",
        figure, sides, "groups", ["group"], "mean",
    )  # fmt: skip


def _positions(sides: Mapping[str, GlobalEffects]) -> dict[str, Any]:
    figure, panels = _panels(len(sides), 7.5, 3.2)
    for axes, (side, effects) in zip(panels, sides.items(), strict=True):
        for frame, part in effects.positions.groupby("frame"):
            axes.errorbar(part["position"], part["effect"], yerr=1.96 * part["error"], fmt="o-", ms=3, lw=1,
                          color=_COLOURS[int(str(frame))], label=f"frame {frame}", elinewidth=0.6)  # fmt: skip
        axes.axhline(0, color="0.5", lw=0.8, ls=":")
        axes.set_title(side, fontsize=10)
        axes.set_xlabel("position of the upstream ATG")
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("difference of the mean MRL\n(ribosomes per mRNA)")
    return _section(
        "One upstream ATG without a stop, by position and frame",
        "The mean MRL of UTRs with one such ATG at the position, less that of UTRs without any."
        + _agrees(sides, "positions"),
        figure, sides, "positions", ["position", "frame"], "effect",
    )  # fmt: skip


def _context(sides: Mapping[str, GlobalEffects]) -> dict[str, Any]:
    figure = new_figure(11, 3.0 * len(sides))
    grid = figure.subplots(len(sides), 2, squeeze=False, width_ratios=[1, 2])
    for (left, right), (side, effects) in zip(grid, sides.items(), strict=True):
        _heat(left, _as_matrix(effects.matrix), list(LETTERS), "viridis", None)
        left.set(xlabel="+4", ylabel="−3", title=f"{side}: mean MRL")
        if effects.context is not None:
            _heat(right, effects.context, [f"{at:+}".replace("-", "−") for at in KOZAK_POSITIONS], "PuOr_r", 1.0)
            right.set_title(f"{side}: taken by each letter")
        else:
            right.set_visible(False)
    return _section(
        "Kozak contexts of an overlapping upstream ATG",
        "Left: the mean MRL by the letters at −3 and +4 of the upstream ATG; the lower, the more ribosomes it takes. "
        "Right: what each letter around it takes, in ribosomes per mRNA, by least squares; each position sums to 0."
        + _agrees(sides, "minus_3_plus_4") + _agrees(sides, "context", " (letters)"),
        figure, sides, "matrix", ["minus_3", "plus_4"], "mean",
    )  # fmt: skip


def _letters(sides: Mapping[str, GlobalEffects]) -> dict[str, Any]:
    figure, panels = _panels(len(sides), 7.5, 3.2)
    for axes, (side, effects) in zip(panels, sides.items(), strict=True):
        for number, letter in enumerate(LETTERS):
            part = effects.letters[effects.letters["letter"] == letter]
            axes.errorbar(part["share"], part["mean"], yerr=1.96 * part["error"], fmt="o-", ms=3, lw=1,
                          color=_COLOURS[number], label=letter)  # fmt: skip
        axes.set_title(side, fontsize=10)
        axes.set_xlabel("share of the letter in the UTR")
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("mean MRL\n(ribosomes per mRNA)")
    slopes = "; ".join(
        f"{side}: " + ", ".join(f"{letter} {slope:+.2f}" for letter, slope in effects.slopes.items())
        for side, effects in sides.items()
    )
    return _section(
        "Composition",
        "UTRs without an upstream ATG. What 10 % more of a letter adds, at the cost of the others alike: " + slopes
        + ".",
        figure, sides, "letters", [], "mean",
    )  # fmt: skip


def _lengths(sides: Mapping[str, GlobalEffects]) -> dict[str, Any]:
    figure, (axes,) = _panels(1, 7.5, 3.0)
    for side, effects in sides.items():
        axes.errorbar(effects.lengths["length"], effects.lengths["mean"], yerr=1.96 * effects.lengths["error"],
                      fmt="o-", ms=4, lw=1, color=_SIDES[side], label=side)  # fmt: skip
    axes.set(xlabel="length of the UTR (nt)", ylabel="mean MRL (ribosomes per mRNA)")
    axes.legend(frameon=False)
    return _section("Length", "UTRs without an upstream ATG.", figure, sides, "lengths", ["length"], "mean")


def _section(
    title: str, text: str, figure: Figure, sides: Mapping[str, GlobalEffects], table: str, keys: list[str], value: str
) -> dict[str, Any]:
    """Put a figure together with its numbers; no rows are shown where nothing names them alike on both sides."""
    header, rows = [], []
    if keys:
        joined: pd.DataFrame | None = None
        for side, effects in sides.items():
            part = getattr(effects, table)[[*keys, "n", value]].rename(columns={value: side})
            part = part if joined is None else part.drop(columns="n")
            joined = part if joined is None else joined.merge(part, on=keys, how="outer")
        assert joined is not None
        header = [*keys, "n", *sides]
        rows = [
            [f"{cell:.2f}" if isinstance(cell, float) and name in sides else _plain(cell)
             for name, cell in zip(header, row, strict=True)]
            for row in joined[header].itertuples(index=False)
        ]  # fmt: skip
    return {
        "title": title,
        "text": text,
        "figure": embedded(png_of(figure)),
        "alt": f"{title}: {' and '.join(sides)}" + ("; the numbers stand below" if rows else ""),
        "header": [name.replace("minus_3", "−3").replace("plus_4", "+4") for name in header],
        "rows": rows,
    }


def _panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = new_figure(width if count == 1 else 11, height)
    panels = list(figure.subplots(1, count, squeeze=False, sharex=True, sharey=True)[0])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _as_matrix(table: pd.DataFrame) -> NDArray[np.float64]:
    wide = table.pivot_table(index="minus_3", columns="plus_4", values="mean")
    return np.asarray(wide.reindex(index=list(LETTERS), columns=list(LETTERS)).to_numpy(), dtype=np.float64)


def _heat(axes: Axes, values: NDArray[np.float64], across: list[str], colours: str, most: float | None) -> None:
    low = None if most is None else -most
    axes.imshow(values, cmap=colours, aspect="auto", vmin=low, vmax=most)
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(LETTERS)), list(LETTERS))
    middle = np.nanmean(values) if most is None and np.isfinite(values).any() else 0
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        dark = value < middle if most is None else abs(value) > 0.6
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color="w" if dark else "k")


def _agrees(sides: Mapping[str, GlobalEffects], what: str, of: str = "") -> str:
    found = agreement(sides).get(what)
    return "" if found is None else f" Correlation of model and measurements{of}: {found:.3f}."


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if len(first) < 3 or not np.ptp(first) or not np.ptp(second):
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _plain(cell: object) -> str:
    if isinstance(cell, float):
        return "" if np.isnan(cell) else f"{cell:.10g}"
    return str(cell)
