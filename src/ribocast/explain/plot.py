"""Figures of explanations; they need the extra ``plots`` (matplotlib)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrow, PathPatch, Rectangle
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from ribocast.io.figures import new_figure
from ribocast.sequence.uorf import Uorf

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from ribocast.explain.explain import Explanation

LETTERS = "ACGT"
# Okabe & Ito's colours, which colour-blind readers tell apart.
_LETTER_COLOURS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00", "N": "#808080"}
_FRAME_COLOURS = ("#0072b2", "#d55e00", "#cc79a7")
_KOZAK_ALPHA = {"unknown": 0.35, "weak": 0.35, "moderate": 0.65, "strong": 1.0}
_CODING = 12
"""Letters of the coding sequence that are drawn."""
_SMALLEST_SCALE = 0.1
_INDEL_ROWS = (("deletion", 1), ("deletion", 2), ("deletion", 3), ("insertion", 1), ("insertion", 2), ("insertion", 3))


def draw_explanation(explanation: Explanation) -> Figure:
    """Draw why a UTR is translated as it is.

    From top to bottom: the sequence, each letter as tall as its own effect (the mean log2 fold change of its three
    substitutions, turned over: letters that raise the MRL stand up); the log2 fold change of every substitution, the
    sequence's own letters as dots; of deletions and insertions, if they were asked for (the strongest of the insertions
    of a length); upstream ORFs by frame, the darker the stronger their Kozak context; and the predicted polysome
    profile, if the model gives one. Positions count from the start codon.

    Parameters
    ----------
    explanation : Explanation
        See `ribocast.explain.explain.explain`.

    Returns
    -------
    matplotlib.figure.Figure
        Not shown; ``savefig`` writes it.
    """
    length = len(explanation.seq)
    before = max([0, *(-uorf.position - length for uorf in explanation.uorfs)])
    indels = [row for row in _INDEL_ROWS if _is_row(explanation.effects, *row).any()]
    heights = [1.5, 1.1, *([0.26 * len(indels)] if indels else []), 1.1]
    if explanation.profile is not None:
        heights.append(1.5)
    width = float(np.clip(0.15 * (length + before + _CODING) + 1.6, 7.5, 60))
    figure = new_figure(width, sum(heights) + 0.45 * len(heights) + 0.6)
    panels = list(figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    along = panels[: len(panels) - (explanation.profile is not None)]
    changes = _substitutions(explanation.effects, length)
    most = max(_SMALLEST_SCALE, float(np.nanmax(np.abs(explanation.effects["log2_fold_change"]), initial=0)))
    note = f"\n{explanation.note}" if explanation.note else ""
    figure.suptitle(explanation.headline + note, fontsize=10, parse_math=False)
    _draw_logo(along[0], explanation.seq, changes)
    image = _draw_heat(along[1], changes, list(LETTERS), length, most)
    _mark_own(along[1], explanation.seq)
    if indels:
        rows = np.stack([_strongest(explanation.effects, length, *row) for row in indels])
        names = [f"{'−' if kind == 'deletion' else '+'}{size} nt" for kind, size in indels]
        _draw_heat(along[2], rows, names, length, most)
    _draw_uorfs(along[-1], explanation)
    figure.colorbar(image, ax=along, label="log2 fold change", shrink=0.6, pad=0.01)
    for panel in along:
        panel.set_xlim(-length - before - 0.5, _CODING - 0.5)
        panel.set_xticks([])
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    step = 10 if length <= 200 else 50
    at = [*range(-step, -length - 1, -step), 0, 10]
    along[-1].set_xticks(at, [str(x if x < 0 else x + 1).replace("-", "−") for x in at], fontsize=8)
    along[-1].set_xlabel("position from the start codon (A of ATG is 1)", fontsize=8)
    if explanation.profile is not None:
        _draw_profile(panels[-1], explanation)
    return figure


def _is_row(effects: pd.DataFrame, kind: str, size: int) -> pd.Series:
    letters = effects["ref"] if kind == "deletion" else effects["alt"]
    return (effects["kind"] == kind) & (letters.str.len() == size)


def _substitutions(effects: pd.DataFrame, length: int) -> NDArray[np.float64]:
    """Arrange the changes of substitutions as (4, length)."""
    mine = effects[effects["kind"] == "substitution"]
    changes = np.full((4, length), np.nan)
    changes[[LETTERS.index(alt) for alt in mine["alt"]], mine["position"] + length] = mine["log2_fold_change"]
    return changes


def _strongest(effects: pd.DataFrame, length: int, kind: str, size: int) -> NDArray[np.float64]:
    """Give each position its strongest change of a kind and size; an insertion at the end goes to 0."""
    mine = effects[_is_row(effects, kind, size)].dropna(subset="log2_fold_change")
    strongest = mine.loc[mine["log2_fold_change"].abs().groupby(mine["position"]).idxmax()]
    row = np.full(length + 1, np.nan)
    row[np.minimum(strongest["position"], 0) + length] = strongest["log2_fold_change"]
    return row


def _draw_logo(axes: Axes, seq: str, changes: NDArray[np.float64]) -> None:
    font = FontProperties(family="DejaVu Sans", weight="bold")
    with np.errstate(invalid="ignore"):
        others = np.where([[letter == own for own in seq] for letter in LETTERS], np.nan, changes)
        heights = -np.nansum(others, axis=0) / np.maximum(1, np.isfinite(others).sum(axis=0))
    for index, (letter, height) in enumerate(zip(seq, heights, strict=True)):
        path = TextPath((0, 0), letter, size=1, prop=font)
        box = path.get_extents()
        fit = Affine2D().translate(-box.x0, -box.y0).scale(0.9 / box.width, height / box.height)
        where = fit.translate(index - len(seq) - 0.45, 0) + axes.transData
        axes.add_patch(PathPatch(path, transform=where, color=_LETTER_COLOURS[letter], lw=0))
    edge = max(_SMALLEST_SCALE / 3, float(np.abs(heights).max()))
    axes.set_ylim(min(-0.15 * edge, float(heights.min()) * 1.05), max(0.15 * edge, float(heights.max()) * 1.05))
    axes.axhline(0, color="0.4", lw=0.6)
    axes.set_ylabel("effect of\nthe letter", fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_heat(axes: Axes, rows: NDArray[np.float64], names: list[str], length: int, most: float) -> AxesImage:
    image = axes.imshow(
        rows, aspect="auto", interpolation="nearest", cmap="RdBu", vmin=-most, vmax=most,
        extent=(-length - 0.5, rows.shape[1] - length - 0.5, len(names) - 0.5, -0.5),
    )  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.tick_params(length=0)
    return image


def _mark_own(axes: Axes, seq: str) -> None:
    marks = [(index - len(seq), LETTERS.index(letter)) for index, letter in enumerate(seq) if letter in LETTERS]
    if marks:
        axes.plot(*zip(*marks, strict=True), ".", color="0.25", ms=2.5)


def _draw_uorfs(axes: Axes, explanation: Explanation) -> None:
    for uorf in explanation.uorfs:
        _draw_uorf(axes, uorf)
    start = explanation.start
    axes.add_patch(Rectangle((-0.5, -0.25), _CODING, 0.5, color="0.75", lw=0))
    # The two letters that grade its context, −3 and +4.
    for x in (-3, 3):
        axes.add_patch(Rectangle((x - 0.5, -0.25), 1, 0.5, fill=False, edgecolor="0.4", lw=0.8))
    axes.text(0, 0.42, f"start: {start.strength} ({start.score:+.2f})", fontsize=6, va="center")
    axes.set_ylim(2.6, -0.6)
    axes.set_yticks(range(3), [f"frame {frame}" for frame in range(3)], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("upstream\nORFs", fontsize=8)


def _draw_uorf(axes: Axes, uorf: Uorf) -> None:
    colour, alpha = _FRAME_COLOURS[uorf.frame], _KOZAK_ALPHA[uorf.strength]
    inside = uorf.kind == "uORF" and uorf.stop is not None
    end = uorf.stop + 2.5 if inside and uorf.stop is not None else _CODING - 0.5
    if inside:
        axes.add_patch(Rectangle((uorf.position - 0.5, uorf.frame - 0.2), end - uorf.position + 0.5, 0.4, color=colour,
                                 alpha=alpha, lw=0))  # fmt: skip
        axes.plot([end, end], [uorf.frame - 0.3, uorf.frame + 0.3], color=colour, lw=1.5)
    else:
        # An arrow: it is read on into the coding sequence.
        axes.add_patch(FancyArrow(uorf.position - 0.5, uorf.frame, end - uorf.position + 0.5, 0, width=0.4,
                                  head_width=0.6, head_length=1.5, length_includes_head=True, color=colour,
                                  alpha=alpha, lw=0))  # fmt: skip
    label = f"{'' if uorf.codon == 'ATG' else uorf.codon + ' '}{uorf.strength} ({uorf.score:+.2f})"
    axes.text(uorf.position, uorf.frame + 0.42, label, fontsize=6, va="center")


def _draw_profile(axes: Axes, explanation: Explanation) -> None:
    assert explanation.profile is not None
    weights = explanation.assay.fraction_weights or ()
    axes.bar(range(len(weights)), explanation.profile, color="#56b4e9", width=0.8)
    axes.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights], fontsize=7)
    axes.set_xlabel("polysome fraction, by its ribosomes per mRNA", fontsize=8)
    axes.set_ylabel("share", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
