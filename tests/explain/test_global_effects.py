"""What a model has learnt: planted effects are found in MRLs, whether predicted or measured, and shown on a page."""

import json

import numpy as np
import pandas as pd
import pytest

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.explain.global_effects import GROUPS, measured_rows, random_utrs, summarise
from ribocast.explain.global_report import agreement
from ribocast.sequence.construct import EGFP
from ribocast.sequence.uorf import find_uorfs


def planted(utrs, seed=0):
    """Make MRLs by rule: an overlapping uORF takes 3, one more of G at +4; A adds 2 a share; noise is 0.1."""
    random = np.random.default_rng(seed)
    mrls = 7 + 2 * np.array([utr.count("A") / len(utr) for utr in utrs]) + random.normal(0, 0.1, len(utrs))
    for row, utr in enumerate(utrs):
        for uorf in find_uorfs(utr):
            if uorf.kind == "overlapping uORF":
                mrls[row] -= 3 + (uorf.context[9] == "G")
    return mrls


@pytest.fixture(scope="module")
def utrs(framed):
    return random_utrs(ribocast.load(framed, threads=1).card.assay(), 6000, seed=1)


def test_random_utrs_have_the_lengths_of_the_assay_and_a_seed(framed):
    card = ribocast.load(framed, threads=1).card.assay("egfp_varying25to100")
    utrs = random_utrs(card, 500, seed=3)
    assert utrs == random_utrs(card, 500, seed=3) != random_utrs(card, 500, seed=4)
    assert len(utrs) == 500
    assert {len(utr) for utr in utrs} == {*range(25, 101)} & {len(utr) for utr in utrs}
    assert max(map(len, utrs)) > 95
    assert set("".join(utrs)) == set("ACGT")


def test_what_was_planted_is_found(utrs):
    found = summarise(utrs, planted(utrs), EGFP)
    assert found.rows == 6000
    assert found.baseline == pytest.approx(7.5, abs=0.05)
    means = found.groups.set_index("group")["mean"]
    assert means["overlapping uORF, frame 1"] == pytest.approx(found.baseline - 3.25, abs=0.2)
    assert means["N-terminal extension"] == pytest.approx(found.baseline, abs=0.1)
    assert means["uORF of 4 to 10 codons"] == pytest.approx(found.baseline, abs=0.1)
    in_frame = found.positions["frame"] == 0
    assert (found.positions["effect"][in_frame].abs() < 0.3).all()
    assert (found.positions["effect"][~in_frame] < -2.5).all()
    assert ((found.positions["position"] - found.positions["frame"]) % 3 == 0).all()
    assert found.context is not None
    np.testing.assert_allclose(found.context[:, 6], [-0.25, -0.25, 0.75, -0.25], atol=0.06)
    np.testing.assert_allclose(np.delete(found.context, 6, axis=1), 0, atol=0.08)
    np.testing.assert_allclose(found.context.sum(axis=0), 0, atol=1e-9)
    assert found.slopes["A"] == pytest.approx(0.2, abs=0.03)
    assert len(found.lengths) == 1


def test_every_utr_is_in_one_group(utrs):
    found = summarise(utrs, planted(utrs), EGFP)
    assert found.groups["n"].sum() == 6000
    assert found.groups["group"].tolist() == list(GROUPS)


def test_lengths_that_vary_are_told_apart(framed):
    utrs = random_utrs(ribocast.load(framed, threads=1).card.assay("egfp_varying25to100"), 3000)
    found = summarise(utrs, np.array([len(utr) / 10 for utr in utrs]), EGFP)
    np.testing.assert_allclose(found.lengths["mean"], found.lengths["length"] / 10)
    assert len(found.lengths) == 8


def test_agreement_is_that_of_what_both_have(utrs):
    mrls = planted(utrs)
    both = {"model": summarise(utrs, mrls, EGFP), "measured": summarise(utrs, mrls + 1, EGFP)}
    assert all(value == pytest.approx(1) for value in agreement(both).values())
    assert agreement({"model": both["model"]}) == {}


def test_too_few_utrs_without_an_upstream_atg_are_refused():
    with pytest.raises(RibocastError, match=r"0 UTRs .*10"):
        summarise(["ATGC"] * 50, np.ones(50), EGFP)


def test_measurements_are_a_table_or_a_folder_of_them(framed, tmp_path):
    card = ribocast.load(framed, threads=1).card.assay()
    pd.DataFrame({"seq": ["ACGT"], "mrl": [5.0]}).to_csv(tmp_path / f"{card.name}.csv.gz", index=False)
    assert measured_rows(tmp_path, card).utrs == measured_rows(tmp_path / f"{card.name}.csv.gz", card).utrs == ["ACGT"]
    with pytest.raises(RibocastError, match=r"egfp_random50\.csv\.gz: no such file"):
        measured_rows(tmp_path.parent, card)
    (tmp_path / "bad.csv").write_text("seq,mrl\nACGT,x\n")
    with pytest.raises(RibocastError, match=r"bad\.csv row 1: label 'x' is not a finite number"):
        measured_rows(tmp_path / "bad.csv", card)


def test_the_page_shows_the_model_beside_the_measurements(framed, tmp_path, capsys, utrs):
    utrs = utrs[:1500]
    pd.DataFrame({"seq": utrs, "mrl": planted(utrs)}).to_csv(tmp_path / "rows.csv", index=False)
    command = ["explain", "--global", "-o", str(tmp_path / "a.html"), "--model", str(framed), "--json"]
    assert main([*command, "--measured", str(tmp_path / "rows.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"]["rows"] == found["measured"]["rows"] == 1500
    assert set(found["agreement"]) == {"positions", "minus_3_plus_4", "context"}
    page = (tmp_path / "a.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "1,500 measured UTRs of rows.csv" in page
    assert "Correlation of model and measurements" in page


def test_the_page_of_a_model_alone_says_what_was_drawn(framed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ribocast.explain.global_effects.random_utrs.__defaults__", (1200,))
    command = ["explain", "--global", "-o", str(tmp_path / "a.html"), "--model", str(framed), "--seed", "5"]
    assert main([*command, "--assay", "egfp_varying25to100"]) == 0
    page = (tmp_path / "a.html").read_text()
    assert "1,200 random UTRs of 25 to 100 nt (seed 5)" in page
    assert page.count("data:image/png;base64,") == 5
    assert "Correlation of model" not in page
