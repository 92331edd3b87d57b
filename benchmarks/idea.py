"""Try an idea on one fold: a network with changed settings or recipe, evaluated as in docs/accuracy.md.

    python benchmarks/idea.py --data DIR [--set dropout=0.2] [--recipe weight_decay=0.01] [--seed 1] [--work DIR]

Fold 0 of `train_shipped.py` is unseen; one network is trained on what that script trains on then. Without changes it is
trained as a teacher of the shipped model is (seed 1, 12 epochs).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import ribocast
from ribocast.learn import fit
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.evaluation.variant_changes import pair_unseen
from ribocast.learn.networks import parse_settings
from ribocast.learn.recipe import FRAMED_RECIPE
from train_shipped import (
    HUMAN,
    MODEL,
    TEACHERS_EPOCHS,
    evaluate_subsets,
    evaluate_variants,
    mrls_of,
    predict_own,
    read_rows,
    trained_on,
)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz of every library")
    parser.add_argument("--set", action="append", default=[], help="a setting of the network, name=value")
    parser.add_argument("--recipe", action="append", default=[], help="a setting of its training, name=value")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("idea-run"), help="checkpoint and model")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    rows, fold = read_rows(options.data)
    recipe = FRAMED_RECIPE.with_changes(epochs=TEACHERS_EPOCHS)
    trained = fit(
        trained_on(rows, fold, 0).reset_index(drop=True), options.work, assays=ASSAYS, model=MODEL, held_out=0.0,
        settings=parse_settings(options.set), recipe=recipe.with_changes(**parse_settings(options.recipe)),
        seed=options.seed, resume=True, say=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    unseen = rows[fold == 0].reset_index(drop=True)
    mrls = mrls_of(unseen, predict_own(ribocast.load(trained.bundle.folder), unseen))
    pairs = pd.read_csv(options.data / f"{HUMAN}_snv_pairs.csv.gz")
    pairs = pair_unseen(pairs, unseen.assign(fold=0, predicted=mrls), HUMAN)
    figures = [figure for figure in evaluate_subsets(unseen, mrls) if figure.subset != "all" or "m1psi" in figure.assay]
    mean = float(np.mean([figure.pearson_r2 for figure in figures]))
    changes = evaluate_variants(pairs, unseen)
    for figure in [*figures, changes]:
        print(f"{figure.assay:<22}{figure.subset:<46}{figure.rows:>7,}{figure.pearson_r2:>8.4f}")
    print(f"{'mean of all but the pairs':<75}{mean:>8.4f}")
    if options.json:
        report = {"evaluations": [figure.model_dump() for figure in [*figures, changes]], "mean": mean}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
