"""All places of a run are known before it starts: none replaces an input, another one of them, or a user's own file."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io.output_paths import LISTS, OutputPaths, beside
from ribocast.io.writers import whole_file
from ribocast.predict.journal import MAGIC

GOOD, BAD = "seq\nACGTACGTACGT\n", "seq\nACGTACGTACGT\nXXXX\n"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuses(capsys, folder, *arguments, says=""):
    """Run a command that ends in one line, and leaves everything as it was."""
    before = contents(folder)
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert says in said
    assert contents(folder) == before


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- what is compared ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["name", "link", "hard link", "through a linked folder"])
def test_an_input_is_known_under_any_name(place, how):
    Path("in.csv").write_text(GOOD)
    other = Path("out.csv")
    if how == "link":
        other.symlink_to("in.csv")
    elif how == "hard link":
        other.hardlink_to("in.csv")
    elif how == "through a linked folder":
        Path("there").symlink_to(".")
        other = Path("there/in.csv")
    else:
        other = Path("./in.csv")
    with pytest.raises(RibocastError, match="is an input"):
        OutputPaths(["in.csv", None, "ACGT" * 500, "a\0b", "-"]).add(other)


@pytest.mark.parametrize("how", ["name", "link", "hard link", "dangling link"])
def test_two_outputs_that_are_one_file_are_told(place, how):
    places, other = OutputPaths(), Path("b.csv")
    if how == "link":
        Path("a.csv").write_text("")
        other.symlink_to("a.csv")
    elif how == "hard link":
        Path("a.csv").write_text("")
        other.hardlink_to("a.csv")
    elif how == "dangling link":
        other.symlink_to("a.csv")
    else:
        other = Path("a.csv")
    places.add("a.csv", "the table")
    with pytest.raises(RibocastError, match="the table and the figure would both become"):
        places.add(other, "the figure")
    places.add("c.csv")


def test_names_that_differ_in_case_are_one_file_where_the_folder_says_so(place, monkeypatch):
    tells_case = not Path(str(place).swapcase()).exists()
    Path("probe").write_text("")
    tells_case = not Path("PROBE").exists()
    Path("probe").unlink()
    places = OutputPaths()
    places.add("Out.csv", "one")
    if tells_case:
        places.add("out.csv", "other")
        # As on a folder that tells no case from another.
        exists = Path.exists
        monkeypatch.setattr(Path, "exists", lambda path: any(exists(one) for one in (path, *alike(path))))
    with pytest.raises(RibocastError, match="would both become"):
        places.add("OUT.csv", "third")
    assert contents(place) == {}


def alike(path: Path) -> list[Path]:
    return [other for other in path.parent.iterdir() if other.name.lower() == path.name.lower()]


def test_a_model_that_is_read_is_an_input(place, framed):
    Path("card.json").symlink_to(framed / "model.json")
    with pytest.raises(RibocastError, match="is an input"):
        OutputPaths([framed]).add("card.json")


@pytest.mark.skipif(sys.platform == "win32", reason="no such redirections")
def test_standard_input_and_output_that_are_files_are_compared(place, framed):
    Path("in.csv").write_text(GOOD)
    run = f"{sys.executable} -m ribocast predict --model {framed}"
    for command in (f"{run} - -o in.csv < in.csv", f"{run} in.csv >> in.csv"):
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "is an input" in done.stderr
        assert Path("in.csv").read_text() == GOOD


# --- lists of bad rows -----------------------------------------------------------------------------------------


def test_lists_of_bad_rows_and_outputs_of_one_run_do_not_meet(place, framed, capsys):
    Path("a.rejected.csv").write_text(GOOD)
    Path("a.csv").write_text(BAD)
    Path("a.tsv").write_text(BAD)
    skip = ("-o", "out/", "--on-error", "skip", "--model", framed)
    for tables in (["a.rejected.csv", "a.tsv"], ["a.csv", "a.rejected.csv"], ["a.rejected.csv", "a.csv"],
                   ["a.csv", "a.tsv"]):  # fmt: skip
        refuses(capsys, place, "predict", *tables, *skip, says="would both become out/a.rejected.csv")
        for part in ("1/2", "2/2"):
            refuses(capsys, place, "predict", *tables, *skip, "--shard", part, says="would both become")
    # Where no list is written, there is nothing to meet.
    assert main(["predict", "a.rejected.csv", "-o", "out/", "--model", str(framed)]) == 0


@pytest.mark.parametrize("command", ["predict", "explain", "variants", "train", "search"])
@pytest.mark.parametrize("table", [GOOD, BAD], ids=["no bad row", "a bad row"])
def test_a_users_own_file_is_no_list_of_bad_rows(place, framed, capsys, command, table):
    Path("in.csv").write_text(
        table.replace("seq", "seq,alt_seq,label").replace("GT\n", "GT,ACGTACGTACGA,1\n").replace("XX\n", "XX,ACGT,1\n")
    )
    Path("grid.toml").write_text("[grid]\nhidden = [16]\n")
    own = Path("out.rejected.csv")
    arguments = {
        "predict": ["-o", "out.csv", "--model", framed],
        "explain": ["--table", "out.csv", "--model", framed],
        "variants": ["-o", "out.csv", "--ref-column", "seq", "--model", framed],
        "train": ["-o", "out"],
        "search": ["-o", "out", "--grid", "grid.toml", "--model", "attention-2conv"],
    }[command]
    for text in ("my own notes", "row\n", "row,reasons\n"):
        own.write_text(text)
        refuses(capsys, place, command, "in.csv", *arguments, "--on-error", "skip", says="out.rejected.csv")


def test_the_list_of_an_earlier_run_goes_and_that_is_said(place, framed, capsys):
    command = ["predict", "in.csv", "-o", "out.csv", "--on-error", "skip", "--model", str(framed)]
    for text in ("seq\nACGT\nBAD1\n", "seq\nACGT\nBAD2\n"):
        Path("in.csv").write_text(text)
        assert main(command) == 0
        assert Path("out.rejected.csv").read_text().splitlines()[1].endswith(text[-5:-1])
    Path("in.csv").write_text(GOOD)
    capsys.readouterr()
    assert main(command) == 0
    assert "removed an earlier run's list, out.rejected.csv" in capsys.readouterr().err
    assert not Path("out.rejected.csv").exists()
    # Nothing of an earlier run is in the way.
    assert main(command) == 0


# --- what else stands beside outputs ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "ours"), [(".out.csv.resume", MAGIC), (".t.csv.done", b'{"terms": {')])
def test_what_is_kept_to_resume_replaces_nobodys_file(place, framed, capsys, name, ours):
    output = "out.csv" if "out" in name else "out/"
    Path("out").mkdir()
    there = Path(output if output == "out/" else ".") / name
    Path("t.csv").write_text(GOOD)
    command = ["predict", "t.csv", "-o", output, "--model", framed]
    there.write_text("mine")
    refuses(capsys, place, *command, says=f"{name}: ")
    # An input may be called anything.
    there.write_text(GOOD)
    tables = [there] if output == "out.csv" else ["t.csv", there]
    refuses(capsys, place, "predict", *tables, *command[2:], says="is an input")
    there.write_bytes(ours)
    OutputPaths().add(there, begins=ours)


def test_numbered_figures_replace_no_input(place, framed, capsys):
    Path("why-2.png").write_text("seq\nACGT\nACGA\n")
    refuses(capsys, place, "explain", "why-2.png", "-o", "why.png", "--model", framed, says="is an input")


def test_an_order_sheet_replaces_nobodys_file(place, framed, capsys):
    Path("d.order.csv").write_text("mine")
    arguments = ("design", "--target", "7", "-n", "1", "-o", "d.csv", "--order", "idt", "--model", framed)
    refuses(capsys, place, *arguments, says="d.order.csv: the order sheet goes there")


@pytest.mark.parametrize("name", ["model.json", "history.csv", "checkpoint.safetensors"])
def test_training_replaces_no_input_and_nobodys_file(place, framed, capsys, name):
    Path("run").mkdir()
    (Path("run") / name).write_text("seq,label\nACGT,1\n")
    refuses(capsys, place, "train", "run/" + name, "-o", "run", "--overwrite", says="is an input")
    Path("t.csv").write_text("seq,label\nACGT,1\n")
    refuses(capsys, place, "train", "t.csv", "-o", "run", says=f"holds {'a run already' if 'point' in name else name}")
    refuses(capsys, place, "train", "t.csv", "--from", framed, "-o", framed, "--overwrite", says="is an input")


@pytest.mark.parametrize(
    "name", ["best/notes.txt", "folds/notes.txt", "refit-1/notes.txt", "trials.csv", "rows.parquet"]
)
@pytest.mark.parametrize("again", ["", "--overwrite", "--resume"])
def test_a_search_replaces_no_folder_that_is_not_its_own(place, capsys, name, again):
    path = Path("here") / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    Path("grid.toml").write_text("[grid]\nhidden = [16]\n")
    Path("t.csv").write_text("seq,label\n" + "".join(f"ACGT{'ACGT'[n % 4]},{n}\n" for n in range(40)))
    refuses(capsys, place, "search", "t.csv", "-o", "here", "--grid", "grid.toml", "--model", "attention-2conv",
            *filter(None, [again]), says="but no search")  # fmt: skip


def test_a_comparison_replaces_no_table_of_predictions(place, capsys):
    pd.DataFrame({"seq": ["ACGT"], "label": [1.0], "pred": [1.0]}).to_csv("theirs.csv", index=False)
    Path("report.html").hardlink_to("theirs.csv")
    refuses(capsys, place, "compare", "T=theirs.csv:pred", "--data", "theirs.csv", "-o", "report.html",
            says="is an input")  # fmt: skip


def test_places_beside_others_are_named_after_them():
    assert {kind: beside("out/t.csv.gz", kind).name for kind in LISTS} == {
        "rejected": "t.rejected.csv", "skipped": "t.skipped.csv", "order": "t.order.csv"
    }  # fmt: skip


def test_what_is_not_written_yet_is_refused_like_what_is(place):
    os.mkfifo("pipe.csv") if hasattr(os, "mkfifo") else Path("pipe.csv").mkdir()
    for path in ("pipe.csv", "no/t.csv", "."):
        with pytest.raises(RibocastError):
            OutputPaths().add(path)
        with pytest.raises(RibocastError), whole_file(path):
            pass
