"""Tables as spreadsheets write them, and sequences as people paste them, are read like any other."""

import pytest

import ribocast
from ribocast.errors import RibocastError
from ribocast.io.tables import read_table
from ribocast.predict.files import predict_file

HBA1 = "ACTCTTCTGGTCCCCACAGACTCAGAGAGAACCCACC"
HBB = "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC"
TABLES = {
    "semicolons.csv": f"Name;Sequence;Yield\r\nHBA1;{HBA1};1,5\r\nHBB;{HBB};1,5\r\n",
    "named.csv": f"sep=;\r\nName;Sequence\r\nHBA1;{HBA1}\r\nHBB;{HBB}\r\n",
    "tabs.csv": f"Name\tSequence\r\nHBA1\t{HBA1}\r\nHBB\t{HBB}\r\n",
    "semicolons.txt": f"Name;Sequence\nHBA1;{HBA1}\nHBB;{HBB}\n",
    "commas.tsv": f"Name,Sequence\nHBA1,{HBA1}\nHBB,{HBB}\n",
    "both.csv": f"Sequence;Yield, g\n{HBA1};1\n{HBB};2\n",
    "prime.csv": f"Name,5'UTR\nHBA1,{HBA1}\nHBB,{HBB}\n",
    "words.csv": f"Name,5′ UTR sequence\nHBA1,{HBA1}\nHBB,{HBB}\n",
    "utr5.csv": f"Name,UTR5\nHBA1,{HBA1}\nHBB,{HBB}\n",
    "empty.csv": f"name,seq,,\nHBA1,{HBA1},,\n\n,,,\nHBB,{HBB},,\n,,,\n,,,\n",
    "spaces.csv": f"Name, Sequence \nHBA1, {HBA1} \nHBB, {HBB}\u00a0\n",
    "blocks.csv": f"name,seq\nHBA1,{HBA1[:10]} {HBA1[10:]}\nHBB,{HBB[:20]}\u2009{HBB[20:]}\t\n",
    "numbered.fa": f">HBA1\n1 {HBA1[:20]} 20\n21 {HBA1[20:]}\n>HBB\n  1 {HBB[:10]} {HBB[10:]}\n",
}


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", TABLES)
def test_a_spreadsheet_gives_its_sequences(tmp_path, name):
    chunk = read_table(put(tmp_path, name, TABLES[name]))
    assert chunk.utrs == [HBA1, HBB]
    assert chunk.batch(chunk.seq_column).texts == [HBA1, HBB]
    assert chunk.faults(need_label=False) == []
    assert "" not in chunk.table.column_names


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be"])
def test_unicode_text_is_read(tmp_path, coding):
    text = f"Name\tSequence\r\nHBA1\t{HBA1}\r\nHBB\t{HBB}\r\n"
    content = text.encode(coding) if coding == "utf-16" else b"\xfe\xff" + text.encode(coding)
    assert read_table(put(tmp_path, "t.txt", content)).utrs == [HBA1, HBB]


def test_the_named_column_comes_before_one_like_it(tmp_path):
    path = put(tmp_path, "t.csv", f"5'UTR,seq\nA,{HBA1}\n")
    assert read_table(path).utrs == [HBA1]
    with pytest.raises(RibocastError, match="3'UTR"):
        read_table(put(tmp_path, "u.csv", f"name,3'UTR\nA,{HBA1}\n"))


def test_values_in_columns_without_a_name_are_refused(tmp_path):
    with pytest.raises(RibocastError, match=r"t\.csv"):
        read_table(put(tmp_path, "t.csv", f"seq,,\n{HBA1},,3\n"))


def test_skipping_leaves_out_wrong_rows_alone(tmp_path):
    table = put(tmp_path, "t.csv", f"name,seq\nHBA1,{HBA1}  \nbad,ACGX \nHBB, {HBB}\n")
    output = tmp_path / "out.csv"
    model = ribocast.load(threads=1)
    assert predict_file(model, table, output, on_error="skip")[:2] == (2, 1)
    numbers = [line.split(",")[2] for line in output.read_text().splitlines()[1:]]
    assert numbers == [f"{mrl:.5f}".rstrip("0") for mrl in model.predict([HBA1, HBB])["mrl"]]
