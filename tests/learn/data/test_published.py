"""What is known of the series, and its two commands from a server to a table that can be trained on."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import ribocast
from published_files import FORMS, write
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.learn.data.assays import ASSAYS, KNOWN_ASSAYS, labelled_rows
from ribocast.learn.data.published import series as geo
from ribocast.learn.data.published.series import BASE_URL, LIBRARIES, PAIRS, choose_libraries, files_of
from web_server import serving

SOURCE = Path(ribocast.__file__).resolve().parents[1]
ACCESSIONS = [f"GSM{number}" for number in (*range(3130435, 3130444), 4084997)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    for name, form in FORMS.items():
        for replicate in range(1, len(LIBRARIES[name].files) + 1):
            write(form(300 if name != "egfp_human50" else 400), folder, name, replicate)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def site(files, monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.chdir(tmp_path)
    with serving() as site:
        for file in files_of(LIBRARIES.values()):
            site.put(file.path, files[file.name])
        yield site


def run(capsys, *arguments, code=0):
    assert main([str(argument) for argument in arguments]) == code
    return capsys.readouterr()


def test_the_files_are_the_ten_of_the_series_where_geo_keeps_them():
    files = files_of(LIBRARIES.values())
    assert sorted(file.accession for file in files) == ACCESSIONS
    assert len(files) == len({file.name for file in files}) == 10
    for file in files:
        assert re.fullmatch(r"GSM\d{4}nnn/GSM\d{7}/suppl/GSM\d{7}_\w+\.csv\.gz", file.path)
        assert file.path.count(file.accession) == 2
        assert file.path.startswith(file.accession[:7])
    first = LIBRARIES["egfp_random50"].files[0]
    assert f"{BASE_URL}/{first.path}" == (
        "https://ftp.ncbi.nlm.nih.gov/geo/samples/GSM3130nnn/GSM3130435/suppl/GSM3130435_egfp_unmod_1.csv.gz"
    )


def test_every_library_is_a_known_assay_and_the_shipped_models_assays_are_the_first():
    assert set(LIBRARIES) - {PAIRS} == set(KNOWN_ASSAYS)
    assert list(KNOWN_ASSAYS)[: len(ASSAYS)] == list(ASSAYS)


def test_libraries_are_chosen_by_name():
    assert choose_libraries(None) == tuple(LIBRARIES.values())
    assert choose_libraries([PAIRS, "egfp_human50", PAIRS]) == (LIBRARIES[PAIRS], LIBRARIES["egfp_human50"])
    assert len(files_of(choose_libraries([PAIRS, "egfp_human50"]))) == 1
    with pytest.raises(RibocastError, match=r"^unknown library 'egfp'; GSE114002 has: egfp_random50, "):
        choose_libraries(["egfp"])


# --- the commands -----------------------------------------------------------------------------------------------


def test_from_a_server_to_tables_to_train_on(site, capsys, files, tmp_path):
    shown = run(capsys, "data", "fetch", "gse114002", "--url", site.url + "/")
    folder = tmp_path / "cache" / "ribocast" / "GSE114002"
    assert {path.name: path.read_bytes() for path in folder.glob("*.gz")} == files
    first = LIBRARIES["egfp_random50"].files[0]
    said = shown.err.splitlines()
    assert said[0] == f"folder: {folder}"
    assert said[1] == f"{first.name}: {len(files[first.name]) / 1e6:,.1f} MB, at {site.url}/{first.path}"
    assert said[11] == f"to download: 10 files, {sum(map(len, files.values())) / 1e6:,.1f} MB"
    assert f"downloaded  {hashlib.sha256(files[first.name]).hexdigest()}" in shown.out
    # Sizes were told before anything was downloaded.
    assert [method for method, _, _ in site.asked] == ["HEAD"] * 10 + ["GET"] * 10

    shown = run(capsys, "data", "prepare", "--json")
    reports = {report["library"]: report for report in json.loads(shown.out)}
    assert list(reports) == list(LIBRARIES)
    for name, report in reports.items():
        assert report["output"] == f"measurements/{name}.csv.gz"
        assert report["rows_in"] == report["rows"] + sum(report["left_out"].values())
        assert all(f"{name}: {remark}" in shown.err for remark in report["remarks"])
        if name != PAIRS:
            rows, assays = labelled_rows(report["output"])
            assert len(rows) == report["rows"] == report["train"] + report["test"]
            assert list(assays) == [name]

    described = json.loads(run(capsys, "data", "describe", "measurements/egfp_random50.csv.gz", "--json").out)
    assert (described["rows"], described["bad_rows"], described["duplicates"]) == (300, 0, 0)
    assert described["label_column"] == "mrl"
    assert (described["lengths"]["min"], described["lengths"]["max"]) == (50, 50)


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(site, capsys, files, tmp_path):
    options = ["data", "fetch", "GSE114002", "--library", "mcherry_random50", "-o", "here", "--url", site.url, "--json"]
    first = json.loads(run(capsys, *options).out)
    assert [entry["how"] for entry in first] == ["downloaded"] * 2
    asked = len(site.asked)
    shown = run(capsys, *options)
    assert [entry["how"] for entry in json.loads(shown.out)] == ["cached"] * 2
    assert shown.err.endswith("to download: 0 files, 0.0 MB\n")
    assert len(site.asked) == asked
    damaged = tmp_path / "here" / "GSM3130442_mcherry_2.csv.gz"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    shown = run(capsys, *options)
    assert [entry["how"] for entry in json.loads(shown.out)] == ["cached", "downloaded"]
    assert shown.err.count("is fetched again") == 1
    assert damaged.read_bytes() == files[damaged.name]


def test_a_fetch_that_broke_off_is_resumed_by_the_same_command(site, capsys, files, tmp_path):
    file = LIBRARIES["egfp_varying25to100"].files[0]
    options = ["data", "fetch", "GSE114002", "--library", "egfp_varying25to100", "-o", "here", "--url", site.url]
    site.meet(file.path, "half", "html")
    message = run(capsys, *options, code=2).err.splitlines()[-1]
    assert message == (
        f"error: {site.url}/{file.path}: the server sent an HTML page, not a gzip file: 'We are down today'"
    )
    assert (tmp_path / "here" / f"{file.name}.part").exists()
    shown = run(capsys, *options)
    assert "resumed" in shown.out
    assert (tmp_path / "here" / file.name).read_bytes() == files[file.name]


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_keeps_what_has_come_and_the_same_command_goes_on(site, capsys, files, tmp_path):
    file = LIBRARIES["egfp_varying25to100"].files[0]
    options = ["data", "fetch", "GSE114002", "--library", "egfp_varying25to100", "-o", "here", "--url", site.url]
    site.meet(file.path, "interrupt")
    assert run(capsys, *options, code=130).err.endswith("error: interrupted\n")
    kept = (tmp_path / "here" / f"{file.name}.part").stat().st_size
    assert kept == len(files[file.name]) // 2
    assert "resumed" in run(capsys, *options).out
    assert site.gets(file.path)[-1]["Range"] == f"bytes={kept}-"
    assert (tmp_path / "here" / file.name).read_bytes() == files[file.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["GSE1"], "unknown series 'GSE1'; use GSE114002"),
        (["GSE114002", "--library", "random"], "unknown library 'random'; GSE114002 has: "),
        (["GSE114002", "--url", "ftp://127.0.0.1"], "http:// or https://"),
        (["GSE114002", "--url", "{}/elsewhere"], "the server answers 404 Not Found"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(site, capsys, arguments, message):
    shown = run(capsys, "data", "fetch", *[argument.format(site.url) for argument in arguments], code=2)
    assert shown.out == ""
    (error,) = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert message in error
    assert not site.gets("elsewhere")


def test_prepare_says_what_is_there_what_is_left_out_and_why(site, capsys, files, tmp_path, monkeypatch):
    library = replace(LIBRARIES["egfp_random50"], keep=250, test=10)
    monkeypatch.setitem(geo.LIBRARIES, "egfp_random50", library)
    folder = tmp_path / "some"
    folder.mkdir()
    for file in (library.files[0], LIBRARIES["mcherry_random50"].files[1]):
        (folder / file.name).write_bytes(files[file.name])
    shown = run(capsys, "data", "prepare", folder, "-o", tmp_path / "out")
    assert re.search(r"egfp_random50\.csv\.gz +GSM3130435_egfp_unmod_1\.csv\.gz +300 +250 +240 +10", shown.out)
    assert re.search(r"egfp_random50 +50 +beyond the 250 with the most reads", shown.out)
    assert "not there: egfp_random50_pseudo, egfp_random50_m1psi, mcherry_random50, " in shown.err
    assert "split: as published" in shown.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["egfp_random50.csv.gz"]
    table = pd.read_csv(tmp_path / "out" / "egfp_random50.csv.gz")
    assert table["published_split"].value_counts().to_dict() == {"train": 240, "test": 10}

    shown = run(capsys, "data", "prepare", folder, "-o", tmp_path / "second", "--replicate", 2)
    assert [path.name for path in (tmp_path / "second").iterdir()] == ["mcherry_random50_replicate2.csv.gz"]


def test_prepare_without_files_names_the_command_that_fetches_them(capsys, tmp_path):
    shown = run(capsys, "data", "prepare", tmp_path, code=2)
    assert shown.err == (
        f"error: {tmp_path}: none of the published tables is there; ribocast data fetch GSE114002 -o {tmp_path}\n"
    )
    shown = run(capsys, "data", "prepare", tmp_path, "--library", "egfp_human50", code=2)
    assert "GSM3130443_designed_library.csv.gz: no such file" in shown.err


def test_neither_command_needs_pytorch(site, tmp_path):
    script = (
        "import sys\n"
        "for name in ('torch', 'safetensors', 'onnx', 'scipy', 'matplotlib'): sys.modules[name] = None\n"
        "from ribocast.cli import main\n"
        f"options = ['--library', 'egfp_human50', '--library', '{PAIRS}']\n"
        f"assert main(['data', 'fetch', 'GSE114002', '--url', '{site.url}', *options]) == 0\n"
        "assert main(['data', 'prepare', *options]) == 0\n"
    )
    # This process has moved to another folder, from which a relative path to the package leads nowhere.
    here = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, env=here)
    assert done.returncode == 0, done.stderr
    with gzip.open(tmp_path / "measurements" / f"{PAIRS}.csv.gz", "rt") as pairs:
        assert pairs.readline().startswith("id,gene_symbol,")
