"""One model on several assays: figures as predicted, and on a straight line."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io.tables import as_chunk, read_table
from ribocast.learn.data.simulate import simulate
from ribocast.learn.evaluation.by_assay import evaluate_by_assay, on_a_line, split_by_assay
from ribocast.learn.evaluation.metrics import evaluate, fit_line


@given(slope=st.floats(0.01, 100), intercept=st.floats(-100, 100), seed=st.integers(0, 99))
def test_a_line_is_found_again_and_takes_all_error_away(slope, intercept, seed):
    predicted = np.random.default_rng(seed).normal(6, 2, 50)
    measured = intercept + slope * predicted
    assert fit_line(predicted, measured) == pytest.approx((slope, intercept), rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(on_a_line(predicted, measured, seed=seed), measured, rtol=1e-6, atol=1e-6)


def test_a_line_never_turns_predictions_upside_down():
    rising = np.arange(10.0)
    assert fit_line(rising, -rising)[0] > 0
    assert fit_line(np.full(10, 2.0), rising) == (1.0, 2.5)


def test_each_row_is_brought_by_the_line_of_the_other_half():
    random = np.random.default_rng(0)
    predicted, measured = random.normal(size=40), random.normal(size=40)
    before = on_a_line(predicted, measured)
    measured[7] += 100
    moved = on_a_line(predicted, measured) != before
    assert not moved[7]
    assert moved.sum() == 20


@pytest.fixture
def tables():
    """Give an assay that the model knows, and one that it does not, in another unit."""
    known = simulate(300, seed=1).assign(assay="egfp_random50")
    new = simulate(300, seed=2)
    new = new.assign(assay="mcherry", mrl=2 * new["mrl"] + 10)
    return {"egfp_random50": known, "mcherry": new}


def test_an_unknown_assay_is_predicted_on_a_known_scale_and_evaluated_on_both(framed, tables):
    import pandas as pd

    model = ribocast.load(framed)
    whole = as_chunk(pd.concat(tables.values(), ignore_index=True))
    known, new = evaluate_by_assay(model, split_by_assay([whole]))
    assert (known.assay, known.predicted_as, new.assay, new.predicted_as) == (
        "egfp_random50", "egfp_random50", "mcherry", "egfp_random50",
    )  # fmt: skip
    assert known.scores == evaluate(model, as_chunk(tables["egfp_random50"]), assay="egfp_random50")
    assert new.scores.r2 < 0 < new.on_a_line.r2
    assert new.on_a_line.r2 <= new.scores.pearson_r2
    assert not new.trained_on
    assert not known.trained_on
    (asked,) = evaluate_by_assay(model, {"mcherry": as_chunk(tables["mcherry"])}, assay="egfp_varying25to100")
    assert asked.predicted_as == "egfp_varying25to100"


def test_the_command_takes_one_table_or_several(framed, tables, tmp_path, capsys):
    import pandas as pd

    whole = tmp_path / "whole.csv"
    pd.concat(tables.values(), ignore_index=True).to_csv(whole, index=False)
    parts = [tmp_path / f"{name}.csv.gz" for name in tables]
    for path, table in zip(parts, tables.values(), strict=True):
        table.drop(columns="assay").to_csv(path, index=False)
    printed = []
    for paths in ([whole], parts):
        assert main(["evaluate", str(framed), *map(str, paths), "--by", "assay", "--json"]) == 0
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0] == printed[1]
    assert [entry["assay"] for entry in printed[0]["assays"]] == list(tables)
    assert set(printed[0]["assays"][1]["rescaled"]) >= {"slope", "intercept", "r2", "mae", "pearson_r2"}
    assert main(["evaluate", *map(str, parts), "--by", "assay"]) == 0
    shown = capsys.readouterr()
    assert "R² on it" in shown.out
    assert shown.err.startswith("default; ")


def test_wrong_calls_are_one_line(framed, tables, tmp_path, capsys):
    path = tmp_path / "a.csv"
    tables["mcherry"].assign(assay=["x"] * 299 + [None]).to_csv(path, index=False)
    assert main(["evaluate", str(framed), str(path), "--by", "assay"]) == 2
    assert capsys.readouterr().err == "error: a.csv row 300: no assay is named (column 'assay')\n"
    assert main(["evaluate", str(framed), str(path), str(path)]) == 2
    assert "several tables need --by assay" in capsys.readouterr().err
    tables["mcherry"].iloc[:3].to_csv(path, index=False)
    assert main(["evaluate", str(path), "--by", "assay"]) == 2
    assert "at least 4 are needed to fit and evaluate a line" in capsys.readouterr().err
    chunk = read_table(path)
    with pytest.raises(RibocastError, match=r"a.csv: mcherry was in a.csv already"):
        split_by_assay([chunk, chunk])


@pytest.mark.parametrize("by", ["column", "file"])
def test_a_table_that_names_its_assay_is_evaluated_on_its_scale(tmp_path, capsys, by):
    rows = simulate(40, seed=3)[["seq", "mrl"]]
    path = tmp_path / ("egfp_human50.csv" if by == "file" else "rows.csv")
    (rows if by == "file" else rows.assign(assay="egfp_human50")).to_csv(path, index=False)
    found = []
    for options in ([], ["--assay", "egfp_human50"], ["--assay", "egfp_random50"]):
        assert main(["evaluate", str(path), "--json", *options]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1] != found[2]
    assert found[0]["assay"] == "egfp_human50"


def test_rows_of_several_assays_are_not_evaluated_on_one_scale_unasked(tmp_path, capsys):
    rows, path = simulate(40, seed=3)[["seq", "mrl"]], tmp_path / "rows.csv"
    rows.assign(assay=["egfp_human50", "mine"] * 20).to_csv(path, index=False)
    assert main(["evaluate", str(path)]) == 2
    assert (
        "rows.csv: rows of several assays (egfp_human50, mine): evaluate each with --by assay"
        in capsys.readouterr().err
    )
    rows.assign(assay=["theirs", "mine"] * 20).to_csv(path, index=False)
    assert main(["evaluate", str(path)]) == 0
