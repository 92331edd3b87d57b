"""Train the shipped models on the measurements, and estimate their accuracy on rows they have not seen.

    python benchmarks/train_shipped.py --data DIR [--work DIR] [--json FILE]

Two networks that differ by seed and weight decay are trained on every row. They label new sequences, and a third, the
student, narrower and faster, is trained on these and the rows. `default` is the student, `default-large` the mean of
all three.
For three folds (whole groups of sequences that share a 24-mer) all this is done again without the fold, teachers
included, and without the published test half of the random library: that half is judged by networks that were trained
on the published training half of it, every other library by a fold (a fifth of its rows). The figures and prediction
intervals of ``model.json`` come from these out-of-fold predictions alone, which stand row by row in ``NAME.parquet``
of the work folder. A process of one thread trains the three networks of a fold: small steps leave a second thread
little to do. Every training keeps a checkpoint after each epoch; run the command again and it continues.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ribocast
from ribocast.learn import average, distilled_rows, fit
from ribocast.learn.data.assays import ASSAYS, load_measurements
from ribocast.learn.data.splits import grouped_k_fold, shared_kmer_groups
from ribocast.learn.evaluation.calibration import calibrate_card, evaluate_subset
from ribocast.learn.evaluation.intervals import calibrate
from ribocast.learn.evaluation.metrics import Floats, score_profile
from ribocast.learn.evaluation.variant_changes import pair_unseen, with_change_interval
from ribocast.learn.networks import load_network
from ribocast.learn.recipe import FRAMED_RECIPE
from ribocast.learn.train.export import write_network
from ribocast.model.applicability import how_unusual, interval_scaling
from ribocast.model.bundle import PRETRAINED, Evaluation, ModelCard, open_bundle
from ribocast.model.predictor import Predictor, interval
from ribocast.sequence.batch import Batch

MODEL, FOLD_SEED = "framed", 1
# A fold is a fifth of the rows, and three of the five are judged.
FOLDS, JUDGED = 5, 3
# Weight decay by teacher: those that differ in more than their seed err more independently.
TEACHERS, TEACHERS_EPOCHS = {"seed-1": 1.0, "seed-3": 0.3}, 12
STUDENT, STUDENT_EPOCHS, DISTILLED_ROWS, DISTILLED_SEED = "student-4", 10, 100_000, 5
# It need not find out what its teachers did: fewer channels, and faster.
STUDENT_SETTINGS = {"channels": 48}
# What each bundle is the mean of.
SHIPPED = {"default": (STUDENT,), "default-large": (*TEACHERS, STUDENT)}
HOW = f"out of fold, {JUDGED} of {FOLDS} folds grouped by shared 24-mers, seed {FOLD_SEED}"
RANDOM, HUMAN, VARYING, WELL_MEASURED_READS = (
    "egfp_random50", "egfp_human50", "egfp_varying25to100", 620,
)  # fmt: skip


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz of every library")
    parser.add_argument("--work", type=Path, default=Path("shipped-run"), help="checkpoints and fold models")
    parser.add_argument("--output", type=Path, default=PRETRAINED, help="folder for the bundles")
    parser.add_argument("--json", type=Path, help="write the table here too")
    parser.add_argument(
        "--workers", type=int, default=JUDGED + 1, help="processes, at most four (default: %(default)s)"
    )
    options = parser.parse_args()
    began = time.perf_counter()
    rows, fold = read_rows(options.data)
    train_all(rows, fold, options.work, options.workers)
    report = {name: ship(name, rows, fold, options) for name in SHIPPED}
    print(f"wrote {options.output} after {(time.perf_counter() - began) / 60:.0f} minutes")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def read_rows(data: Path) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Read all measurements, with the `group` of each row, those that share 24-mers; and the fold of each.

    Folds from `JUDGED` on judge nothing, and are trained on by all. So are rows of the published training half of the
    random library that share nothing with other libraries. Of the groups with a published test row all are judged.
    """
    rows = load_measurements(data)
    rows["group"] = shared_kmer_groups(rows["seq"].tolist())
    fold = grouped_k_fold(rows["group"].to_numpy(), FOLDS, seed=FOLD_SEED)
    is_test = rows["group"].isin(rows["group"][published_test(rows)]).to_numpy()
    is_shared = rows["group"].isin(rows["group"][rows["assay"] != RANDOM]).to_numpy()
    fold[is_test] = grouped_k_fold(rows["group"].to_numpy()[is_test], JUDGED, seed=FOLD_SEED)
    fold[~is_test & ~is_shared] = FOLDS
    return rows, fold


def published_test(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which rows are the published test half of the random library."""
    return ((rows["assay"] == RANDOM) & (rows["published_split"] == "test")).to_numpy()


def trained_on(rows: pd.DataFrame, fold: NDArray[np.int64], number: int) -> pd.DataFrame:
    """Return the rows that the networks of a fold are trained on."""
    return rows[(fold != number) & ~published_test(rows)]


def train_all(rows: pd.DataFrame, fold: NDArray[np.int64], work: Path, workers: int) -> None:
    """Train every network, or go on: without each fold, and on all rows."""
    # Read by the new processes when they load PyTorch.
    os.environ["OMP_NUM_THREADS"] = "1"
    parts = {"all": rows} | {f"fold-{number}": trained_on(rows, fold, number) for number in range(JUDGED)}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        tasks = [pool.submit(train_part, own, work, part) for part, own in parts.items()]
        try:
            for task in as_completed(tasks):
                task.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def train_part(rows: pd.DataFrame, work: Path, part: str) -> None:
    """Train teachers on these rows, then their student."""
    for network in (*TEACHERS, STUDENT):
        train(rows, work / network / part)


def train(rows: pd.DataFrame, folder: Path) -> None:
    """Train on all rows given, or continue; the last epoch is kept, so nothing was chosen on other rows."""
    network, part = folder.parts[-2:]

    def say(line: str) -> None:
        print(f"{network}/{part}: {line}", file=sys.stderr, flush=True)

    say(f"{len(rows):,} rows")
    if network in TEACHERS:
        recipe = FRAMED_RECIPE.with_changes(weight_decay=TEACHERS[network], epochs=TEACHERS_EPOCHS)
        settings, distilled = {}, None
    else:
        recipe, settings = FRAMED_RECIPE.with_changes(epochs=STUDENT_EPOCHS), STUDENT_SETTINGS
        teachers = [ribocast.load(folder.parents[1] / teacher / part, threads=1) for teacher in TEACHERS]
        distilled = distilled_rows(teachers, rows, DISTILLED_ROWS, seed=DISTILLED_SEED)
    fit(
        rows.reset_index(drop=True), folder, assays=ASSAYS, model=MODEL, recipe=recipe,
        settings=settings, distilled=distilled, held_out=0.0,
        seed=int(network.split("-")[1]), resume=True, say=say,
    )  # fmt: skip


def ship(name: str, rows: pd.DataFrame, fold: NDArray[np.int64], options: argparse.Namespace) -> dict[str, Any]:
    """Evaluate one of the shipped models by its like out of fold, and write it; return the figures."""
    print(f"\n{name}: {', '.join(SHIPPED[name])}")
    rows, fold = rows[fold < JUDGED].reset_index(drop=True), fold[fold < JUDGED]
    models = [
        [ribocast.load(options.work / network / f"fold-{number}") for network in SHIPPED[name]]
        for number in range(JUDGED)
    ]
    profiles = profiles_unseen(models, fold, rows)
    out_of_fold = mrls_of(rows, profiles)
    own = rows[["seq", "assay", "origin", "published_split", "reads", "mrl"]].assign(fold=fold, predicted=out_of_fold)
    own.to_parquet(options.work / f"{name}.parquet")
    predict = partial(predict_unseen, models, fold)
    pairs = pd.read_csv(options.data / f"{HUMAN}_snv_pairs.csv.gz")
    # Pairs were measured in one library; for variants of a genome, those of all lengths predict them.
    changes = {assay: changes_unseen(pairs, rows, fold, predict, assay) for assay in (HUMAN, VARYING)}
    scored = [evaluate_variants(found, rows, assay) for assay, found in changes.items()]
    evaluations = [*evaluate_subsets(rows, out_of_fold), *scored, *evaluate_profiles(rows, profiles)]
    print_table(evaluations)
    whole = [open_bundle(options.work / network / "all") for network in SHIPPED[name]]
    # What the student was distilled from stands in its card.
    card = whole[-1].card
    coverage = coverage_by_fold(card, rows, out_of_fold, fold)
    card = calibrate_card(card, rows, out_of_fold, HOW, predict)
    for assay, found in changes.items():
        card = with_change_interval(card, assay, found["log2_fold_change"].to_numpy(), found["predicted"].to_numpy())
    card = card.model_copy(update={"name": name, "evaluations": tuple(evaluations)})
    if len(whole) == 1:
        write_network(load_network(whole[0]), card, options.output / name)
    else:
        average(whole, options.output / name, card=card)
    return {"evaluations": [entry.model_dump() for entry in evaluations], "coverage": coverage}


def profiles_unseen(models: Sequence[Sequence[Predictor]], fold: NDArray[np.int64], rows: pd.DataFrame) -> Floats:
    """Predict the profile of each row by the networks trained without its fold; the index says which row it is."""
    profiles = np.zeros((len(rows), max(len(assay.fraction_weights or ()) for assay in ASSAYS.values())))
    for number, own in enumerate(models):
        unseen = fold[rows.index] == number
        profiles[unseen] = sum(predict_own(model, rows[unseen]) for model in own) / len(own)
    return profiles


def predict_unseen(models: Sequence[Sequence[Predictor]], fold: NDArray[np.int64], rows: pd.DataFrame) -> Floats:
    """Predict the MRL of each row by the networks trained without its fold."""
    return mrls_of(rows, profiles_unseen(models, fold, rows))


def predict_own(model: Predictor, rows: pd.DataFrame) -> Floats:
    """Predict the polysome profile of each row on its own assay's scale; fractions that it lacks are 0."""
    predicted = np.zeros((len(rows), model.card.width))
    for name in rows["assay"].unique():
        mine = (rows["assay"] == name).to_numpy()
        profile = model.profile(rows.loc[mine, "seq"].tolist(), assay=name)
        predicted[mine, : profile.shape[1]] = profile
    return predicted


def mrls_of(rows: pd.DataFrame, profiles: Floats) -> Floats:
    """Turn profiles into MRLs, each on its own assay's scale."""
    mrls = np.zeros(len(rows))
    for name, assay in ASSAYS.items():
        mine = (rows["assay"] == name).to_numpy()
        weights = np.array(assay.fraction_weights)
        mrls[mine] = profiles[mine, : len(weights)] @ weights
    return mrls


def coverage_by_fold(
    card: ModelCard, rows: pd.DataFrame, predicted: Floats, fold: NDArray[np.int64]
) -> dict[str, list[float]]:
    """Calibrate intervals on all folds but one and count how many rows of that they hold, each fold in turn."""
    coverage: dict[str, list[float]] = {}
    print(f"{'share of rows in 90 % intervals calibrated on the other folds':<72}by fold")
    for assay in card.assays:
        mine = (rows["assay"] == assay.name).to_numpy()
        utrs, measured = rows["seq"].to_numpy()[mine], rows["mrl"].to_numpy()[mine]
        mrls, part = predicted[mine], fold[mine]
        coverage[assay.name] = []
        for number in range(JUDGED):
            unseen = part == number
            calibrated = calibrate(assay, utrs[~unseen].tolist(), measured[~unseen], mrls[~unseen])
            wider = interval_scaling(how_unusual(Batch.of(utrs[unseen].tolist()), calibrated), calibrated)
            low, high = interval(calibrated, mrls[unseen], wider)
            coverage[assay.name].append(
                round(float(((low <= measured[unseen]) & (measured[unseen] <= high)).mean()), 4)
            )
        print(f"{assay.name:<72}{'  '.join(f'{share:.3f}' for share in coverage[assay.name])}")
    return coverage


def evaluate_profiles(rows: pd.DataFrame, profiles: Floats) -> list[Evaluation]:
    """Score predicted profiles where they were measured: the mean of the squared correlations of the fractions."""
    evaluations = []
    for name, assay in ASSAYS.items():
        columns = [f"r{number}" for number in range(len(assay.fraction_weights or ()))]
        mine = ((rows["assay"] == name) & rows["r0"].notna()).to_numpy()
        if mine.any():
            scores = score_profile(rows.loc[mine, columns].to_numpy(), profiles[mine, : len(columns)])
            subset = f"polysome profile, mean of {len(columns)} fractions, rows with a measured one"
            r2 = round(scores.mean_pearson_r2 or 0.0, 4)
            evaluations.append(Evaluation(assay=name, subset=subset, split=HOW, rows=scores.n, pearson_r2=r2))
    return evaluations


def evaluate_subsets(rows: pd.DataFrame, predicted: Floats) -> list[Evaluation]:
    """Score each library whole, and the parts of it that publications report."""
    test, human = rows["published_split"] == "test", rows["origin"] == "human"
    parts = {
        RANDOM: {"published test rows": test},
        HUMAN: {"all": True, "rows with most reads": test, "other rows (fewer reads)": ~test},
        VARYING: {"all": True, "random": ~human, "human, rows with most reads": human & test},
        "egfp_random50_m1psi": {"all": True},
    }
    evaluations = []
    for assay, subsets in parts.items():
        for subset, mask in subsets.items():
            mine = ((rows["assay"] == assay) & mask).to_numpy()
            measured, group = (rows.loc[mine, column].to_numpy() for column in ("mrl", "group"))
            evaluations.append(evaluate_subset(assay, subset, HOW, measured, predicted[mine], group))
    return evaluations


def changes_unseen(
    pairs: pd.DataFrame, rows: pd.DataFrame, fold: NDArray[np.int64], predict: Callable[[pd.DataFrame], Floats],
    assay: str,
) -> pd.DataFrame:  # fmt: skip
    """Predict the change of each pair on an assay's scale by networks that had seen neither sequence."""
    own = rows[rows["assay"] == HUMAN].assign(assay=assay)
    return pair_unseen(pairs, own.assign(fold=fold[own.index], predicted=predict(own)), assay)


def evaluate_variants(pairs: pd.DataFrame, rows: pd.DataFrame, assay: str = HUMAN) -> Evaluation:
    """Score log2 fold changes of single-nucleotide variants, predicted on an assay's scale."""
    pairs = pairs[pairs["alt_reads"] >= WELL_MEASURED_READS]
    group = rows.drop_duplicates("seq").set_index("seq")["group"][pairs["ref_seq"]].to_numpy()
    subset = f"SNV pairs, log2 fold change, ≥ {WELL_MEASURED_READS} reads"
    if assay != HUMAN:
        subset += f" (measured in {HUMAN})"
    return evaluate_subset(
        assay, subset, HOW, pairs["log2_fold_change"].to_numpy(), pairs["predicted"].to_numpy(), group
    )


def print_table(evaluations: list[Evaluation]) -> None:
    """Print the figures."""
    print(f"{'assay':<22}{'rows of':<46}{'n':>7}{'r²':>8}   95 % interval")
    for entry in evaluations:
        low, high = entry.pearson_r2_ci95 or (float("nan"), float("nan"))
        print(f"{entry.assay:<22}{entry.subset:<46}{entry.rows:>7,}{entry.pearson_r2:>8.3f}   {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
