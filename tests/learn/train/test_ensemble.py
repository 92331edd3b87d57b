"""Averages of models: the mean of what their members say, in a bundle like any other."""

import tempfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast import learn
from ribocast.errors import RibocastError
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import architecture
from ribocast.learn.train.transfer import fine_tuning_recipe
from ribocast.model.bundle import open_bundle
from ribocast.model.members import share_out_networks

# The running form, which takes longer than these trainings, is tested once an architecture (test_registries).
fit = partial(learn.fit, export=False)
average = partial(learn.average, export=False)

RANDOM = {"egfp_random50": ASSAYS["egfp_random50"]}


def member(folder, seed, rows=200, name="framed", channels=8, **recipe):
    small = {"framed": {"channels": channels, "dilations": (1,)}, "optimus": {"filters": channels, "dense": 8}}
    recipe = architecture(name).recipe.with_changes(**({"epochs": 1} | recipe))
    table = simulate(rows, seed=3).assign(assay="egfp_random50")
    return fit(table, folder, assays=RANDOM, model=name, settings=small.get(name, {}), recipe=recipe, seed=seed,
               held_out=0.0).bundle  # fmt: skip


@pytest.mark.parametrize(("name", "engines"), [("framed", ["torch"]), ("attention-2conv", ["openvino", "torch"])])
def test_an_average_says_the_mean_of_its_members_on_every_engine(tmp_path, members, name, engines):
    bundles = [member(tmp_path / str(seed), seed) for seed in (1, 2, 3)] if name == "framed" else members
    average(bundles, tmp_path / "mean", export="openvino" in engines)
    utrs = simulate(20, seed=9)["seq"].tolist()
    expected = np.mean([ribocast.load(bundle.folder).mrl(utrs) for bundle in bundles], axis=0)
    for engine in engines:
        np.testing.assert_allclose(ribocast.load(tmp_path / "mean", engine=engine).mrl(utrs), expected, atol=1e-4)


def test_members_of_different_sizes_are_averaged_and_read_again(tmp_path):
    bundles = [member(tmp_path / str(filters), 1, name="optimus", channels=filters) for filters in (8, 4, 12)]
    mean = average(bundles, tmp_path / "mean", export=True)
    assert [one["filters"] for one in mean.card.settings["own_settings"]] == [8, 4, 12]
    assert all(set(one) == {"filters"} for one in mean.card.settings["own_settings"])
    utrs = simulate(20, seed=9)["seq"].tolist()
    expected = np.mean([ribocast.load(bundle.folder).mrl(utrs) for bundle in bundles], axis=0)
    for engine in ("openvino", "torch"):
        np.testing.assert_allclose(ribocast.load(tmp_path / "mean", engine=engine).mrl(utrs), expected, atol=1e-4)


def test_an_average_says_by_what_recipe_each_member_was_trained_and_is_fine_tuned_like_one(tmp_path):
    bundles = [member(tmp_path / "1", 1, weight_decay=0.5), member(tmp_path / "2", 2, weight_decay=1.0)]
    mean = open_bundle(average(bundles, tmp_path / "mean").folder)
    recipe = dict(mean.card.recipe)
    assert recipe.pop("members") == [{"weight_decay": 0.5, "seed": 1}, {"weight_decay": 1.0, "seed": 2}]
    for bundle, own in zip(bundles, mean.card.recipe["members"], strict=True):
        assert bundle.card.recipe | {"seed": bundle.card.seed} == recipe | own
    assert fine_tuning_recipe(mean) == fine_tuning_recipe(bundles[0])
    assert "members" not in average(bundles[:1] * 2, tmp_path / "same").card.recipe


def test_settings_of_their_own_are_there_for_every_member_or_none():
    with pytest.raises(RibocastError, match="3 members has settings of its own for 2"):
        architecture("ensemble").build(tuple(RANDOM.values()), member="framed", members=3,
                                       own_settings=[{"channels": 4}, {"channels": 8}])  # fmt: skip


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    return [member(folder / str(seed), seed, name="attention-2conv") for seed in (1, 2, 3)]


@settings(max_examples=6, deadline=None)
@given(chosen=st.lists(st.integers(0, 2), min_size=1, max_size=4))
def test_any_members_in_any_order_count_alike(members, chosen):
    utrs = simulate(9, seed=7)["seq"].tolist()
    said = [ribocast.load(bundle.folder, engine="torch").mrl(utrs) for bundle in members]
    with tempfile.TemporaryDirectory() as folder:
        mean = average([members[number] for number in chosen], folder)
        assert mean.card.networks == tuple(members[number].card.files["model.safetensors"].sha256 for number in chosen)
        predicted = ribocast.load(folder, engine="torch").mrl(utrs)
    np.testing.assert_allclose(predicted, np.mean([said[number] for number in chosen], axis=0), atol=1e-4)


def test_an_average_knows_its_networks_and_says_what_those_say_that_another_model_lacks(tmp_path):
    bundles = [member(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    mean = ribocast.load(average(bundles, tmp_path / "mean", export=True).folder)
    one, two, three = (ribocast.load(bundle.folder) for bundle in bundles)
    stranger = ribocast.load(member(tmp_path / "4", 4).folder)
    assert mean.card.contents == (*one.card.contents, *two.card.contents, *three.card.contents)
    utrs = simulate(20, seed=9)["seq"].tolist()
    for_uncertainty, independent = share_out_networks(mean, [two], "egfp_random50")
    np.testing.assert_allclose(for_uncertainty(utrs), one.mrl(utrs), atol=1e-4)
    np.testing.assert_allclose(independent(utrs), three.mrl(utrs), atol=1e-4)
    # Where there is something to differ from already, and with another family, all that are left are independent.
    for_uncertainty, independent = share_out_networks(mean, [two, len], "unknown")
    assert for_uncertainty is None
    np.testing.assert_allclose(independent(utrs), (one.mrl(utrs) + three.mrl(utrs)) / 2, atol=1e-4)
    for_uncertainty, independent = share_out_networks(mean, [stranger], None)
    assert for_uncertainty is None
    np.testing.assert_allclose(independent(utrs), mean.mrl(utrs), atol=1e-4)
    assert share_out_networks(mean, [mean], None) == (None, None)
    assert share_out_networks(one, [mean], None) == (None, None)


def test_members_trained_on_other_rows_are_refused(tmp_path):
    with pytest.raises(RibocastError, match="differ in data"):
        average([member(tmp_path / "a", 1), member(tmp_path / "b", 2, rows=150)], tmp_path / "mean")


@pytest.mark.parametrize("name", ["framed", "attention-2conv"])
def test_members_that_mean_other_mrls_by_their_outputs_are_refused(tmp_path, name):
    one = member(tmp_path / "one", 1, name=name)
    (assay,) = one.card.assays
    # As a model that was started from another one finds them for itself.
    changes = {"label_mean": 1.0} if name != "framed" else {"fraction_weights": tuple(range(14))}
    other = replace(one, card=one.card.model_copy(update={"assays": (assay.model_copy(update=changes),)}))
    with pytest.raises(RibocastError, match="differ in the scales of their assays: they cannot be averaged"):
        average([one, other], tmp_path / "mean")


def test_an_average_has_no_intervals_of_its_members(tmp_path):
    mine = open_bundle()
    assert mine.card.variant_assay.change_interval is not None
    for assay in average([mine, mine], tmp_path / "mean").card.assays:
        assert assay.interval is assay.change_interval is None


def test_an_ensemble_is_not_trained(tmp_path):
    with pytest.raises(RibocastError, match="made of trained models"):
        fit(simulate(50, seed=1).assign(assay="egfp_random50"), tmp_path, assays=RANDOM, model="ensemble")
