"""Files appear whole or not at all."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.io.tables import read_table
from ribocast.io.writers import TABLE_ENDINGS, check_output, open_table, whole_file

ROWS = pd.DataFrame({"seq": ["ACG", "GGC"], "mrl": [1.25, 7.5], "note": ["", 'a, "b"\tc']})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, *frames: pd.DataFrame) -> None:
    with open_table(path) as sink:
        for frame in frames:
            sink.write(frame)


def test_a_whole_file_appears_under_its_name_only_at_the_end(tmp_path):
    with whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        assert not (tmp_path / "a.txt").exists()
        assert partial.parent == tmp_path
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize(
    "problem", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1), RibocastError("x")], ids=repr
)
def test_nothing_is_left_and_nothing_changed_after_an_exception(tmp_path, problem):
    (tmp_path / "a.txt").write_text("old")

    def fail() -> None:
        with whole_file(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise problem

    with pytest.raises(type(problem)):
        fail()
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("ending", TABLE_ENDINGS)
@pytest.mark.parametrize("before", [0, 1], ids=["before the first rows", "after some rows"])
def test_a_table_that_failed_leaves_the_old_one(tmp_path, ending, before):
    path = tmp_path / f"t{ending}"
    path.write_bytes(b"old")

    def fail() -> None:
        with open_table(path) as sink:
            for _ in range(before):
                sink.write(ROWS)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(tmp_path) == [path.name]
    assert path.read_bytes() == b"old"


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    script = f"""
import os, signal
import pandas as pd
from ribocast.io.writers import open_table
with open_table({str(path)!r}) as sink:
    sink.write(pd.DataFrame({{"seq": ["ACG"]}}))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode != 0
    assert path.read_text() == "old"


@pytest.mark.parametrize("ending", TABLE_ENDINGS)
def test_tables_are_read_back_as_they_were_written(tmp_path, ending):
    path = tmp_path / f"t{ending.upper()}"
    write(path, ROWS, ROWS)
    back = read_table(path)
    assert back.frame.columns.tolist() == ROWS.columns.tolist()
    assert back.utrs == ["ACG", "GGC"] * 2
    assert back.frame["mrl"].astype(float).tolist() == [1.25, 7.5] * 2
    assert back.frame["note"].tolist() == ROWS["note"].tolist() * 2


# Text that a table of text can hold; a lone surrogate is not text, and NUL is refused as binary when read.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.tuples(st.text("ACGTU", min_size=1, max_size=9), texts, texts), min_size=1, max_size=6))
@pytest.mark.parametrize("ending", TABLE_ENDINGS)
def test_any_text_survives_writing_and_reading(tmp_path, ending, rows):
    frame = pd.DataFrame(rows, columns=["seq", "note", "other"], dtype=str)
    write(tmp_path / f"t{ending}", frame)
    assert read_table(tmp_path / f"t{ending}").frame.to_numpy().tolist() == frame.to_numpy().tolist()


@pytest.mark.parametrize("ending", TABLE_ENDINGS)
def test_the_same_rows_give_the_same_bytes_at_any_time_and_under_any_name(tmp_path, ending):
    first, second = tmp_path / f"first{ending}", tmp_path / f"second{ending}"
    write(first, ROWS)
    write(second, ROWS)
    assert first.read_bytes() == second.read_bytes()
    if ending.endswith(".gz"):
        assert first.read_bytes()[4:8] == bytes(4)


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_zipping_changes_nothing_but_the_size(tmp_path, ending):
    write(tmp_path / f"t{ending}", ROWS, ROWS)
    write(tmp_path / f"t{ending}.gz", ROWS, ROWS)
    assert gzip.decompress((tmp_path / f"t{ending}.gz").read_bytes()) == (tmp_path / f"t{ending}").read_bytes()


def test_the_header_is_written_once_and_lines_end_alike_everywhere(tmp_path):
    write(tmp_path / "t.csv", ROWS[["seq", "mrl"]], ROWS[["seq", "mrl"]])
    assert (tmp_path / "t.csv").read_bytes() == b"seq,mrl\nACG,1.25\nGGC,7.5\nACG,1.25\nGGC,7.5\n"


def test_an_output_is_checked_before_there_is_anything_to_write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text("seq\nA\n")
    Path("link.csv").symlink_to("in.csv")
    for path in (None, "-", "out.csv", tmp_path / "out.csv"):
        check_output(path, (".csv",), stdout=True)
    messages = {
        "no/out.csv": "no/out.csv: folder no",
        "a.txt": "a.txt: unsupported file extension '.txt'; use .csv",
        ".": ".: no file extension; use .csv",
        "-": "-: no file extension; use .csv",
    }
    for path, message in messages.items():
        with pytest.raises(RibocastError, match=re.escape(message)):
            check_output(path, (".csv",))
    with pytest.raises(RibocastError, match="is a directory"):
        check_output(tmp_path)
    assert names(tmp_path) == ["in.csv", "link.csv"]


@pytest.mark.parametrize("name", ["t", "t.txt", "t.csv.bz2", "t.xlsx", "t.parquet.gz", "csv", "t.csv "])
def test_an_unknown_ending_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(RibocastError, match=r"file extension.*; use \.csv, \.csv\.gz"), open_table(tmp_path / name):
        pytest.fail("it was opened")
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "no" / "t.csv"
    with pytest.raises(RibocastError, match=r"t\.csv: folder .*no does not exist$"), open_table(path):
        pytest.fail("it was opened")


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(RibocastError, match=r"folder .*a does not exist"), open_table(tmp_path / "a" / "t.csv"):
        pytest.fail("it was opened")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(RibocastError, match=r"t\.csv: is a directory"), open_table(tmp_path / "t.csv"):
        pytest.fail("it was opened")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RibocastError, match="no permission"), open_table(tmp_path / "t.csv"):
        pytest.fail("it was opened")


def test_a_name_that_is_too_long_is_one_line(tmp_path):
    path = tmp_path / ("a" * 250 + ".csv")
    with pytest.raises(RibocastError, match=r"too long$"), open_table(path) as sink:
        sink.write(ROWS)
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(RibocastError, match=r"a\.txt: No space left on device$"), whole_file(tmp_path / "a.txt"):
        Path("/dev/full").write_bytes(b"x" * 10_000)
    assert names(tmp_path) == []


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "t.csv", tmp_path / "t.csv"
    target.write_text("old")
    link.symlink_to(target)
    write(link, ROWS)
    assert link.is_symlink()
    assert target.read_text().startswith("seq,")
    assert names(tmp_path / "far") == ["t.csv"]


@pytest.mark.parametrize("ending", TABLE_ENDINGS)
def test_a_table_without_rows_is_a_file(tmp_path, ending):
    write(tmp_path / f"t{ending}")
    assert names(tmp_path) == [f"t{ending}"]
    if ending == ".parquet":
        assert pd.read_parquet(tmp_path / "t.parquet").empty


def test_rows_that_do_not_fit_into_parquet_are_one_line_and_leave_nothing(tmp_path):
    numbers, texts = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": ["a", "b"]})
    with pytest.raises(RibocastError, match=r"t\.parquet: these rows do not fit into a Parquet file: [^\n]+$"):
        write(tmp_path / "t.parquet", numbers, texts)
    assert names(tmp_path) == []


@pytest.mark.parametrize("path", [None, "-", Path("-")])
def test_standard_output_gets_csv(capsys, path):
    with open_table(path) as sink:
        sink.write(ROWS[["seq"]])
        sink.write(ROWS[["seq"]])
    assert capsys.readouterr().out == "seq\nACG\nGGC\nACG\nGGC\n"
