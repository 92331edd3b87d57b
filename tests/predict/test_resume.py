"""Predictions that are killed and resumed: the same bytes, nothing predicted twice, nothing of another run."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io.writers import TABLE_ENDINGS
from ribocast.predict import files as predicting
from ribocast.predict import journal
from ribocast.predict.files import predict_file
from ribocast.predict.journal import Journal
from ribocast.sequence.letters import to_dna
from ribocast.sequence.uorf import consequence
from ribocast.variants import score as variants
from ribocast.variants.score import score_table

PIECE, KILLED_AFTER = 7, 3
TERMS = {"model": "m", "assay": "a"}


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(predicting, "_PREDICT_ROWS", PIECE)
    monkeypatch.setattr(variants, "_PAIR_ROWS", PIECE)
    monkeypatch.setattr(journal, "_WORTH_SECONDS", 0.0)


@pytest.fixture
def table(tmp_path):
    """Write 60 rows of 45 different sequences, two of them bad, and give the path."""
    random = np.random.default_rng(5)
    utrs = ["".join(random.choice(list("ACGTU"), length)) for length in random.integers(20, 60, 43)]
    utrs += [utrs[row].lower() for row in random.integers(0, 43, 15)] + ["ACXT", ""]
    order = random.permutation(60)
    path = tmp_path / "in.csv"
    pd.DataFrame({"id": range(60), "seq": [utrs[row] for row in order]}).to_csv(path, index=False)
    return path


def predict(model, table, output, **options):
    said = []
    done = predict_file(model, table, output, on_error="skip", say=said.append, **options)
    return done, said


def stop_after(monkeypatch, pieces, error):
    """Have a run stop with an error once some pieces are in the journal."""
    add = Journal.add

    def add_and_stop(self, *arguments):
        if self.holds == pieces:
            raise error
        add(self, *arguments)

    monkeypatch.setattr(Journal, "add", add_and_stop)
    return lambda: monkeypatch.setattr(Journal, "add", add)


KILLED = f"""
import os, signal, sys
import ribocast
from ribocast.predict import journal
from ribocast.predict import files as predicting
predicting._PREDICT_ROWS = {PIECE}
add = journal.Journal.add
def add_and_die(self, *arguments):
    add(self, *arguments)
    if self.holds == {KILLED_AFTER}:
        os.kill(os.getpid(), signal.SIGKILL)
journal.Journal.add = add_and_die
model, table, output = sys.argv[1:]
predicting.predict_file(ribocast.load(model), table, output, on_error="skip", profile=True)
"""


@pytest.mark.parametrize(
    "ending", [".csv", *(pytest.param(e, marks=pytest.mark.thorough) for e in TABLE_ENDINGS if e != ".csv")]
)
def test_a_killed_run_goes_on_and_gives_the_same_bytes_without_predicting_anything_again(
    framed, model, table, tmp_path, ending
):
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    whole, _ = predict(model, table, folders[0] / f"out{ending}", profile=True)
    output = folders[1] / f"out{ending}"
    killed = subprocess.run([sys.executable, "-c", KILLED, framed, table, output], check=False)
    assert killed.returncode != 0
    assert not output.exists()
    done, said = predict(model, table, output, profile=True, resume=True)
    assert (done.rows, done.skipped) == (whole.rows, whole.skipped) == (58, 2)
    assert 0 < done.networked < whole.networked
    assert [line for line in said if "left out" not in line] == []
    for path in folders[0].iterdir():
        assert (folders[1] / path.name).read_bytes() == path.read_bytes()
    assert {path.name for path in folders[1].iterdir()} == {f"out{ending}", "out.rejected.csv"}


@pytest.mark.parametrize("ending", TABLE_ENDINGS)
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(model, table, tmp_path, monkeypatch, ending):
    predict(model, table, tmp_path / f"whole{ending}", profile=True)
    go_on = stop_after(monkeypatch, KILLED_AFTER, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        predict(model, table, tmp_path / f"out{ending}", profile=True)
    assert not (tmp_path / f"out{ending}").exists()
    go_on()
    predict(model, table, tmp_path / f"out{ending}", profile=True, resume=True)
    assert (tmp_path / f"out{ending}").read_bytes() == (tmp_path / f"whole{ending}").read_bytes()


@pytest.mark.parametrize("pieces", range(1, 9))
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=repr)
def test_wherever_it_stopped_the_network_runs_once_for_each_sequence(
    model, table, tmp_path, monkeypatch, pieces, error
):
    whole, _ = predict(model, table, tmp_path / "whole.csv")
    assert whole.networked == 43
    go_on = stop_after(monkeypatch, pieces, error)
    said = []
    with pytest.raises((KeyboardInterrupt, RibocastError)):
        predict_file(model, table, tmp_path / "out.csv", on_error="skip", say=said.append)
    assert said[-1].endswith("out.csv: what was predicted is kept; --resume goes on from there")
    assert {path.name for path in tmp_path.glob("*out*")} == {".out.csv.resume"}
    go_on()
    utrs = pd.read_csv(table, keep_default_na=False)["seq"][: pieces * PIECE]
    kept = {to_dna(utr) for utr in utrs if utr not in ("", "ACXT")}
    done, _ = predict(model, table, tmp_path / "out.csv", resume=True)
    assert done.networked == 43 - len(kept)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def leave_journal(model, table, output, monkeypatch, pieces=4, **options):
    go_on = stop_after(monkeypatch, pieces, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        predict_file(model, table, output, on_error="skip", **options)
    go_on()
    return output.with_name(f".{output.name}.resume")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_journal_that_was_cut_or_damaged_anywhere_is_used_as_far_as_it_is_whole(model, table, tmp_path, data):
    output = tmp_path / "out.csv"
    with pytest.MonkeyPatch.context() as patch:
        left = leave_journal(model, table, output, patch)
    content = bytearray(left.read_bytes())
    head = content.index(b"\n", content.index(b"\n") + 1) + 1
    place = data.draw(st.integers(head, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    left.write_bytes(content)
    predict(model, table, output, resume=True)
    predict(model, table, tmp_path / "whole.csv")
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not left.exists()


def test_where_the_input_has_changed_it_is_predicted_anew(model, table, tmp_path, monkeypatch):
    leave_journal(model, table, tmp_path / "out.csv", monkeypatch)
    lines = table.read_text().splitlines()
    lines[12] = "x,ACGTACGTACGTACGT"
    table.write_text("\n".join(lines) + "\n")
    done, said = predict(model, table, tmp_path / "out.csv", resume=True)
    assert any("the input is not what it was" in line for line in said)
    whole, _ = predict(model, table, tmp_path / "whole.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert 0 < done.networked < whole.networked


def test_numbers_of_another_assay_or_model_are_never_taken(framed, fixed, model, table, tmp_path, monkeypatch):
    left = leave_journal(model, table, tmp_path / "out.csv", monkeypatch)
    before = left.read_bytes()
    for other, options in ((model, {"assay": "egfp_varying25to100"}), (ribocast.load(fixed), {})):
        with pytest.raises(RibocastError, match=r"out\.csv: cannot resume: (assay|model) was .* and is now"):
            predict(other, table, tmp_path / "out.csv", resume=True, **options)
        assert left.read_bytes() == before
    _, said = predict(model, table, tmp_path / "out.csv", assay="egfp_varying25to100")
    assert said[0].endswith("out.csv: a stopped run could be resumed (--resume); beginning anew")
    predict(model, table, tmp_path / "whole.csv", assay="egfp_varying25to100")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not left.exists()


def test_a_run_that_fails_at_once_takes_nothing_from_the_stopped_one(model, table, tmp_path, monkeypatch):
    left = leave_journal(model, table, tmp_path / "out.csv", monkeypatch)
    before = left.read_bytes()
    for options in ({"resume": True, "column": "nope"}, {"column": "nope"}, {"resume": True, "path": "nowhere.csv"}):
        path = options.pop("path", table)
        with pytest.raises(RibocastError):
            predict(model, path, tmp_path / "out.csv", **options)
        assert left.read_bytes() == before


def test_without_a_stopped_run_resume_begins_one_and_says_so(framed, table, tmp_path, capsys):
    arguments = ["predict", table, "--model", framed, "--assay", "egfp_random50", "--on-error", "skip", "-o"]
    assert main([str(it) for it in [*arguments, tmp_path / "a.csv", "--resume"]]) == 0
    assert "a.csv: no stopped run to resume; beginning one" in capsys.readouterr().err
    assert main([str(it) for it in [*arguments, tmp_path / "b.csv"]]) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_two_runs_to_one_output_do_not_share_a_journal(model, table, tmp_path):
    running = Journal(tmp_path / "out.csv", TERMS, resume=False, say=lambda _: None)
    running.add(1, np.zeros((2, 3), np.float32))
    with pytest.raises(RibocastError, match=r"out\.csv: cannot resume: another run is writing it"):
        predict(model, table, tmp_path / "out.csv", resume=True)
    predict(model, table, tmp_path / "out.csv")
    assert running.close(failed=True)
    again = Journal(tmp_path / "out.csv", TERMS, resume=True, say=lambda _: None)
    assert again.replay(1, 2, 3).tolist() == [[0.0] * 3] * 2
    assert not again.close(failed=False)
    assert not (tmp_path / ".out.csv.resume").exists()


@pytest.mark.parametrize(("path", "output"), [("-", "out.csv"), ("in.csv", None), ("in.csv", "-")])
def test_what_cannot_be_resumed_is_said(model, path, output):
    with pytest.raises(RibocastError, match="--resume needs an input file and an output file"):
        predict_file(model, path, output, resume=True)


def test_a_short_run_that_fails_leaves_nothing(model, table, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_WORTH_SECONDS", 1e6)
    stop_after(monkeypatch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        predict(model, table, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_stopped_table_of_variants_goes_on_as_well(model, tmp_path, monkeypatch):
    random = np.random.default_rng(7)
    refs = ["".join(random.choice(list("ACGT"), 40)) for _ in range(4)]
    pairs = [(ref, f"{ref[:place]}{base}{ref[place + 1 :]}") for ref in refs for place in (3, 20) for base in "ACGTX"]
    table = pd.DataFrame(pairs, columns=["ref_seq", "alt_seq"])
    table.to_csv(tmp_path / "in.csv", index=False)
    whole = score_table(model, tmp_path / "in.csv", tmp_path / "whole.csv", on_error="skip")
    assert (whole.rows, whole.skipped) == (32, 8)
    # A reference, and three substitutions of each of two of its bases: the fourth letter is its own.
    assert whole.networked == 4 * 7
    go_on = stop_after(monkeypatch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        score_table(model, tmp_path / "in.csv", tmp_path / "out.csv", on_error="skip")
    go_on()
    done = score_table(model, tmp_path / "in.csv", tmp_path / "out.csv", on_error="skip", resume=True)
    assert 0 < done.networked < whole.networked
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    good = table[~table["alt_seq"].str.contains("X")]
    got = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)["consequence"].tolist()
    assert got == [consequence(*pair) for pair in zip(good["ref_seq"], good["alt_seq"], strict=True)]


def test_upstream_starts_of_repeats_are_described_on_every_row_and_kept_on_resuming(model, tmp_path, monkeypatch):
    utrs = ["CCATGCC", "GGGGGGGG", "ccaugcc"] * 9
    (tmp_path / "in.txt").write_text("\n".join(utrs) + "\n")
    options = {"uorf": True, "profile": True}
    predict(model, tmp_path / "in.txt", tmp_path / "whole.csv", **options)
    got = pd.read_csv(tmp_path / "whole.csv", keep_default_na=False)
    assert got["seq"].tolist() == utrs
    assert got["uatgs"].tolist() == [1, 0, 1] * 9
    leave_journal(model, tmp_path / "in.txt", tmp_path / "out.csv", monkeypatch, pieces=2, **options)
    done, _ = predict(model, tmp_path / "in.txt", tmp_path / "out.csv", resume=True, **options)
    assert done.networked == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
