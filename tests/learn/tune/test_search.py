"""Searching settings: the same winner however the work is divided, killed or resumed; bad grids; pruning."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io.locks import FileLock
from ribocast.learn import fit
from ribocast.learn.data.assays import labelled_rows
from ribocast.learn.data.simulate import simulate
from ribocast.learn.data.splits import Split, divide_into_folds, shared_kmer_groups
from ribocast.learn.networks import architecture
from ribocast.learn.tune.pruning import Trial, assess_trials, importance, is_hopeless, winner
from ribocast.learn.tune.scheduler import fold_file
from ribocast.learn.tune.search import search
from ribocast.learn.tune.space import Range, divide, read_space
from ribocast.learn.tune.study import Study
from ribocast.learn.tune.worker import FOLD_COLUMN, TrialSetup, predict_fold, score_fold
from where import ROOT

FOLDS = 6
RECIPE = architecture("optimus").recipe.with_changes(epochs=4, batch_size=16)
GRID = """
[grid]
filters = [4, 12]
recipe.learning_rate = [1e-7, 1e-2]
"""
FIXED = {"layers": 1, "dense": 16}
OPTIONS = ["--folds", FOLDS, "--epochs", 4, "--batch-size", 16, "--set", "layers=1", "--set", "dense=16"]


def table(rows=300):
    """MRLs that a small network fits in four epochs: what the share of G is, and a little noise."""
    frame = simulate(rows, seed=4)[["seq"]]
    noise = np.random.default_rng(1).normal(0, 0.2, rows)
    return frame.assign(label=frame["seq"].str.count("G") / 3 + 3 + noise)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    table().to_csv(folder / "train.csv", index=False)
    (folder / "grid.toml").write_text(GRID)
    return folder


def run(place, folder, **options):
    return search(place / "train.csv", folder, grid=place / "grid.toml", recipe=RECIPE, settings=FIXED,
                  **{"folds": FOLDS, "workers": 2, **options})  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(place):
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as after other work in the same process: the search must not depend on it
    try:
        return run(place, place / "whole")
    finally:
        torch.set_num_threads(before)


def results(folder):
    """What must not depend on how the work was done: everything but the time it took."""
    trials = pd.read_csv(folder / "trials.csv").drop(columns="seconds")
    report = json.loads((folder / "search.json").read_text())
    return trials, report["winner"]


def assert_same(folder, other):
    (trials, best), (other_trials, other_best) = results(folder), results(other)
    pd.testing.assert_frame_equal(trials, other_trials)
    assert best == other_best


def test_the_winner_of_a_grid_is_that_of_brute_force(undisturbed, place):
    rows, assays = labelled_rows(place / "train.csv")
    fold = divide_into_folds(rows["seq"].tolist(), FOLDS, seed=42).of_row
    rows = rows.assign(**{FOLD_COLUMN: fold})
    setup = TrialSetup("", assays, "optimus", 42, 1, "cpu")
    expected = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for filters in (4, 12):
        for rate in (1e-7, 1e-2):
            expected[filters, rate] = [
                score_fold(rows[fold == part], predict_fold(setup, rows, part, {**FIXED, "filters": filters},
                                                            RECIPE.with_changes(learning_rate=rate)))
                for part in range(FOLDS)
            ]  # fmt: skip
    torch.set_num_threads(threads)
    best = max(expected, key=lambda point: np.mean(expected[point]))
    assert tuple(undisturbed.winner.trial.values.values()) == best
    assert best[1] == 1e-2
    for verdict in undisturbed.verdicts:
        whole = expected[tuple(verdict.trial.values.values())]
        assert verdict.scores == pytest.approx(whole[: len(verdict.scores)], abs=1e-6)


def test_a_fold_is_predicted_as_by_the_network_that_fit_writes(tmp_path):
    rows, assays = labelled_rows(simulate(160, seed=5, min_length=25, max_length=100)[["seq", "mrl"]], "mine")
    fold = np.arange(len(rows)) % 4
    small, recipe = (
        {"channels": 8, "dilations": [1]},
        architecture("framed").recipe.with_changes(epochs=1, batch_size=16),
    )
    setup = TrialSetup("", assays, "framed", 42, 1, "cpu")
    predicted = predict_fold(setup, rows.assign(**{FOLD_COLUMN: fold}), 0, small, recipe)
    parts = Split(np.flatnonzero(fold != 0), np.flatnonzero(fold == 0), "fold 0")
    fit(rows, tmp_path, assays=assays, model="framed", settings=small, recipe=recipe, held_out=parts, device="cpu",
        export=False)  # fmt: skip
    written = ribocast.load(tmp_path).mrl(rows["seq"][fold == 0].tolist())
    np.testing.assert_allclose(predicted, written, rtol=0, atol=1e-4)


def test_hopeless_settings_are_pruned_good_ones_are_not(undisturbed):
    states = {(verdict.trial.values["recipe.learning_rate"], verdict.state) for verdict in undisturbed.verdicts}
    assert states == {(1e-7, "pruned"), (1e-2, "complete")}
    assert all(3 <= len(verdict.scores) < FOLDS for verdict in undisturbed.verdicts if verdict.state == "pruned")
    shares = importance(undisturbed.verdicts)
    assert shares["recipe.learning_rate"] > 0.8 > shares["filters"]


def test_the_winner_is_refitted_on_all_rows_and_calibrated_by_the_folds(undisturbed, place):
    model = ribocast.load(place / "whole" / "best")
    rows = table()
    card, best = model.card, undisturbed.winner
    assert len(model.predict(rows["seq"].tolist())) == len(rows)
    assert card.name == "whole"
    assert card.data[0].rows == card.evaluations[0].rows == len(rows)
    assert card.settings["filters"] == best.trial.values["filters"]
    assert card.recipe["learning_rate"] == best.trial.values["recipe.learning_rate"]
    assert "6 random folds, seed 42; the best of 4 trials by these very folds" in card.evaluations[0].split
    assert abs(card.evaluations[0].pearson_r2 - best.mean) < 0.15
    assert card.assays[0].interval.rows == len(rows)
    assert (place / "whole" / "importance.png").read_bytes().startswith(b"\x89PNG")


def start(place, folder, *options):
    command = [sys.executable, "-m", "ribocast", "search", place / "train.csv", "--grid", place / "grid.toml",
               "-o", folder, *OPTIONS, "--resume", *options]  # fmt: skip
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def recorded(folder):
    """Every score in the journal, as trial and fold, in order."""
    lines = (folder / "study.journal").read_text().splitlines()
    return [
        (entry["trial_id"], name)
        for entry in map(json.loads, lines)
        if entry["op_code"] == 8
        for name in entry["user_attr"]
    ]


def is_running(process):
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for_scores(folder, process, number):
    while process.poll() is None:
        if (folder / "study.journal").exists() and len(recorded(folder)) >= number:
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate()[1])


@pytest.mark.usefixtures("heeded")
def test_a_search_of_one_worker_killed_and_interrupted_ends_as_an_undisturbed_one_of_two(undisturbed, place):
    folder = place / "killed"
    first = start(place, folder, "--workers", 1)
    wait_for_scores(folder, first, 2)
    crew = Path(f"/proc/{first.pid}/task/{first.pid}/children")
    workers = crew.read_text().split() if crew.exists() else []
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    before = recorded(folder)
    for _ in range(400):
        if not any(is_running(worker) for worker in workers):
            break
        time.sleep(0.05)
    assert not any(is_running(worker) for worker in workers)
    # Whoever is killed while he writes leaves half a line.
    with (folder / "study.journal").open("a") as journal:
        journal.write('{"op_code":8,"worker_')
    second = start(place, folder, "--workers", 1)
    wait_for_scores_after(folder, second, before)
    second.send_signal(signal.SIGINT)
    assert "--resume goes on" in second.communicate()[1]
    assert second.returncode == 130
    last = start(place, folder, "--workers", 1)
    said = last.communicate()[1]
    assert last.returncode == 0, said
    assert_same(place / "whole", folder)
    after = recorded(folder)
    assert after[: len(before)] == before
    assert len(set(after)) == len(after)
    one, other = ((place / name / "best" / "model.safetensors").read_bytes() for name in ("whole", "killed"))
    assert one == other


def wait_for_scores_after(folder, process, before):
    # The half line is cut off when the first new one is written.
    while process.poll() is None:
        text = (folder / "study.journal").read_text()
        if text.endswith("\n") and len(recorded(folder)) > len(before):
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate()[1])


def test_two_processes_share_a_search_without_doing_anything_twice(undisturbed, place):
    folder = place / "shared"
    pair = [start(place, folder, "--workers", 1, "--json") for _ in range(2)]
    printed, said = zip(*(process.communicate() for process in pair), strict=True)
    assert [process.returncode for process in pair] == [0, 0], said
    assert json.loads(printed[0])["trials"] == json.loads(printed[1])["trials"]
    scores = recorded(folder)
    assert len(set(scores)) == len(scores)
    assert sum("refitting" in text for text in said) == 1
    assert_same(place / "whole", folder)


def small_study(folder, **facts):
    folder.mkdir(exist_ok=True)
    design = architecture("optimus")
    space = read_space({"layers": [1, 2], "dense": {"low": 8, "high": 64, "step": 8}}, design, RECIPE)
    return Study(folder, {"seed": 1, **facts}, space)


def test_a_trial_has_one_owner_until_he_is_gone(tmp_path):
    one, two = small_study(tmp_path), small_study(tmp_path)

    def propose(trials):
        return {"layers": 1, "dense": 8 + 8 * len(trials)}

    assert one.claim(3, propose) == 0
    assert two.claim(3, propose) == 1
    assert two.others_at_work() == [0]
    one.record(0, 1, 0.5, 2.0)
    one.release_all()  # As the system does for one that is killed.
    assert two.others_at_work() == []
    assert two.claim(3, propose) == 0
    assert two.trials()[0].scores == {1: 0.5}
    assert two.claim(3, propose) == 2
    assert two.claim(3, propose) is None
    assert [trial.values["dense"] for trial in one.trials()] == [8, 16, 24]


def test_a_study_of_another_search_or_a_damaged_one_is_refused(tmp_path):
    small_study(tmp_path)
    with pytest.raises(RibocastError, match=r"study.journal: cannot resume: seed was 1 and is now 2"):
        small_study(tmp_path, seed=2)
    (tmp_path / "study.journal").write_text('{"op_code": 0}\nnonsense\n{}\n')
    with pytest.raises(RibocastError, match=r"study\.journal: damaged"):
        small_study(tmp_path)


def test_a_lock_is_held_by_one(tmp_path):
    one, two = FileLock(tmp_path / "x"), FileLock(tmp_path / "x")
    assert one.try_acquire()
    assert not two.try_acquire()
    one.release()
    with two:
        assert not one.try_acquire()


def test_a_search_in_the_folder_is_neither_mixed_with_another_nor_replaced_unasked(undisturbed, place):
    with pytest.raises(RibocastError, match="holds a search already; --resume continues it"):
        run(place, place / "whole")
    with pytest.raises(RibocastError, match=r"cannot resume: folds was .*6 random.* and is now .*4 random"):
        run(place, place / "whole", resume=True, folds=4)
    with FileLock(place / "whole" / ".locks" / "trial-0"), pytest.raises(RibocastError, match="another process"):
        run(place, place / "whole", overwrite=True)
    assert (place / "whole" / "best" / "model.json").is_file()


def test_tpe_proposes_by_what_came_before_alone_and_a_trial_that_fails_is_left_out(place, tmp_path):
    grid = {"filters": [4, 8], "recipe": {"learning_rate": [1e-2, 1e30]}, "dropout": {"low": 0.0, "high": 0.5}}
    said = []
    found = search(place / "train.csv", tmp_path / "tpe", grid=grid, recipe=RECIPE, settings=FIXED, folds=2,
                   trials=5, workers=2, say=said.append)  # fmt: skip
    assert found.sampler == "tpe"
    assert {verdict.state for verdict in found.verdicts} == {"complete", "failed"}
    assert any("the loss became" in line for line in said)
    assert found.winner.trial.values["recipe.learning_rate"] == 1e-2
    facts = {}  # Any: only what is asked for is compared.
    study = Study(tmp_path / "tpe", facts, read_space(grid, architecture("optimus"), RECIPE))
    for number, verdict in enumerate(found.verdicts):
        assert study.suggest(found.verdicts[:number], 42) == verdict.trial.values
    trials = pd.read_csv(tmp_path / "tpe" / "trials.csv")
    assert trials.loc[trials["state"] == "failed", "note"].str.contains("lower learning rate").all()


def test_a_search_in_which_all_fails_ends_in_one_line(place, tmp_path, capsys):
    (tmp_path / "grid.toml").write_text("recipe.learning_rate = [1e30]")
    options = ["--folds", "2", "--epochs", "1", "--batch-size", "16", "--workers", "1", "-o", str(tmp_path / "out")]
    assert main(["search", str(place / "train.csv"), "--grid", str(tmp_path / "grid.toml"), *options]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: no trial could be scored; trial 1 failed in fold 1: the loss became")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("layers = [2", "not valid TOML"),
        ("", "no settings to try"),
        ("[grid]\nlayers = [1]\n[other]\nx = 1", "other must be inside"),
        ("layers = []", "layers: the list is empty"),
        ("layers = 3", r"layers: 3 is neither a list of values, such as \[3\]"),
        ("layers = [1, 1]", "layers: 1 appears twice"),
        ("layers = [1, 2.5]", "layers: 2.5 is not a whole number"),
        ("layers = [true]", "layers: True is not a whole number"),
        ("dropout = ['much']", "dropout: 'much' is not a number"),
        ("dropout = [nan]", "dropout: nan is not a finite number"),
        ("dropout = [0.1, 1.5]", "dropout: optimus cannot be built with dropout=1.5"),
        ("layres = [1]", "optimus has no setting 'layres'; it has: layers, filters"),
        ("epochs = [1]", r"epochs is a setting of the training recipe: write recipe\.epochs"),
        ("recipe.epoch = [1]", "the training recipe has no setting 'epoch'; it has: optimiser"),
        ("recipe.optimiser = ['sgd']", r"recipe\.optimiser: optimiser is 'sgd'; it must be one of: adam, adamw, muon"),
        ("recipe.learning_rate = [0.0]", r"recipe\.learning_rate: learning rate is 0\.0; it must be above 0"),
        ("recipe.patience = [3]", r"recipe\.patience cannot be searched"),
        ("recipe = 3", "recipe: name a setting of it"),
        ("layers = { low = 1 }", "layers: a range needs low and high"),
        ("layers = { low = 3, high = 1 }", "layers: low, 3, is not below high, 1"),
        ("layers = { low = 1, high = 4, step = 2 }", "layers: no whole number of steps of 2"),
        ("dropout = { low = 0.0, high = 0.5, log = true }", "dropout: log is for ranges above 0"),
        ("layers = { low = 1, high = 3, by = 2 }", "layers: a range has low, high, step and log, not 'by'"),
        ("profile = { low = 0, high = 1 }", "profile: a range is for numbers"),
        ("layers = { low = 1, high = 3 }", "give --trials or --timeout"),
    ],
)
def test_a_grid_that_cannot_be_is_told_of_before_anything_is_trained(place, tmp_path, capsys, text, complaint):
    (tmp_path / "bad.toml").write_text(text)
    out = tmp_path / "out"
    assert main(["search", str(place / "train.csv"), "--grid", str(tmp_path / "bad.toml"), "-o", str(out)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {tmp_path / 'bad.toml'}: ")
    assert re.search(complaint, error)
    assert not out.exists()


def test_options_that_cannot_be_end_in_words(place, tmp_path, capsys):
    def complaint(*options):
        arguments = ["search", str(place / "train.csv"), "-o", str(tmp_path / "out"), *map(str, options)]
        assert main(arguments) == 2
        return capsys.readouterr().err.strip()

    grid = ["--grid", place / "grid.toml"]
    assert "filters is searched, but the command line fixes it" in complaint(*grid, "--set", "filters=9")
    assert "recipe.learning_rate is searched, but" in complaint(*grid, "--lr", 0.1)
    assert "--timeout soon: seconds, or a number with s, m, h or d" in complaint(*grid, "--timeout", "soon")
    assert "150 folds: one has only 2 rows" in complaint(*grid, "--folds", 150)
    assert "made of trained models, not trained itself" in complaint(*grid, "--model", "ensemble")
    assert "none.toml: no such file" in complaint("--grid", tmp_path / "none.toml")
    assert not (tmp_path / "out").exists()


def test_the_example_grid_is_one_of_the_papers_five_settings():
    space = read_space(ROOT / "examples" / "optimus-grid.toml", architecture("optimus"), RECIPE)
    assert list(space.settings) == ["layers", "filter_length", "filters", "dense", "dropout"]
    points = space.points(7)
    assert len(points) == space.size == 32
    assert len({tuple(point.values()) for point in points}) == 32
    assert points == space.points(7)
    assert points != space.points(8)


def test_settings_of_lists_and_ranges_are_read_as_what_they_are():
    grid = {"dilations": [[1, 2], [1, 2, 4]], "dropout": {"low": 0, "high": 1}, "recipe": {"bfloat16": [True, False]}}
    space = read_space(grid, architecture("framed"), architecture("framed").recipe)
    assert space.settings["dilations"] == ((1, 2), (1, 2, 4))
    assert space.settings["dropout"] == Range(0.0, 1.0)
    assert divide({"dilations": (1, 2), "recipe.bfloat16": True}) == ({"dilations": (1, 2)}, {"bfloat16": True})
    assert fold_file(Path("x"), {"dilations": (1, 2)}, 0) != fold_file(Path("x"), {"dilations": (1, 4)}, 0)


def trial(number, scores):
    return Trial(number, {"x": number}, dict(enumerate(scores)), {}, {})


SCORES = st.lists(st.floats(0, 1), min_size=6, max_size=6)


@given(st.lists(SCORES, min_size=1, max_size=6), st.data())
def test_verdicts_do_not_depend_on_what_was_computed_too_much_or_too_early(every, data):
    whole = assess_trials([trial(number, scores) for number, scores in enumerate(every)], 6, prune=True)
    # What was really computed: at least the folds that count, perhaps more.
    computed = [
        trial(number, scores[: data.draw(st.integers(len(verdict.scores), 6))])
        for number, (scores, verdict) in enumerate(zip(every, whole, strict=True))
    ]
    again = assess_trials(computed, 6, prune=True)
    assert [(verdict.state, verdict.scores) for verdict in again] == [(v.state, v.scores) for v in whole]
    # Along the way, what is pruned stays pruned.
    part = [trial(number, scores[: data.draw(st.integers(0, 6))]) for number, scores in enumerate(every)]
    for early, late in zip(assess_trials(part, 6, prune=True), whole, strict=True):
        assert early.state != "pruned" or late.state == "pruned"
    assert winner(whole).state == "complete"
    assert whole[0].state == "complete"


@given(SCORES, st.integers(0, 5), st.floats(0.001, 0.2))
def test_a_trial_as_good_as_its_rival_or_better_is_never_hopeless(rival, done, gain):
    assert not is_hopeless(rival[:done], [rival])
    assert not is_hopeless([score + gain for score in rival[:done]], [rival])


def test_uncertainty_saves_a_trial_and_certainty_condemns_it():
    rival = [0.80, 0.82, 0.78, 0.81, 0.79, 0.80, 0.82, 0.80, 0.79, 0.81]
    assert is_hopeless([score - 0.3 for score in rival[:3]], [rival])
    assert not is_hopeless([score - 0.3 for score in rival[:2]], [rival])
    assert not is_hopeless([0.80, 0.70, 0.85], [rival])


def test_the_importance_of_settings_adds_up_where_they_do_not_interact():
    trials = [
        Trial(number, {"a": a, "b": b}, {0: 3 * a + b, 1: 3 * a + b}, {}, {})
        for number, (a, b) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)])
    ]
    shares = importance(assess_trials(trials, 2, prune=False))
    assert shares == pytest.approx({"a": 0.9, "b": 0.1})
    assert math.isclose(sum(shares.values()), 1)


@given(st.integers(2, 6), st.integers(0, 99))
def test_folds_hold_every_row_once_and_no_two_share_a_kmer(folds, seed):
    utrs = simulate(60, seed=seed)["seq"].tolist()
    variants = [utr[:-1] + "A" for utr in utrs[:20]]
    groups = shared_kmer_groups(utrs + variants)
    divided = divide_into_folds(utrs + variants, folds, seed=seed)
    assert sorted(set(divided.of_row)) == list(range(folds))
    assert "24-mers" in divided.how
    for group in set(groups):
        assert len(set(divided.of_row[groups == group])) == 1
