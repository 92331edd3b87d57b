"""Reading rows: every format, in pieces, and every way in which a file can be broken."""

import csv
import gzip
import io
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io import readers as formats
from ribocast.io.tables import Chunk, read_chunks, read_table
from ribocast.sequence.letters import is_missing

UTRS = ["ACGTACGT", "ggcnu", "TTT"]
LABELS = ["1.5", "7", "-2e-1"]
# A file is written anew for every example, so that one folder does for all of them.
many_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

CSV = "seq,label\n" + "".join(f"{utr},{label}\n" for utr, label in zip(UTRS, LABELS, strict=True))
TSV = CSV.replace(",", "\t")
FASTA = "".join(f">utr {number}\n{utr}\n" for number, utr in enumerate(UTRS, start=1))
LINES = "".join(f"{utr}\n" for utr in UTRS)
TEXTS = {"t.csv": CSV, "t.tsv": TSV, "t.tab": TSV, "t.fasta": FASTA, "t.fa": FASTA, "t.fna": FASTA, "t.txt": LINES,
         "t.seq": LINES, "t": LINES, "u.txt": TSV, "v": CSV, "w.data": FASTA, "t.v1.2": TSV}  # fmt: skip


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(table: pa.Table | pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    if isinstance(table, pd.DataFrame):
        table.to_parquet(stream)
    else:
        pyarrow.parquet.write_table(table, stream)
    return stream.getvalue()


def rows_of(path: Path, **options) -> list[list[object]]:
    return [row for chunk in read_chunks(path, **options) for row in chunk.frame.to_numpy().tolist()]


def error_of(path: Path | str, **options) -> str:
    """Read everything, expect a refusal, and give its one line."""
    with pytest.raises(RibocastError) as caught:
        for _ in read_chunks(path, **options):
            pass
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    if isinstance(path, Path):
        assert path.name in message
    return message


# --- what can be read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["no mark", "BOM"])
def test_every_text_format_gives_the_sequences_as_they_are(tmp_path, name, zipped, newline, mark):
    content = (mark + TEXTS[name].replace("\n", newline)).encode()
    path = put(tmp_path, name + ".gz" * zipped, gzip.compress(content) if zipped else content)
    chunk = read_table(path)
    assert chunk.utrs == UTRS
    assert (chunk.first_row, chunk.source) == (1, path.name)
    if chunk.label_column:
        assert chunk.frame["label"].tolist() == LABELS
        assert chunk.labels().tolist() == [1.5, 7.0, -0.2]


@pytest.mark.parametrize("ending", [".CSV", ".Csv.GZ", ".FASTA", ".TXT", ".Parquet"])
def test_endings_are_read_in_any_case(tmp_path, ending):
    texts = {".CSV": CSV, ".FASTA": FASTA, ".TXT": LINES}
    content = gzip.compress(CSV.encode()) if ending.endswith("GZ") else parquet(pd.DataFrame({"seq": UTRS}))
    assert read_table(put(tmp_path, "t" + ending, texts.get(ending, content))).utrs == UTRS


@pytest.mark.parametrize("name", ["t.csv", "t", "t.parquet.gz", "t.gz"])
def test_zipped_data_and_parquet_are_known_by_their_first_bytes(tmp_path, name):
    data = parquet(pd.DataFrame({"seq": UTRS, "label": [1.0, 2.0, 3.0]}))
    for content in (data, gzip.compress(data)):
        assert read_table(put(tmp_path, name, content)).utrs == UTRS
    if "parquet" not in name:
        assert read_table(put(tmp_path, name, gzip.compress(CSV.encode()))).utrs == UTRS


def test_several_gzip_members_are_one_file(tmp_path):
    content = gzip.compress(CSV.encode()) + gzip.compress(b"AAA,4\n")
    assert read_table(put(tmp_path, "t.csv.gz", content)).utrs == [*UTRS, "AAA"]


def test_a_last_line_needs_no_end(tmp_path):
    for name in ("t.csv", "t.tsv", "t.fa", "t.txt"):
        assert read_table(put(tmp_path, name, TEXTS[name].rstrip("\n"))).utrs == UTRS


def test_a_path_may_be_a_string(tmp_path):
    assert read_table(str(put(tmp_path, "t.csv", CSV))).utrs == UTRS


def test_fasta_records_may_span_lines_be_blank_between_and_have_any_title(tmp_path):
    text = "\n>5′ of β-globin, Émile | x=1\nACG\n\nacg\n  TTU \n>\nN\n> b\n\n>c\n\nA\n"
    chunk = read_table(put(tmp_path, "t.fa", text))
    assert chunk.frame["id"].tolist() == ["5′ of β-globin, Émile | x=1", "", "b", "c"]
    assert chunk.utrs == ["ACGacgTTU", "N", "", "A"]
    assert [chunk.say(fault) for fault in chunk.faults(need_label=False)] == ["t.fa row 3: the sequence is empty"]


@pytest.mark.parametrize("line", ["#ACG", ";comment", "ACG*", "AC-G", "ACÉ", "A>C"])
def test_no_line_of_a_fasta_record_is_dropped(tmp_path, line):
    chunk = read_table(put(tmp_path, "t.fa", f">a\nACG\n{line}\n>b\nA\n"))
    assert chunk.utrs == [f"ACG{line}", "A"]
    assert [fault.row for fault in chunk.faults(need_label=False)] == [0]


def test_blank_lines_between_lines_are_rows_and_those_at_the_end_are_none(tmp_path):
    chunk = read_table(put(tmp_path, "t.txt", "ACG\n\n  \n AC \t\n\n\n"))
    assert chunk.utrs == ["ACG", "", "", "AC"]
    assert [fault.row for fault in chunk.faults(need_label=False)] == [1, 2]


def test_blank_lines_between_csv_rows_are_rows_without_a_sequence(tmp_path):
    chunk = read_table(put(tmp_path, "t.csv", "\n\nseq\nACG\n\nACG\n\n\n\n"))
    assert chunk.utrs == ["ACG", "", "ACG"]
    assert [chunk.say(fault) for fault in chunk.faults(need_label=False)] == ["t.csv row 2: the sequence is empty"]


def test_text_columns_are_passed_on_unchanged(tmp_path):
    cells = [
        "007",
        "1e5",
        "NA",
        "",
        "nan",
        "null",
        "None",
        "True",
        " x ",
        "1,5",
        'say "5′"',
        "2024-01-01",
        "0x10",
        "-0",
        "a\nb",
        "'",
    ]
    for ending, delimiter in ((".csv", ","), (".tsv", "\t")):
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerows([["note", "seq"], *([cell, "ACG"] for cell in cells)])
        chunk = read_table(put(tmp_path, f"t{ending}", stream.getvalue()))
        assert chunk.frame["note"].tolist() == cells


def test_quotes_are_those_of_csv_and_stand_for_themselves_inside_a_field(tmp_path):
    text = 'seq,note,"a ""b"", c"\n"ACG",5" end,""\nAC,"x ""y"" z",""""\n'
    chunk = read_table(put(tmp_path, "t.csv", text))
    assert list(chunk.frame) == ["seq", "note", 'a "b", c']
    assert chunk.frame.to_numpy().tolist() == [["ACG", '5" end', ""], ["AC", 'x "y" z', '"']]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
quoting = st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])


@many_files
@given(
    rows=st.lists(st.tuples(cells, st.text("ACGU", min_size=1, max_size=8), cells), min_size=1, max_size=12),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=quoting,
    block=st.integers(1, 64),
    chunk_rows=st.integers(1, 5),
    delimiter=st.sampled_from(",\t"),
)
def test_any_csv_reads_the_same_cut_anywhere(tmp_path, rows, newline, quoting, block, chunk_rows, delimiter):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerows([("a", "seq", "b"), *rows])
    path = put(tmp_path, "t.csv" if delimiter == "," else "t.tsv", stream.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        # The size of a block does not change the outcome; small ones put their borders everywhere.
        patch.setattr(formats, "_BLOCK_BYTES", block)
        chunks = list(read_chunks(path, chunk_rows=chunk_rows))
    assert [tuple(row) for chunk in chunks for row in chunk.frame.to_numpy().tolist()] == rows


@many_files
@given(
    utrs=st.lists(st.text("ACGUn", max_size=9), min_size=1, max_size=20).filter(lambda utrs: utrs[0] and utrs[-1]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    block=st.integers(1, 40),
    chunk_rows=st.integers(1, 7),
)
@pytest.mark.parametrize("kind", ["csv", "one column", "fasta", "lines", "parquet"])
def test_small_chunks_give_the_rows_of_the_whole_under_the_same_numbers(
    tmp_path, kind, utrs, newline, block, chunk_rows
):
    if kind == "parquet":
        path = put(tmp_path, "t.parquet", parquet(pa.table({"seq": utrs})))
    else:
        lines = {
            "csv": ["seq,label", *(f"{utr},{row}" for row, utr in enumerate(utrs))],
            "one column": ["seq", *utrs],
            "fasta": [line for utr in utrs for line in (">", utr)],
            "lines": utrs,
        }[kind]
        ending = {"csv": ".csv", "one column": ".csv", "fasta": ".fa", "lines": ".seq"}[kind]
        path = put(tmp_path, f"t{ending}", "".join(line + newline for line in lines))
    whole = read_table(path)
    expected = [None if is_missing(utr) else utr for utr in utrs]
    assert whole.utrs == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "_BLOCK_BYTES", block)
        chunks = list(read_chunks(path, chunk_rows=chunk_rows))
    assert [utr for chunk in chunks for utr in chunk.utrs] == expected
    assert all(1 <= len(chunk.frame) <= chunk_rows for chunk in chunks)
    assert all(chunk.frame.index.tolist() == list(range(len(chunk.frame))) for chunk in chunks)
    numbers = [chunk.first_row + offset for chunk in chunks for offset in range(len(chunk.frame))]
    assert numbers == list(range(1, len(utrs) + 1))
    said = [chunk.say(fault) for chunk in chunks for fault in chunk.faults(need_label=False)]
    assert said == [whole.say(fault) for fault in whole.faults(need_label=False)]


# --- Parquet ---------------------------------------------------------------------------------------------------


def test_parquet_keeps_types_in_every_chunk_alike(tmp_path):
    big = 2**60 + 1
    table = pa.table({
        "seq": ["ACG", None, "GG", "TT"],
        "count": pa.array([1, None, big, None], pa.int64()),
        "small": pa.array([None, 255, None, 0], pa.uint8()),
        "flag": pa.array([True, None, False, None], pa.bool_()),
        "mrl": pa.array([1.5, None, 2.5, None], pa.float64()),
    })  # fmt: skip
    path = put(tmp_path, "t.parquet", parquet(table))
    for chunk_rows in (1, 2, 4):
        frames = [chunk.frame for chunk in read_chunks(path, chunk_rows=chunk_rows)]
        assert all(frame.dtypes.equals(frames[0].dtypes) for frame in frames)
        whole = pd.concat(frames, ignore_index=True)
        assert whole["count"].tolist() == [1, pd.NA, big, pd.NA]
        assert whole["small"].tolist() == [pd.NA, 255, pd.NA, 0]
        assert whole["flag"].tolist() == [True, pd.NA, False, pd.NA]
        assert whole["mrl"].fillna(-1).tolist() == [1.5, -1, 2.5, -1]


def test_an_index_that_pandas_kept_is_a_column_and_hides_none(tmp_path):
    frame = pd.DataFrame({"seq": UTRS, "label": [1.0, 2.0, 3.0]}).set_index("seq")
    assert read_table(put(tmp_path, "t.parquet", parquet(frame))).utrs == UTRS
    frame = pd.DataFrame({"seq": UTRS}, index=[9, 9, 9])
    chunk = read_table(put(tmp_path, "t.parquet", parquet(frame)))
    assert chunk.frame.index.tolist() == [0, 1, 2]
    assert chunk.utrs == UTRS


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_parquet_sequences_may_be_any_kind_of_text(tmp_path, kind):
    column = pa.array(UTRS)
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(getattr(pa, kind)())
    chunk = read_table(put(tmp_path, "t.parquet", parquet(pa.table({"seq": column}))))
    assert chunk.utrs == UTRS
    assert chunk.faults(need_label=False) == []


def test_parquet_sequences_that_are_missing_or_no_text_are_named(tmp_path):
    chunk = read_table(put(tmp_path, "t.parquet", parquet(pa.table({"seq": ["ACG", None]}))))
    assert [chunk.say(fault) for fault in chunk.faults(need_label=False)] == [
        "t.parquet row 2: the sequence is missing"
    ]
    chunk = read_table(put(tmp_path, "t.parquet", parquet(pa.table({"seq": [3, None]}))))
    assert [fault.reason for fault in chunk.faults(need_label=False)] == [
        "3 is not a sequence",
        "the sequence is missing",
    ]


@pytest.mark.parametrize("end", [4, 5, 8, 40, 200, -1, -8, -20])
def test_a_parquet_file_cut_short_is_refused(tmp_path, end):
    data = parquet(pd.DataFrame({"seq": UTRS * 100, "label": np.arange(300.0)}))
    assert "not a readable table" in error_of(put(tmp_path, "t.parquet", data[:end]))


@settings(many_files, max_examples=150)
@given(data=st.data())
def test_a_damaged_parquet_file_is_read_or_refused_in_one_line(tmp_path, data):
    content = bytearray(parquet(pd.DataFrame({"seq": ["ACG", None, "GG"] * 9, "count": range(27)})))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = put(tmp_path, "t.parquet", bytes(content))
    try:
        for chunk in read_chunks(path, column="seq"):
            chunk.faults(need_label=False)
    except RibocastError as error:
        assert str(error).startswith("t.parquet")  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path):
    column = pa.Array.from_buffers(
        pa.string(), 2, [*pa.array(["ACG", "GGG"]).buffers()[:2], pa.py_buffer(b"ACGG\xffG")]
    )
    assert "UTF8" in error_of(put(tmp_path, "t.parquet", parquet(pa.table({"seq": column}))))


def test_parquet_without_rows_or_with_a_column_twice_is_refused(tmp_path):
    path = put(tmp_path, "t.parquet", parquet(pa.table({"seq": pa.array([], pa.string())})))
    assert error_of(path) == "t.parquet: has no rows"
    twice = pa.table([pa.array(["A"]), pa.array(["C"])], names=["seq", "seq"])
    assert error_of(put(tmp_path, "t.parquet", parquet(twice))) == "t.parquet: column 'seq' appears more than once"


# --- standard input --------------------------------------------------------------------------------------------

READ_STDIN = """
from ribocast.errors import RibocastError
from ribocast.io.tables import read_chunks
try:
    print([utr for chunk in read_chunks("-", chunk_rows=2) for utr in chunk.utrs])
except RibocastError as error:
    print(error)
"""


def through_a_pipe(content: bytes) -> str:
    return (
        subprocess.run([sys.executable, "-c", READ_STDIN], input=content, capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )


def from_a_file(path: Path) -> str:
    with path.open("rb") as stream:
        return (
            subprocess.run([sys.executable, "-c", READ_STDIN], stdin=stream, capture_output=True, check=True)
            .stdout.decode()
            .strip()
        )


@pytest.mark.parametrize("kind", ["csv", "tsv", "fasta", "lines", "parquet", "one column", "gz", "quoted", "BOM"])
def test_standard_input_is_read_in_every_format(tmp_path, kind):
    content = {
        "csv": CSV.encode(),
        "tsv": TSV.encode(),
        "fasta": FASTA.encode(),
        "lines": LINES.encode(),
        "parquet": parquet(pd.DataFrame({"seq": UTRS})),
        "one column": b"\r\nUTR\r\n" + LINES.encode(),
        "gz": gzip.compress(FASTA.encode()),
        "quoted": b'"seq"\n' + LINES.encode(),
        "BOM": b"\xef\xbb\xbf" + b"sequence\n" + LINES.encode(),
    }[kind]
    assert through_a_pipe(content) == str(UTRS)
    assert from_a_file(put(tmp_path, "t", content)) == str(UTRS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input: the file is empty"),
        (b"seq,x\nA,1\nC\n", "standard input row 2: 1 field, but the header has 2"),
        (b"PAR1nonsense", "standard input: not a readable table: "),
        (b"\x1f\x8bnonsense", "standard input: the gzip data is damaged or cut short"),
        (b"\x00\x01\x02", "standard input: not a text file (it holds binary data)"),
    ],
)
def test_what_is_wrong_with_standard_input_is_told(content, message):
    assert through_a_pipe(content).startswith(message)


def test_standard_input_that_is_closed_is_told():
    command = f"exec {sys.executable} -c '{READ_STDIN.replace(chr(39), chr(34))}' <&-"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout == "standard input is closed\n"


def test_standard_input_comes_as_it_is_typed(monkeypatch, tmp_path):
    class Slow(io.RawIOBase):
        """Gives a byte at a time."""

        content = io.BytesIO(CSV.encode())

        def readable(self):
            return True

        def readinto(self, buffer):
            byte = self.content.read(1)
            buffer[: len(byte)] = byte
            return len(byte)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Slow()))
    assert read_table("-").utrs == UTRS


# --- columns ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seq", "label"),
    [
        ("seq,label", "seq", "label"),
        ("UTR,MRL", "UTR", "MRL"),
        ("Sequence,rl", "Sequence", "rl"),
        ("utr,sequence,seq", "seq", None),
        ("utr,sequence", "sequence", None),
        ("rl,mrl,label,seq", "seq", "label"),
        ("rl,mrl,seq", "seq", "mrl"),
        ("SEQ,seq", "SEQ", None),
        ("seq,SEQ", "seq", None),
        ("mrl_label,seq", "seq", None),
    ],
)
def test_columns_are_found_by_name_in_any_case_and_in_a_fixed_order(tmp_path, header, seq, label):
    path = put(tmp_path, "t.csv", header + "\n" + ",".join("A" for _ in header.split(",")) + "\n")
    (chunk,) = read_chunks(path)
    assert (chunk.seq_column, chunk.label_column) == (seq, label)


def test_columns_that_are_named_win_and_must_be_there_as_spelt(tmp_path):
    path = put(tmp_path, "t.csv", "seq,label,region,te\nA,1,C,2\n")
    (chunk,) = read_chunks(path, column="region", label="te")
    assert (chunk.utrs, chunk.labels().tolist()) == (["C"], [2.0])
    assert error_of(path, column="Region") == (
        "t.csv: no sequence column 'Region' among: seq, label, region, te (from --column)"
    )
    assert error_of(path, label="TE") == "t.csv: no label column 'TE' among: seq, label, region, te (from --label)"


def test_a_missing_sequence_column_is_told_with_those_there_are(tmp_path):
    path = put(tmp_path, "t.csv", "id,label\na,1\n")
    assert error_of(path) == ("t.csv: no sequence column (seq, sequence, utr) among: id, label; name it with --column")


@pytest.mark.parametrize("text", ["NA", "nan", "NAN", "Nan", " NA ", "N/A", "NULL", "<NA>"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_r_and_pandas_write_for_a_missing_sequence_is_none_though_its_letters_are_nucleotides(
    tmp_path, text, ending, capsys
):
    path, output = tmp_path / f"t.{ending}", tmp_path / "out.csv"
    frame = pd.DataFrame(
        {"seq": ["ACG", text, "AN"], "ref": "ACGT", "alt": ["ACGA", text, "AN"], "mrl": [1.0, 2.0, 3.0]}
    )
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    (chunk,) = read_chunks(path)
    assert chunk.utrs == ["ACG", None, "AN"]
    assert [chunk.say(fault) for fault in chunk.faults(need_label=True)] == [
        f"t.{ending} row 2: the sequence is missing"
    ]
    for command in ("predict", "variants"):
        assert main([command, str(path), "-o", str(output)]) == 2
        assert f"t.{ending} row 2: " in capsys.readouterr().err
        assert main([command, str(path), "-o", str(output), "--on-error", "skip"]) == 0
        assert len(pd.read_csv(output)) == 2
        capsys.readouterr()


def test_a_missing_label_column_is_told_only_where_labels_are_needed(tmp_path):
    (chunk,) = read_chunks(put(tmp_path, "t.csv", "seq,te\nA,1\n"))
    assert chunk.faults(need_label=False) == []
    message = r"^t\.csv: no label column \(label, mrl, rl\) among: seq, te; name it with --label$"
    with pytest.raises(RibocastError, match=message):
        chunk.labels()
    with pytest.raises(RibocastError, match=message):
        chunk.faults(need_label=True)


@pytest.mark.parametrize("header", ["seq,seq", "seq,x,y,x", "seq,,", '"x",seq,x'])
def test_a_column_that_is_there_twice_is_refused(tmp_path, header):
    row = ",".join("A" for _ in header.split(","))
    assert "more than once" in error_of(put(tmp_path, "t.csv", f"{header}\n{row}\n"))


# --- labels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["1", "1.5", "+2", ".5", "5.", "1e3", "-1E-3", " 3.2 ", "0"])
def test_labels_are_decimal_numbers(tmp_path, text):
    (chunk,) = read_chunks(put(tmp_path, "t.csv", f"seq,label\nA,{text}\n"))
    assert chunk.faults(need_label=True) == []
    assert chunk.labels().tolist() == [float(text)]


@pytest.mark.parametrize("text", ["high", "1;5", "1_000", "0x10", "True", "inf", "-inf", "1e999", "1 2", "٣", "5f"])
def test_a_label_that_is_no_finite_number_is_named_with_row_and_column(tmp_path, text):
    (chunk,) = read_chunks(put(tmp_path, "t.csv", f"seq,MRL\nA,1\nC,{text}\n"))
    faults = chunk.faults(need_label=True)
    assert [chunk.say(fault) for fault in faults] == [
        f"t.csv row 2: label {text!r} is not a finite number (column 'MRL')"
    ]
    assert chunk.faults(need_label=False) == []


@pytest.mark.parametrize("text", ["", "  ", "NA", "nan"])
def test_a_label_that_is_not_there_is_called_missing(tmp_path, text):
    (chunk,) = read_chunks(put(tmp_path, "t.csv", f"seq,label\nA,{text}\n"))
    assert [chunk.say(fault) for fault in chunk.faults(need_label=True)] == [
        "t.csv row 1: label is missing (column 'label')"
    ]


def test_a_long_wrong_label_is_shortened(tmp_path):
    (chunk,) = read_chunks(put(tmp_path, "t.csv", f"seq,label\nA,{'x' * 5000}\n"))
    (fault,) = chunk.faults(need_label=True)
    assert fault.reason == f"label '{'x' * 59}…' is not a finite number (column 'label')"


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([True, False]),
        pa.array([True, None]),
        pa.array([1, 2], pa.timestamp("ms")),
        pa.array([1, 2], pa.date32()),
        pa.array([1, 2], pa.duration("s")),
        pa.array([[1], [2]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([None, None], pa.null()),
        pa.array([None, float("nan")]),
        pa.array([float("inf"), float("-inf")]),
    ],
    ids=lambda labels: str(labels.type),
)
def test_parquet_labels_that_are_no_numbers_are_all_named(tmp_path, labels):
    table = pa.table({"seq": ["A", "C"], "label": labels})
    (chunk,) = read_chunks(put(tmp_path, "t.parquet", parquet(table)))
    assert [fault.row for fault in chunk.faults(need_label=True)] == [0, 1]


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([1, 2], pa.int8()),
        pa.array([1, 2], pa.float32()),
        pa.array(["1", "2.0"]),
        pa.array(["1", "2"]).dictionary_encode(),
        pa.array([1, 2]).cast(pa.decimal128(30, 2)),
    ],
    ids=lambda labels: str(labels.type),
)
def test_parquet_labels_may_be_any_kind_of_number(tmp_path, labels):
    table = pa.table({"seq": ["A", "C"], "label": labels})
    (chunk,) = read_chunks(put(tmp_path, "t.parquet", parquet(table)))
    assert chunk.faults(need_label=True) == []
    assert chunk.labels().tolist() == [1.0, 2.0]


def test_each_bad_row_is_told_once_by_its_number_in_the_file(tmp_path):
    text = "seq,label\nA,1\nX,x\nC,\nCé,2\n,3\nG,4\n"
    path = put(tmp_path, "t.csv", text)
    expected = [
        "t.csv row 2: 'X' at position 1 is not a nucleotide (A, C, G, T, U or N)",
        "t.csv row 3: label is missing (column 'label')",
        "t.csv row 4: 'é' at position 2 is not a nucleotide (A, C, G, T, U or N)",
        "t.csv row 5: the sequence is empty",
    ]
    for chunk_rows in range(1, 8):
        chunks = read_chunks(path, chunk_rows=chunk_rows)
        assert [chunk.say(fault) for chunk in chunks for fault in chunk.faults(need_label=True)] == expected


def test_keep_leaves_the_rows_that_are_wanted():
    frame = pd.DataFrame({"seq": ["A", "C", "G"], "x": [1, 2, 3]})
    kept = Chunk(frame, "t.csv", 1, "seq", None).keep(np.array([True, False, True]))
    assert kept.frame.to_dict("list") == {"seq": ["A", "G"], "x": [1, 3]}
    assert kept.frame.index.tolist() == [0, 1]
    assert kept.utrs == ["A", "G"]


# --- broken files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.fasta", "t.txt", "t.parquet", "t"])
@pytest.mark.parametrize("content", ["", "\n", " \r\n\t \n", "\ufeff", "\ufeff\n"], ids=repr)
def test_a_file_without_letters_is_empty(tmp_path, name, content):
    assert error_of(put(tmp_path, name, content)) == f"{name}: the file is empty"
    path = put(tmp_path, f"{name}.gz", gzip.compress(content.encode()))
    assert error_of(path) == f"{name}.gz: the file is empty"


@pytest.mark.parametrize("content", ["seq,label\n", "seq,label", "seq\n\n\n", "\nseq,label\r\n\r\n", "id,label\n"])
def test_a_header_alone_has_no_rows(tmp_path, content):
    assert error_of(put(tmp_path, "t.csv", content)) == "t.csv: has no rows"


@pytest.mark.parametrize(
    ("row", "fields"),
    [("C", "1 field"), ("C,2,3", "3 fields"), ("C,2,", "3 fields"), ('"C,2"', "1 field"), (",,,", "4 fields")],
)
@pytest.mark.parametrize("before", [0, 3, 100_000], ids="after {} rows".format)
@pytest.mark.parametrize("delimiter", [",", "\t"], ids=["csv", "tsv"])
def test_a_row_with_too_few_or_too_many_fields_is_refused_by_its_number(tmp_path, row, fields, before, delimiter):
    text = "seq,label\n" + "ACGTACGTACGT,1.2345\n" * before + row + "\nA,1\n"
    name = "t.csv" if delimiter == "," else "t.tsv"
    if '"' in row and delimiter == "\t":
        row = row.replace(",", "\t")
    message = error_of(put(tmp_path, name, text.replace(",", delimiter)))
    assert message == f"{name} row {before + 1}: {fields}, but the header has 2"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('seq,label\nA,"1\nC,2\n', " row 1"),
        ('seq,label\nA,1\nC,"2\n', " row 2"),
        ('seq,label\nA,1\n"C,2\nG,3\n', " row 2"),
        ('seq\n"A\nC\nG', " row 1"),
        ('seq,label\nA,"1""\n', " row 1"),
        ('seq,label\n5" end,1\nA,"2\nC,3\n', " row 2"),
        ('"seq,label\nA,1\n', ", header"),
    ],
)
def test_a_quote_that_never_ends_does_not_swallow_the_rows_behind_it(tmp_path, text, where):
    assert error_of(put(tmp_path, "t.csv", text)) == f"t.csv{where}: a quotation mark is never closed"
    long = text + ("C,2\n" if "," in text else "C\n\n\n") * 5_000_000
    message = error_of(put(tmp_path, "t.csv.gz", gzip.compress(long.encode(), 1)))
    assert message == f"t.csv.gz{where}: is longer than 16 MB; is a quotation mark never closed?"


def test_a_long_row_is_read_whole(tmp_path):
    rows = [["ACG", "x" * 3_000_000], ["G" * 2_500_000, "y,\n" * 10], ["C", ""]]
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows([["seq", "note"], *rows])
    assert rows_of(put(tmp_path, "t.csv", stream.getvalue())) == rows


def test_a_wide_table_is_read(tmp_path):
    names = [f"gene {number}" + " with a long name" * 40 for number in range(2000)]
    text = "seq," + ",".join(names) + "\nACG" + ",1" * len(names) + "\n"
    (chunk,) = read_chunks(put(tmp_path, "t.csv", text))
    assert list(chunk.frame) == ["seq", *names]
    assert set(chunk.frame.iloc[0, 1:]) == {"1"}


def test_no_such_file_and_a_directory_are_named_by_their_path(tmp_path):
    missing = tmp_path / "no" / "t.csv"
    assert error_of(missing) == f"{missing}: no such file"
    assert error_of(str(missing)) == f"{missing}: no such file"
    (tmp_path / "d.csv").mkdir()
    assert error_of(tmp_path / "d.csv") == f"{tmp_path / 'd.csv'}: is a directory, not a table"
    assert error_of(tmp_path / ("a" * 300)).endswith("name too long")
    assert error_of("with\0nul") == "with\0nul: no such file"


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.fasta", "t.txt", "t.parquet", "t", "t.csv.gz"])
@settings(many_files, max_examples=40)
@given(content=st.binary(min_size=1, max_size=300))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, name, content):
    path = put(tmp_path, name, content)
    try:
        for chunk in read_chunks(path, column="seq"):
            chunk.faults(need_label=False)
    except RibocastError as error:
        assert str(error).startswith(name)  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.fasta", "t.txt", "t"])
def test_binary_data_is_called_so(tmp_path, name):
    content = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    assert error_of(put(tmp_path, name, content)) == f"{name}: not a text file (it holds binary data)"
    assert "binary data" in error_of(put(tmp_path, name, CSV.encode("utf-16")[2:]))


@pytest.mark.parametrize("name", ["t.csv", "t.fasta", "t.txt"])
def test_text_that_is_not_utf8_is_called_so(tmp_path, name):
    content = TEXTS[name].encode() + {"t.csv": b"A\xe9,1", "t.fasta": b">\xe9\nA", "t.txt": b"A\xe9"}[name]
    message = error_of(put(tmp_path, name, content))
    assert message == f"{name}: not UTF-8 text (it holds the byte 0xe9)"
    assert error_of(put(tmp_path, "t.csv", b"seq,\xe9\nA,1\n")) == "t.csv: not UTF-8 text (it holds the byte 0xe9)"


def test_wrong_bytes_in_a_row_of_wrong_length_are_said_in_one_line_alone(tmp_path, monkeypatch):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    message = error_of(put(tmp_path, "t.tsv", b"\x02i\nu\x9f\t"))
    assert message == "t.tsv: not UTF-8 text (it holds the byte 0x9f)"
    assert printed == []


@pytest.mark.parametrize("name", ["t.csv", "t.fasta", "t.txt", "t"])
def test_gzip_data_that_is_cut_short_or_damaged_is_refused(tmp_path, name):
    rows = np.random.default_rng(0).choice(list("ACGT"), size=(40_000, 50))
    begin, before, after = {"t.csv": ("seq,label\n", "", ",1"), "t.fasta": ("", ">a\n", "")}.get(name, ("", "", ""))
    text = begin + "".join(f"{before}{''.join(row)}{after}\n" for row in rows)
    whole = gzip.compress(text.encode())
    expected = f"{name}.gz: the gzip data is damaged or cut short"
    for end in (2, 12, 1000, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        assert error_of(put(tmp_path, f"{name}.gz", whole[:end])) == expected
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    damaged[-6] ^= 0xFF
    # Wrong letters can be noticed before the wrong checksum is.
    assert error_of(put(tmp_path, f"{name}.gz", bytes(damaged))).startswith(f"{name}.gz")
    assert error_of(put(tmp_path, f"{name}.gz", whole + b"what is this")) == expected


def test_what_is_no_fasta_is_refused(tmp_path):
    message = error_of(put(tmp_path, "t.fa", "ACG\n>a\nACG\n"))
    assert message == "t.fa: not FASTA: the first record does not begin with '>'"


def test_names_with_line_breaks_make_no_message_of_two_lines(tmp_path):
    assert "no sequence column" in error_of(put(tmp_path, "t.csv", '"a\nb",x\n1,2\n'))
    with pytest.raises(RibocastError, match=r"^\S*/a b\.csv: no such file$"):
        next(read_chunks(tmp_path / "a\nb.csv"))


# --- resources -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "quoted", "fasta", "lines"])
def test_memory_does_not_grow_with_the_file(tmp_path, kind):
    rows = np.random.default_rng(0).choice(list("ACGT"), size=(1000, 50))
    utrs = ["".join(row) for row in rows]
    begin, row, ending = {
        "csv": ("seq,label\n", "{},5.25\n", ".csv"),
        "quoted": ('"seq","label"\n', '"{}","5.25"\n', ".csv"),
        "fasta": ("", ">a\n{}\n", ".fa"),
        "lines": ("", "{}\n", ".txt"),
    }[kind]
    block = "".join(row.format(utr) for utr in utrs).encode()
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        import pandas
        from ribocast.io.tables import read_chunks
        rows = sum(len(chunk.frame) for chunk in read_chunks(sys.argv[1], chunk_rows=16384))
        status = Path("/proc/self/status")
        # Where there is no such file: getrusage tells of the process that started this one, if that was larger.
        print(rows, status.read_text().split("VmHWM:")[1].split()[0] if status.exists()
              else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """)
    used = []
    for times in (100, 800):
        content = begin.encode() + block * times
        path = put(tmp_path, f"t{ending}", content)
        output = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
        read, kilobytes = map(int, output.split())
        assert read == 1000 * times
        used.append(kilobytes / 1024)
    # 36 MB more of letters alone.
    assert used[1] - used[0] < 15


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".fa"])
def test_reading_may_stop_anywhere_and_python_still_ends_well(tmp_path, ending):
    frame = pd.DataFrame({"seq": ["ACGT" * 12] * 200_000})
    path = tmp_path / f"t{ending}"
    if ending == ".parquet":
        frame.to_parquet(path, row_group_size=1000)
    elif ending == ".fa":
        path.write_text((">a\n" + "ACGT" * 12 + "\n") * 200_000)
    else:
        frame.to_csv(path, index=False)
    script = textwrap.dedent("""
        import sys
        from ribocast.io.tables import read_chunks
        for number in range(20):
            chunks = read_chunks(sys.argv[1], chunk_rows=100)
            next(chunks)
            if number % 2:
                chunks.close()
    """)
    assert subprocess.run([sys.executable, "-c", script, path], check=True, timeout=60).returncode == 0
