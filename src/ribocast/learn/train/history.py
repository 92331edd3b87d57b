"""The course of a training run as a table and a picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from ribocast.io.writers import whole_file


def in_words(losses: Mapping[str, float]) -> str:
    """Say an epoch's losses in a few words."""
    validation = f", validation loss {losses['val_loss']:.4f}" if "val_loss" in losses else ""
    return f"train loss {losses['train_loss']:.4f}{validation}"


def write_history(folder: Path, history: list[dict[str, float]], best_epoch: int, title: str) -> None:
    """Write ``history.csv`` and ``history.png``: losses of each epoch, in squared standard deviations."""
    with whole_file(folder / "history.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)

    from matplotlib.ticker import MaxNLocator

    from ribocast.io.figures import new_figure, save_figure

    figure = new_figure(6, 4)
    axes = figure.add_subplot()
    epochs = [entry["epoch"] for entry in history]
    axes.plot(epochs, [entry["train_loss"] for entry in history], color="#0072b2", marker="o", ms=3, label="training")
    # Earlier versions wrote the training loss there where no rows were held out.
    if all("val_loss" in entry for entry in history):
        losses = [entry["val_loss"] for entry in history]
        axes.plot(epochs, losses, color="#d55e00", marker="o", ms=3, label="validation")
    axes.axvline(best_epoch, color="0.6", ls=":", label=f"kept epoch ({best_epoch})")
    axes.set(xlabel="epoch", ylabel="mean squared error (standard deviations²)", title=title)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with whole_file(folder / "history.png") as partial:
        save_figure(figure, partial, ".png")
