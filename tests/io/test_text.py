"""Lines of text, packed or not: what was written is read; what is damaged is said; what fails outside is passed on."""

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.io.text import open_lines


def bgzipped(folder, data):
    import pysam

    with pysam.BGZFile(str(folder / "packed"), "wb", None) as packed:
        packed.write(data)
    return (folder / "packed").read_bytes()


def packed(folder, data, how):
    return {"plain": lambda: data, "gzip": lambda: gzip.compress(data), "bgzip": lambda: bgzipped(folder, data)}[how]()


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.sampled_from("aé\t \r\n"))
    | st.text(st.sampled_from("ab\n"), min_size=1).map(lambda text: text * 9_000),
    how=st.sampled_from(["plain", "gzip", "bgzip"]),
    mark=st.booleans(),
)
def test_lines_are_what_was_written_and_every_byte_is_counted(text, how, mark):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any.name")
        path.write_bytes(packed(Path(folder), text.encode("utf-8-sig" if mark else "utf-8"), how))
        with open_lines(path) as (lines, read_bytes):
            assert list(lines) == [line + "\n" for line in text.split("\n")[:-1]] + [text.split("\n")[-1]] * (
                not text.endswith("\n") and text != ""
            )
            assert read_bytes() == path.stat().st_size


@settings(max_examples=60, deadline=None)
@given(data=st.data(), how=st.sampled_from(["gzip", "bgzip"]))
def test_packed_data_that_is_cut_anywhere_is_said(data, how):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cut.gz")
        whole = packed(Path(folder), b"".join(b"%d\n" % (number * number) for number in range(20_000)), how)
        path.write_bytes(whole[: data.draw(st.integers(2, len(whole) - 1))])
        with pytest.raises(RibocastError, match=r"^cut.gz: the gzip data is damaged or cut short$"):
            read(path)


def read(path, fail=None):
    with open_lines(path) as (lines, _):
        for _ in lines:
            if fail:
                raise fail


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space"), EOFError()])
def test_what_fails_in_the_body_is_not_blamed_on_the_file(tmp_path, error):
    (tmp_path / "a").write_text("a\nb\n")
    with pytest.raises(type(error)) as caught:
        read(tmp_path / "a", error)
    assert caught.value is error


def test_what_is_no_file_and_what_is_no_text_are_said(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").write_bytes(b"a\n\xff\n")
    for name, match in (
        ("b", r"/b: no such file$"), ("folder", r"/folder: is a directory, not a text file$"),
        ("a", r"^a: not UTF-8 text \(it holds the byte 0xff\)$"),
    ):  # fmt: skip
        with pytest.raises(RibocastError, match=match):
            read(tmp_path / name)
