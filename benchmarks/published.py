"""Our figures beside the published ones, for every part of the libraries that can be evaluated honestly.

    python benchmarks/published.py [--model MODEL] [--json FILE]

Ours are read from the model's ``model.json``: out-of-fold predictions, made by ``train_shipped.py``. Those of others
are as published, or measured with the published weights; each says what the model was trained on, and where it was
evaluated on other rows. Of published test rows ours are those that are at hand, about four in five.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ribocast.model.bundle import DEFAULT_MODEL, Evaluation, open_bundle


@dataclass(frozen=True)
class Published:
    """A squared correlation that somebody else's model reaches."""

    model: str
    r2: float
    trained_on: str


OPTIMUS = "Optimus 5-Prime (Sample et al. 2019)"
FRAMEPOOL = "FramePool (Karollus et al. 2021)"
MTTRANS = "MTtrans (Zheng et al. 2023)"
UTR_LM = "UTR-LM (Chu et al. 2024)"
UTR_INSIGHT = "UTR-Insight (as its authors report)"
SMART5UTR = "Smart5UTR (Tang et al. 2024)"
RANDOM = "260,000 other rows of the random library"
MPRA = "the random and the varying-length library"

# By assay and the beginning of the part that model.json names.
PUBLISHED = {
    ("egfp_random50", "published test rows"): [
        Published(OPTIMUS, 0.934, f"{RANDOM}; evaluated on all 20,000 test rows"),
        Published(FRAMEPOOL, 0.911, MPRA),
        Published(UTR_LM, 0.949, f"{RANDOM}, pre-trained on natural 5′ UTRs"),
        Published(MTTRANS, 0.949, "all libraries at once"),
    ],
    ("egfp_human50", "rows with most reads"): [
        Published(FRAMEPOOL, 0.756, f"{MPRA}, none of this one"),
        Published(OPTIMUS, 0.811, "retrained with the other half of this library"),
        Published(MTTRANS, 0.850, "all libraries at once"),
    ],
    ("egfp_human50", "other rows"): [
        Published(OPTIMUS, 0.724, "these very rows"),
    ],
    ("egfp_varying25to100", "random"): [
        Published(FRAMEPOOL, 0.827, MPRA),
        Published(UTR_INSIGHT, 0.890, "its authors' training rows of this library"),
        Published(MTTRANS, 0.905, "76,000 rows of this library, and the others"),
    ],
    ("egfp_varying25to100", "human, rows with most reads"): [
        Published(FRAMEPOOL, 0.796, MPRA),
        Published(UTR_INSIGHT, 0.815, "its authors' training rows of this library"),
        Published(MTTRANS, 0.854, "76,000 random rows of this library, and the others"),
    ],
    ("egfp_random50_m1psi", "all"): [
        Published(FRAMEPOOL, 0.722, f"{MPRA}, no modified RNA"),
        Published(OPTIMUS, 0.788, "retrained on this library"),
        Published(SMART5UTR, 0.809, "200,000 rows of this library"),
    ],
    ("egfp_human50", "SNV pairs"): [
        Published(OPTIMUS, 0.553, "the random library; evaluated on all published pairs"),
    ],
    ("egfp_random50", "polysome profile"): [
        Published(OPTIMUS, 0.835, f"{RANDOM}; evaluated on all test rows; ours have no upstream ATG: not comparable"),
    ],
    ("egfp_human50", "polysome profile"): [],
    ("egfp_varying25to100", "polysome profile"): [],
}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a shipped model or a folder")
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    card = open_bundle(options.model).card
    rows = sum(data.rows for data in card.data)
    ours = f"four fifths of {rows:,} rows of all four libraries, never these"
    table = []
    for (assay, part), others in PUBLISHED.items():
        figure = find(card.evaluations, assay, part)
        if figure is None:
            print(f"\n{assay}, {part}: {card.name} has no figure")
            continue
        print(f"\n{assay}, {figure.subset}: {figure.rows:,} rows, {figure.split}\n  r²     model {'trained on':>46}")
        low, high = figure.pearson_r2_ci95 or (None, None)
        interval = f"   95 % interval {low:.3f} to {high:.3f}" if low is not None else ""
        print(f"  {figure.pearson_r2:.3f}  ribocast {card.name:<32} {ours}{interval}")
        for other in sorted(others, key=lambda entry: -entry.r2):
            print(f"  {other.r2:.3f}  {other.model:<41} {other.trained_on}")
        table.append({"ours": figure.model_dump(), "others": [asdict(other) for other in others]})
    if options.json:
        options.json.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n")


def find(figures: tuple[Evaluation, ...], assay: str, part: str) -> Evaluation | None:
    """Return the figure of an assay whose part begins so."""
    return next((entry for entry in figures if entry.assay == assay and entry.subset.startswith(part)), None)


if __name__ == "__main__":
    main()
