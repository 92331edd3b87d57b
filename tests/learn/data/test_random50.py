"""The published random library: from a server to a table to train on, and to the homework's two tables."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.learn.data import random50
from ribocast.learn.data.assays import ASSAYS, labelled_rows
from ribocast.learn.data.random50 import HALVES, RANDOM50, Library, fetch_library, homework, prepare, read_library
from ribocast.learn.data.simulate import simulate
from web_server import serving
from where import MEASUREMENTS, ROOT

SOURCE = Path(ribocast.__file__).resolve().parents[1]
MEASURED = MEASUREMENTS / "egfp_random50.csv.gz"
HOMEWORK = ROOT.parent / "shared" / "seed" / "homework.txt"
ROWS = simulate(60, seed=1)[["seq", "mrl"]]


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def letters(seqs):
    return np.array([["ACGT".index(letter) for letter in seq] for seq in seqs], np.int32)


def published(**other):
    """Two pairs of files, of 40 and 20 simulated rows, as they are published; the first 10 rows are the test half."""
    x, y = letters(ROWS["seq"]), ROWS["mrl"].to_numpy(np.float32)
    files = {"x0": npy(x[:40]), "y0": npy(y[:40]), "x1": npy(x[40:]), "y1": npy(y[40:, None])} | other
    return files, Library("", {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}, 10)


def laid(tmp_path, **other):
    files, library = published(**other)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return library


@pytest.fixture
def site(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.chdir(tmp_path)
    with serving() as site:
        files, library = published()
        for name, content in files.items():
            site.put(name, content)
        site.library = replace(library, url=site.url)
        monkeypatch.setattr(random50, "RANDOM50", site.library)
        yield site


def run(capsys, *arguments, code=0):
    assert main([str(argument) for argument in arguments]) == code
    return capsys.readouterr()


def split(rows, test=10):
    return rows.assign(published_split=["test"] * test + ["train"] * (len(rows) - test))


# --- fetching ---------------------------------------------------------------------------------------------------


def test_the_published_files_are_28_with_known_sha256():
    names = [f"utr-{kind}-{number}.npy" for number in range(14) for kind in "xy"]
    assert list(RANDOM50.files) == names
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in RANDOM50.files.values())
    assert RANDOM50.url.startswith("https://")
    assert sum(half.rows for half in HALVES) == 280_000
    assert RANDOM50.test_rows == HALVES[1].rows == 20_000


@pytest.mark.skipif(not MEASUREMENTS.is_dir(), reason="the measurements are not on this machine")
def test_hashes_are_those_of_the_measurements():
    lines = (MEASUREMENTS / "random50_source.sha256").read_text().splitlines()
    assert {name: sha256 for sha256, name in map(str.split, lines)} == RANDOM50.files


def test_from_a_server_to_a_table_to_train_on(site, capsys, tmp_path):
    shown = run(capsys, "data", "fetch", "--json", "--url", site.url)
    assert {entry["how"] for entry in json.loads(shown.out)} == {"downloaded"}
    assert site.url in shown.err
    run(capsys, "data", "prepare", "-o", "out")
    table = pd.read_csv("out/egfp_random50.csv.gz")
    assert table.columns.tolist() == ["seq", "mrl", "origin", "published_split", "rank_by_reads"]
    assert table["seq"].tolist() == ROWS["seq"].tolist()
    assert (table["mrl"].to_numpy(np.float32) == ROWS["mrl"].to_numpy(np.float32)).all()
    assert table["rank_by_reads"].tolist() == list(range(1, 61))
    assert table["published_split"].tolist() == ["test"] * 10 + ["train"] * 50
    rows, assays = labelled_rows("out/egfp_random50.csv.gz")
    assert assays == {"egfp_random50": ASSAYS["egfp_random50"]}
    assert set(rows["origin"]) == {"random"}


def test_a_fetch_that_broke_off_goes_on_with_the_missing_files(site, capsys, tmp_path):
    site.meet("y0", "interrupt")
    run(capsys, "data", "fetch", "-o", "here", code=130)
    assert [path.name for path in Path("here").iterdir()] == ["x0"]
    shown = run(capsys, "data", "fetch", "-o", "here")
    assert re.findall(r"(?:cached|downloaded)", shown.out) == ["cached"] + ["downloaded"] * 3
    assert site.count("x0") == 1
    (tmp_path / "here" / "x1").write_bytes(b"damaged")
    done = fetch_library("here", site.library)
    assert [name for name, how in done.items() if how == "downloaded"] == ["x1"]


@pytest.mark.parametrize(("address", "words"), [("ftp://127.0.0.1", "http://"), ("{}/elsewhere", "404 Not Found")])
def test_what_cannot_be_fetched_is_one_line(site, capsys, address, words):
    shown = run(capsys, "data", "fetch", "--url", address.format(site.url), code=2)
    assert shown.out == ""
    (error,) = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert words in error


# --- reading ----------------------------------------------------------------------------------------------------


def test_a_missing_or_damaged_file_names_the_command(site, capsys, tmp_path):
    shown = run(capsys, "data", "prepare", tmp_path, code=2)
    assert str(tmp_path / "x0") in shown.err
    assert "ribocast data fetch" in shown.err
    library = laid(tmp_path)
    (tmp_path / "y1").write_bytes(npy(np.zeros(20, np.float32)))
    with pytest.raises(RibocastError, match=r"y1.*SHA-256.*ribocast data fetch"):
        prepare(tmp_path, tmp_path / "out", library)
    assert not (tmp_path / "out").exists()


X, Y = letters(ROWS["seq"])[:40], ROWS["mrl"].to_numpy(np.float32)[:40]


@pytest.mark.parametrize(("name", "content", "words"), [
    ("x0", npy(X.astype(np.int64)), "int64"),
    ("x0", npy(X[:, :49]), r"\(40, 49\)"),
    ("x0", npy(X + 1), "from 1 to 4"),
    ("x0", npy(X - 1), "from -1 to 2"),
    ("x0", npy(X.ravel()), r"\(2000,\)"),
    ("y0", npy(Y.astype(np.float64)), "float64"),
    ("y0", npy(Y[:39]), r"\(39,\)"),
    ("y0", npy(np.where(Y > 5, np.nan, Y).astype(np.float32)), "nan"),
    ("y0", npy(np.array([{"an": "object"}] * 40)), "not a NumPy array"),
    ("y0", b"not an array", "not a NumPy array"),
    ("y0", npy(Y)[:100], "not a NumPy array"),
    ("y0", b"", "not a NumPy array"),
])  # fmt: skip
def test_an_array_of_another_kind_is_refused(tmp_path, name, content, words):
    library = laid(tmp_path, **{name: content})
    with pytest.raises(RibocastError, match=rf"{name}.*{words}") as caught:
        read_library(tmp_path, library)
    assert len(str(caught.value).splitlines()) == 1


def test_several_arrays_in_one_file_are_refused(tmp_path):
    stream = io.BytesIO()
    np.savez(stream, X)
    library = laid(tmp_path, x0=stream.getvalue())
    with pytest.raises(RibocastError, match="x0"):
        read_library(tmp_path, library)


def test_the_same_files_give_the_same_bytes(tmp_path):
    library = laid(tmp_path)
    tables = []
    for name in ("one", "two"):
        prepare(tmp_path, tmp_path / name, library)
        tables.append((tmp_path / name / "egfp_random50.csv.gz").read_bytes())
    assert tables[0] == tables[1]


# --- the homework's tables --------------------------------------------------------------------------------------


def test_each_half_is_standardised_by_its_published_figures(tmp_path):
    rows = split(ROWS)
    rows.to_csv(tmp_path / "t.csv", index=False)
    assert homework(tmp_path / "t.csv", tmp_path / "out") == {"train": 50, "test": 10}
    for half in HALVES:
        own = rows[rows["published_split"] == half.name].reset_index(drop=True)
        label = pd.read_csv(tmp_path / "out" / f"{half.name}.csv")
        one_scale = pd.read_csv(tmp_path / "out" / f"{half.name}_mrl.csv")
        assert label.columns.tolist() == ["seq", "label"]
        assert label["seq"].tolist() == one_scale["seq"].tolist() == own["seq"].tolist()
        np.testing.assert_allclose(label["label"] * half.sd + half.mean, own["mrl"], rtol=1e-12)
        np.testing.assert_array_equal(one_scale["mrl"], own["mrl"])


def test_fetched_files_and_their_table_give_the_same_tables(site, capsys, tmp_path):
    run(capsys, "data", "fetch")
    run(capsys, "data", "prepare", "-o", "out")
    from_files = run(capsys, "data", "homework", "-o", "a")
    run(capsys, "data", "homework", "out/egfp_random50.csv.gz", "-o", "b")
    for name in ("train", "test", "train_mrl", "test_mrl"):
        a, b = (pd.read_csv(tmp_path / folder / f"{name}.csv") for folder in "ab")
        pd.testing.assert_frame_equal(a, b, atol=1e-6)
    # How many of the published rows are not there.
    assert "259,950 of the 260,000" in from_files.err
    assert "19,990 of the 20,000" in from_files.err


@pytest.mark.parametrize(("change", "words"), [
    (lambda rows: rows.drop(columns="published_split"), "published_split"),
    (lambda rows: rows.rename(columns={"mrl": "label"}), "mrl"),
    (lambda rows: rows.assign(published_split=["test"] * 59 + ["dev"]), r"row 60.*dev.*published_split"),
    (lambda rows: rows.assign(published_split="train"), "test"),
    (lambda rows: rows.assign(mrl=["high", *rows["mrl"][1:]]), r"row 1.*high"),
    (lambda rows: rows.assign(seq=["ACXT", *rows["seq"][1:]]), r"row 1.*X"),
])  # fmt: skip
def test_a_table_that_cannot_be_used_is_one_line(capsys, tmp_path, change, words):
    change(split(ROWS)).to_csv(tmp_path / "t.csv", index=False)
    shown = run(capsys, "data", "homework", tmp_path / "t.csv", "-o", tmp_path / "out", code=2)
    (error,) = shown.err.splitlines()
    assert re.search(rf"t\.csv.*{words}", error)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_without_a_fetched_library_the_command_is_named(site, capsys, tmp_path):
    shown = run(capsys, "data", "homework", "-o", tmp_path / "out", code=2)
    assert "ribocast data fetch" in shown.err
    assert not (tmp_path / "out").exists()


def test_the_homework_does_not_replace_what_it_reads(capsys, tmp_path):
    split(ROWS).to_csv(tmp_path / "train.csv", index=False)
    shown = run(capsys, "data", "homework", tmp_path / "train.csv", "-o", tmp_path, code=2)
    assert "train.csv" in shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


@pytest.mark.skipif(not MEASURED.is_file(), reason="the measurements are not on this machine")
def test_labels_are_those_that_the_homework_prints(tmp_path):
    homework(MEASURED, tmp_path)
    train = pd.read_csv(tmp_path / "train.csv")
    printed = re.findall(r"^\d+ +([ACGT]{46})\.\.\. +(-?[\d.]+)$", HOMEWORK.read_text(), re.MULTILINE)
    found = {begin: train.loc[train["seq"].str.startswith(begin), "label"].tolist() for begin, _ in printed}
    assert [begin for begin in found if found[begin]] == [begin for begin, _ in printed][:10]
    for begin, label in printed[:10]:
        assert found[begin] == pytest.approx([float(label)], abs=1e-6)


def test_no_command_of_the_library_needs_pytorch(site, tmp_path):
    script = (
        "import sys\n"
        "for name in ('torch', 'safetensors', 'onnx', 'scipy', 'matplotlib'): sys.modules[name] = None\n"
        "from ribocast.cli import main\n"
        "from ribocast.learn.data import random50\n"
        f"random50.RANDOM50 = random50.Library({site.url!r}, {dict(site.library.files)!r}, 10)\n"
        "assert main(['data', 'fetch']) == main(['data', 'homework', '-o', 'out']) == 0\n"
        "assert main(['data', 'prepare']) == 0\n"
    )
    # This process has moved to another folder, from which a relative path to the package leads nowhere.
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=environment)
