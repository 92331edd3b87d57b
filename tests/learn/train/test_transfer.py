"""Fine-tuning: where it begins, what it keeps, and that it helps."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast import learn
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.simulate import simulate
from ribocast.learn.evaluation.metrics import fit_line
from ribocast.learn.networks import architecture
from ribocast.learn.train.transfer import begin_from, fine_tuning_recipe, tilt_to
from ribocast.model.bundle import open_bundle

# The running form, which takes longer than these trainings, is tested once an architecture (test_registries).
fit = partial(learn.fit, export=False)
average = partial(learn.average, export=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Give a network trained on 4,000 rows with upstream starts."""
    folder = tmp_path_factory.mktemp("models") / "trained"
    recipe = architecture("framed").recipe.with_changes(epochs=4)
    fit(simulate(4000, seed=1), folder, assay="egfp_random50", recipe=recipe, held_out=0.0,
        settings={"channels": 24, "dilations": (1, 2)})  # fmt: skip
    return open_bundle(folder)


def other_scale(rows, seed, known_weights=False):
    """Simulate a chemistry: other MRLs of the same mechanism, in a unit of its own."""
    frame = simulate(rows, seed=seed)[["seq", "mrl"]]
    return frame if known_weights else frame.assign(mrl=3.0 - 0.2 + 0.05 * frame["mrl"] ** 1.2)


def quick(bundle, epochs=3):
    return fine_tuning_recipe(bundle).with_changes(epochs=epochs)


def test_it_begins_with_what_the_model_says_on_a_straight_line(trained):
    rows = other_scale(200, seed=2).assign(assay="mine")
    said = []
    assay = ASSAYS["egfp_random50"]
    network, (card,) = begin_from(trained, [type(assay)("mine", "", assay.construct, 50, 50)], rows, said.append)
    base = ribocast.load(trained.folder).mrl(rows["seq"].tolist())
    slope, intercept = fit_line(base, rows["mrl"].to_numpy())
    outputs = network.eval()(_letters(rows["seq"])).detach().numpy()[:, 0]
    np.testing.assert_allclose(outputs @ np.array(card.fraction_weights), intercept + slope * base, atol=1e-4)
    assert "starting from trained, its assay egfp_random50" in said[0]


def test_a_single_output_begins_on_the_line_too(fixed):
    base = open_bundle(fixed)
    rows = other_scale(200, seed=3).assign(assay="mine")
    known = ASSAYS["egfp_random50"]
    network, (card,) = begin_from(base, [type(known)("mine", "", known.construct, 50, 50)], rows, lambda _: None)
    before = ribocast.load(fixed).mrl(rows["seq"].tolist())
    slope, intercept = fit_line(before, rows["mrl"].to_numpy())
    outputs = network.eval()(_letters(rows["seq"])).detach().numpy()[:, 0, 0]
    np.testing.assert_allclose(outputs * card.label_scale + card.label_mean, intercept + slope * before, atol=1e-4)


@pytest.mark.parametrize("base", ["fixed", "trained"])
def test_a_label_that_falls_with_the_mrl_begins_on_a_falling_line(base, request):
    base = request.getfixturevalue(base)
    base = base if hasattr(base, "folder") else open_bundle(base)
    rows = simulate(300, seed=8)[["seq", "mrl"]].assign(assay="mine")
    before = ribocast.load(base.folder).mrl(rows["seq"].tolist())
    rows["mrl"] = 10 - 2 * before + np.random.default_rng(1).normal(size=len(rows)) * before.std()
    known = ASSAYS["egfp_random50"]
    network, (card,) = begin_from(base, [type(known)("mine", "", known.construct, 50, 50)], rows, lambda _: None)
    outputs = network.eval()(_letters(rows["seq"])).detach().numpy()[:, 0]
    begun = outputs @ np.array(card.fraction_weights) if card.fraction_weights else (
        outputs[:, 0] * card.label_scale + card.label_mean
    )  # fmt: skip
    assert np.corrcoef(begun, before)[0, 1] < -0.99
    assert np.mean((begun - rows["mrl"]) ** 2) < np.var(rows["mrl"]) / 3


@given(seed=st.integers(0, 30), wild=st.booleans())
@settings(max_examples=10, deadline=None)
def test_measured_mrls_are_within_reach_though_the_line_is_flat(trained, seed, wild):
    rows = simulate(120, seed=seed)[["seq"]].assign(assay="mine")
    # Hardly what the model says of them.
    rows["mrl"] = 3 + 2 * np.random.default_rng(seed).normal(size=len(rows))
    if wild:
        rows.loc[0, "mrl"] = 1000.0
    known = ASSAYS["egfp_random50"]
    _, (card,) = begin_from(trained, [type(known)("mine", "", known.construct, 50, 50)], rows, lambda _: None)
    low, high = np.quantile(rows["mrl"], [0.005, 0.995])
    assert min(card.fraction_weights) <= low + 1e-9
    assert max(card.fraction_weights) >= high - 1e-9
    assert max(card.fraction_weights) < 1000


def _letters(utrs):
    import torch

    from ribocast.sequence.batch import encode

    return torch.from_numpy(encode(utrs.tolist()))


def test_few_rows_teach_a_trained_model_more_than_a_fresh_one(trained, tmp_path):
    few, unseen = other_scale(150, seed=4), other_scale(600, seed=5)
    tuned = fit(few, tmp_path / "tuned", assay="mine", start=trained, recipe=quick(trained)).bundle
    fresh = fit(few, tmp_path / "fresh", assay="mine", settings={"channels": 24, "dilations": (1, 2)}).bundle
    error = {
        name: np.abs(ribocast.load(bundle.folder).mrl(unseen["seq"].tolist()) - unseen["mrl"]).mean()
        for name, bundle in {"tuned": tuned, "fresh": fresh}.items()
    }
    assert error["tuned"] < 0.7 * error["fresh"]
    card = tuned.card
    assert [assay.name for assay in card.assays] == ["mine"]
    assert card.started_from == f"trained ({trained.card.files['model.safetensors'].sha256[:12]})"
    # Its rows and those of the model it came from: both may not test it.
    assert [data.assay for data in card.data] == ["egfp_random50", "mine"]
    assert card.settings == trained.card.settings
    assert ribocast.load(tuned.folder).profile(unseen["seq"].tolist()).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_what_fine_tuning_does_not_better_is_left_as_it_was(trained, tmp_path):
    rows = simulate(300, seed=6)[["seq", "mrl"]]
    spoilt = quick(trained, epochs=1).with_changes(learning_rate=0.5)
    said = []
    tuned = fit(rows, tmp_path / "m", assay="egfp_random50", start=trained, recipe=spoilt, say=said.append).bundle
    assert tuned.card.epoch == 0
    assert any(line.startswith("before fine-tuning: validation loss") for line in said)
    utrs = rows["seq"].tolist()
    before, after = (ribocast.load(bundle.folder).mrl(utrs) for bundle in (trained, tuned))
    # But for the tilt to the mean MRL of these rows.
    np.testing.assert_allclose(after, before, atol=0.3)
    assert np.square(after - rows["mrl"]).mean() < np.square(before - rows["mrl"]).mean() + 0.01


@given(scale=st.floats(0.5, 2), lean=st.floats(-0.3, 0.3), seed=st.integers(0, 99))
def test_a_tilt_is_found_again(scale, lean, seed):
    weights = np.array(ASSAYS["egfp_random50"].fraction_weights)
    fractions = np.random.default_rng(seed).dirichlet(np.full(14, 2.0), 60)
    tilted = fractions**scale * np.exp(lean * weights)
    mrls = tilted @ weights / tilted.sum(axis=1)
    assert tilt_to(fractions, weights, mrls) == pytest.approx((scale, lean), abs=1e-3)


def test_the_known_assay_or_the_most_alike_is_taken(framed):
    base = open_bundle(framed)
    utrs = simulate(300, seed=7)["seq"].tolist()
    for name in ("egfp_random50", "egfp_varying25to100"):
        mrls = ribocast.load(framed).mrl(utrs, assay=name)
        rows = pd.DataFrame({"seq": utrs, "mrl": mrls * 2 + 1, "assay": "mine"})
        known, said = ASSAYS[name], []
        _, (card,) = begin_from(base, [type(known)("mine", "", known.construct, 25, 100)], rows, said.append)
        assert f"its assay {name}; on it lies 2.000 · MRL +1.000" in said[0]
        assert card.fraction_weights == pytest.approx([1 + 2 * weight for weight in known.fraction_weights], abs=1e-3)
        begin_from(base, [known], rows.assign(assay=name, mrl=mrls), said.append)
        assert f"its assay {name};" in said[1]


def test_an_ensemble_is_fine_tuned_as_one(tmp_path):
    recipe = architecture("framed").recipe.with_changes(epochs=1)
    settings = {"channels": 8, "dilations": (1,)}
    members = [
        fit(simulate(300, seed=1), tmp_path / str(seed), assay="egfp_random50", recipe=recipe, held_out=0.0, seed=seed,
            settings=settings).bundle
        for seed in (1, 2)
    ]  # fmt: skip
    both = average(members, tmp_path / "both")
    rows = other_scale(120, seed=8)
    tuned = fit(rows, tmp_path / "tuned", assay="mine", start=both, recipe=quick(both, epochs=1)).bundle
    assert tuned.card.architecture == "ensemble"
    assert np.isfinite(ribocast.load(tuned.folder).mrl(rows["seq"].tolist())).all()


def test_a_killed_fine_tuning_goes_on_to_the_same_weights(trained, tmp_path):
    class KilledError(Exception):
        pass

    def kill(step):
        if step.epoch == 2:
            raise KilledError

    rows = other_scale(120, seed=9)
    whole = fit(rows, tmp_path / "a", assay="mine", name="m", start=trained, recipe=quick(trained)).bundle
    with pytest.raises(KilledError):
        fit(rows, tmp_path / "b", assay="mine", name="m", start=trained, recipe=quick(trained), watch=kill)
    resumed = fit(rows, tmp_path / "b", assay="mine", name="m", start=trained, recipe=quick(trained), resume=True)
    assert resumed.bundle.learning.read_bytes() == whole.learning.read_bytes()


def test_what_cannot_be_fine_tuned_is_said(trained, tmp_path):
    rows = other_scale(60, seed=1)
    with pytest.raises(RibocastError, match="brings its architecture and settings"):
        fit(rows, tmp_path / "m", start=trained, model="framed")
    with pytest.raises(RibocastError, match="one assay at a time, not 2"):
        fit(rows.assign(assay=["a", "b"] * 30), tmp_path / "m", start=trained)
    wide = rows.assign(assay="wide")
    known = ASSAYS["egfp_random50"]
    assay = type(known)("wide", "", known.construct, 50, 50, tuple(range(20)))
    with pytest.raises(RibocastError, match="wide has 20 polysome fractions, but trained knows at most 14"):
        begin_from(trained, [assay], wide.assign(mrl=wide["mrl"].clip(0, 19)), lambda _: None)


def test_the_command_fine_tunes(fixed, tmp_path, capsys):
    table = tmp_path / "few.csv"
    other_scale(120, seed=10).to_csv(table, index=False)
    arguments = ["train", str(table), "--from", str(fixed), "--assay", "psi", "--epochs", "1"]
    assert main([*arguments, "-o", str(tmp_path / "run"), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["evaluations"][0]["assay"] == "psi"
    assert "starting from fixed, its assay mine" in printed.err
    for wrong in (("--model", "framed"), ("--set", "channels=8")):
        assert main([*arguments, *wrong, "-o", str(tmp_path / "no")]) == 2
        assert capsys.readouterr().err == (
            "error: --from brings its own architecture and settings: leave out --model and --set\n"
        )
    assert main([*arguments[:2], "--from", str(tmp_path / "nothing"), "-o", str(tmp_path / "no")]) == 2
    assert "no such model" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
