"""Explanations: every change is scored where it stands, the letter that is there changes nothing, figures are drawn."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.explain.explain import Change, apply_change, count_changes, explain_all, small_changes
from ribocast.predict.files import START_COLUMNS, describe_starts
from ribocast.sequence.construct import EGFP
from ribocast.sequence.letters import is_missing
from ribocast.sequence.uorf import consequence, find_uorfs

explaining = sys.modules["ribocast.explain.explain"]  # the package has the function under this name
UTRS = st.text(st.sampled_from("ACGTUNacgtun"), min_size=1, max_size=40).filter(lambda utr: not is_missing(utr))
UTR = "TGCCACATGGCCATTAAGCCATGCCCCGGACATGCTGACAACTAGCAACC"


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed, threads=1)


@settings(max_examples=20, deadline=None)
@given(utr=UTRS, indels=st.integers(0, 1))
def test_every_change_has_the_mrl_of_the_changed_sequence_and_the_own_letter_changes_nothing(model, utr, indels):
    found = ribocast.explain(model, utr, indels=indels)
    own = found.effects[(found.effects["kind"] == "substitution") & (found.effects["ref"] == found.effects["alt"])]
    assert len(own) == sum(letter in "ACGTU" for letter in utr.upper())
    assert (own[["change", "log2_fold_change"]] == 0).all().all()
    assert (own["consequence"] == "none").all()
    some = found.effects.sample(min(12, len(found.effects)), random_state=0)
    changed = [apply_change(found.seq, Change(*row)) for row in
               some[["position", "kind", "ref", "alt"]].itertuples(index=False)]  # fmt: skip
    # NAC without its C is NA, which a user's list holds for a missing sequence.
    are_known = [not is_missing(other) for other in changed]
    asked = [other for other, is_known in zip(changed, are_known, strict=True) if is_known]
    np.testing.assert_allclose(some["mrl"][are_known], model.mrl(asked), atol=1e-3)
    assert some["consequence"].tolist() == [consequence(utr, other) for other in changed]
    assert found.uorfs == tuple(find_uorfs(utr))
    assert found.mrl == pytest.approx(float(model.mrl([utr])[0]), abs=1e-3)


@given(utr=st.text(st.sampled_from("ACGT"), min_size=1, max_size=12))
def test_all_small_changes_are_listed_once_and_keep_what_is_behind_them(utr):
    length = len(utr)
    changes = list(small_changes(utr, 3))
    assert len(set(changes)) == len(changes)
    deletions = sum(max(0, length - size + 1) for size in (1, 2, 3) if length > size)
    assert len(changes) == 4 * length + deletions + (length + 1) * (4 + 16 + 64)
    for change in changes:
        changed = apply_change(utr, change)
        assert len(changed) == length - len(change.ref) + len(change.alt) > 0
        # What is behind the change keeps its distance from the start codon, what is before it that from the 5′ end.
        at = length if change.position > 0 else length + change.position
        behind = utr[at + len(change.ref) :]
        assert changed == utr[:at] + change.alt + behind
        assert utr[at : at + len(change.ref)] == change.ref
        assert change.position != 0
    assert {change.position for change in changes if change.kind == "insertion"} == {*range(-length, 0), 1}


def test_sequences_are_explained_alike_alone_and_together(model, monkeypatch):
    utrs = [UTR, "ACGT", UTR[5:], "TTTTTTTTTTATG"]
    monkeypatch.setattr(explaining, "_TOGETHER", 60)
    together = list(explain_all(model, utrs, names=list("abcd"), assay="egfp_varying25to100"))
    assert [found.name for found in together] == list("abcd")
    for utr, found in zip(utrs, together, strict=True):
        alone = ribocast.explain(model, utr, assay="egfp_varying25to100")
        np.testing.assert_allclose(found.effects["mrl"], alone.effects["mrl"], atol=1e-3)
        assert found.seq == utr
        np.testing.assert_allclose(found.profile.sum(), 1, atol=1e-5)
        assert "extrapolated" in found.note or len(utr) >= 25


def test_only_some_letters_of_changed_sequences_are_held_at_once_and_numbers_are_the_same(model, monkeypatch):
    utrs = [UTR, UTR[7:], UTR]
    whole = list(explain_all(model, utrs, indels=2))
    asked, run = [], model.run
    monkeypatch.setattr(model, "run", lambda spelled: (asked.append(len(spelled.letters)), run(spelled))[1])
    monkeypatch.setattr(explaining, "_LETTERS_TOGETHER", 500)
    for one, other in zip(explain_all(model, utrs, indels=2), whole, strict=True):
        pd.testing.assert_frame_equal(one.effects, other.effects, check_exact=True)
        assert (one.mrl, one.mrl_low, one.mrl_high) == (other.mrl, other.mrl_low, other.mrl_high)
    assert len(asked) > 50
    assert max(asked) < 500 + len(UTR) + 2


@given(length=st.integers(1, 30), indels=st.integers(0, 3))
def test_changes_are_counted_without_being_made(length, indels):
    assert count_changes(length, indels) == len(list(small_changes("A" * length, indels)))


def test_a_sequence_whose_changes_would_take_hours_is_refused_with_its_row_or_skipped_or_explained_if_asked(
    framed, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(explaining, "MOST_LETTERS", 4 * 50 * 50)
    table, effects = tmp_path / "utrs.csv", tmp_path / "effects.csv"
    pd.DataFrame({"seq": [UTR, UTR + "A"]}).to_csv(table, index=False)
    arguments = ["explain", str(table), "--table", str(effects), "--model", str(framed), "--threads", "1"]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "utrs.csv row 2: 51 nt" in said
    assert "204 predictions" in said
    assert "--long" in said
    assert not effects.exists()
    assert main([*arguments, "--on-error", "skip"]) == 0
    assert set(pd.read_csv(effects)["row"]) == {1}
    assert "51 nt" in (tmp_path / "effects.rejected.csv").read_text()
    assert main([*arguments, "--long"]) == 0
    assert set(pd.read_csv(effects)["row"]) == {1, 2}


def test_what_would_take_longest_of_all_is_refused_at_once_with_the_hours(model):
    with pytest.raises(RibocastError, match=r"100,000 nt: .* 400,000 predictions .* 44 hours"):
        ribocast.explain(model, "ACGTC" * 20_000)


def test_what_cannot_be_explained_is_refused_in_one_line(model):
    with pytest.raises(RibocastError, match="row 1: 'X' at position 2"):
        ribocast.explain(model, "AXG")
    with pytest.raises(RibocastError, match="from 0 to 3 nt, not 4"):
        ribocast.explain(model, "ACG", indels=4)
    with pytest.raises(RibocastError, match="not one sequence"):
        list(explain_all(model, "ACG"))


def test_a_model_of_mrls_alone_is_explained_without_a_profile(fixed):
    found = ribocast.explain(ribocast.load(fixed, threads=1), UTR)
    assert found.profile is None
    assert len(found.plot().axes) == 4


def test_a_figure_has_all_its_parts(model):
    found = ribocast.explain(model, UTR, indels=2, near_cognates=True, name="mine $x$")
    figure = found.plot()
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert len(texts) == len(found.uorfs) + 1
    assert any(text.startswith("start: ") for text in texts)
    assert len(figure.axes[0].patches) == len(UTR)
    # Letters that lower the MRL hang down: the mean of what their substitutions change, turned over.
    heat = figure.axes[1].images[0].get_array()
    assert heat.shape == (4, len(UTR))
    assert figure.axes[2].images[0].get_array().shape == (4, len(UTR) + 1)
    assert figure.get_suptitle().startswith("mine $x$: predicted MRL ")


def test_a_sequence_without_known_letters_is_drawn_too(model):
    figure = ribocast.explain(model, "NNNN", indels=1).plot()
    assert figure.get_suptitle().endswith("4 unknown letters (N)")


@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_same_sequence_gives_the_same_figure_byte_for_byte(framed, tmp_path, ending, magic, capsys):
    for name in ("a", "b"):
        assert main(["explain", UTR, "-o", str(tmp_path / f"{name}{ending}"), "--model", str(framed)]) == 0
    first, second = ((tmp_path / f"{name}{ending}").read_bytes() for name in "ab")
    assert first == second
    assert first.startswith(magic)
    assert capsys.readouterr().out.startswith("predicted MRL ")


def test_the_command_writes_the_tidy_table_and_says_uorfs(framed, tmp_path, capsys):
    out = tmp_path / "ism.csv"
    assert main(["explain", UTR, "--table", str(out), "--model", str(framed), "--indels", "1"]) == 0
    table = pd.read_csv(out)
    assert table.columns.tolist() == ["row", "name", *explaining.EFFECTS]
    assert len(table) == 4 * 50 + 50 + 4 * 51
    printed = capsys.readouterr().out
    assert "ATG at -51, score " in printed
    assert main(["explain", UTR, "--model", str(framed), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [uorf["position"] for uorf in found["uorfs"]] == [uorf.position for uorf in find_uorfs(UTR)]
    assert len(found["strongest"]) == 8


def test_many_sequences_make_many_figures_or_one_page(framed, tmp_path, capsys):
    rows = tmp_path / "in.csv"
    pd.DataFrame({"name": ["one", "<b>two</b>", "three"], "seq": [UTR, "ACGX", "ACGT"]}).to_csv(rows, index=False)
    command = ["explain", str(rows), "--model", str(framed), "--on-error", "skip"]
    assert main([*command, "-o", str(tmp_path / "why.png")]) == 0
    assert sorted(path.name for path in tmp_path.glob("why*")) == ["why-1.png", "why-3.png", "why.png.rejected.csv"]
    assert "left out 1 bad row" in capsys.readouterr().err
    rows.write_text(rows.read_text().replace("ACGX", "ACGA"))
    assert main([*command[:-2], "-o", str(tmp_path / "why.html")]) == 0
    page = (tmp_path / "why.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "&lt;b&gt;two&lt;/b&gt;: predicted MRL" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


@pytest.mark.parametrize("option", ["--table", "--output"])
def test_an_explanation_is_not_written_over_its_sequences(tmp_path, capsys, option):
    source = tmp_path / ("k.csv" if option == "--table" else "k.html")
    source.write_text("seq\nACGTACGT\n")
    assert main(["explain", str(source), option, str(source)]) == 2
    assert f"{source}: is an input: give another name" in capsys.readouterr().err
    assert source.read_text() == "seq\nACGTACGT\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ACGT", "-o", "-"], "-: no file extension; use .png, .svg, .pdf, .html"),
        (["ACGT", "-o", "why.gif"], "why.gif: unsupported file extension '.gif'; use .png, .svg, .pdf, .html"),
        (["ACGT", "-o", "nowhere/why.png"], "nowhere/why.png: folder nowhere does not exist"),
        ([], "give a sequence, or a table of them; --global explains the model itself"),
        (["ACGT", "--global", "-o", "a.html"], "--global takes -o report.html, and neither sequences nor --table"),
        (["--global"], "--global takes -o report.html, and neither sequences nor --table"),
        (["ACGT", "--measured", "x"], "--measured belongs to --global"),
        (["ACGT", "--seed", "7"], "--seed belongs to --global"),
        (
            ["--global", "-o", "a.html", "--indels", "2"],
            "--indels, --near-cognates, --long and --cut-at-start are for sequences, not for --global",
        ),
        (["no-such.csv"], "no-such.csv: no such file"),
        (["ACGX" * 100], "ACGX" * 15 + ": neither a file nor a sequence of A, C, G, T (or U) and N"),
        (["ACATXGA"], "ACATXGA: neither a file nor a sequence of A, C, G, T (or U) and N"),
        (["ACG TTT"], "ACG TTT: neither a file nor a sequence of A, C, G, T (or U) and N"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(framed, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", *arguments, "--model", str(framed)]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert list(tmp_path.iterdir()) == []


WITHOUT_PLOTS = """
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"matplotlib", "jinja2", "torch", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nowhere())
from ribocast.cli import main
from ribocast.sequence.letters import is_missing
from ribocast.sequence.construct import EGFP
folder, out = sys.argv[1:]
assert main(["explain", "ACGTACGT", "--model", folder, "--table", out + "ism.csv"]) == 0
assert main(["variants", out + "in.csv", "--model", folder, "-o", out + "out.csv"]) == 0
for command in (["explain", "ACGTACGT", "-o", out + "why.png"], ["explain", "ACGTACGT", "-o", out + "why.html"],
                ["explain", "--global", "-o", out + "report.html"]):
    assert main([*command, "--model", folder]) == 2, command
"""


def test_only_figures_and_pages_need_the_extra_plots(framed, tmp_path):
    (tmp_path / "in.csv").write_text("ref,alt\nACGTACGT,ACGAACGT\n")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PLOTS, framed, f"{tmp_path}/"], capture_output=True, text=True, check=True
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 3
    assert all(line.endswith("pip install 'ribocast[plots]'") for line in errors)


def test_predict_adds_upstream_starts_when_asked(framed, tmp_path):
    rows = tmp_path / "in.csv"
    pd.DataFrame({"seq": [UTR, "C" * 50], "kozak": ["mine", "mine"]}).to_csv(rows, index=False)
    assert main(["predict", str(rows), "--uorf", "--model", str(framed), "-o", str(tmp_path / "out.csv")]) == 0
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert table.columns[-len(START_COLUMNS) :].tolist() == list(START_COLUMNS)
    assert table["input_kozak"].tolist() == ["mine", "mine"]
    kinds = [uorf.kind for uorf in find_uorfs(UTR)]
    assert table["uatgs"].tolist() == [len(kinds), 0]
    assert table["uorfs"][0] == kinds.count("uORF")
    assert table["overlapping_uorfs"][0] == kinds.count("overlapping uORF")
    assert table["n_terminal_extensions"][0] == kinds.count("N-terminal extension")
    assert table["upstream_starts"][0].count(" at ") >= len(kinds)
    assert table["upstream_starts"][1] == ""


def test_near_cognates_are_listed_but_not_counted():
    plain, more = (describe_starts(["CCCTGCCC"], EGFP, near) for near in (False, True))
    assert plain["uatgs"][0] == more["uatgs"][0] == 0
    assert "CTG at -6" in more["upstream_starts"][0]
    assert plain["upstream_starts"][0] == ""
