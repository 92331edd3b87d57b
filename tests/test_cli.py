"""The command line: the commands as documented, and one line for everything that can go wrong."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import ribocast
from ribocast.cli import main
from ribocast.learn.simulate import simulate

LEADERS = [f"ACGTTGCAGG{tail}" * 2 for tail in ("ACGTA", "TTGCA", "ATGCC", "GGGCC", "ACACA")]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "leaders.csv"
    pd.DataFrame({"id": ["007", "1e5", "NA", "", "x,y"], "seq": LEADERS}).to_csv(path, index=False)
    return path


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "train.csv"
    rows = simulate(300, seed=5)[["seq", "mrl"]].rename(columns={"mrl": "label"})
    rows.to_csv(path, index=False)
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_the_first_command_of_the_readme_prints_a_table(capsys):
    assert run("predict", "examples/leaders.fasta") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "id,seq,mrl,mrl_low,mrl_high,note"
    assert len(lines) == 8


def test_predictions_are_added_to_the_input_as_it_stands(framed, table, tmp_path):
    out = tmp_path / "out.csv"
    assert run("predict", table, "--model", framed, "--assay", "egfp_varying25to100", "-o", out) == 0
    given, got = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (table, out))
    pd.testing.assert_frame_equal(got[["id", "seq"]], given)
    expected = ribocast.load(framed).mrl(LEADERS, assay="egfp_varying25to100")
    np.testing.assert_allclose(got["mrl"].astype(float), expected, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [table.name, out.name] or len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet"])
def test_every_ending_holds_the_same_table(framed, table, tmp_path, ending):
    assert run("predict", table, "--model", framed, "-o", tmp_path / f"out{ending}") == 0
    path = tmp_path / f"out{ending}"
    if ending == ".parquet":
        got = pd.read_parquet(path)
    else:
        got = pd.read_csv(path, sep="\t" if "tsv" in ending else ",", dtype={"id": str}, keep_default_na=False)
    assert got["seq"].tolist() == LEADERS
    assert got.columns.tolist() == ["id", "seq", "mrl", "mrl_low", "mrl_high", "note"]


def test_every_input_format_gives_the_same_loads(framed, tmp_path, capsys):
    frame = pd.DataFrame({"utr": LEADERS})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text("\n".join(LEADERS) + "\n")
    fasta = "".join(f">{number}\n{utr[:10]}\n{utr[10:]}\n" for number, utr in enumerate(LEADERS))
    (tmp_path / "a.fasta").write_text(fasta)
    (tmp_path / "a.fasta.gz").write_bytes(gzip.compress(fasta.encode()))
    results = set()
    for name in ("a.csv", "a.tsv", "a.parquet", "a.txt", "a.fasta", "a.fasta.gz"):
        assert run("predict", tmp_path / name, "--model", framed, "-o", tmp_path / "out.csv") == 0
        results.add(tuple(pd.read_csv(tmp_path / "out.csv")["mrl"]))
    assert len(results) == 1
    piped = subprocess.run(
        [sys.executable, "-m", "ribocast", "predict", "-", "--model", str(framed)],
        input=fasta, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert len(piped.stdout.splitlines()) == 6


def test_a_column_named_like_a_prediction_is_kept_under_another_name_and_said(framed, tmp_path, capsys):
    path = tmp_path / "in.csv"
    pd.DataFrame({"seq": LEADERS, "mrl": [1, 2, 3, 4, 5]}).to_csv(path, index=False)
    assert run("predict", path, "--model", framed, "-o", tmp_path / "out.csv") == 0
    assert "mrl is now input_mrl" in capsys.readouterr().err
    assert pd.read_csv(tmp_path / "out.csv")["input_mrl"].tolist() == [1, 2, 3, 4, 5]


def test_the_profile_is_added_when_asked(framed, table, tmp_path):
    assert run("predict", table, "--model", framed, "--profile", "-o", tmp_path / "out.csv") == 0
    got = pd.read_csv(tmp_path / "out.csv")
    assert np.allclose(got[[f"r{number}" for number in range(14)]].sum(axis=1), 1, atol=1e-6)


def test_bad_rows_are_skipped_when_asked_counted_and_listed(framed, tmp_path, capsys):
    path = tmp_path / "in.csv"
    path.write_text("id,seq\na,ACGT\nb,ACXT\nc,\nd,ACGU\n")
    assert run("predict", path, "--model", framed, "--on-error", "skip", "-o", tmp_path / "out.csv") == 0
    assert "left out 2 bad rows, listed in" in capsys.readouterr().err
    assert pd.read_csv(tmp_path / "out.csv")["id"].tolist() == ["a", "d"]
    rejected = pd.read_csv(tmp_path / "out.rejected.csv", keep_default_na=False)
    assert rejected["row"].tolist() == [2, 3]
    assert rejected["id"].tolist() == ["b", "c"]
    assert "'X' at position 3" in rejected["reason"][0]
    assert run("predict", path, "--model", framed, "--on-error", "skip") == 0
    assert "left out: in.csv row 2: 'X' at position 3" in capsys.readouterr().err


def test_train_evaluate_and_resume(labelled, tmp_path, capsys):
    folder = tmp_path / "run1"
    options = ("--model", "attention-3conv", "--epochs", "2", "-o", folder)
    assert run("train", labelled, *options) == 0
    assert {path.name for path in folder.iterdir()} == {
        "model.json", "model.onnx", "model.safetensors", "history.csv", "history.png", "checkpoint.safetensors",
    }  # fmt: skip
    assert (folder / "history.png").read_bytes()[:4] == b"\x89PNG"
    assert len(pd.read_csv(folder / "history.csv")) == 2
    before = (folder / "model.safetensors").read_bytes()
    capsys.readouterr()
    assert run("train", labelled, *options) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert run("train", labelled, *options, "--resume") == 0
    assert (folder / "model.safetensors").read_bytes() == before
    capsys.readouterr()
    assert run("evaluate", folder, labelled, "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert set(scores) >= {
        "n", "mse", "mae", "rmse", "pearson_r", "pearson_r2", "r2", "spearman_r", "ci95", "assay",
    }  # fmt: skip
    assert scores["n"] == 300
    assert scores["assay"] == "train"
    assert set(scores["ci95"]) == {"mse", "mae", "rmse", "pearson_r", "pearson_r2", "r2", "spearman_r"}
    assert run("evaluate", folder, labelled) == 0
    assert "pearson_r2" in capsys.readouterr().out


def test_evaluate_without_a_model_uses_the_shipped_one(labelled, capsys):
    assert run("evaluate", labelled, "--assay", "egfp_human50", "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["assay"], scores["model"]) == ("egfp_human50", "default")


def test_describe_counts_what_is_there(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("seq,label\nATGC,1\natgc,2\nAUGC,3\nCCCCCC,4\nXX,5\nCC,much\n")
    assert run("data", "describe", path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["bad_rows"], found["duplicates"]) == (6, 2, 2)
    assert found["upstream_atg_share"] == 0.75
    assert found["letters"] == {"A": 3, "C": 9, "G": 3, "T": 3}
    assert found["lengths"] == {"min": 4, "median": 4, "max": 6, "distinct": 2}
    assert found["label"]["mean"] == 2.5
    assert found["first_fault"] == "t.csv row 5: 'X' at position 1 is not a nucleotide (A, C, G, T, U or N)"
    assert run("data", "describe", path) == 0
    assert "with an upstream ATG" in capsys.readouterr().out


def test_describe_shows_ten_random_rows(tmp_path, capsys):
    path = tmp_path / "t.txt"
    path.write_text("\n".join(simulate(500, seed=1)["seq"]) + "\n")
    samples = []
    for seed in (0, 0, 1):
        assert run("data", "describe", path, "--json", "--seed", seed) == 0
        samples.append(json.loads(capsys.readouterr().out)["sample"])
    assert [len(sample) for sample in samples] == [10, 10, 10]
    assert samples[0] == samples[1] != samples[2]


def test_simulate_and_models(tmp_path, capsys, monkeypatch):
    assert run("simulate", "-n", 20, "--seed", 1, "-o", tmp_path / "sim.csv") == 0
    assert len(pd.read_csv(tmp_path / "sim.csv")) == 20
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text("{}")
    capsys.readouterr()
    assert run("models", "--json") == 0
    printed = capsys.readouterr()
    listed = json.loads(printed.out)
    assert {"attention-2conv", "attention-3conv", "optimus", "framed"} <= set(listed["architectures"])
    assert listed["models"]["default"]["figures"]
    assert "left out: broken" in printed.err
    assert run("models") == 0


BAD = "ACGT" * 5
WRONG_INPUTS = {
    "no such file": (None, "no such file"),
    "a directory": ("directory", "is a directory"),
    "an empty file": (b"", "the file is empty"),
    "a header without rows": (b"seq,label\n", "there are no rows"),
    "no sequence column": (b"a,b\n1,2\n", "no sequence column"),
    "a doubled header": (b"seq,label,seq\nA,1,C\n", "more than once"),
    "a wrong letter": (f"seq,label\n{BAD},1\nACZT,2\n".encode(), "in.csv row 2: 'Z' at position 3"),
    "an empty sequence": (f"seq,label\n{BAD},1\n,2\n".encode(), "in.csv row 2: the sequence is empty"),
    "binary garbage": (bytes(range(256)) * 9, "in.csv"),
    "too many fields": (f"seq,label\n{BAD},1,9\n".encode(), "in.csv"),
    "a damaged gzip": (gzip.compress(b"seq,label\n" + b"ACGT,1\n" * 9999)[:99], "damaged or cut short"),
}
WRONG_LABELS = {
    "no label column": (f"seq,x\n{BAD},1\n".encode(), "no label column"),
    "a label that is no number": (f"seq,label\n{BAD},1\n{BAD},much\n".encode(), "row 2: label 'much' is not a finite"),
    "a missing label": (f"seq,label\n{BAD},1\n{BAD},\n".encode(), "row 2: label is missing (column 'label')"),
    "an infinite label": (f"seq,label\n{BAD},inf\n".encode(), "row 1: label 'inf' is not a finite number"),
}


def said(capsys, code, words, tmp_path):
    error = capsys.readouterr().err.splitlines()
    lines = [line for line in error if not line.startswith(("assay:", "device:", "split:"))]
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert words in lines[0]
    assert not list(tmp_path.glob("out*"))
    assert not list(tmp_path.glob(".*part"))


def place(tmp_path, content):
    path = tmp_path / "in.csv"
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", WRONG_INPUTS)
@pytest.mark.parametrize("command", ["predict", "train"])
def test_input_that_cannot_be_used_is_said_in_one_line(framed, tmp_path, capsys, command, name):
    content, words = WRONG_INPUTS[name]
    more = ("--model", framed) if command == "predict" else ()
    out = tmp_path / ("out.csv" if command == "predict" else "out")
    code = run(command, place(tmp_path, content), *more, "-o", out)
    said(capsys, code, words, tmp_path)


@pytest.mark.parametrize("name", WRONG_LABELS)
@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_labels_that_cannot_be_used_are_said_in_one_line(framed, tmp_path, capsys, command, name):
    content, words = WRONG_LABELS[name]
    path = place(tmp_path, content)
    code = run("evaluate", framed, path) if command == "evaluate" else run("train", path, "-o", tmp_path / "out")
    said(capsys, code, words, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict"], "Missing argument"),
        (["nope"], "No such command"),
        (["predict", "TABLE", "--nope"], "No such option"),
        (["predict", "TABLE", "--threads", "0"], "--threads"),
        (["predict", "TABLE", "--assay", "nope"], "assay 'nope'"),
        (["predict", "TABLE", "--model", "nope"], "no such model"),
        (["predict", "TABLE", "--column", "nope"], "no sequence column 'nope'"),
        (["predict", "TABLE", "--on-error", "nope"], "--on-error"),
        (["predict", "TABLE", "-o", "out.xlsx"], "the ending is none of"),
        (["predict", "TABLE", "-o", "nowhere/out.csv"], "there is no folder"),
        (["train", "TABLE", "-o", "out", "--model", "nope"], "no architecture 'nope'"),
        (["train", "TABLE", "-o", "out", "--model", "ensemble"], "not trained itself"),
        (["train", "TABLE", "-o", "out", "--epochs", "0"], "--epochs"),
        (["train", "TABLE", "-o", "out", "--lr", "-1"], "learning rate is -1"),
        (["train", "TABLE", "-o", "out", "--val-fraction", "1.5"], "--val-fraction 1.5"),
        (["train", "TABLE", "-o", "out", "--set", "nonsense"], "not of the form name=value"),
        (["train", "TABLE", "-o", "out", "--set", "nope=1"], "has no setting 'nope'"),
        (["train", "TABLE", "-o", "out", "--device", "abacus"], "device 'abacus' is not there"),
        (["evaluate", "a", "b", "c"], "takes [MODEL] TABLE"),
        (["simulate", "-n", "0"], "--rows"),
        (["simulate", "-n", "9", "--min-length", "60"], "length"),
    ],
)
def test_options_that_cannot_be_are_said_in_one_line(labelled, tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code = run(*[labelled if argument == "TABLE" else argument for argument in arguments])
    said(capsys, code, words, tmp_path)


@pytest.mark.parametrize(
    "command", [[], ["predict"], ["train"], ["evaluate"], ["simulate"], ["models"], ["data", "describe"]]
)
def test_every_help_shows_an_example(capsys, command):
    assert run(*command, "--help") == 0
    assert f"Example: ribocast {' '.join(command)}" in " ".join(capsys.readouterr().out.split())


def imported(code):
    listed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('MODULES', *sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(listed.stdout.split("MODULES")[1].split())


def test_the_command_line_and_the_package_import_nothing_heavy():
    heavy = {"numpy", "pandas", "pyarrow", "openvino", "torch", "pydantic", "matplotlib", "scipy", "rich.console"}
    assert not imported("import ribocast, ribocast.cli; ribocast.cli.main(['--help'])") & heavy


def test_predicting_needs_no_pytorch_and_calls_nobody(framed):
    modules = imported(f"import ribocast; ribocast.load({str(framed)!r}).predict(['ACGT'])")
    assert not modules & {"torch", "scipy", "matplotlib", "safetensors", "onnx"}
    assert "openvino_telemetry.main" not in modules


def test_a_reader_that_has_seen_enough_causes_no_noise(framed, tmp_path):
    path = tmp_path / "many.txt"
    path.write_text("ACGTACGTAC\n" * 40_000)
    command = f"{sys.executable} -m ribocast predict {path} --model {framed} --assay egfp_random50 | head -n 1"
    finished = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert finished.stdout == "seq,mrl,mrl_low,mrl_high,note\n"
    assert finished.stderr == ""
