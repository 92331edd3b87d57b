"""Draw the README's picture: predicted against measured MRLs of rows that no network behind a prediction had seen.

    python benchmarks/picture.py WORK/default.parquet docs/accuracy.png

``train_shipped.py`` writes the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from ribocast.learn.data.assays import ASSAYS

mpl.use("Agg")
import matplotlib.pyplot as plt


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    rows = pd.read_parquet(options.table)
    figure, panels = plt.subplots(1, len(ASSAYS), figsize=(13, 3.6), layout="constrained", sharex=True, sharey=True)
    for panel, name in zip(panels, ASSAYS, strict=True):
        own = rows[rows["assay"] == name]
        r2 = np.corrcoef(own["mrl"], own["predicted"])[0, 1] ** 2
        panel.hexbin(own["predicted"], own["mrl"], gridsize=60, bins="log", cmap="viridis", extent=(1, 10, 0, 11), lw=0)
        panel.axline((5, 5), slope=1, color="0.5", lw=0.8, ls=":")
        panel.set_title(f"{name}\nr² {r2:.3f}, n = {len(own):,}", fontsize=10)
        panel.set_xlabel("predicted (ribosomes per mRNA)")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("measured (ribosomes per mRNA)")
    figure.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
