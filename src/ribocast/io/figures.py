"""Figures without a screen: made, and written so that the same figure gives the same bytes. Needs ``plots``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, target: Path | IO[bytes], ending: str) -> None:
    """Write a figure to a file, by its path or open; the same one gives the same bytes."""
    # No version and no date.
    told = {".png": ("Software",), ".svg": ("Date",), ".pdf": ("CreationDate", "Producer")}[ending]
    if ending != ".png":
        # The layout differs from run to run far below a pixel, which names in a vector file are made from.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes in figure.axes:
            axes.set_position(Bbox(axes.get_position().get_points().round(6)))
    with mpl.rc_context({"svg.hashsalt": "ribocast"}):
        figure.savefig(target, dpi=150, format=ending[1:], metadata=dict.fromkeys(told))


def png_of(figure: Figure, dpi: int = 110) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()
