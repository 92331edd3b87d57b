"""A trained model's folder: what is written is read back, and what does not fit is refused in one line."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.io.safe_text import is_safe
from ribocast.model import bundle as bundle_module
from ribocast.model.bundle import (
    CARD_NAME,
    LEARNING_NAME,
    RUNNING_NAME,
    AssayCard,
    Evaluation,
    Interval,
    ModelCard,
    TrainingData,
    open_bundle,
    shipped_models,
    write_bundle,
)
from ribocast.sequence.construct import EGFP

FILES = {RUNNING_NAME: b"graph", LEARNING_NAME: b"weights"}


def assay(name: str = "mine", **changes) -> AssayCard:
    known = {"name": name, "before": EGFP.before, "after": EGFP.after, "min_length": 25, "max_length": 100,
             "label_mean": 6.5, "label_scale": 1.25, "fraction_weights": (0.0, 1.0, 2.5)}  # fmt: skip
    return AssayCard(**{**known, **changes})


def card(**changes) -> ModelCard:
    known = {
        "name": "test", "architecture": "framed", "settings": {"channels": 4, "dilations": [1, 2]},
        "output": "fractions", "assays": (assay(), assay("other", interval=Interval(
            coverage=0.9, edges=(3.0, 6.0), below=(1.0, 1.5, 2.0), above=(2.0, 1.0, 0.5), rows=100))),
        "default_assay": "mine", "seed": 7, "epoch": 3, "recipe": {"rate": 1e-3, "Ψ": None},
        "data": (TrainingData(assay="mine", rows=10, sha256="0" * 64),),
        "evaluations": (Evaluation(assay="mine", subset="all", split="grouped", rows=5, pearson_r2=0.9),),
        "citation": "Sample et al., 5′ UTRs",
    }  # fmt: skip
    return ModelCard(**{**known, **changes})


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "model", card(), FILES).folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def change(folder: Path, **changes) -> None:
    path = folder / CARD_NAME
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def error_of(model: Path | str) -> str:
    with pytest.raises(RibocastError) as caught:
        open_bundle(model)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# --- writing and reading back ----------------------------------------------------------------------------------


def test_what_is_written_is_what_is_opened(tmp_path):
    written = write_bundle(tmp_path / "a" / "b", card(), FILES)
    opened = open_bundle(tmp_path / "a" / "b")
    assert opened == written
    assert open_bundle(str(tmp_path / "a" / "b")) == written
    assert opened.card.model_dump(exclude={"files"}) == card().model_dump(exclude={"files"})
    assert opened.running.read_bytes() == b"graph"
    assert opened.learning.read_bytes() == b"weights"
    assert names(opened.folder) == sorted([CARD_NAME, LEARNING_NAME, RUNNING_NAME])


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_bundle(tmp_path / name, card(), FILES)
    for name in (CARD_NAME, *FILES):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_writing_a_read_card_again_changes_nothing(folder):
    before = (folder / CARD_NAME).read_bytes()
    write_bundle(folder, open_bundle(folder).card, FILES)
    assert (folder / CARD_NAME).read_bytes() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    mean=st.floats(-1e9, 1e9),
    scale=st.floats(0, 1e9, exclude_min=True),
    text=st.text(st.characters(exclude_categories=["Cs"])).filter(is_safe),
    weights=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=14),
    files=st.fixed_dictionaries({RUNNING_NAME: st.binary(min_size=1), LEARNING_NAME: st.binary(min_size=1)}),
)
def test_every_number_and_text_is_kept_exactly(tmp_path, mean, scale, text, weights, files):
    one = assay(label_mean=mean, label_scale=scale, description=text, fraction_weights=tuple(weights))
    written = write_bundle(tmp_path / "m", card(assays=(one,), settings={text: [text, mean]}, citation=text), files)
    opened = open_bundle(tmp_path / "m")
    assert opened == written
    assert opened.card.assays == (one,)
    assert opened.card.settings == {text: [text, mean]}
    assert opened.running.read_bytes() == files[RUNNING_NAME]


def test_a_model_is_written_over_an_older_one(folder):
    write_bundle(folder, card(epoch=9), {**FILES, RUNNING_NAME: b"another graph"})
    assert open_bundle(folder).card.epoch == 9
    assert open_bundle(folder).running.read_bytes() == b"another graph"


def test_other_files_in_the_folder_stay(folder):
    (folder / "history.csv").write_text("epoch\n")
    write_bundle(folder, card(), FILES)
    assert (folder / "history.csv").read_text() == "epoch\n"
    assert open_bundle(folder).card.name == "test"


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "..", "", "model.json", "model.pkl", "model.onnx "])
def test_no_file_is_written_under_another_name_than_a_models(tmp_path, name):
    with pytest.raises(RibocastError, match="not a file of a model"):
        write_bundle(tmp_path / "m", card(), {**FILES, name: b"x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_card_that_could_not_be_read_again_is_not_written(folder, number):
    before = (folder / CARD_NAME).read_bytes()
    for changes in ({"settings": {"a": number}}, {"recipe": {"a": [{"b": number}]}}):
        with pytest.raises(RibocastError, match="not valid JSON"):
            write_bundle(folder, card(**changes), FILES)
    with pytest.raises(RibocastError, match="size"):
        write_bundle(folder, card(), {**FILES, RUNNING_NAME: b""})
    assert (folder / CARD_NAME).read_bytes() == before


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/m"):
        with pytest.raises(RibocastError, match=r"(File exists|Not a directory)$"):
            write_bundle(tmp_path / place, card(), FILES)


def test_an_old_card_never_stands_beside_new_weights(folder):
    # A folder in the place of the second file makes the writing stop in between.
    (folder / LEARNING_NAME).unlink()
    (folder / LEARNING_NAME).mkdir()
    with pytest.raises(RibocastError, match="is a directory"):
        write_bundle(folder, card(), {RUNNING_NAME: b"new", LEARNING_NAME: b"new"})
    assert names(folder) == sorted([RUNNING_NAME, LEARNING_NAME])
    assert error_of(folder).endswith("not a trained model: it has no model.json")


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_refused(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert error_of(folder) == f"{path}: its SHA-256 differs from that in model.json"
    path.write_bytes(path.read_bytes() + b"!")
    size = path.stat().st_size
    assert error_of(folder) == f"{path}: {size} bytes, but model.json says {size - 1}"
    path.unlink()
    assert error_of(folder).startswith(f"{folder}: {name} is missing")


@pytest.mark.parametrize("name", FILES)
def test_a_link_or_a_folder_in_the_place_of_a_file_is_refused(folder, tmp_path, name):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert f"{name} is missing, or is a link" in error_of(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    assert f"{name} is missing, or is a link" in error_of(folder)


def test_a_folder_without_a_card_is_no_model(tmp_path):
    assert error_of(tmp_path) == f"{tmp_path}: not a trained model: it has no model.json"
    (tmp_path / CARD_NAME).mkdir()
    assert error_of(tmp_path) == f"{tmp_path}: not a trained model: it has no model.json"


@pytest.mark.parametrize("model", ["nowhere", "../nowhere", "", "no\0where", "no\nwhere", "../pretrained/default"])
def test_what_is_neither_folder_nor_shipped_is_refused(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    assert "model" in error_of(model)


def test_a_name_that_is_not_shipped_is_told_with_those_that_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = ", ".join(shipped_models())
    assert error_of("no") == f"no: no such model; give a folder, or the name of a shipped one ({shipped or 'none'})"


def test_a_file_or_a_name_too_long_is_no_model(tmp_path):
    (tmp_path / "file").write_text("")
    assert "no such model" in error_of(tmp_path / "file")
    assert error_of("a" * 5000).endswith("name too long")


@pytest.mark.parametrize(
    "text", ["", "{", "nonsense", '{"a": 1}}', "\ufeff{}", "[" * 100_000, "1" * 10_000, "NaN", '{"seed": NaN}']
)
def test_a_broken_card_is_refused(folder, text):
    (folder / CARD_NAME).write_text(text, "utf-8")
    assert error_of(folder).startswith(
        (
            f"{folder / CARD_NAME}: not valid JSON: ",
            f"{folder / CARD_NAME}: format_version is None; this ribocast reads 1",
        )
    )


def test_a_card_that_is_no_text_or_cut_short_is_refused(folder):
    data = (folder / CARD_NAME).read_bytes()
    for content in (b"\xff\xfe\x00", data[: len(data) // 2], bytes(100)):
        (folder / CARD_NAME).write_bytes(content)
        assert error_of(folder).startswith(f"{folder / CARD_NAME}: not valid JSON: ")


@pytest.mark.parametrize("version", [0, 2, 99, "1", None, 1.5, [1]])
def test_another_format_version_is_told_before_anything_else(folder, version):
    change(folder, format_version=version, what_the_future_brings={}, assays=None)
    assert error_of(folder) == f"{folder / CARD_NAME}: format_version is {version!r}; this ribocast reads 1"


@pytest.mark.parametrize("content", ["[]", "null", "3", '"text"'])
def test_a_card_that_is_no_object_is_refused(folder, content):
    (folder / CARD_NAME).write_text(content)
    assert error_of(folder).endswith("format_version is None; this ribocast reads 1")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"extra": 1}, "extra"),
        ({"a\nb": 1}, "a b"),
        ({"seed": "seven"}, "seed"),
        ({"seed": None}, "seed"),
        ({"output": "pickle"}, "output"),
        ({"assays": []}, "assays"),
        ({"assays": None}, "assays"),
        ({"default_assay": "unknown"}, "default_assay 'unknown' is not one of the assays"),
        ({"fixed_length": 0}, "fixed_length"),
        ({"settings": []}, "settings"),
        ({"files": {}}, "files: model.safetensors is not described"),
        ({"files": []}, "files"),
    ],
)
def test_a_wrong_field_is_named(folder, changes, where):
    change(folder, **changes)
    message = error_of(folder)
    assert message.startswith(f"{folder / CARD_NAME}: ")
    assert where in message


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"extra": 1}, "assays.0.extra"),
        ({"name": ""}, "assays.0.name"),
        ({"before": "ACX"}, "construct, before: 'X' at position 3"),
        ({"after": "GTG"}, "begins with 'GTG', not with ATG"),
        ({"min_length": 0}, "assays.0.min_length"),
        ({"min_length": 101}, "min_length 101 is more than max_length 100"),
        ({"label_scale": 0.0}, "assays.0.label_scale"),
        ({"label_mean": "6"}, "assays.0.label_mean"),
        ({"label_mean": None}, "assays.0.label_mean"),
        ({"fraction_weights": None}, "has no fraction_weights"),
        ({"fraction_weights": [1.0]}, "assays.0.fraction_weights"),
        ({"name": "other"}, "an assay is named twice"),
        ({"interval": {"coverage": 0.9, "edges": [1.0], "below": [1.0], "above": [1.0], "rows": 9}}, "one number more"),
        (
            {"interval": {"coverage": 0.9, "edges": [2.0, 1.0], "below": [1.0] * 3, "above": [1.0] * 3, "rows": 9}},
            "rise",
        ),
        ({"interval": {"coverage": 90, "edges": [], "below": [1.0], "above": [1.0], "rows": 9}}, "interval.coverage"),
    ],
)
def test_a_wrong_field_of_an_assay_is_named(folder, changes, where):
    assays = json.loads((folder / CARD_NAME).read_text("utf-8"))["assays"]
    if changes != {"label_mean": "6"}:
        assays[0].update(changes)
    else:
        assays[0].update(label_mean="six")
    change(folder, assays=assays)
    assert where in error_of(folder)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["label_mean", "pearson_r2", "coverage"])
def test_numbers_that_are_none_are_refused(folder, number, field):
    path = folder / CARD_NAME
    text = path.read_text("utf-8")
    old = next(line for line in text.splitlines() if f'"{field}"' in line)
    new = old.split(":")[0] + f": {number}" + "," * old.endswith(",")
    path.write_text(text.replace(old, new), "utf-8")
    assert error_of(folder).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "model.pkl", "model.json", "./model.onnx"])
def test_a_card_that_describes_other_files_is_refused(folder, name):
    (folder.parent / "x").write_bytes(b"x")
    files = json.loads((folder / CARD_NAME).read_text("utf-8"))["files"]
    change(folder, files={**files, name: files[RUNNING_NAME]})
    assert f"{name!r} is not a file of a model" in error_of(folder)


@pytest.mark.parametrize(
    "described",
    [
        {"size": -1},
        {"size": 0},
        {"sha256": "0" * 63},
        {"sha256": "0" * 64 + "\n"},
        {"sha256": "Z" * 64},
        {"path": "../x"},
    ],
)
def test_a_wrong_description_of_a_file_is_refused(folder, described):
    files = json.loads((folder / CARD_NAME).read_text("utf-8"))["files"]
    files[RUNNING_NAME].update(described)
    change(folder, files=files)
    assert f"files.{RUNNING_NAME}.{next(iter(described))}" in error_of(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(data=st.data())
def test_a_damaged_folder_is_opened_as_it_was_or_refused_in_one_line(folder, data):
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    path = copy / data.draw(st.sampled_from([CARD_NAME, *FILES]))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        opened = open_bundle(copy)
    except RibocastError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert opened.running.read_bytes() == b"graph"
        assert opened.learning.read_bytes() == b"weights"


# --- names -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Make a package that ships the model `default`, and stand in an empty folder."""
    home, here = tmp_path / "pretrained", tmp_path / "here"
    here.mkdir()
    write_bundle(home / "default", card(name="shipped"), FILES)
    monkeypatch.setattr(bundle_module, "PRETRAINED", home)
    monkeypatch.chdir(here)
    return here


def test_the_shipped_model_is_the_default_and_has_a_name(shipped):
    assert shipped_models() == ["default"]
    assert open_bundle().card.name == "shipped"
    assert open_bundle("default").card.name == "shipped"
    assert open_bundle(Path("default")).card.name == "shipped"


def test_a_folder_called_like_the_shipped_model_does_not_take_its_place(shipped):
    (shipped / "default").mkdir()
    assert open_bundle().card.name == "shipped"
    write_bundle(shipped / "default", card(name="mine"), FILES)
    assert open_bundle().card.name == "shipped"
    assert open_bundle("./default").card.name == "mine"
    assert open_bundle(Path("default")).card.name == "mine"


def test_a_shipped_name_is_no_path(shipped):
    for model in ("../pretrained/../nowhere", "default/..", "Default"):
        assert "model" in error_of(model)


# --- the card --------------------------------------------------------------------------------------------------


def test_an_assay_is_found_by_name_and_the_default_without_one():
    assert card().assay().name == "mine"
    assert card().assay("other").name == "other"
    with pytest.raises(RibocastError, match=r"^unknown assay 'third'; the model 'test' has: mine, other$"):
        card().assay("third")


def test_the_width_is_that_of_the_widest_assay():
    assert card().width == 3
    assert card(assays=(assay(), assay("b", fraction_weights=(1.0,) * 5))).width == 5
    assert card(output="standardised").width == 1
    assert card(output="standardised", assays=(assay(fraction_weights=None),)).width == 1


def test_an_assay_knows_its_surroundings():
    assert assay().surroundings == EGFP
