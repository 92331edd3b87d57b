"""The command line: the commands as documented, and one line for everything that can go wrong."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

import ribocast
from ribocast.cli import main
from ribocast.learn.data.simulate import simulate
from ribocast.predict import stream as flow
from where import ROOT

UTRS = [f"ACGTTGCAGG{tail}" * 2 for tail in ("ACGTA", "TTGCA", "ATGCC", "GGGCC", "ACACA")]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "utrs.csv"
    pd.DataFrame({"id": ["007", "1e5", "NA", "", "x,y"], "seq": UTRS}).to_csv(path, index=False)
    return path


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "train.csv"
    rows = simulate(300, seed=5)[["seq", "mrl"]].rename(columns={"mrl": "label"})
    rows.to_csv(path, index=False)
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def shell(command, **options):
    return subprocess.run(command, shell=True, capture_output=True, text=True, **options)


def test_the_first_command_of_the_readme_prints_a_table():
    printed = shell(f"{sys.executable} -m ribocast predict examples/utrs.fasta", cwd=ROOT, check=True)
    lines = printed.stdout.splitlines()
    assert lines[0] == "id,seq,mrl,mrl_low,mrl_high,note"
    assert len(lines) == 8
    assert printed.stderr == (
        "assay: egfp_random50 (random 50-nt UTRs, eGFP, unmodified RNA); others: see ribocast models\n"
    )


def test_predictions_are_added_to_the_input_as_it_stands(framed, table, tmp_path):
    out = tmp_path / "out.csv"
    assert run("predict", table, "--model", framed, "--assay", "egfp_varying25to100", "-o", out) == 0
    given, got = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (table, out))
    pd.testing.assert_frame_equal(got[["id", "seq"]], given)
    expected = ribocast.load(framed).mrl(UTRS, assay="egfp_varying25to100")
    np.testing.assert_allclose(got["mrl"].astype(float), expected, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "utrs.csv"]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet"])
def test_every_ending_holds_the_same_table(framed, table, tmp_path, ending):
    assert run("predict", table, "--model", framed, "-o", tmp_path / f"out{ending}") == 0
    path = tmp_path / f"out{ending}"
    if ending == ".parquet":
        got = pd.read_parquet(path)
    else:
        got = pd.read_csv(path, sep="\t" if "tsv" in ending else ",", dtype={"id": str}, keep_default_na=False)
    assert got["seq"].tolist() == UTRS
    assert got.columns.tolist() == ["id", "seq", "mrl", "mrl_low", "mrl_high", "note"]


def test_standard_input_is_read_and_results_go_to_standard_output(framed):
    fasta = "".join(f">{number}\n{utr[:10]}\n{utr[10:]}\n" for number, utr in enumerate(UTRS))
    command = [sys.executable, "-m", "ribocast", "predict", "-", "--model", str(framed)]
    mrls = ribocast.load(framed).mrl(UTRS)
    for sent in (fasta.encode(), gzip.compress(fasta.encode())):
        piped = subprocess.run(command, input=sent, capture_output=True, check=True)
        rows = [line.split(",") for line in piped.stdout.decode().splitlines()]
        assert [row[:2] for row in rows[1:]] == [[str(number), utr] for number, utr in enumerate(UTRS)]
        assert [float(row[2]) for row in rows[1:]] == pytest.approx(mrls.tolist(), abs=1e-4)


def test_a_column_named_like_a_prediction_is_kept_under_another_name_and_said(framed, tmp_path, capsys):
    path = tmp_path / "in.csv"
    pd.DataFrame({"seq": UTRS, "mrl": [1, 2, 3, 4, 5]}).to_csv(path, index=False)
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


def test_describe_prints_figures_and_a_sample(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("seq,label,[/x],n\nATGC,1,[red]a,:dna:\natgc,2,,\nAUGC,3,b,\\\nXX,5,c,d\n")
    assert run("data", "describe", path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["bad_rows"], found["duplicates"]) == (4, 1, 2)
    assert len(found["sample"]) == 4
    assert run("data", "describe", path) == 0
    printed = capsys.readouterr().out
    for text in (
        "with an upstream ATG  100.0%",
        "4 to 4 nt",
        "t.csv row 4: 'X' at position 1",
        "[/x]",
        "[red]a",
        ":dna:",
    ):
        assert text in printed
    (tmp_path / "many.txt").write_text("\n".join(simulate(100, seed=1)["seq"]) + "\n")
    samples = []
    for seed in (0, 0, 1):
        assert run("data", "describe", tmp_path / "many.txt", "--json", "--seed", seed) == 0
        samples.append(json.loads(capsys.readouterr().out)["sample"])
    assert [len(sample) for sample in samples] == [10, 10, 10]
    assert samples[0] == samples[1] != samples[2]


def test_simulate_is_repeatable_by_seed_and_gives_as_many_rows_as_asked(tmp_path, capsys):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("simulate", "-n", 200, "--seed", seed, "-o", tmp_path / f"{name}.csv") == 0
    first, again, other = ((tmp_path / f"{name}.csv").read_bytes() for name in "abc")
    assert first == again != other
    assert run("simulate", "-n", 200, "--seed", 1, "--min-length", 20, "--max-length", 30) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 201
    assert {len(line.split(",")[0]) for line in lines[1:]} <= set(range(20, 31))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), simulate(200, seed=1), check_dtype=False)


def test_models_lists_architectures_and_trained_models_here(fixed, labelled, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text("{}")
    # Neither a folder that is called like a shipped model nor a model without figures goes unseen.
    (tmp_path / "default").symlink_to(fixed)
    assert run("train", labelled, "--model", "attention-2conv", "--epochs", 1, "--val-fraction", 0, "-o", "whole") == 0
    capsys.readouterr()
    assert run("models", "--json") == 0
    printed = capsys.readouterr()
    listed = json.loads(printed.out)
    assert {"attention-2conv", "attention-3conv", "optimus", "framed"} <= set(listed["architectures"])
    assert set(listed["models"]) == {"default", "default-large", "./default", "whole"}
    assert listed["models"]["default"]["evaluations"]
    assert listed["models"]["./default"]["architecture"] == "attention-2conv"
    assert printed.err.startswith("left out: broken")
    assert run("models") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("whole") and "no rows were held out" in line for line in lines)
    assert any(line.startswith("./default") and "validation rows" in line for line in lines)


def test_evaluate_gives_the_figures_of_scipy_and_scikit_learn_on_what_predict_gives(framed, tmp_path, capsys):
    rows = simulate(400, seed=8)
    rows.rename(columns={"mrl": "measured", "seq": "utr"}).to_csv(tmp_path / "t.tsv.gz", sep="\t", index=False)
    named = ("--column", "utr", "--assay", "egfp_random50")
    options = (*named, "--label", "measured", "--json")
    assert run("predict", tmp_path / "t.tsv.gz", "--model", framed, *named, "-o", tmp_path / "p.parquet") == 0
    predicted = pd.read_parquet(tmp_path / "p.parquet")["mrl"]
    capsys.readouterr()
    assert run("evaluate", framed, tmp_path / "t.tsv.gz", *options) == 0
    printed = capsys.readouterr()
    scores = json.loads(printed.out)
    assert printed.err == ""
    expected = {
        "n": 400,
        "mse": metrics.mean_squared_error(rows["mrl"], predicted),
        "mae": metrics.mean_absolute_error(rows["mrl"], predicted),
        "rmse": metrics.mean_squared_error(rows["mrl"], predicted) ** 0.5,
        "pearson_r": stats.pearsonr(rows["mrl"], predicted).statistic,
        "pearson_r2": stats.pearsonr(rows["mrl"], predicted).statistic ** 2,
        "r2": metrics.r2_score(rows["mrl"], predicted),
        "spearman_r": stats.spearmanr(rows["mrl"], predicted).statistic,
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert set(scores["ci95"]) == set(expected) - {"n"}
    assert all(low <= scores[name] <= high for name, (low, high) in scores["ci95"].items())
    assert scores["assay"] == "egfp_random50"
    assert run("evaluate", framed, tmp_path / "t.tsv.gz", *options) == 0
    assert json.loads(capsys.readouterr().out) == scores


def test_overwrite_replaces_a_run_and_resume_continues_only_the_same_one(labelled, tmp_path, capsys):
    options = ("--model", "attention-2conv", "--epochs", 1, "-o", tmp_path / "run")
    weights = tmp_path / "run" / "model.safetensors"
    assert run("train", labelled, *options, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"model", "best_epoch", "history", "evaluations"}
    assert printed["history"][0].keys() == {"epoch", "train_loss", "val_loss", "seconds"}
    first = weights.read_bytes()
    for wrong, words in (
        (("--resume", "--overwrite"), "--resume continues a run, --overwrite replaces it"),
        (("--resume", "--seed", 1), "cannot resume"),
        (("--resume", "--assay", "other"), "cannot resume"),
    ):
        assert run("train", labelled, *options, *wrong) == 2
        assert words in capsys.readouterr().err.splitlines()[-1]
        assert weights.read_bytes() == first
    assert run("train", labelled, *options, "--overwrite", "--seed", 1) == 0
    second = weights.read_bytes()
    assert second != first
    assert run("train", labelled, *options, "--overwrite", "--seed", 42) == 0
    assert weights.read_bytes() == first


def test_training_skips_bad_rows_when_asked_counts_and_lists_them(tmp_path, capsys):
    path = tmp_path / "in.csv"
    rows = simulate(60, seed=5)
    lines = [f"{utr},{mrl}" for utr, mrl in zip(rows["seq"], rows["mrl"], strict=True)]
    path.write_text("\n".join(["seq,label", *lines[:30], "ACXT,1", f"{'ACGT' * 12},much", *lines[30:]]) + "\n")
    options = ("--model", "attention-2conv", "--epochs", 1, "--on-error", "skip")
    assert run("train", path, *options, "-o", tmp_path / "run") == 0
    assert f"left out 2 bad rows, listed in {tmp_path / 'run.rejected.csv'}" in capsys.readouterr().err
    rejected = pd.read_csv(tmp_path / "run.rejected.csv")
    assert rejected["row"].tolist() == [31, 32]
    assert rejected["reason"][1] == "label 'much' is not a finite number (column 'label')"
    assert rejected["label"].tolist() == ["1", "much"]
    assert run("evaluate", tmp_path / "run", path, "--on-error", "skip", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["n"] == 60
    assert printed.err.splitlines()[1:] == [
        "left out: in.csv row 32: label 'much' is not a finite number (column 'label')", "left out 2 bad rows",
        "the model was trained on these very rows: for its figures on unseen ones see ribocast models",
    ]  # fmt: skip
    path.write_text("seq,label\nACXT,1\nACGT,\n")
    for command in (("train", path, *options, "-o", tmp_path / "no"), ("evaluate", path, "--on-error", "skip")):
        assert run(*command) == 2
        assert capsys.readouterr().err.splitlines()[-1] == (
            "error: no row is usable; the first: in.csv row 1: 'X' at position 3 is not a nucleotide "
            "(A, C, G, T, U or N)"
        )
    assert not list(tmp_path.glob("no*"))


BAD = "ACGT" * 5
WRONG_INPUTS = {
    "no such file": (None, "no such file"),
    "a directory": ("directory", "is a directory"),
    "an empty file": (b"", "the file is empty"),
    "a header without rows": (b"seq,label\n", "no rows"),
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
    "a label that is not a number": (
        f"seq,label\n{BAD},1\n{BAD},much\n".encode(),
        "row 2: label 'much' is not a finite",
    ),
    "a missing label": (f"seq,label\n{BAD},1\n{BAD},\n".encode(), "row 2: label is missing (column 'label')"),
    "an infinite label": (f"seq,label\n{BAD},inf\n".encode(), "row 1: label 'inf' is not a finite number"),
}


def said(capsys, code, words, tmp_path):
    printed = capsys.readouterr()
    # What training chose is said as it is chosen; a prediction says nothing before it is made.
    lines = [line for line in printed.err.splitlines() if not line.startswith(("device:", "split:"))]
    assert printed.out == ""
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
        (["data", "nope"], "No such command"),
        (["predict", "TABLE", "--threads", "0"], "--threads"),
        (["predict", "TABLE", "--threads", "1e3"], "--threads"),
        (["predict", "TABLE", "--threads", str(2**40)], "--threads"),
        (["predict", "TABLE", "TABLE"], "need -o"),
        (["predict", "TABLE", "--engine", "nope"], "--engine"),
        (["predict", "TABLE", "--assay", "nope"], "assay 'nope'"),
        (["predict", "TABLE", "--model", "nope"], "no such model"),
        (["predict", "TABLE", "--column", "nope"], "no sequence column 'nope'"),
        (["predict", "TABLE", "--on-error", "nope"], "--on-error"),
        (["predict", "TABLE", "-o", "out.xlsx"], "out.xlsx: unsupported file extension '.xlsx'; use .csv"),
        (["predict", "TABLE", "-o", "nowhere/out.csv"], "nowhere/out.csv: folder nowhere"),
        (["train", "TABLE", "-o", "out", "--model", "nope"], "architecture 'nope'"),
        (["train", "TABLE", "-o", "out", "--model", "ensemble"], "not trained itself"),
        (["train", "TABLE", "-o", "out", "--epochs", "0"], "--epochs"),
        (["train", "TABLE", "-o", "out", "--batch-size", "1"], "--batch-size"),
        (["train", "TABLE", "-o", "out", "--patience", "0"], "--patience"),
        (["train", "TABLE", "-o", "out", "--split", "nope"], "--split"),
        (["train", "TABLE", "-o", "out", "--seed", str(2**32)], "--seed"),
        (["train", "TABLE"], "Missing option '-o'"),
        (["train", "TABLE", "-o", "train.csv"], "train.csv: is a file"),
        (["train", "TABLE", "-o", "train.csv/out"], "train.csv/out: Not a directory"),
        (["train", "TABLE", "-o", "out", "--lr", "-1"], "learning rate is -1"),
        (["train", "TABLE", "-o", "out", "--lr", "nan"], "learning rate is nan"),
        (
            ["train", "TABLE", "-o", "out", "--val-fraction", "nan"],
            "below 1, not nan",
        ),
        (
            ["train", "TABLE", "-o", "out", "--val-fraction", "-0.1"],
            "below 1, not -0.1",
        ),
        (["train", "TABLE", "-o", "out", "--val-fraction", "0.9999"], "too few"),
        (
            [
                "train",
                "TABLE",
                "-o",
                "out",
                "--assay",
                "egfp_varying25to100",
                "--model",
                "attention-2conv",
                "--set",
                "nope=1",
            ],
            "has no setting",
        ),
        (
            ["train", "TABLE", "-o", "out", "--val-fraction", "1.5"],
            "below 1, not 1.5",
        ),
        (["train", "TABLE", "-o", "out", "--set", "nonsense"], "not of the form name=value"),
        (["train", "TABLE", "-o", "out", "--set", "nope=1"], "has no setting 'nope'"),
        (["train", "TABLE", "-o", "out", "--device", "abacus"], "device 'abacus'"),
        (["evaluate", "a", "b", "c"], "takes [MODEL] TABLE"),
        (["evaluate", "nope", "TABLE"], "no such model"),
        (["evaluate", "TABLE", "--assay", "nope"], "assay 'nope'"),
        (["evaluate", "TABLE", "--label", "seq"], "row 1: label"),
        (["evaluate", "TABLE", "--seed", "-1"], "--seed"),
        (["data", "describe", "nope.csv"], "no such file"),
        (["data", "describe", "TABLE", "--label", "nope"], "no label column 'nope'"),
        (["simulate", "-n", "0"], "--rows"),
        (["simulate", "-n", "9", "--min-length", "60"], "length"),
        (["simulate", "-n", "9", "--max-length", str(10**9)], "--max-length"),
        (["simulate", "-n", "9", "--reads", "inf"], "reads"),
        (["simulate", "-n", str(10**15)], "not enough memory"),
        (["simulate", "-n", "9", "-o", "out.fasta"], "out.fasta: unsupported file extension '.fasta'; use .csv"),
    ],
)
def test_options_that_cannot_be_are_said_in_one_line(labelled, tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code = run(*[labelled if argument == "TABLE" else argument for argument in arguments])
    said(capsys, code, words, tmp_path)


@pytest.mark.parametrize(
    "command", [[], ["predict"], ["train"], ["evaluate"], ["simulate"], ["models"], ["data"], ["data", "describe"]]
)
def test_every_help_shows_an_example(capsys, command):
    assert run(*command, "--help") == 0
    assert f"Example: ribocast {' '.join(command)}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", [[], ["data"]])
def test_without_a_command_the_help_is_shown(capsys, command):
    assert run(*command) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Usage:")
    assert "Commands:" in printed.out.splitlines()
    assert printed.err == ""


def test_the_version_is_that_of_the_package(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"{ribocast.__version__}\n"


def test_an_interrupted_command_says_so_and_leaves_nothing(framed, table, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(flow, "add_columns", interrupt)
    assert run("predict", table, "--model", framed, "-o", tmp_path / "out.csv") == 130
    assert capsys.readouterr().err.strip() == "error: interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["utrs.csv"]


def test_progress_is_shown_to_people_alone_and_results_are_the_same(framed, table, tmp_path):
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "ribocast", "predict", table, "--model", framed, "--assay", "egfp_random50"]
    watched = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=theirs, check=True, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    quiet = subprocess.run(command, capture_output=True, check=True)
    assert b"predicting" in os.read(ours, 1 << 16)
    os.close(ours)
    assert watched.stdout == quiet.stdout
    assert quiet.stderr == b""


WITHOUT_LEARN = """
import sys
for name in ("torch", "safetensors", "onnx", "onnxscript", "scipy", "matplotlib", "sklearn"):
    sys.modules[name] = None
from ribocast.cli import main
table, folder, out = sys.argv[1:]
for command in (["predict", table, "--model", folder, "-o", out], ["evaluate", folder, table, "--json"], ["models"],
                ["data", "describe", table], ["simulate", "-n", "9"]):
    assert main(command) == 0, command
for command in (["train", table, "-o", out + "-run"], ["predict", table, "--model", folder, "--engine", "torch"]):
    assert main(command) == 2, command
"""


def test_without_the_extra_learn_everything_but_training_works_and_training_says_what_is_missing(
    framed, labelled, tmp_path
):
    command = [sys.executable, "-c", WITHOUT_LEARN, labelled, framed, tmp_path / "out.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 2
    assert all(line.endswith("pip install 'ribocast[learn]'") for line in errors)
    assert not list(tmp_path.glob("*run*"))


def imported(code):
    listed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('MODULES', *sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(listed.stdout.split("MODULES")[1].split())


def test_the_command_line_and_the_package_import_nothing_heavy():
    heavy = {"numpy", "pandas", "pyarrow", "openvino", "torch", "pydantic", "matplotlib", "scipy", "rich.console"}
    assert not imported("import ribocast, ribocast.cli; ribocast.cli.main(['--help'])") & heavy


def test_predicting_text_imports_no_pandas_and_no_learning(framed, table):
    used = imported(f"from ribocast.cli import main; main(['predict', {str(table)!r}, '--model', {str(framed)!r}])")
    assert "pyarrow" in used
    assert not used & {"pandas", "torch", "scipy", "matplotlib", "openvino.tools.ovc.main"}


def test_a_reader_that_has_seen_enough_causes_no_noise(framed, tmp_path):
    path = tmp_path / "many.txt"
    path.write_text("ACGTACGTAC\n" * 40_000)
    command = f"{sys.executable} -m ribocast predict {path} --model {framed} --assay egfp_random50 | head -n 1"
    finished = shell(f"set -o pipefail; {command}", executable="/bin/bash")
    assert finished.stdout == "seq,mrl,mrl_low,mrl_high,note\n"
    assert finished.stderr == ""
    assert finished.returncode == 141


@pytest.mark.parametrize(
    ("where", "code", "words"),
    [
        ("> /dev/full", 2, "error: output: No space left on device"),
        (">&-", 2, "error: output: Bad file descriptor"),
        ("2>&- >/dev/null", 0, ""),
    ],
)
def test_output_that_goes_nowhere_is_no_traceback(framed, table, where, code, words):
    if "full" in where and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    options = f"--model {framed} --assay egfp_random50"
    finished = shell(f"{sys.executable} -m ribocast predict {table} {options} {where}")
    assert finished.returncode == code
    assert finished.stderr.strip() == words


def test_any_terminal_gets_utf8(framed, tmp_path):
    (tmp_path / "in.csv").write_text("id,seq\nétoile,ACGT\n")
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [sys.executable, "-m", "ribocast", "predict", tmp_path / "in.csv", "--model", framed]
    finished = subprocess.run(command, capture_output=True, check=True, env=plain)
    assert "étoile,ACGT" in finished.stdout.decode()
    finished = subprocess.run([*command[:3], "models"], capture_output=True, check=True, env=plain)
    assert "r²" in finished.stdout.decode()
