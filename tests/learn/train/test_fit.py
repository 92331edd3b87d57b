"""Training: repeatable, resumable after a kill at any moment, the best epoch kept."""

import json
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ribocast
import ribocast.model.bundle
from ribocast import learn
from ribocast.errors import RibocastError
from ribocast.io.tables import as_chunk
from ribocast.learn import evaluate
from ribocast.learn.data.assays import ASSAYS, Assay, describe_assay, describe_data, labelled_rows
from ribocast.learn.data.simulate import simulate
from ribocast.learn.data.splits import Split, random_split
from ribocast.learn.evaluation.metrics import was_trained_on
from ribocast.learn.networks import architecture
from ribocast.learn.recipe import FRAMED_RECIPE, HOMEWORK_RECIPE, Recipe
from ribocast.learn.train.batches import epoch_batches, label
from ribocast.learn.train.setup import with_profile
from ribocast.model.bundle import PRETRAINED, open_bundle

# The running form, which takes longer than these trainings, is tested once an architecture (test_registries).
fit = partial(learn.fit, export=False)

RANDOM = {"egfp_random50": ASSAYS["egfp_random50"]}
SMALL = {"channels": 8, "dilations": (1, 2)}


def table(rows=300, assay="egfp_random50", **options):
    return simulate(rows, seed=3, **options).assign(assay=assay)


def weights(folder):
    return safetensors.numpy.load_file(folder / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def quick(name, **changes):
    return architecture(name).recipe.with_changes(**{"epochs": 2, **changes})


@pytest.mark.parametrize("name", ["attention-2conv", "framed"])
def test_a_seed_makes_a_run_repeatable_and_another_seed_another_run(tmp_path, name):
    chosen = SMALL if name == "framed" else {}
    state = torch.random.get_rng_state()
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(table(), tmp_path / folder, assays=RANDOM, model=name, settings=chosen, recipe=quick(name), seed=seed)
        torch.rand(3)  # What a user draws in between must not matter …
    torch.random.set_rng_state(state)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_training_leaves_the_global_generators_alone(tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = (torch.rand(2).tolist(), np.random.rand())  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    fit(table(120), tmp_path, assays=RANDOM, model="attention-2conv", recipe=quick("attention-2conv"))
    assert (torch.rand(2).tolist(), np.random.rand()) == expected  # noqa: NPY002


def test_it_finds_upstream_starts(tmp_path):
    rows = table(3000)
    trained = fit(
        rows, tmp_path, assays=RANDOM, settings={"channels": 16, "dilations": (1, 2)}, recipe=quick("framed", epochs=4)
    )
    assert trained.bundle.card.evaluations[0].pearson_r2 > 0.5
    assert trained.history[-1]["train_loss"] < trained.history[0]["train_loss"]


def test_the_best_epoch_is_what_is_saved(tmp_path):
    rows = table(400)
    parts = random_split(len(rows), 0.25, seed=7)
    # Far too fast: the validation loss jumps about, and the last epoch is rarely the best.
    recipe = quick("attention-2conv", epochs=6, learning_rate=0.05)
    trained = fit(rows, tmp_path, assays=RANDOM, model="attention-2conv", recipe=recipe, held_out=parts)
    losses = [entry["val_loss"] for entry in trained.history]
    card = trained.bundle.card
    assert card.epoch == 1 + int(np.argmin(losses))
    held_out = rows.iloc[parts.held_out]
    predicted = ribocast.load(tmp_path).mrl(held_out["seq"].tolist())
    assay = card.assays[0]
    again = np.mean(((predicted - held_out["mrl"]) / assay.label_scale) ** 2)
    assert again == pytest.approx(min(losses), rel=1e-4)


def test_labels_are_standardised_on_training_rows_alone(tmp_path):
    rows = table(200)
    parts = random_split(len(rows), 0.2, seed=1)
    card = fit(rows, tmp_path, assays=RANDOM, model="attention-2conv", recipe=quick("attention-2conv"),
               held_out=parts).bundle.card  # fmt: skip
    trained_on = rows["mrl"].iloc[parts.train]
    assert card.assays[0].label_mean == pytest.approx(trained_on.mean())
    assert card.assays[0].label_scale == pytest.approx(trained_on.std(ddof=0))
    assert card.data == describe_data(rows.iloc[parts.train])


def test_without_held_out_rows_the_last_epoch_is_kept(tmp_path):
    trained = fit(table(100), tmp_path, assays=RANDOM, model="attention-2conv", recipe=quick("attention-2conv"),
                  held_out=0.0)  # fmt: skip
    assert trained.bundle.card.epoch == 2
    assert trained.bundle.card.evaluations == ()
    assert trained.bundle.card.assays[0].interval is None


def test_without_held_out_rows_there_is_no_validation_loss(tmp_path):
    said = []
    trained = fit(table(60), tmp_path, assays=RANDOM, model="attention-2conv", recipe=quick("attention-2conv"),
                  held_out=0.0, say=said.append)  # fmt: skip
    assert all(set(entry) == {"epoch", "train_loss", "seconds"} for entry in trained.history)
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == "epoch,train_loss,seconds"
    assert any(re.fullmatch(r"epoch 2: train loss [\d.]+", line) for line in said)


def test_patience_ends_a_run_that_gets_no_better(tmp_path):
    recipe = quick("attention-2conv", epochs=30, learning_rate=0.2, patience=2)
    history = fit(table(100), tmp_path, assays=RANDOM, model="attention-2conv", recipe=recipe).history
    assert len(history) < 30


def test_a_network_that_died_in_training_is_said_to_have(tmp_path):
    said = []
    recipe = quick("optimus", epochs=2, learning_rate=1.0, bfloat16=False)
    fit(table(300), tmp_path, assays=RANDOM, model="optimus", recipe=recipe, say=said.append)
    assert sum("gives every sequence the same MRL" in line for line in said) == 1
    assert np.ptp(ribocast.load(tmp_path).mrl(table(20)["seq"].tolist())) == 0


def test_several_assays_with_and_without_profiles_are_trained_together(tmp_path):
    one = table(200)
    two = table(200, "egfp_varying25to100", min_length=25, max_length=100).drop(columns=[f"r{i}" for i in range(14)])
    rows = pd.concat([one, two], ignore_index=True)
    names = ("egfp_random50", "egfp_varying25to100")
    fit(rows, tmp_path, assays={name: ASSAYS[name] for name in names}, settings=SMALL, recipe=quick("framed"))
    model = ribocast.load(tmp_path)
    mrls = [model.mrl(["ACGTACGTAC" * 5], assay=name)[0] for name in names]
    assert np.isfinite(mrls).all()
    assert mrls[0] != mrls[1]
    assert {figure.assay for figure in model.card.evaluations} == set(names)


def test_a_table_of_ones_own_in_any_unit_is_trained_on(tmp_path):
    rows = table(200).assign(mrl=lambda frame: -1000 + 50 * frame["mrl"], assay="mine")
    own = Assay("mine", "", ASSAYS["egfp_random50"].construct, 50, 50)
    fit(rows, tmp_path, assays={"mine": own}, settings=SMALL, recipe=quick("framed"))
    predicted = ribocast.load(tmp_path).mrl(rows["seq"].tolist())
    assert -1000 < predicted.mean() < -400


TINY = {"filters": 4, "layers": 1, "dense": 8}
UTRS = st.text("ACGTUNacgtu", min_size=4, max_size=60)


@settings(max_examples=10, deadline=None)
@example(rows=[("ACGT", 1.0)] * 5, seed=0, share=0.5)
@example(rows=[("A", 1.0), ("C", 2.0), ("G", 3.0)], seed=0, share=0.0)  # all shorter than what the network takes
@given(
    rows=st.lists(st.tuples(UTRS, st.floats(-1e6, 1e6)), min_size=1, max_size=30),
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.2, 0.5]),
)
def test_any_table_is_trained_on_or_refused_in_one_line(rows, seed, share):
    utrs = [utr for utr, _ in rows]
    frame = pd.DataFrame({"seq": utrs, "label": [mrl for _, mrl in rows]})
    with tempfile.TemporaryDirectory() as folder:
        try:
            trained = fit(
                frame, folder, assay="mine", model="optimus", settings=TINY, recipe=quick("optimus", epochs=1),
                held_out=share, seed=seed,
            )  # fmt: skip
        except RibocastError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            assert not Path(folder, "model.json").exists()
            return
        (data,) = trained.bundle.card.data
        assert 0 < data.rows <= len(rows)
        assert data.rows == len(rows) or share
        assert np.isfinite(ribocast.load(folder).mrl(utrs)).all()


@settings(max_examples=4, deadline=None)
@given(slope=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_mrls_in_another_unit_make_the_same_model_in_that_unit(slope, shift):
    rows = table(60)[["seq", "mrl"]]
    mrls = []
    for frame in (rows, rows.assign(mrl=rows["mrl"] * slope + shift)):
        with tempfile.TemporaryDirectory() as folder:
            fit(frame, folder, assay="mine", model="optimus", settings=TINY, recipe=quick("optimus", bfloat16=False))
            mrls.append(ribocast.load(folder).mrl(rows["seq"].tolist()))
    np.testing.assert_allclose(mrls[1], mrls[0] * slope + shift, atol=0.01 * slope * np.ptp(rows["mrl"]))


def test_mrls_that_do_not_differ_are_refused(tmp_path):
    with pytest.raises(RibocastError, match="nothing to learn"):
        fit(table(50).assign(mrl=5.0), tmp_path, assays=RANDOM, model="attention-2conv")


def six_epochs(name, folder, **options):
    fit(table(400), folder, assays=RANDOM, model=name, settings=SMALL if name == "framed" else {},
        recipe=quick(name, epochs=6), device="cpu", resume=True, **options)  # fmt: skip


def assert_same_run(one, other):
    assert same(weights(one), weights(other))
    first, second = (json.loads((folder / "model.json").read_text()) for folder in (one, other))
    first.pop("name"), second.pop("name")
    assert first == second


@pytest.mark.parametrize("name", ["attention-3conv", "framed"])
def test_a_run_interrupted_in_every_epoch_ends_as_an_undisturbed_one(tmp_path, name):
    six_epochs(name, tmp_path / "whole")
    for epoch in range(1, 7):

        def stop(step, epoch=epoch):
            if (step.epoch, step.batch) == (epoch, min(epoch, step.batches)):  # further into each
                raise InterruptedError

        said = []
        with pytest.raises(InterruptedError):
            six_epochs(name, tmp_path / "stopped", watch=stop, say=said.append)
        assert epoch < 3 or f"resuming after epoch {epoch - 2} of 6" in said
    six_epochs(name, tmp_path / "stopped")
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


RUN = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[3])
from test_fit import six_epochs
six_epochs(sys.argv[1], pathlib.Path(sys.argv[2]), watch=lambda step: time.sleep(0.05),
           say=lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("attention-3conv", 1),
        pytest.param("framed", 3, marks=pytest.mark.thorough),
    ],
)
def test_a_run_killed_at_work_ends_as_an_undisturbed_one(tmp_path, name, kills):
    six_epochs(name, tmp_path / "whole")
    for _ in range(kills):
        command = [sys.executable, "-c", RUN, name, str(tmp_path / "killed"), str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert any(line.startswith("epoch ") for line in process.stdout)
            process.kill()
    said = []
    six_epochs(name, tmp_path / "killed", say=said.append)
    assert any(line.startswith("resuming after epoch") for line in said)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_without_export_a_model_runs_with_pytorch_alone(tmp_path):
    run = partial(fit, table(60), tmp_path / "m", assays=RANDOM, model="optimus", settings=TINY,
                  recipe=quick("optimus", epochs=1))  # fmt: skip
    run(export=True)
    utrs = table(20)["seq"].tolist()
    exported = ribocast.load(tmp_path / "m", engine="openvino").mrl(utrs)
    run()
    assert not (tmp_path / "m" / "model.onnx").exists()
    alone = ribocast.load(tmp_path / "m")
    assert alone.engine.name == "torch"
    np.testing.assert_allclose(alone.mrl(utrs), exported, atol=1e-4)
    with pytest.raises(RibocastError, match=r"has no model\.onnx.*engine torch"):
        ribocast.load(tmp_path / "m", engine="openvino")


def test_a_run_goes_on_in_a_folder_of_another_name(tmp_path):
    def run(folder, **options):
        fit(table(100), folder, assays=RANDOM, model="attention-2conv", resume=True, recipe=quick("attention-2conv"),
            **options)  # fmt: skip

    def stop(step):
        if step.epoch == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(tmp_path / "before", watch=stop)
    (tmp_path / "before").rename(tmp_path / "now")
    said: list[str] = []
    run(tmp_path / "now", say=said.append)
    assert "resuming after epoch 1 of 2" in said
    assert open_bundle(tmp_path / "now").card.name == "now"


def test_a_checkpoint_of_another_run_is_refused_by_what_differs(tmp_path):
    def run(**options):
        fit(table(100), tmp_path / "run", assays=RANDOM, model="attention-2conv", resume=True,
            **{"recipe": quick("attention-2conv"), **options})  # fmt: skip

    run()
    where = f"{re.escape(str(tmp_path))}/run/checkpoint.safetensors"
    with pytest.raises(RibocastError, match=f"^{where}: cannot resume: model seed was 42 and is now 7$"):
        run(seed=7)
    with pytest.raises(RibocastError, match=f"^{where}: cannot resume: model recipe batch_size was 64 and is now 8$"):
        run(recipe=quick("attention-2conv", batch_size=8))
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(RibocastError, match="damaged"):
        run()


def test_one_cycle_rises_for_three_tenths_and_falls_to_nothing():
    rates = [FRAMED_RECIPE.learning_rate_at(step, 1000) for step in range(1001)]
    assert int(np.argmax(rates)) == 300
    assert rates[0] == pytest.approx(max(rates) / 25)
    assert max(rates) == FRAMED_RECIPE.learning_rate
    assert rates[1000] < 1e-5 * max(rates)
    assert HOMEWORK_RECIPE.learning_rate_at(17, 1000) == 1e-3


@pytest.mark.parametrize("change", [{"learning_rate": 0}, {"epochs": 0}, {"batch_size": -1}, {"weight_decay": -0.1}])
def test_recipes_that_cannot_be_are_refused(change):
    with pytest.raises(RibocastError, match=next(iter(change)).replace("_", " ")):
        Recipe(**{"optimiser": "adam", "learning_rate": 1e-3, "weight_decay": 0, "schedule": "constant", "epochs": 1,
                  "batch_size": 2, **change})  # fmt: skip


def test_every_epoch_shows_every_row_once_and_batches_are_of_like_length():
    lengths = np.random.default_rng(0).integers(25, 101, 5000)
    batches = epoch_batches(lengths, 64, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(5000))
    waste = sum(lengths[batch].max() * len(batch) for batch in batches) / lengths.sum() - 1
    assert waste < 0.05


@given(rows=st.integers(4, 300), size=st.integers(4, 64), team=st.integers(1, 4), seed=st.integers(0, 99))
def test_no_row_is_left_out_of_an_epoch_and_every_process_has_one_of_each_batch(rows, size, team, seed):
    lengths = np.random.default_rng(seed).integers(25, 101, rows)
    batches = epoch_batches(lengths, size, np.random.default_rng(seed), max(2, team))
    assert sorted(np.concatenate(batches)) == list(range(rows))
    assert all(max(2, team) <= len(batch) < size + max(2, team) for batch in batches)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda rows: rows.assign(**{f"r{i}": 100 * rows[f"r{i}"] for i in range(14)}),
            "row 1: .*here they sum to 100",
        ),
        (lambda rows: rows.assign(r5=rows["r5"] + 0.5 * (rows.index == 3)), "row 4: .*are shares of 1, here they sum"),
        (lambda rows: rows.iloc[:1], "1 of its rows are left to train on: at least 2"),
    ],
)
def test_profiles_that_are_no_shares_and_single_rows_are_said(tmp_path, change, reason):
    rows = change(table(40))
    with pytest.raises(RibocastError, match=reason):
        fit(rows.drop(columns="assay"), tmp_path, assay="egfp_random50", held_out=0.0)
    with pytest.raises(RibocastError, match=reason):
        fit(rows, tmp_path, held_out=0.0)  # the column `assay` says what they are


def test_half_a_profile_is_none():
    measured = table(40).drop(columns="assay")
    rows, assays = labelled_rows(measured.assign(r5=measured["r5"].where(measured.index != 3)), "egfp_random50")
    assert len(with_profile(rows, print)) == 39
    data = label(rows, [describe_assay(*assays.values(), rows)], width=14, fixed_length=None, noise_reads=0)
    assert data.fractions.sum(axis=1) == pytest.approx([float(row != 3) for row in range(40)], abs=1e-5)


def test_rows_with_few_reads_weigh_less_and_a_row_weighs_one_on_average():
    rows = table(50).assign(reads=[10, 10_000] * 25)
    model = ribocast.model.bundle.AssayCard(
        name="egfp_random50", before="", after="ATG", min_length=50, max_length=50, label_mean=6, label_scale=2
    )
    data = label(rows, [model], width=14, fixed_length=None, noise_reads=380)
    assert data.weight.mean() == pytest.approx(1)
    assert data.weight[0] < data.weight[1] / 10
    assert np.allclose(data.fractions.sum(axis=1), 1)


def test_standardised_mrls_are_not_taken_for_ribosomes(tmp_path):
    rows = table(100).assign(mrl=lambda frame: (frame["mrl"] - frame["mrl"].mean()) / frame["mrl"].std())
    with pytest.raises(RibocastError, match=r"are not ribosomes per mRNA.*another assay name"):
        fit(rows, tmp_path, assays=RANDOM)


def test_a_file_or_a_frame_of_seq_and_label_is_enough(tmp_path):
    rows = simulate(200, seed=3)[["seq", "mrl"]].rename(columns={"mrl": "label"})
    rows.to_csv(tmp_path / "mine.csv", index=False)
    recipe = quick("attention-2conv", epochs=1)
    from_file = fit(tmp_path / "mine.csv", tmp_path / "a", model="attention-2conv", recipe=recipe)
    fit(rows, tmp_path / "b", assay="mine", model="attention-2conv", recipe=recipe)
    assert from_file.bundle.card.assays[0].name == "mine"
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    model = ribocast.load(tmp_path / "a")
    assert evaluate(model, tmp_path / "mine.csv") == evaluate(model, rows)
    with pytest.raises(RibocastError, match="the frame row 2: 'X' at position 1"):
        fit(pd.DataFrame({"seq": ["ACG", "X"], "label": [1, 2]}), tmp_path / "c")
    with pytest.raises(RibocastError, match="'much' is not a finite number"):
        evaluate(model, pd.DataFrame({"seq": ["ACG"], "label": ["much"]}))


def test_the_papers_profile_network_trains_fractions_on_the_rows_that_have_them(tmp_path):
    rows = table(2000)
    rows.loc[::2, [f"r{number}" for number in range(14)]] = np.nan
    said = []
    trained = fit(rows, tmp_path, assays=RANDOM, model="optimus-profile", settings={"filters": 32},
                  recipe=quick("optimus-profile", epochs=4), say=said.append)  # fmt: skip
    assert "1,000 of 2,000 rows have a polysome profile; the others are left out" in said
    assert trained.history[-1]["val_loss"] < trained.history[0]["val_loss"]
    fractions = ribocast.load(tmp_path).outputs(rows["seq"].tolist()[:50])
    assert fractions.shape == (50, 1, 14)
    assert abs(fractions.sum(axis=2).mean() - 1) < 0.1
    # A user's own split is of the whole table.
    own = Split(np.arange(1500), np.arange(1500, 2000), "mine")
    fit(rows, tmp_path / "own", assays=RANDOM, model="optimus-profile", settings={"filters": 8}, held_out=own,
        recipe=quick("optimus-profile", epochs=1), say=said.append)  # fmt: skip
    assert "split: mine: 750 rows to train on, 250 to validate by" in said
    with pytest.raises(RibocastError, match="no row has a measured polysome profile"):
        fit(rows[["seq", "mrl", "assay"]], tmp_path / "x", assays=RANDOM, model="optimus-profile")


def test_a_model_knows_the_table_it_was_trained_on_with_its_held_out_rows(tmp_path):
    rows = table(200)
    fit(rows, tmp_path, assays=RANDOM, model="attention-2conv", recipe=quick("attention-2conv", epochs=1))
    model = ribocast.load(tmp_path)
    assert was_trained_on(model, as_chunk(rows[["seq", "mrl"]]))
    assert not was_trained_on(model, as_chunk(rows[["seq", "mrl"]].iloc[:100]))


def test_too_few_held_out_rows_give_no_interval(tmp_path):
    card = fit(table(60), tmp_path, assays=RANDOM, model="attention-2conv",
               recipe=quick("attention-2conv", epochs=1)).bundle.card  # fmt: skip
    assert card.evaluations[0].rows == 12
    assert card.assays[0].interval is None


@pytest.mark.parametrize("setting", [{"channels": 0}, {"kernel": 4}, {"hidden": 1.5}])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_settings_that_build_no_network_are_refused_in_words(tmp_path, setting):
    with pytest.raises(RibocastError, match=f"framed cannot be built with {next(iter(setting))}="):
        fit(table(60), tmp_path, assays=RANDOM, settings=setting)


def test_a_loss_that_runs_away_ends_in_words(tmp_path):
    recipe = quick("attention-2conv", learning_rate=1e30)
    with pytest.raises(RibocastError, match=r"the loss became (nan|inf).*lower learning rate"):
        fit(table(200), tmp_path, assays=RANDOM, model="attention-2conv", recipe=recipe)


def test_half_a_profile_is_refused_and_cut_sequences_are_said(tmp_path):
    with pytest.raises(RibocastError, match=r"14 fractions \(r0 to r13\), but the table has only r0, r1"):
        fit(table(60).drop(columns=[f"r{n}" for n in range(2, 14)]), tmp_path / "a", assays=RANDOM, settings=SMALL)
    said = []
    long = simulate(60, seed=1, min_length=60, max_length=60)[["seq", "mrl"]]
    fit(long, tmp_path / "b", model="attention-2conv", recipe=quick("attention-2conv", epochs=1), say=said.append)
    assert any(line.startswith("60 sequences are longer than 50 nt: only their last 50 nt are read") for line in said)


def test_an_exported_graph_says_nothing_of_the_machine_it_was_made_on(framed):
    for folder in (framed, PRETRAINED / "default"):
        graph = (folder / "model.onnx").read_bytes()
        assert b".py" not in graph
        assert b"stack_trace" not in graph


@pytest.mark.parametrize(("column", "value"), [("reads", "many"), ("reads", -3), ("r5", "x")])
def test_reads_and_fractions_that_are_no_numbers_are_named(tmp_path, column, value):
    rows = simulate(40, seed=1).astype({column: object})
    rows.loc[6, column] = value
    rows.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(RibocastError, match=rf"t.csv row 7: '{value}' is not a number from 0 on \(column '{column}'\)"):
        fit(tmp_path / "t.csv", tmp_path / "m", model="attention-2conv")
    rows.loc[6, column] = None
    rows.to_csv(tmp_path / "t.csv", index=False)
    assert labelled_rows(tmp_path / "t.csv")[0][column].isna().sum() == 1
