"""Drawings of the page as SVG, in Okabe and Ito's colours, which colour-blind readers tell apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ribocast.explaining import Explanation

LETTERS = "ACGT"
_UP, _DOWN, _BAR, _GREY = (0, 114, 178), (213, 94, 0), "#00697d", "#5b6b73"
_FRAMES = ("#0072b2", "#d55e00", "#cc79a7")
_OPACITY = {"weak": 0.45, "moderate": 0.7, "strong": 1.0}
_CELL, _CODING, _LEFT = 14, 12, 40
_SMALLEST_SCALE = 0.1


def histogram(loads: NDArray[np.float64], unit: str) -> str:
    """Draw how many sequences have which load."""
    low, high = np.floor(loads.min()), max(np.ceil(loads.max()), np.floor(loads.min()) + 1)
    counts, edges = np.histogram(loads, bins=max(4, int(2 * (high - low))), range=(low, high))
    names = [f"{a:g} to {b:g}" for a, b in itertools.pairwise(edges)]
    said = "; ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True) if count)
    marks = [f"{edge:g}" for edge in edges]
    words = f"Sequences by load in {unit}. {said}"
    return _bars(counts.astype(float), words, names, marks, unit, "{:.0f}", between=True)


def profile(shares: Sequence[float], weights: Sequence[float]) -> str:
    """Draw a polysome profile: the share of each fraction."""
    names = [f"{weight:g} ribosomes" for weight in weights]
    said = "; ".join(f"{name}: {share:.3f}" for name, share in zip(names, shares, strict=True))
    marks = [f"{weight:g}" for weight in weights]
    words = f"Share of the mRNA in each polysome fraction. {said}"
    return _bars(np.asarray(shares, dtype=float), words, names, marks, "ribosomes per mRNA of the fraction", "{:.3f}")


def heat_map(explanation: Explanation) -> str:
    """Draw the log2 fold change of every substitution; page.js says the one under the pointer, or the arrow keys."""
    seq, rows = explanation.seq, explanation.effects
    rows = rows[rows["kind"] == "substitution"]
    change = rows["log2_fold_change"].to_numpy(dtype=float)
    most = max(_SMALLEST_SCALE, float(np.nanmax(np.abs(change), initial=0.0)))
    cells = []
    columns = ("position", "ref", "alt", "mrl", "log2_fold_change", "consequence")
    for position, ref, alt, mrl, log2, words in zip(*(rows[name] for name in columns), strict=True):
        x, y = _LEFT + (position + len(seq)) * _CELL, LETTERS.index(alt) * _CELL
        own = ref == alt
        effect = f"{position} {ref} to {alt}: load {mrl:.2f}, log2 fold change {log2:+.2f}; {words}"
        tip = f"{position} {ref}: the sequence's own letter, load {mrl:.2f}" if own else effect
        place = f'data-x="{position + len(seq)}" data-y="{LETTERS.index(alt)}"'
        cells.append(f'<rect x="{x}" y="{y}" width="{_CELL - 1}" height="{_CELL - 1}" fill="{_shade(log2 / most)}" '
                     f'{place} data-tip="{escape(tip)}"/>')  # fmt: skip
        if own:
            cells.append(f'<circle cx="{x + _CELL / 2 - 0.5}" cy="{y + _CELL / 2 - 0.5}" r="2" fill="#222"/>')
    names = [_text(_LEFT - 8, row * _CELL + 11, letter, anchor="end") for row, letter in enumerate(LETTERS)]
    width, height = _LEFT + len(seq) * _CELL + 10, 4 * _CELL + 40
    letters = [_text(_LEFT + at * _CELL + _CELL / 2, 4 * _CELL + 13, letter) for at, letter in enumerate(seq)]
    ticks = [_text(_LEFT + (at + len(seq)) * _CELL + _CELL / 2, 4 * _CELL + 30, f"−{-at}")
             for at in range(-10, -len(seq) - 1, -10)]  # fmt: skip
    svg = _svg(width, height, "Effect of every substitution; the strongest stand in the table below",
               [*names, *letters, *ticks, *cells])  # fmt: skip
    legend = (f'<p class="rc-legend"><span style="background:{_shade(-1)}"></span> lower load (log2 {-most:+.2f}) '
              f'<span style="background:{_shade(0)}"></span> unchanged <span style="background:{_shade(1)}"></span> '
              f"higher load ({most:+.2f}); a dot is the sequence's own letter</p>")  # fmt: skip
    return (f'<figure class="rc-figure"><figcaption>Effect of every substitution</figcaption>'
            f'<div class="rc-scroll rc-heat" tabindex="0" role="application" aria-label="Effects of substitutions: '
            f'arrow keys go from one to the next">{svg}</div><p class="rc-tip" aria-live="polite">'
            f"Point at a square, or use the arrow keys, to read it.</p>{legend}</figure>")  # fmt: skip


def uorf_map(explanation: Explanation) -> str:
    """Draw upstream start codons with the frames they open, and the start codon."""
    length, uorfs = len(explanation.seq), explanation.uorfs
    before = max([0, *(-uorf.position - length for uorf in uorfs)])

    def x(position: float) -> float:
        return _LEFT + 30 + (position + length + before) * 8.0

    parts = [_text(8, 22 + 30 * row, f"frame {row}", anchor="start") for row in range(3)]
    parts += [f'<line x1="{x(-length)}" x2="{x(_CODING)}" y1="{18 + 30 * row}" y2="{18 + 30 * row}" stroke="#c3ced3"/>'
              for row in range(3)]  # fmt: skip
    parts.append(f'<rect x="{x(0)}" y="10" width="{_CODING * 8}" height="16" fill="#9aa8ae"/>')
    parts.append(_text(x(0) + 4, 22, "start codon", anchor="start"))
    for uorf in uorfs:
        inside = uorf.kind == "uORF" and uorf.stop is not None
        end = uorf.stop + 3 if inside and uorf.stop is not None else _CODING
        y = 10 + 30 * uorf.frame
        words = escape(uorf.in_words(place=True))
        shape = f'fill="{_FRAMES[uorf.frame]}" fill-opacity="{_OPACITY[uorf.strength]}"'
        parts.append(f'<rect x="{x(uorf.position)}" y="{y}" width="{(end - uorf.position) * 8}" height="16" {shape}>'
                     f"<title>{words}</title></rect>")  # fmt: skip
        parts.append(_text(x(uorf.position), y + 27, f"{uorf.codon} {uorf.position}, {uorf.strength}", anchor="start"))
    said = "; ".join(uorf.in_words(place=True) for uorf in uorfs) or "no upstream start codon"
    return _svg(x(_CODING) + 90, 104, f"Upstream start codons: {said}", parts)


def _bars(
    heights: NDArray[np.float64], words: str, names: Sequence[str], marks: Sequence[str], axis: str, form: str, *,
    between: bool = False,
) -> str:  # fmt: skip
    width, height, step = 520.0, 150.0, (520.0 - _LEFT) / len(heights)
    top = float(heights.max()) or 1.0
    parts = [_text(_LEFT - 6, 16, form.format(top), anchor="end"), _text(_LEFT - 6, height + 4, "0", anchor="end")]
    for at, (value, name) in enumerate(zip(heights, names, strict=True)):
        tall = (height - 12) * value / top
        tip = f"<title>{escape(name)}: {form.format(value)}</title>"
        parts.append(f'<rect x="{_LEFT + at * step + 1:.1f}" y="{height - tall:.1f}" width="{step - 2:.1f}" '
                     f'height="{tall:.1f}" fill="{_BAR}">{tip}</rect>')  # fmt: skip
    parts.append(f'<line x1="{_LEFT}" x2="{width}" y1="{height}" y2="{height}" stroke="{_GREY}"/>')
    every = -(-len(marks) // 14)
    parts += [_text(_LEFT + (at + (0 if between else 0.5)) * step, height + 16, mark)
              for at, mark in enumerate(marks) if at % every == 0]  # fmt: skip
    parts.append(_text((width + _LEFT) / 2, height + 34, axis))
    return _svg(width + 14, height + 40, words, parts)


def _svg(width: float, height: float, words: str, parts: Sequence[str]) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>')  # fmt: skip


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def _shade(share: float) -> str:
    """Go from white to blue for more, to vermilion for less."""
    if not np.isfinite(share):
        return "#dddddd"
    end = _UP if share > 0 else _DOWN
    # Not quite white in the middle: a square stays to be seen.
    return "#" + "".join(f"{round(245 + (one - 245) * min(1.0, abs(share))):02x}" for one in end)
