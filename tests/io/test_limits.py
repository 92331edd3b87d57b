"""Limits of reading and writing, to the byte: what is taken at each, and what is refused beyond it."""

import codecs
import gzip
import io
import os
import stat
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.errors import OutputError, RibocastError
from ribocast.io import readers as formats
from ribocast.io.csv import refuse_columns
from ribocast.io.csv_text import check_spelled
from ribocast.io.inputs import Input, open_input, read_small
from ribocast.io.output_paths import OutputPaths, begins_with, beside
from ribocast.io.readers import count_rows, is_parquet
from ribocast.io.rejects import RowFilter, make_room
from ribocast.io.resume import Record, record_of, refuse_other, source_of
from ribocast.io.tables import as_chunk, read_arrow, read_chunks, read_open, read_table
from ribocast.io.writers import make_folder, open_table, whole_file

MB = 1 << 20
posix = pytest.mark.skipif(sys.platform == "win32", reason="no such modes")


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


# --- rows of 16 MB ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "first", "row"), [("t.seq", b"", 1), ("t.csv", b"seq\n" + b"ACG\n" * (MB // 4 - 1), MB // 4)]
)
def test_a_row_of_sixteen_megabytes_is_the_longest(tmp_path, name, first, row):
    # What is before it fills a block.
    path = put(tmp_path, name, first + b"A" * (16 * MB) + b"\nACGT\n")
    assert [len(utr) for utr in read_table(path).utrs][-2:] == [16 * MB, 4]
    path = put(tmp_path, name, first + b"A" * (17 * MB) + b"\nACGT\n")
    with pytest.raises(RibocastError, match=rf"^{name} row {row}: is longer than 16 MB"):
        read_table(path)


@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_a_text_of_sixteen_megabytes_is_the_longest_of_parquet(tmp_path, use_dictionary, kind):
    for more in (0, 1):
        texts = pa.array(["ACGT"] * 300 + ["A" * (16 * MB + more)], kind)
        pyarrow.parquet.write_table(
            pa.table({"seq": texts, "n": range(301)}), tmp_path / "t.parquet", use_dictionary=use_dictionary
        )
        if not more:
            assert sum(map(len, read_chunks(tmp_path / "t.parquet"))) == 301
            continue
        with pytest.raises(RibocastError, match=r"^t\.parquet (a )?row.* 301\b.*16 MB"):
            list(read_chunks(tmp_path / "t.parquet"))


def test_a_long_text_is_named_by_row_and_column_behind_other_row_groups(tmp_path):
    texts = ["ACGT"] * 4_000 + ["A" * (17 * MB)] + ["ACGT"] * 4_000
    pyarrow.parquet.write_table(
        pa.table({"seq": ["A"] * 8_001, "note": texts}), tmp_path / "t.parquet", row_group_size=3_000,
        use_dictionary=False,
    )  # fmt: skip
    with pytest.raises(RibocastError, match=r"^t\.parquet row 4001, column 'note': is longer than 16 MB"):
        list(read_chunks(tmp_path / "t.parquet"))


def test_rows_of_a_megabyte_are_read_sixty_four_at_once(tmp_path):
    # Of a category that stands in every row, as the file does not say how long rows are.
    long = "A" * MB
    for name, texts in (("often", [long]), ("in lists", [[long]]), ("in structs", [{"n": 1, "text": long}])):
        pyarrow.parquet.write_table(pa.table({"seq": ["A"] * 200, "note": texts * 200}), tmp_path / "t.parquet")
        sizes = [len(table) for table in read_arrow(tmp_path / "t.parquet")]
        assert sizes == [64, 64, 64, 8], name


@settings(deadline=None)
@given(total=st.integers(1, 20), ends=st.tuples(st.integers(0, 19), st.integers(1, 20)), chunk_rows=st.integers(1, 6))
def test_some_rows_are_those_of_the_whole(tmp_path_factory, total, ends, chunk_rows):
    path, rows = tmp_path_factory.getbasetemp() / "t.csv", range(min(ends), min(max(ends), total))
    path.write_text("seq\n" + "".join(f"A{'C' * row}\n" for row in range(total)))
    assert count_rows(path) == total
    assert not is_parquet(path)
    if rows:
        chunks = list(read_chunks(path, rows=rows, chunk_rows=chunk_rows))
        assert [len(utr) - 1 for chunk in chunks for utr in chunk.utrs] == list(rows)
        assert chunks[0].first_row == rows[0] + 1


def test_rows_of_many_row_groups_are_those_of_the_whole(tmp_path):
    path, total = tmp_path / "t.parquet", 23
    table = pa.table({"seq": [f"A{'C' * row}" for row in range(total)]})
    pyarrow.parquet.write_table(table, path, row_group_size=4)
    assert is_parquet(path)
    assert count_rows(path) == total
    for first in range(total):
        for last in range(first + 1, total + 1):
            chunks = list(read_chunks(path, rows=range(first, last), chunk_rows=3))
            assert [len(utr) - 1 for chunk in chunks for utr in chunk.utrs] == list(range(first, last))
            assert chunks[0].first_row == first + 1
    with pytest.raises(RibocastError, match=r"t\.parquet: ends before row 24"):
        list(read_chunks(path, rows=range(20, 24)))
    with pytest.raises(RibocastError, match="has no rows"):
        list(read_arrow(path, rows=range(23, 24)))


# --- columns and cells -----------------------------------------------------------------------------------------


def test_a_table_has_at_most_65_536_columns_with_names_of_their_own():
    refuse_columns([str(number) for number in range(1 << 16)], "t.csv")
    with pytest.raises(RibocastError, match=r"t\.csv: has 65,537 columns; the maximum is 65,536"):
        refuse_columns([str(number) for number in range((1 << 16) + 1)], "t.csv")


@pytest.mark.parametrize(("size", "cut"), [(60, False), (61, True)])
def test_a_long_label_and_a_long_type_are_cut_at_sixty_letters(size, cut):
    (fault,) = as_chunk(pd.DataFrame({"seq": ["A"], "mrl": ["x" * size]})).faults(need_label=True)
    shown = fault.reason.split("'")[1]
    assert shown == ("x" * 59 + "…" if cut else "x" * 60)
    name = "x" * (size - len("struct<: int64>"))
    with pytest.raises(OutputError) as caught:
        check_spelled(pa.schema([("a", pa.int64()), ("b", pa.struct([(name, pa.int64())]))]))
    shown = str(caught.value).split("of type ")[1].split(", which")[0]
    assert "'b'" in str(caught.value)
    assert len(shown) == 60
    assert shown.endswith("…") == cut


@given(st.lists(st.sampled_from(["row", "input_row", "input_input_row", "reason", "x"]), unique=True))
def test_columns_make_room_under_names_that_are_free(taken):
    renamed = make_room(taken, ("row", "reason"))
    names = [renamed.get(name, name) for name in taken]
    assert len(set(names)) == len(names)
    assert not set(names) & {"row", "reason"}
    assert {name for name in taken if name not in ("row", "reason")} <= set(names)


@pytest.mark.parametrize("rows", [1, 2])
def test_bad_rows_are_counted_listed_and_said(tmp_path, rows):
    said = []
    output = tmp_path / "out.csv"
    chunk = as_chunk(pd.DataFrame({"seq": ["ACGT"] + ["X"] * rows, "row": range(rows + 1), "b": b"\0"}))
    with RowFilter("skip", OutputPaths(), output, said.append) as rejects:
        kept = rejects.keep(chunk, chunk.faults(need_label=False))
        assert rejects.keep(kept, []) is kept
        rejects.refuse_nothing(len(kept))
    assert kept.utrs == ["ACGT"]
    assert rejects.count == rows
    listed = pd.read_csv(tmp_path / "out.rejected.csv")
    assert listed.columns.tolist() == ["row", "reason", "seq", "input_row"]
    assert listed["row"].tolist() == list(range(2, rows + 2))
    assert listed["input_row"].tolist() == list(range(1, rows + 1))
    (line,) = said
    assert f"{rows} bad row{'s' * (rows > 1)}, " in line
    assert "out.rejected.csv" in line
    with RowFilter("skip", OutputPaths(), output, said.append) as rejects:
        pass
    assert not (tmp_path / "out.rejected.csv").exists()
    assert "out.rejected.csv" in said[-1]


def test_without_a_file_each_bad_row_is_said_and_where_none_is_usable_the_first():
    said = []
    chunk = as_chunk(pd.DataFrame({"seq": ["X", "", "Y"]}))
    with RowFilter("skip", OutputPaths(), "-", said.append) as rejects:
        rejects.keep(chunk, chunk.faults(need_label=False))
        with pytest.raises(RibocastError, match=r"no row is usable.*the frame row 1: 'X'"):
            rejects.refuse_nothing(0)
    assert [line.split(": ")[1] for line in said[:3]] == [f"the frame row {row}" for row in (1, 2, 3)]
    assert said[3].startswith("left out 3 bad rows")
    with (
        pytest.raises(RibocastError, match="the frame row 1: 'X'"),
        RowFilter("stop", OutputPaths(), None, said.append) as rejects,
    ):
        rejects.keep(chunk, chunk.faults(need_label=False))


# --- bytes -----------------------------------------------------------------------------------------------------


def test_a_small_file_is_read_up_to_its_limit(tmp_path):
    path = put(tmp_path, "t", b"x" * 100)
    assert read_small(path, 100, what="a grid") == b"x" * 100
    with pytest.raises(RibocastError, match=r"larger than 99 bytes: not a grid"):
        read_small(path, 99, what="a grid")


def with_extra_field(content, field):
    """Write gzip with an extra field, as bgzip does, but of another kind."""
    packed = gzip.compress(content)
    return packed[:3] + b"\x04" + packed[4:10] + bytes([len(field), 0]) + field + packed[10:]


@pytest.mark.parametrize("block", [1, 3, 27, 28, 29, 1000])
def test_block_gzip_is_whole_with_its_last_block_however_it_comes(tmp_path, block):
    pysam = pytest.importorskip("pysam")
    with pysam.BGZFile(str(tmp_path / "t.gz"), "wb", None) as packed:
        packed.write(b"ACGT\n" * 50)
    content = (tmp_path / "t.gz").read_bytes()
    for end, is_whole in ((len(content), True), (len(content) - 28, False), (len(content) - 1, False)):
        source = Input(io.BytesIO(content[:end]), "t.gz")
        assert source.head == content[:18]
        assert source.is_gzip
        read = b""
        try:
            while more := source.read(block):
                read += more
        except RibocastError as error:
            assert not is_whole
            assert "damaged or cut short" in str(error)  # noqa: PT017
        else:
            assert is_whole
        assert read == content[:end]
        assert (source.count, source.tell()) == (end, end)


def test_other_gzip_with_an_extra_field_needs_no_last_block():
    packed = with_extra_field(b"ACGT\n", b"XY\x02\x00ab")
    source = Input(io.BytesIO(packed), "t.gz")
    assert source.unpacked().read() == b"ACGT\n"
    assert source.read() == b""


@pytest.mark.parametrize("content", [b"", b"A", b"A" * 17, b"A" * 18, b"A" * 19])
def test_the_first_bytes_are_known_and_read_all_the_same(content):
    source = Input(io.BytesIO(content), "t")
    assert source.head == content[:18]
    assert source.readinto(bytearray()) == 0
    assert source.read() == content
    assert not source.is_gzip


def test_what_is_read_by_place_is_counted_by_place(tmp_path):
    path = put(tmp_path, "t", bytes(range(100)))
    with path.open("rb") as raw:
        raw.seek(40)
        source = Input(raw, "t", path)
        assert source.seekable()
        assert source.tell() == 40
        assert source.read(18) == bytes(range(40, 58))
        assert source.tell() == 58
        assert source.seek(-8, os.SEEK_CUR) == 50
        assert source.seek(-1, os.SEEK_END) == 99
        assert source.read(5) == b"c"
        assert source.count == 19


@posix
@pytest.mark.parametrize("kind", ["socket", "directory", "device"])
def test_what_is_not_a_file_is_called_what_it_is(tmp_path, kind):
    import socket

    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as there:
        if kind == "socket":
            there.bind(str(path))
        elif kind == "directory":
            path.mkdir()
        else:
            path = "/dev/null"
        with pytest.raises(RibocastError, match=f"is a {kind}, not a grid"), open_input(path, what="a grid"):
            pytest.fail("it was opened")


def test_a_mark_at_the_begin_of_a_piped_file_is_no_letter():
    for content in (b"seq\nACGT\n", b">x\nACGT\n", b"ACGT\n"):
        (table,) = read_open(io.BytesIO(codecs.BOM_UTF8 + content), "t")
        assert table["seq"].to_pylist() == ["ACGT"]


@pytest.mark.parametrize(
    ("first", "format_name"),
    [(">x", "fasta"), ("a\tb", "tsv"), ("a,b", "csv"), ("seq", "csv"), ('"UTR"', "csv"), ("ACGT", "lines"),
     ("x", "lines"), (">x,y", "fasta"), ("a,b\tc", "tsv")],
)  # fmt: skip
def test_the_first_line_says_what_a_file_is(first, format_name):
    rows = {"fasta": "ACGT", "tsv": "1\t2", "csv": "1" + ",2" * first.count(","), "lines": "ACGT"}[format_name]
    (table,) = read_open(io.BytesIO(f"{first}\n{rows}\n".encode()), "t")
    assert table.column_names == {
        "fasta": ["id", "seq"], "tsv": first.split("\t"), "csv": first.replace('"', "").split(","), "lines": ["seq"],
    }[format_name]  # fmt: skip
    assert len(table) == 1 + (format_name == "lines")


def test_parquet_that_is_not_at_hand_is_held_up_to_a_limit(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pa.table({"seq": ["ACGT"] * 2_000, "n": range(2_000)}), path)
    packed = put(tmp_path, "t.parquet.gz", gzip.compress(path.read_bytes()))
    assert len(read_table(packed).utrs) == 2_000
    monkeypatch.setattr(formats, "_BLOCK_BYTES", 64)
    monkeypatch.setattr(formats, "_MOST_HELD", path.stat().st_size)
    assert len(read_table(packed).utrs) == 2_000
    monkeypatch.setattr(formats, "_MOST_HELD", path.stat().st_size - 200)
    with pytest.raises(RibocastError, match=r"t\.parquet\.gz: Parquet of more than 1 GB"):
        read_table(packed)


# --- places ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "name"),
    [("a.csv", "a.x.csv"), ("a.b.TSV.gz", "a.b.x.csv"), ("a.vcf.gz", "a.x.csv"), ("a.parquet", "a.x.csv"),
     ("a", "a.x.csv"), ("a.gz", "a.gz.x.csv"), ("d/a.vcf", "a.x.csv"), ("a.csv.csv", "a.csv.x.csv")],
)  # fmt: skip
def test_a_list_beside_an_output_has_its_name_without_the_ending(output, name):
    assert beside(output, "x").name == name


@pytest.mark.parametrize(("content", "ours"), [(b"", True), (b"row,", True), (b"row,reason\n", True), (b"row", False),
                                               (b"ro", False), (b" row,", False)])  # fmt: skip
def test_a_file_of_ours_is_known_by_how_it_begins(tmp_path, content, ours):
    assert begins_with(put(tmp_path, "t", content), b"row,") == ours
    assert begins_with(tmp_path / "none", b"row,")


def test_numbered_figures_of_an_earlier_run_are_outputs_too(tmp_path):
    for name in ("f-1.png", "f-12.PNG", "f-x.png", "f-2.png.bak", "g-1.png"):
        (tmp_path / name).write_text("")
    for name, is_taken in (("f-1.png", True), ("f-12.PNG", True), ("f-x.png", False), ("g-1.png", False)):
        paths = OutputPaths()
        paths.add_numbered(tmp_path / "f.png", "the figure")
        paths.add_numbered(tmp_path / "no" / "f.png", "the figure")
        if is_taken:
            with pytest.raises(RibocastError, match="the figure and other would both become"):
                paths.add(tmp_path / name, "other")
        else:
            paths.add(tmp_path / name, "other")


def test_files_of_a_folder_are_outputs_if_it_is_one(tmp_path):
    paths = OutputPaths()
    paths.add_folder(tmp_path / "new", ["a"])
    paths.add_folder(tmp_path, ["a", "b"])
    with pytest.raises(RibocastError, match="would both become"):
        paths.add(tmp_path / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(RibocastError, match="is a file; name a folder"):
        paths.add_folder(tmp_path / "file", ["a"])
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(RibocastError, match="leads to itself"):
        paths.add_folder(tmp_path / "loop", ["a"])


@posix
@pytest.mark.parametrize("is_allowed", [True, False], ids=["given away", "not given away"])
@pytest.mark.parametrize("mode", [0o666, 0o660, 0o604, 0o4775, 0o6711, 0o640])
def test_another_group_gets_the_rights_of_all_others(tmp_path, monkeypatch, mode, is_allowed):
    path = put(tmp_path, "t", b"old")
    path.chmod(mode)
    facts = path.stat()
    real = os.fstat

    def fstat(handle):
        found = real(handle)
        changed = {} if is_allowed else {"st_uid": facts.st_uid + 1, "st_gid": facts.st_gid + 1}
        return type("Facts", (), {name: getattr(found, name) for name in dir(found) if name[:3] == "st_"} | changed)()

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(
        os.path, "samestat", lambda one, other: (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
    )
    with whole_file(path) as partial:
        partial.write_text("new")
    others = mode & 0o007
    expected = mode if is_allowed else mode & 0o700 | others << 3 | others
    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_folders_are_made_as_deep_as_they_are_named(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(RibocastError, match=r"file"):
        make_folder(tmp_path / "file" / "b")


@pytest.mark.parametrize("rows", [1, (1 << 17) - 1, 1 << 17, (1 << 17) + 1])
def test_parquet_is_written_in_large_groups_whatever_the_pieces(tmp_path, rows):
    with open_table(tmp_path / "t.parquet") as sink:
        for first in range(0, rows, 1 << 15):
            sink.write(pa.table({"n": range(first, min(rows, first + (1 << 15)))}))
    metadata = pyarrow.parquet.ParquetFile(tmp_path / "t.parquet").metadata
    groups = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
    assert groups == ([rows] if rows <= 1 << 17 else [1 << 17, rows - (1 << 17)])
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet")["n"].to_pylist() == list(range(rows))


@pytest.mark.parametrize("letters", [4_090, 4_091, 4_092, 12_345])
def test_a_long_table_is_on_standard_output_letter_by_letter(tmp_path, capsys, letters):
    rows = pa.table({"seq": ["".join("ACGT"[at % 4] for at in range(letters))], "n": [1]})
    for path in (None, tmp_path / "t.csv"):
        with open_table(path) as sink:
            sink.write(rows)
            sink.write(rows)
    assert capsys.readouterr().out == (tmp_path / "t.csv").read_text()


# --- what is taken up ------------------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written(tmp_path):
    output = put(tmp_path, "out.csv", b"12345")
    record = Record({"model": "a"}, source_of(output, 1, None), (2, 3), 5, 7, 1)
    record.write(output)
    assert record_of(output) == tmp_path / ".out.csv.done"
    assert Record.read(output) == record
    assert record.is_of(output)
    put(tmp_path, "out.csv", b"123456")
    assert not record.is_of(output)
    assert not record.is_of(tmp_path / "none")
    Record({}, {}, None, 5, 7, 1).write(output)
    assert Record.read(output).share is None
    for damaged in ('{"terms": 1}', "[]", "", "[" * 100_000, '{"terms": {}, "source": {}, "share": [1]}'):
        record_of(output).write_text(damaged)
        assert Record.read(output) is None
    assert Record.read(tmp_path / "none") is None


def test_a_source_is_known_by_its_size_its_time_and_its_rows(tmp_path):
    path = put(tmp_path, "t", b"123")
    os.utime(path, ns=(1, 2_000))
    assert source_of(path, 4, 9) == {"bytes": 3, "changed": 2_000, "rows": [4, 9]}


@pytest.mark.parametrize(("size", "cut"), [(78, False), (79, True)])
def test_a_long_setting_is_shown_by_its_beginning(size, cut):
    with pytest.raises(OutputError) as caught:
        refuse_other("out", {"a": "x" * size}, {"a": 1})
    shown = str(caught.value).split(" was ")[1].split(" and is now")[0]
    assert shown == ('"' + "x" * 76 + "…" if cut else f'"{"x" * 78}"')
