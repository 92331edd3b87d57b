"""Bytes of inputs: what is changed while it is read is refused, devices are refused, and no row takes all memory."""

import gzip
import io
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.io import readers as formats
from ribocast.io.inputs import Input, open_input, read_small
from ribocast.io.tables import read_chunks, read_table
from ribocast.io.text import open_lines
from ribocast.variants.annotation import read_annotation
from ribocast.variants.genome import Genome
from ribocast.variants.vcf import open_vcf

ROWS = 60_000
VCF_HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
posix = pytest.mark.skipif(sys.platform == "win32", reason="no such files")


@pytest.fixture(scope="module")
def utrs():
    return ["".join(row) for row in np.random.default_rng(1).choice(list("ACGT"), (ROWS, 50))]


def bytes_of(ending: str, utrs: list[str]) -> bytes:
    bare = ending.removesuffix(".gz")
    if bare == "parquet":
        stream = io.BytesIO()
        pd.DataFrame({"seq": utrs}).to_parquet(stream, row_group_size=1000)
        return stream.getvalue()
    if bare == "vcf":
        text = VCF_HEADER + "".join(f"1\t{at}\t.\tA\tC\t.\t.\t{utr}\n" for at, utr in enumerate(utrs, 1))
    elif bare == "gtf":
        text = "".join(
            f'1\tx\texon\t{at}\t{at + 9}\t.\t+\t.\ttranscript_id "{utr}";\n' for at, utr in enumerate(utrs, 1)
        )
    else:
        first, between = {"csv": ("seq\n", "\n"), "tsv": ("seq\n", "\n"), "fa": (">x\n", "\n>x\n"), "txt": ("", "\n")}[
            bare
        ]
        text = first + between.join(utrs) + "\n"
    return gzip.compress(text.encode(), 1) if ending.endswith("gz") else text.encode()


def read_with(path: Path, meanwhile) -> int:
    """Read a file to the end, with something done after its first rows; the number of rows, or lines."""
    if path.name.split(".")[1] in ("vcf", "gtf"):
        with open_lines(path) as opened:
            next(opened.lines)
            meanwhile()
            return 1 + sum(1 for _ in opened.lines)
    chunks = read_chunks(path, chunk_rows=100)
    rows = len(next(chunks))
    meanwhile()
    return rows + sum(map(len, chunks))


def extend(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def in_place(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(content)


ENDINGS = ["csv", "tsv", "txt", "fa", "csv.gz", "txt.gz", "fa.gz", "parquet", "vcf", "vcf.gz", "gtf", "gtf.gz"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_cut_and_whole_again_or_changed_while_it_is_read_is_refused(tmp_path, utrs, ending):
    path, content = tmp_path / f"t.{ending}", bytes_of(ending, utrs)
    other = bytes_of(ending, utrs[::-1])
    changes = {
        "cut and whole again": lambda: (os.truncate(path, len(content) // 2), in_place(path, content)),
        "another of the same size": lambda: in_place(path, other[: len(content)].ljust(len(content), b"\n")),
        "longer": lambda: extend(path),
        "cut": lambda: os.truncate(path, len(content) // 3),
    }
    for what, change in changes.items():
        path.write_bytes(content)
        os.utime(path, ns=(0, 1))  # as long ago as inputs are, in ticks of the file system's clock
        with pytest.raises(RibocastError, match=rf"t\.{ending}.*while it was read") as caught:
            read_with(path, change)
        assert len(str(caught.value).splitlines()) == 1, what
    path.write_bytes(content)
    assert read_with(path, lambda: None) >= ROWS


@posix
@pytest.mark.parametrize("ending", ["csv", "parquet", "vcf.gz"])
def test_a_change_whose_time_was_set_back_is_seen_too(tmp_path, utrs, ending):
    path, content = tmp_path / f"t.{ending}", bytes_of(ending, utrs)
    path.write_bytes(content)
    os.utime(path, ns=(0, 1))
    with pytest.raises(RibocastError, match="while it was read"):
        read_with(path, lambda: (in_place(path, content), os.utime(path, ns=(0, 1))))


@posix
@pytest.mark.parametrize("ending", ["csv", "parquet", "vcf.gz"])
def test_what_changes_no_byte_of_a_file_is_allowed(tmp_path, utrs, ending):
    path, aside = tmp_path / f"t.{ending}", tmp_path / "aside"
    content = bytes_of(ending, utrs)
    harmless = {
        "renamed": lambda: path.rename(aside),
        "removed": path.unlink,
        "another mode": lambda: path.chmod(0o600),
        "another link": lambda: os.link(path, aside),
        "replaced by renaming": lambda: (aside.write_bytes(b"seq\nACGT\n"), aside.replace(path)),
    }
    for change in harmless.values():
        path.write_bytes(content)
        assert read_with(path, change) >= ROWS
        aside.unlink(missing_ok=True)


def test_a_part_of_a_file_that_has_lost_rows_since_they_were_counted_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("seq\n" + "ACGT\n" * 9)
    assert sum(map(len, read_chunks(path, rows=range(3, 9)))) == 6
    path.write_text("seq\n" + "ACGT\n" * 6)
    with pytest.raises(RibocastError, match=r"t\.csv: ends before row 9"):
        list(read_chunks(path, rows=range(3, 9)))


def test_a_genome_that_is_changed_is_refused_at_the_next_place(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(">1\n" + ("ACGT" * 15 + "\n") * 2000)
    os.utime(path, ns=(0, 1))
    genome = Genome(path)
    assert genome.letters("1", 0, 4) == "ACGT"
    path.write_text(">1\n" + ("TGCA" * 15 + "\n") * 2000)
    with pytest.raises(RibocastError, match=r"g\.fa: was changed while it was read"):
        genome.letters("1", 50_000, 50_004)
    genome.close()


def bgzip(text: str, path: Path) -> Path:
    pysam = pytest.importorskip("pysam")
    with pysam.BGZFile(str(path), "wb", None) as packed:
        packed.write(text.encode())
    return path


@pytest.mark.parametrize("name", ["t.csv.gz", "t.vcf.gz"])
def test_block_gzip_cut_between_blocks_is_refused_by_every_reader(tmp_path, utrs, name):
    text = bytes_of(name.split(".")[1], utrs).decode()
    path = bgzip(text, tmp_path / name)
    assert read_with(path, lambda: None) >= ROWS
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(RibocastError, match="damaged or cut short"):
        read_with(path, lambda: None)


# --- what is not a file -------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom", "/dev/null", "/dev/tty"])
def test_devices_are_refused_by_every_reader_before_they_are_opened(path):
    def vcf():
        with open_vcf(path):
            pass

    readers = [lambda: read_table(path), vcf, lambda: read_annotation(path), lambda: Genome(path),
               lambda: read_small(path, 9, what="a grid")]  # fmt: skip
    for read in readers:
        with pytest.raises(RibocastError, match=rf"^{path}: (is a device, not a|not a plain file)"):
            read()


@posix
@pytest.mark.parametrize("ending", ["csv", "txt", "fa.gz", "parquet", "csv.gz"])
def test_a_fifo_is_read_as_a_file_is(tmp_path, utrs, ending):
    path, content = tmp_path / "fifo", bytes_of(ending, utrs[:5000])
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    assert read_table(path).utrs == utrs[:5000]
    writer.join()


@given(cuts=st.lists(st.integers(1, 50), max_size=30), zipped=st.booleans(), block=st.integers(1, 64))
@settings(deadline=None)
def test_bytes_come_as_they_are_however_they_come(cuts, zipped, block):
    text = bytes(range(1, 256)) * 3

    class Slow(io.RawIOBase):
        def __init__(self):
            self.rest, self.sizes = (gzip.compress(text) if zipped else text), iter(cuts)

        def readable(self):
            return True

        def readinto(self, buffer):
            size = min(len(buffer), len(self.rest), next(self.sizes, 99))
            buffer[:size], self.rest = self.rest[:size], self.rest[size:]
            return size

    for raw in (Slow(), io.BytesIO(gzip.compress(text) if zipped else text)):
        source = Input(raw, "x")
        stream = source.unpacked()
        assert b"".join(iter(lambda stream=stream: stream.read(block), b"")) == text
        assert source.is_gzip == zipped


def test_an_input_is_read_by_place(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(bytes(range(200)))
    with open_input(path) as source:
        stream = source.buffered()
        for offset, whence, expected in ((150, 0, 150), (10, 1, 165), (-5, 2, 195), (0, 0, 0), (-3, 1, 2)):
            stream.seek(offset, whence)
            assert stream.tell() == expected
            assert stream.read(5) == bytes(range(200))[expected : expected + 5]


# --- memory ----------------------------------------------------------------------------------------------------

MEASURED = """
    import resource, sys
    from ribocast.errors import RibocastError
    from ribocast.io.tables import read_chunks
    from ribocast.variants.annotation import read_annotation
    from ribocast.variants.vcf import open_vcf
    import pyarrow.parquet, gzip
    def vcf():
        with open_vcf(sys.argv[1]) as opened:
            list(opened.rows)
    read = {"vcf": vcf, "gtf": lambda: read_annotation(sys.argv[1])}.get(
        sys.argv[2], lambda: [None for chunk in read_chunks(sys.argv[1], chunk_rows=16384)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read()
        print("read")
    except RibocastError as error:
        print(error)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def read_measured(path: Path, kind: str = "table") -> tuple[str, int]:
    """Read a file in a process of its own: what it says, and how many MB more than before it took."""
    command = [sys.executable, "-c", textwrap.dedent(MEASURED), str(path), kind]
    said, more = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return said, int(more)


@posix
@pytest.mark.parametrize(
    ("name", "parts", "where"),
    [
        ("t.seq.gz", [b"ACGT\n", b"A" * (1 << 20)], r"t\.seq\.gz row 2: is longer than 16 MB"),
        ("t.csv.gz", [b"seq,x\nACGT,1\n", b"A" * (1 << 20)], r"t\.csv\.gz row 2: is longer than 16 MB"),
        ("t.csv.gz", [b"", b"A," * (1 << 19)], r"t\.csv\.gz, header: is longer than 16 MB"),
        ("t.csv.gz", [b"A,B," * (1 << 20) + b"\n", b""], r"t\.csv\.gz: has 2,097,153 columns"),
        ("t.fa.gz", [b">a\nACGT\n>b\n", (b"A" * 63 + b"\n") * (1 << 14)], r"t\.fa\.gz row 2: is longer than 16 MB"),
        ("t.fa.gz", [b">a\nACGT\n>b\n", b"A" * (1 << 20)], r"t\.fa\.gz line 4: is longer than 16 MB"),
        ("t.vcf.gz", [VCF_HEADER.encode() + b"1\t1\t.\tA\tC\t.\t.\t", b"A" * (1 << 20)], r"t\.vcf\.gz line 3: is lo"),
        ("t.vcf.gz", [b"##fileformat=VCFv4.2\n", b"##a\n" * (1 << 18)], r"t\.vcf\.gz line \d+: the header is larger"),
        ("t.vcf.gz", [b"##fileformat=VCFv4.2\n##", b"A" * (1 << 20)], r"t\.vcf\.gz line 2: is longer than 64 MB"),
        ("t.gtf.gz", [b"#\n", b"A" * (1 << 20)], r"t\.gtf\.gz line 2: is longer than 64 MB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_giant_rows_of_small_files_are_named_before_they_take_the_memory(tmp_path, name, parts, where):
    first, more = parts
    path = tmp_path / name
    with gzip.open(path, "wb", 1) as file:
        file.write(first)
        # What is repeated packs to a thousandth; 600 MB of it, more than anything below may take.
        for _ in range((600 << 20) // len(more) if more else 0):
            file.write(more)
    said, megabytes = read_measured(path, name.split(".")[1])
    assert re.match(where, said), said
    assert megabytes < 420


GIANTS = {
    "a text, many times": (lambda: {"seq": pa.array(["A" * 60_000_000] * 8)}, "row from 1 to 8"),
    "a category of 17 MB": (lambda: {"seq": pa.array(["ACGT"] * 4000 + ["A" * 17_000_000] * 40)}, "row from 1 to 4040"),
    "a category of 1 MB in every row": (lambda: {"seq": pa.array(["A" * 1_000_000] * 4000)}, "read"),
    "categories in lists": (lambda: {"seq": ["ACGT"] * 4000, "x": [["A" * 1_000_000]] * 4000}, "read"),
    "one text behind many": (lambda: {"seq": pa.array(["ACGT"] * 4000 + ["A" * 17_000_000])}, "row 4001, column 'seq'"),
}


@posix
@pytest.mark.parametrize("name", GIANTS)
def test_giant_rows_of_small_parquet_files_are_named_or_read_in_bounded_memory(tmp_path, name):
    make, said = GIANTS[name]
    path = tmp_path / "t.parquet"
    use_dictionary = name != "one text behind many"
    pyarrow.parquet.write_table(pa.table(make()), path, compression="zstd", use_dictionary=use_dictionary)
    told, megabytes = read_measured(path)
    assert told == "read" if said == "read" else re.match(rf"t\.parquet a? ?{said}.*: is longer than 16 MB", told), told
    assert megabytes < 420


def test_rows_of_usual_size_are_read_as_many_at_once_as_are_asked_for(tmp_path, utrs):
    path = tmp_path / "t.parquet"
    kinds = [["a", "b"][row % 2] for row in range(ROWS)]
    pyarrow.parquet.write_table(pa.table({"seq": utrs, "kind": kinds}), path, row_group_size=7000)
    assert [len(chunk) for chunk in read_chunks(path, chunk_rows=16_384)] == [16_384] * 3 + [ROWS - 3 * 16_384]


# --- NUL bytes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [3, 50_000])
@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "fa", "vcf", "gtf"])
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
def test_a_nul_byte_anywhere_is_refused_by_file_and_row(tmp_path, utrs, ending, rows, zipped):
    content = bytes_of(ending, utrs[:rows])
    at = content.rindex(b"\n", 0, -1) + 4
    content = content[:at] + b"\0" + content[at + 1 :]
    path = tmp_path / (f"t.{ending}" + ".gz" * zipped)
    path.write_bytes(gzip.compress(content, 1) if zipped else content)
    number = {"fa": f"line {2 * rows}", "vcf": f"line {rows + 2}", "gtf": f"line {rows}"}.get(ending, f"row {rows}")
    with pytest.raises(RibocastError, match=rf"^{path.name} {number}: not text \(it holds a NUL byte\)"):
        read_with(path, lambda: None)


@given(at=st.integers(0, 40), block=st.integers(1, 16))
@settings(deadline=None)
def test_the_row_of_a_nul_byte_is_counted_among_quoted_line_ends(tmp_path_factory, at, block):
    rows = ['"a\nb",ACG', "c,AC", '"d""\n\n",A', "e,ACGT"]
    text = "x,seq\n" + "\n".join(rows) + "\n"
    at = 6 + at % (len(text) - 6)
    if text[at] in '"\n':
        return
    expected = next(row for row in range(1, 5) if at < 6 + sum(len(line) + 1 for line in rows[:row]))
    path = tmp_path_factory.getbasetemp() / "nul.csv"
    path.write_text(text[:at] + "\0" + text[at + 1 :], newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "_BLOCK_BYTES", block)
        with pytest.raises(RibocastError, match=rf"^nul\.csv row {expected}: "):
            list(read_chunks(path))
