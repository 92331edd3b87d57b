"""Columns of every Arrow type, in pieces with categories of their own: out as they went in, or refused by name."""

import csv
import datetime
import gzip
import io
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.predict import files as predicting
from ribocast.predict.files import predict_file

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
MOMENTS = st.integers(-(10**15), 10**15)
DECIMALS = st.decimals(-(10**9), 10**9, places=3, allow_nan=False)


def wide(width: int, signed: bool = True):
    return st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else st.integers(0, 2**width - 1)


# What CSV holds: types, how values are drawn, and how each is read from its text.
FLAT = {
    **{str(kind): (kind, TEXT) for kind in (pa.string(), pa.large_string(), pa.string_view())},
    **{f"int{width}": (getattr(pa, f"int{width}")(), wide(width)) for width in (8, 16, 32, 64)},
    **{f"uint{width}": (getattr(pa, f"uint{width}")(), wide(width, signed=False)) for width in (8, 16, 32, 64)},
    "bool": (pa.bool_(), st.booleans()),
    "half": (pa.float16(), st.floats(width=16)),
    "float": (pa.float32(), st.floats(width=32)),
    "double": (pa.float64(), st.floats()),
    "decimal128": (pa.decimal128(20, 3), DECIMALS),
    "decimal256": (pa.decimal256(60, 5), DECIMALS),
    "date": (pa.date32(), st.dates()),
    "time": (pa.time64("us"), st.times()),
    "timestamp": (pa.timestamp("us"), MOMENTS),
    "timestamp ms": (pa.timestamp("ms"), MOMENTS.map(lambda at: at // 1000)),
    "timestamp ns": (pa.timestamp("ns"), MOMENTS),
    "timestamp UTC": (pa.timestamp("us", "UTC"), MOMENTS),
    "timestamp zone": (pa.timestamp("us", "Europe/Berlin"), MOMENTS),
    "null": (pa.null(), st.none()),
    "category": (pa.dictionary(pa.int8(), pa.string()), TEXT),
    "ordered": (pa.dictionary(pa.int16(), pa.string(), ordered=True), TEXT),
    "category of large": (pa.dictionary(pa.int32(), pa.large_string()), TEXT),
    "category of int": (pa.dictionary(pa.int8(), pa.int64()), wide(40)),
}
DEEP = {
    "binary": (pa.binary(), st.binary(max_size=4)),
    "large binary": (pa.large_binary(), st.binary(max_size=4)),
    "fixed binary": (pa.binary(3), st.binary(min_size=3, max_size=3)),
    "duration": (pa.duration("us"), wide(50)),
    "list": (pa.list_(pa.int64()), st.lists(wide(64), max_size=4)),
    "large list": (pa.large_list(pa.float64()), st.lists(st.floats(allow_nan=False), max_size=4)),
    "fixed list": (pa.list_(pa.int16(), 2), st.lists(wide(16), min_size=2, max_size=2)),
    "list of lists": (pa.list_(pa.list_(pa.string())), st.lists(st.lists(TEXT, max_size=2), max_size=2)),
    "list of categories": (pa.list_(pa.dictionary(pa.int8(), pa.string())), st.lists(TEXT, max_size=3)),
    "struct": (pa.struct([("n", pa.int64()), ("k", pa.list_(pa.string()))]),
               st.fixed_dictionaries({"n": st.none() | wide(64), "k": st.none() | st.lists(TEXT, max_size=2)})),
    "struct of categories": (pa.struct([("k", pa.dictionary(pa.int8(), pa.string()))]),
                             st.fixed_dictionaries({"k": st.none() | TEXT})),
    "map": (pa.map_(pa.string(), pa.int64()), st.dictionaries(TEXT, wide(64), max_size=2).map(lambda d: [*d.items()])),
    "map of categories": (pa.map_(pa.string(), pa.list_(pa.dictionary(pa.int8(), pa.string()))),
                          st.dictionaries(TEXT, st.lists(TEXT, max_size=2), max_size=2).map(lambda d: [*d.items()])),
}  # fmt: skip


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed, threads=1)


def array(kind: pa.DataType, values: list[object]) -> pa.Array:
    """Make a column; one of categories has those of these values alone."""
    if pa.types.is_dictionary(kind):
        plain = pa.array(values, kind.value_type).dictionary_encode()
        indices = plain.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, plain.dictionary, ordered=kind.ordered)
    return pa.array(values, kind)


def write_in_pieces(path, types, pieces):
    """Write a table as writers in pieces do: each row group with categories of its own."""
    tables = []
    for rows in pieces:
        columns = {"seq": pa.array(["ACGTACGT"] * len(rows))}
        for place, (name, kind) in enumerate(types.items()):
            columns[name] = array(kind, [row[place] for row in rows])
        tables.append(pa.table(columns))
    with pyarrow.parquet.ParquetWriter(path, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return tables


def values_of(tables, name):
    return [value for table in tables for value in table[name].to_pylist()]


def same(one, other) -> bool:
    """Compare values, NaN being NaN, and a map's pairs the lists they are."""
    return str(one) == str(other)


@st.composite
def tables(draw, kinds, least=1):
    names = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=least, max_size=5, unique=True))
    row = st.tuples(*[st.none() | kinds[name][1] for name in names])
    pieces = draw(st.lists(st.lists(row, min_size=1, max_size=9), min_size=1, max_size=4))
    return {name: kinds[name][0] for name in names}, pieces


def predict(model, source, output, rows=None, piece=16_384):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicting, "_PREDICT_ROWS", piece)
        predict_file(model, source, output, rows=rows)
    return output


@settings(deadline=None, max_examples=20)
@given(table=tables(FLAT | DEEP), piece=st.integers(1, 12))
def test_columns_of_every_type_come_out_of_parquet_as_they_went_in(model, table, piece, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    types, pieces = table
    written = write_in_pieces(folder / "in.parquet", types, pieces)
    predict(model, folder / "in.parquet", folder / "out.parquet", piece=piece)
    read = pyarrow.parquet.read_table(folder / "out.parquet")
    kept = pyarrow.parquet.ParquetFile(folder / "in.parquet").schema_arrow
    for name in ("seq", *types):
        assert same(read[name].to_pylist(), values_of(written, name))
        if not any(word in str(types.get(name, "")) for word in ("dictionary", "view")):
            assert read.schema.field(name).type == kept.field(name).type
    # As whoever wrote categories has them: as categories.
    assert all(
        pa.types.is_dictionary(read.schema.field(name).type)
        for name in types if pa.types.is_dictionary(kept.field(name).type)
    )  # fmt: skip


def read_back(text: str, kind: pa.DataType) -> object:
    """Read a value from the text of CSV, by what its type says it is."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return {"True": True, "False": False, "": None}[text]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return text
    if not text:
        return None
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_floating(kind):
        return float(np.float16(text)) if pa.types.is_float16(kind) else pa.scalar(float(text)).cast(kind).as_py()
    if pa.types.is_decimal(kind):
        return Decimal(text)
    if pa.types.is_timestamp(kind):
        return pd.Timestamp(text).tz_convert("UTC") if kind.tz else pd.Timestamp(text)
    return (datetime.time if pa.types.is_time(kind) else datetime.date).fromisoformat(text)


@settings(deadline=None, max_examples=20)
@given(table=tables(FLAT), piece=st.integers(1, 12), ending=st.sampled_from(["csv", "tsv", "csv.gz"]))
def test_columns_of_flat_types_come_out_of_text_and_are_spelled_one_way(model, table, piece, ending, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    types, pieces = table
    written = write_in_pieces(folder / "in.parquet", types, pieces)
    whole = predict(model, folder / "in.parquet", folder / f"whole.{ending}")
    parts = predict(model, folder / "in.parquet", folder / f"parts.{ending}", piece=piece)
    assert parts.read_bytes() == whole.read_bytes()
    content = gzip.decompress(whole.read_bytes()) if ending.endswith("gz") else whole.read_bytes()
    rows = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter="\t" if "tsv" in ending else ","))
    # Shards are spelled as the whole is.
    count, at = sum(map(len, pieces)), 0
    shard = predict(model, folder / "in.parquet", folder / f"shard.{ending}", rows=range(count // 2, count))
    body = gzip.decompress(shard.read_bytes()) if ending.endswith("gz") else shard.read_bytes()
    assert content.endswith(body.split(b"\n", 1)[1]) or "\n" in str(rows[0])
    assert rows[0][0] == "seq"
    for name, kind in types.items():
        at = rows[0].index(name)
        for row, value in zip(rows[1:], values_of(written, name), strict=True):
            got = read_back(row[at], kind)
            if pa.types.is_timestamp(kind) and value is not None:
                moment = pd.Timestamp(value)
                value = moment.tz_convert("UTC") if kind.tz else moment
            missing = "" if isinstance(got, str) else None
            assert same(got, missing if value is None else value), (kind, row[at], value)


@pytest.mark.parametrize("name", DEEP)
def test_columns_that_text_cannot_hold_are_refused_by_name_before_any_work(model, name, tmp_path, monkeypatch):
    kind, _ = DEEP[name]
    write_in_pieces(tmp_path / "in.parquet", {"odd": kind}, [[(None,)]] * 3)
    monkeypatch.setattr(model, "run", None)
    for output in ("out.csv", "out.tsv.gz", None):
        with pytest.raises(RibocastError, match=r"^column 'odd' is of type .*cannot hold") as caught:
            predict_file(model, tmp_path / "in.parquet", output and tmp_path / output)
        assert len(str(caught.value).splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["in.parquet"]


def test_categories_that_differ_by_row_group_and_exceed_their_numbers_are_read_back(model, tmp_path):
    pieces = [[(f"s{part}_{row}",) for row in range(100)] for part in range(4)]
    written = write_in_pieces(tmp_path / "in.parquet", {"sample": pa.dictionary(pa.int8(), pa.string())}, pieces)
    predict(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["sample"].to_pylist() == values_of(written, "sample")
    assert pd.read_parquet(tmp_path / "out.parquet")["sample"].dtype == "category"


def test_bad_rows_of_any_types_are_listed_without_what_text_cannot_hold(model, tmp_path, capsys):
    types = {name: kind for name, (kind, _) in (FLAT | DEEP).items()}
    write_in_pieces(tmp_path / "in.parquet", types, [[(None,) * len(types)]] * 2)
    table = pyarrow.parquet.read_table(tmp_path / "in.parquet").set_column(0, "seq", pa.array(["ACGT", "AC\0T"]))
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    done = predict_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", on_error="skip")
    assert (done.rows, done.skipped) == (1, 1)
    listed = pd.read_csv(done.rejects)
    assert listed["row"].tolist() == [2]
    assert listed["seq"].tolist() == ["AC\\0T"]
    assert list(listed) == ["row", "reason", "seq", *FLAT]


def test_a_nul_byte_of_a_column_is_refused_by_name_in_text_and_kept_in_parquet(model, tmp_path):
    pyarrow.parquet.write_table(pa.table({"seq": ["ACGT"], "said": ["a\0b"]}), tmp_path / "in.parquet")
    with pytest.raises(RibocastError, match="column 'said' holds a NUL byte"):
        predict_file(model, tmp_path / "in.parquet", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    predict_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["said"].to_pylist() == ["a\0b"]


def test_the_command_line_says_it_in_one_line(framed, tmp_path, capsys):
    pyarrow.parquet.write_table(pa.table({"seq": ["ACGT"], "reads": [list(range(2000))]}), tmp_path / "in.parquet")
    assert main(["predict", str(tmp_path / "in.parquet"), "-o", str(tmp_path / "o.csv"), "--model", str(framed)]) == 2
    assert "column 'reads' is of type list<" in capsys.readouterr().err
