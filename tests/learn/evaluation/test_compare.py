"""Models side by side: paired differences, groups of rows, somebody else's predictions, the report."""

import html
import json
import re
import shlex
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.learn.data.simulate import simulate
from ribocast.learn.evaluation.compare import compare, group_rows, upstream_atg
from ribocast.sequence.construct import EGFP


@pytest.fixture
def rows():
    return simulate(300, seed=11, min_length=25, max_length=100)[["seq", "mrl", "origin"]]


@pytest.fixture
def table(rows, tmp_path):
    path = tmp_path / "test.csv"
    rows.to_csv(path, index=False)
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def mrls(n=200, seed=0):
    random = np.random.default_rng(seed)
    measured = random.normal(6, 2, n)
    return measured, measured + random.normal(0, 1, n), measured + random.normal(0, 1.5, n)


def test_a_model_is_no_better_than_itself():
    measured, predicted, _ = mrls()
    (group,) = compare(measured, {"a": predicted, "b": predicted}).groups
    for difference in group.differences:
        assert (difference.value, difference.ci95, difference.p) == (0.0, (0.0, 0.0), 1.0)
        assert "a and b cannot be told apart" in difference.in_words()


def test_differences_are_those_of_a_paired_bootstrap():
    measured, good, bad = mrls()
    (group,) = compare(measured, {"good": good, "bad": bad}, seed=3, resamples=200).groups
    random, drawn = np.random.default_rng(3), {"pearson_r2": [], "mae": []}
    for _ in range(200):
        pick = random.integers(0, len(measured), len(measured))
        y = measured[pick]
        drawn["pearson_r2"].append(np.corrcoef(y, good[pick])[0, 1] ** 2 - np.corrcoef(y, bad[pick])[0, 1] ** 2)
        drawn["mae"].append(np.abs(y - good[pick]).mean() - np.abs(y - bad[pick]).mean())
    found = {difference.figure: difference for difference in group.differences}
    for figure, values in drawn.items():
        assert found[figure].ci95 == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=1e-9)
    assert found["pearson_r2"].in_words().startswith("r²: good is better than bad by ")
    assert found["mae"].value < 0
    assert found["mae"].in_words().startswith("MAE: good is better than bad by ")


def test_every_pair_of_models_is_compared():
    measured, good, bad = mrls()
    (group,) = compare(measured, {"a": good, "b": bad, "c": good}).groups
    pairs = {(difference.first, difference.second) for difference in group.differences}
    assert pairs == {("a", "b"), ("a", "c"), ("b", "c")}


def test_a_constant_prediction_has_no_correlation_to_compare():
    measured, good, _ = mrls()
    (group,) = compare(measured, {"good": good, "flat": np.full(len(measured), 5.0)}).groups
    r2, mae = (next(d for d in group.differences if d.figure == figure) for figure in ("pearson_r2", "mae"))
    assert (r2.value, r2.ci95) == (None, (None, None))
    assert r2.in_words() == "r²: undefined for good or flat"
    assert mae.value < 0


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=3, max_size=60))
def test_groups_part_the_rows(names):
    measured, predicted, _ = mrls(len(names))
    found = compare(measured, {"m": predicted}, np.array(names), resamples=5)
    whole, *parts = found.groups
    assert whole.n == len(names)
    assert {part.name: part.n for part in parts} | found.left_out == {name: names.count(name) for name in set(names)}
    assert set(found.left_out.values()) <= {1, 2}


@given(st.text("ACGT", min_size=1, max_size=40))
def test_upstream_atgs_are_those_of_the_whole_transcript(utr):
    whole = EGFP.around(utr)
    origin = EGFP.start(utr)
    # Those that touch the UTR; the adapter has none of its own.
    found = [at for at in range(len(EGFP.before) - 2, origin) if whole[at : at + 3] == "ATG"]
    frames = {(origin - at) % 3 for at in found}
    expected = "none" if not found else "in frame" if frames == {0} else "out of frame"
    assert upstream_atg(utr) == upstream_atg(utr.lower().replace("t", "u")) == expected


@given(st.lists(st.integers(1, 120), min_size=1, max_size=80))
def test_bins_of_length_hold_what_they_say(lengths):
    names = group_rows(pd.DataFrame(), ["A" * length for length in lengths], "length", "t.csv")
    for length, name in zip(lengths, names, strict=True):
        low, high = re.fullmatch(r"(\d+)(?: to (\d+))? nt", name).groups()
        assert int(low) <= length <= int(high or low)
    assert len(set(names)) <= 6


def test_a_table_of_predictions_stands_in_for_the_model_that_made_it(framed, rows, table, tmp_path, capsys):
    model = ribocast.load(framed)
    said = model.predict(rows["seq"].tolist()).sample(frac=1, random_state=1)
    said["seq"] = said["seq"].str.lower().str.replace("t", "u")
    said.to_csv(tmp_path / "said.csv", index=False)
    said[["seq", "mrl"]].rename(columns={"mrl": "x"}).to_parquet(tmp_path / "said.parquet")
    assert run("compare", framed, tmp_path / "said.csv", f"theirs={tmp_path / 'said.parquet'}:x", "--data", table,
               "--by", "length", "--json") == 0  # fmt: skip
    printed = json.loads(capsys.readouterr().out)
    assert printed["models"] == ["framed", "said", "theirs"]
    for group in printed["groups"]:
        ours, *others = group["scores"].values()
        for other in others:
            assert other["pearson_r2"] == pytest.approx(ours["pearson_r2"], abs=1e-6)
    assert sum(group["n"] for group in printed["groups"][1:]) == printed["groups"][0]["n"] == 300


def test_each_row_is_predicted_on_the_scale_of_its_assay(framed, tmp_path, capsys):
    mixed = simulate(300, seed=11)[["seq", "mrl"]].assign(
        assay=np.where(np.arange(300) % 2, "egfp_random50", "egfp_varying25to100")
    )
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    model = ribocast.load(framed)
    expected = np.empty(300)
    for name in mixed["assay"].unique():
        mine = (mixed["assay"] == name).to_numpy()
        expected[mine] = model.mrl(mixed.loc[mine, "seq"].tolist(), assay=name)
    mixed.assign(predicted=expected).drop(columns="mrl").to_csv(tmp_path / "right.csv", index=False)
    parts = []
    for name, part in mixed.groupby("assay"):
        parts += ["--data", tmp_path / f"{name}.csv"]
        part.drop(columns="assay").to_csv(parts[-1], index=False)
    printed = []
    for data in (["--data", tmp_path / "mixed.csv"], parts):
        assert run("compare", framed, tmp_path / "right.csv", *data, "--by", "assay", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert [group["group"] for group in found["groups"]] == ["all", "egfp_random50", "egfp_varying25to100"]
        for group in found["groups"]:
            assert group["differences"][0]["value"] == pytest.approx(0, abs=1e-6)
        printed.append([group["n"] for group in found["groups"]])
    assert printed[0] == printed[1] == [300, 150, 150]


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_is_one_file_that_loads_nothing_and_runs_nothing(framed, rows, table, tmp_path, capsys):
    rows.assign(predicted=5 + np.arange(300) / 100).drop(columns="mrl").to_csv(tmp_path / "p.csv", index=False)
    nasty = "<script>alert(1)</script>$x"
    for name in ("a.html", "b.html"):
        assert run("compare", framed, f"{nasty}={tmp_path / 'p.csv'}", "--data", table, "--by", "origin",
                   "-o", tmp_path / name) == 0  # fmt: skip
    text = (tmp_path / "a.html").read_text()
    assert text.replace("a.html", "b.html") == (tmp_path / "b.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert "script" not in reader.tags
    assert any(nasty in part for part in reader.text)
    assert len(reader.links) == 3
    assert all(link.startswith("data:image/png;base64,") for link in reader.links)
    assert "is better than" in text
    assert "wrote " in capsys.readouterr().err


def test_a_model_trained_on_the_rows_is_named(framed, tmp_path, capsys):
    simulate(800, seed=1).to_csv(tmp_path / "egfp_random50.csv", index=False)
    assert run("compare", framed, "--data", tmp_path / "egfp_random50.csv", "-o", tmp_path / "r.html") == 0
    warning = "framed was trained on these very rows of egfp_random50: no fair comparison"
    assert warning in capsys.readouterr().err
    assert warning in (tmp_path / "r.html").read_text()


def test_a_model_trained_on_the_assay_may_know_a_sample(framed, tmp_path, capsys):
    simulate(800, seed=1)[100:200].to_csv(tmp_path / "egfp_random50.csv", index=False)
    assert run("compare", framed, "--data", tmp_path / "egfp_random50.csv", "--json") == 0
    (remark,) = json.loads(capsys.readouterr().out)["remarks"]
    assert re.fullmatch(
        r"framed was trained on \d+ rows of egfp_random50: it cannot be told whether these are among them", remark
    )


def test_predictions_for_several_assays_are_matched_with_the_right_one(rows, tmp_path, capsys):
    both = [rows.assign(pred=rows["mrl"] * factor, assay=name) for factor, name in ((-1, "one"), (2, "two"))]
    pd.concat(both).drop(columns="mrl").to_csv(tmp_path / "p.csv", index=False)
    rows.to_csv(tmp_path / "two.csv", index=False)
    rows.to_csv(tmp_path / "x.csv", index=False)
    for data in (["two.csv"], ["x.csv", "--assay", "two"]):
        assert run("compare", tmp_path / "p.csv", "--data", tmp_path / data[0], *data[1:], "--json") == 0
        (group,) = json.loads(capsys.readouterr().out)["groups"]
        assert group["scores"]["p"]["mae"] == pytest.approx(rows["mrl"].abs().mean())
    assert run("compare", tmp_path / "p.csv", "--data", tmp_path / "x.csv", "--json") == 2
    assert "Say it with --assay" in capsys.readouterr().err


def test_the_column_of_sequences_is_that_of_the_predictions_too(rows, tmp_path, capsys):
    odd = rows.rename(columns={"seq": "utr"})
    odd.to_csv(tmp_path / "data.csv", index=False)
    odd.assign(pred=odd["mrl"] + 1).drop(columns="mrl").to_csv(tmp_path / "p.csv", index=False)
    rows.assign(pred=rows["mrl"] + 1).drop(columns="mrl").to_csv(tmp_path / "q.csv", index=False)
    assert run("compare", tmp_path / "p.csv", tmp_path / "q.csv", "--data", tmp_path / "data.csv", "--column", "utr",
               "--json") == 0  # fmt: skip
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert [scores["mae"] for scores in group["scores"].values()] == pytest.approx([1, 1])


def test_a_single_row_may_be_of_a_group_called_all():
    measured, predicted, _ = mrls(10)
    found = compare(measured, {"m": predicted}, np.array(["all"] + ["x"] * 9), resamples=5)
    assert [(group.name, group.n) for group in found.groups] == [("all", 10), ("x", 9)]
    assert found.left_out == {"all": 1}


def test_the_report_without_its_templates_says_what_to_install(rows, table, tmp_path, capsys, monkeypatch):
    rows.assign(pred=rows["mrl"] * 2).drop(columns="mrl").to_csv(tmp_path / "p.csv", index=False)
    monkeypatch.delitem(sys.modules, "ribocast.io.html", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert run("compare", tmp_path / "p.csv", "--data", table, "-o", tmp_path / "r.html") == 2
    assert "error: this needs jinja2: pip install 'ribocast[plots]'" in capsys.readouterr().err


def test_the_report_holds_the_command_that_makes_it_again(rows, table, tmp_path):
    rows.assign(pred=rows["mrl"] * 2 + rows.index % 7).drop(columns="mrl").to_csv(tmp_path / "p q.csv", index=False)
    out, again = tmp_path / "r.html", tmp_path / "again.html"
    assert run("compare", tmp_path / "p q.csv", "--data", table, "--by", "length", "--seed", 7, "--resamples", 150,
               "-o", out) == 0  # fmt: skip
    command = html.unescape(re.search(r"Made by ribocast \S+: (.*?)</small>", out.read_text())[1])
    assert "--seed=7" in command
    assert run(*shlex.split(command)[1:], "-o", again) == 0
    assert again.read_bytes() == out.read_bytes()


def test_rows_without_a_prediction_stop_or_are_dropped_for_all(framed, rows, table, tmp_path, capsys):
    rows.assign(pred=1.0 * np.arange(300)).drop(columns="mrl")[10:].to_csv(tmp_path / "p.csv", index=False)
    assert run("compare", framed, tmp_path / "p.csv", "--data", table) == 2
    assert capsys.readouterr().err == (
        "error: p has no prediction for 10 of 300 rows; the first: test.csv row 1; --on-missing drop leaves such out\n"
    )
    assert run("compare", framed, tmp_path / "p.csv", "--data", table, "--on-missing", "drop", "--json") == 0
    printed = capsys.readouterr()
    assert "p has no prediction for 10 of 300 rows: they are left out for all" in printed.err
    assert {scores["n"] for scores in json.loads(printed.out)["groups"][0]["scores"].values()} == {290}


def test_wrong_inputs_end_in_one_line(framed, rows, table, tmp_path, capsys):
    rows.drop(columns="mrl").to_csv(tmp_path / "none.csv", index=False)
    rows.assign(pred=["x"] + ["1"] * 299).to_csv(tmp_path / "word.csv", index=False)
    pd.concat([rows.assign(pred=1.0), rows[:1].assign(pred=2.0)]).to_csv(tmp_path / "twice.csv", index=False)
    rows.round(3).to_csv(tmp_path / "rounded.csv", index=False)
    rows[50:].to_csv(tmp_path / "some.csv", index=False)
    cases = {
        ("nothing",): "nothing: no such model; give a folder, or the name of a shipped one (default",
        ("a=nothing.csv",): "a=nothing.csv: no such file of predictions ([NAME=]FILE[:COLUMN])",
        (tmp_path / "none.csv",): "no prediction column (predicted, prediction, pred, mrl) among: seq, origin",
        (tmp_path / "word.csv",): "word.csv row 1: label 'x' is not a finite number (column 'pred')",
        (tmp_path / "twice.csv",): "twice.csv rows 1 and 301: different predictions (1 and 2) for one sequence",
        (tmp_path / "rounded.csv",): "column 'mrl' holds the measurements themselves",
        (tmp_path / "some.csv", "--on-missing", "drop"): "column 'mrl' holds the measurements themselves",
        (f"{table}:nope",): "test.csv: no prediction column 'nope' among: seq, mrl, origin",
        (tmp_path / "mistyped.csv",): "mistyped.csv: no such file of predictions",
        (table,): "column 'mrl' holds the measurements themselves",
        (framed, "-o", tmp_path / "r.txt"): "r.txt: the report is HTML; use a name that ends in .html",
        (framed, "--by", "assay"): "test.csv: no column 'assay' among: seq, mrl, origin",
    }
    for arguments, message in cases.items():
        assert run("compare", *arguments, "--data", table) == 2
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1
        assert message in printed
    assert not (tmp_path / "r.txt").exists()
