"""Work in parts: together they are what one machine writes, nothing is done twice, nothing of another run is kept."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io.locks import alone_at
from ribocast.io.readers import read_pieces
from ribocast.io.tables import rows_of
from ribocast.io.writers import open_table
from ribocast.predict import files as predicting
from ribocast.predict import shards
from ribocast.predict.files import predict_file
from ribocast.predict.shards import Done, Portion, Share, divide_evenly, finished, note_finished, read_share
from small_genomes import Gene, Small, fasta, gtf


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(predicting, "_PREDICT_ROWS", 7)


def rows(count, seed=1, bad=0):
    random = np.random.default_rng(seed)
    utrs = ["".join(random.choice(list("ACGTU"), length)) for length in random.integers(20, 90, count)]
    for row in random.choice(count, bad, replace=False):
        utrs[row] = "ACXT"
    # Some come again.
    utrs[count // 2] = utrs[0].lower()
    return pd.DataFrame({"id": range(count), "seq": utrs})


def write(path, frame):
    with open_table(path) as sink:
        for first in range(0, len(frame), 16):
            sink.write(frame.iloc[first : first + 16])
    return str(path)


def run(*arguments):
    assert main([*map(str, arguments)]) == 0


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def write_genome(folder):
    """Write a genome with eight genes of UTRs of 50 to 92 nt; give the options that name it."""
    letters = "".join(np.random.default_rng(4).choice(list("ACGT"), 3200))
    genes = []
    for number in range(8):
        at, strand = 400 * number, "+-"[number % 2]
        exons = [(at + 50, at + 80), (at + 120, at + 300)]
        genes.append(Gene(f"g{number}", strand, exons, at + (139 + 6 * number if strand == "+" else 245)))
    small = Small(letters, genes)
    (folder / "g.fa").write_text(fasta(small))
    (folder / "g.gtf").write_text(gtf(small))
    return ["--gtf", folder / "g.gtf", "--fasta", folder / "g.fa"]


@pytest.fixture
def files(tmp_path):
    """Write five tables of several formats, one with bad rows."""
    folder = tmp_path / "in"
    folder.mkdir()
    names = ["a.csv", "b.tsv.gz", "c.parquet", "d.csv"]
    paths = [
        write(folder / name, rows(30 + number, number, bad=2 * (number == 3))) for number, name in enumerate(names)
    ]
    (folder / "e.fasta").write_text("".join(f">s{row}\n{utr}\n" for row, utr in enumerate(rows(9)["seq"])))
    return [*paths, str(folder / "e.fasta")]


def test_shares_of_files_are_together_what_each_file_gives_alone(files, tmp_path, framed, model):
    options = ["--model", framed, "--on-error", "skip", "--threads", 1]
    run("predict", *files, "-o", f"{tmp_path}/all", *options)
    for number in (1, 2, 3):
        run("predict", *files, "-o", f"{tmp_path}/shares", "--shard", f"{number}/3", *options)
    whole = contents(tmp_path / "all")
    assert sorted(whole) == ["a.csv", "b.tsv.gz", "c.parquet", "d.csv", "d.rejected.csv", "e.csv"]
    assert contents(tmp_path / "shares") == whole
    alone = tmp_path / "d.csv"
    predict_file(model, files[3], alone, on_error="skip")
    assert whole["d.csv"] == alone.read_bytes()


def test_more_shares_than_files_leave_some_with_nothing(files, tmp_path, framed, capsys):
    run("predict", *files[:2], "-o", f"{tmp_path}/out", "--shard", "3/3", "--model", framed)
    assert "nothing is left" in capsys.readouterr().err
    assert not contents(tmp_path / "out")


@pytest.mark.parametrize("name", ["a.csv", "c.parquet", "e.fasta"])
@pytest.mark.parametrize("parts", [2, 5])
def test_shares_of_rows_are_together_the_whole_to_the_byte(name, parts, files, tmp_path, framed, model):
    source = next(path for path in files if path.endswith(name))
    predict_file(model, source, tmp_path / "whole.csv", uorf=True)
    for number in range(1, parts + 1):
        run("predict", source, "-o", f"{tmp_path}/part{number}.csv", "--shard", f"{number}/{parts}", "--model", framed,
            "--uorf")  # fmt: skip
    texts = [(tmp_path / f"part{number}.csv").read_text().split("\n", 1) for number in range(1, parts + 1)]
    assert {header for header, _ in texts} == {texts[0][0]}
    assert f"{texts[0][0]}\n" + "".join(body for _, body in texts) == (tmp_path / "whole.csv").read_text()


def test_parts_of_one_file_do_not_replace_each_other(files, tmp_path, framed, capsys):
    output, options = tmp_path / "one.csv", ["--model", str(framed), "--threads", "1"]
    run("predict", files[0], "-o", output, "--shard", "1/2", *options)
    first = output.read_bytes()
    run("predict", files[0], "-o", output, "--shard", "1/2", *options)
    capsys.readouterr()
    command = ["predict", files[0], "-o", str(output), "--shard", "2/2", *options]
    for again in ([], ["--resume"]):
        assert main([*command, *again]) == 2
        assert f"{output}: part 1/2 is in it; name a folder (-o out/), or" in capsys.readouterr().err
    # Nor where the input was written anew since, as long as it is another part.
    os.utime(files[0])
    assert main(command) == 2
    assert output.read_bytes() == first
    # The whole is not a part, and what has no record is anybody's.
    run("predict", files[0], "-o", output, *options)
    output.unlink()
    # What another one is at work on is not replaced either.
    with alone_at(output):
        assert main(command) == 2
    assert f"{output}: another run is writing it" in capsys.readouterr().err
    assert main(command) == 0
    assert not list(tmp_path.glob(".*.lock"))


def test_a_share_whose_rows_are_all_bad_has_the_header_and_names_rows_of_the_whole_file(tmp_path, framed, model):
    frame = rows(12)
    frame.loc[6:, "seq"] = "bad!"
    source = write(tmp_path / "t.csv", frame)
    for number in (1, 2):
        run(
            "predict",
            source,
            "-o",
            f"{tmp_path}/out/",
            "--shard",
            f"{number}/2",
            "--model",
            framed,
            "--on-error",
            "skip",
        )
    first, second = (pd.read_csv(tmp_path / "out" / f"t.0000{number}-of-00002.csv") for number in (1, 2))
    assert second.columns.tolist() == first.columns.tolist()
    assert len(first) == 6
    assert not len(second)
    rejected = pd.read_csv(tmp_path / "out" / "t.00002-of-00002.rejected.csv")
    assert rejected["row"].tolist() == [7, 8, 9, 10, 11, 12]


def test_pairs_in_shares_are_together_the_whole(tmp_path, framed, model):
    utrs = rows(20)["seq"].str.replace("U", "T")
    pairs = pd.DataFrame({"ref_seq": utrs, "alt_seq": "A" + utrs.str[1:]})
    source = write(tmp_path / "p.csv", pairs)
    run("variants", source, "-o", tmp_path / "whole.csv", "--model", framed)
    for number in (1, 2, 3):
        run("variants", source, "-o", f"{tmp_path}/out/", "--shard", f"{number}/3", "--model", framed)
    parts = [path.read_text().split("\n", 1)[1] for path in sorted((tmp_path / "out").glob("p.*.csv"))]
    assert "".join(parts) == (tmp_path / "whole.csv").read_text().split("\n", 1)[1]


def test_all_substitutions_in_shares_are_together_the_whole(tmp_path, framed):
    pytest.importorskip("pyfaidx")
    options = ["--all", *write_genome(tmp_path), "--model", framed]
    run("variants", "-o", tmp_path / "whole.csv", *options)
    for number in (1, 2, 3):
        run("variants", "-o", f"{tmp_path}/{number}.csv", "--shard", f"{number}/3", *options)
    parts = [path for number in (1, 2, 3) if (path := tmp_path / f"{number}.csv").exists()]
    assert len(parts) > 1
    bodies = [path.read_text().split("\n", 1)[1] for path in parts]
    assert "".join(bodies) == (tmp_path / "whole.csv").read_text().split("\n", 1)[1]
    run("variants", "-o", f"{tmp_path}/out/", *options)
    assert [path.name for path in (tmp_path / "out").glob("*.parquet")] == ["all.00001-of-00001.parquet"]


def test_what_is_finished_is_skipped_and_what_has_changed_is_done_again(files, tmp_path, framed, monkeypatch, capsys):
    done = []
    do = predicting.predict_file
    monkeypatch.setattr(predicting, "predict_file", lambda model, path, *more, **options: (
        done.append(path), do(model, path, *more, **options))[1])  # fmt: skip
    command = ["predict", *files[:3], "-o", f"{tmp_path}/out", "--model", framed]
    run(*command)
    whole = contents(tmp_path / "out")
    assert done == files[:3]
    done.clear()
    run(*command, "--resume")
    assert not done
    assert "3 of 3 were finished before" in capsys.readouterr().err
    (tmp_path / "out" / "b.tsv.gz").unlink()
    (tmp_path / "out" / "a.csv").write_text("half")
    run(*command, "--resume")
    assert done == files[:2]
    assert contents(tmp_path / "out") == whole
    done.clear()
    write(files[2], rows(40, 9))
    run(*command, "--resume")
    assert done == files[2:3]
    assert main([*map(str, command), "--profile", "--resume"]) == 2
    assert "profile was false and is now true" in capsys.readouterr().err
    done.clear()
    run(*command)
    assert done == files[:3]


@given(
    change=st.sampled_from(["nothing", "input", "output", "rows", "terms", "record"]),
    record=st.binary(max_size=40) | st.just(b"[" * 100_000) | st.just(b'{"terms": 5}'),
)
def test_a_record_holds_as_long_as_nothing_has_changed(change, record):
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "a.csv"), Path(folder, "out.csv")
        source.write_text("seq\nACGT\n")
        output.write_text("seq,mrl\nACGT,5\n")
        portion, terms = Portion(str(source), str(output), 0, 1), {"model": "one"}
        assert finished(portion, terms) is None
        note_finished(portion, terms, Done(1, 0))
        if change == "input":
            source.write_text("seq\nACGTA\n")
        elif change == "output":
            output.write_text("seq,mrl\nACGT,\n")
        elif change == "record":
            Path(folder, ".out.csv.done").write_bytes(record)
        elif change == "rows":
            portion = Portion(str(source), str(output), 0, 2)
        if change == "terms":
            with pytest.raises(RibocastError, match=r'out\.csv: cannot resume: model was "one" and is now "two"'):
                finished(portion, {"model": "two"})
        else:
            assert finished(portion, terms) == (Done(1, 0) if change == "nothing" else None)


def test_a_folder_that_is_there_may_have_any_name(files, tmp_path, framed):
    (tmp_path / "out.csv").mkdir()
    run("predict", files[0], "-o", tmp_path / "out.csv", "--model", framed)
    assert list(contents(tmp_path / "out.csv")) == ["a.csv"]


def test_a_run_that_stops_in_the_middle_keeps_what_is_finished(files, tmp_path, framed, capsys):
    command = ["predict", files[0], files[3], files[1], "-o", f"{tmp_path}/out", "--model", framed]
    assert main([*map(str, command)]) == 2
    assert "d.csv row" in capsys.readouterr().err
    assert sorted(contents(tmp_path / "out")) == ["a.csv"]
    write(files[3], rows(33, 3))
    run(*command, "--resume")
    assert sorted(contents(tmp_path / "out")) == ["a.csv", "b.tsv.gz", "d.csv"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--shard", "0/4", "-o", "out/"], "counted from 1 to 4"),
        (["--shard", "5/4", "-o", "out/"], "counted from 1 to 4"),
        (["--shard", "x", "-o", "out/"], "such as 3/64"),
        (["--shard", "1/2"], "need -o"),
        (["--shard", "1/99", "-o", "out/"], "has only 30 rows"),
        (["b.csv"], "need -o"),
        (["b.csv", "-o", "out.csv"], "several files go to a folder"),
        (["b.csv", "-o", "."], "is an input"),
        (["other/a.csv", "-o", "out"], "would both become"),
        (["missing.csv", "-o", "out"], "no such file"),
        (["-", "-o", "out"], "standard input"),
        (["--shard", "1/2", "--ray", "auto", "-o", "out/"], "--shard or --ray"),
    ],
)
def test_what_cannot_be_divided_is_refused_in_one_line(options, error, tmp_path, framed, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    for name in ("a.csv", "b.csv", "other/a.csv"):
        write(tmp_path / name, rows(30))
    assert main(["predict", "a.csv", *options, "--model", str(framed)]) == 2
    said = capsys.readouterr().err
    assert error in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists() or not contents(tmp_path / "out")


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_share_is_read_back_and_none_is_outside(number, of):
    if number <= of:
        assert read_share(f"{number}/{of}") == Share(number, of)
    else:
        with pytest.raises(RibocastError):
            read_share(f"{number}/{of}")


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 50), st.integers(1, 300))
def test_runs_of_things_part_them_without_a_gap(sizes, parts, most):
    shares = [divide_evenly(sizes, "s", "t.csv", Share(number, parts), most) for number in range(1, parts + 1)]
    for portions in ([one for share in shares for one in share], divide_evenly(sizes, "s", "t.csv", None, most)):
        assert [number for one in portions for number in one.part] == list(range(len(sizes)))
        assert len({one.output for one in portions}) == len(portions)
    longest = max(sum(sizes[one.begin : one.end]) for share in shares for one in share)
    assert longest <= sum(sizes) / parts + max(sizes)


@given(begin=st.integers(0, 70), count=st.integers(0, 70), piece=st.integers(1, 20))
def test_any_rows_of_a_file_can_be_read(begin, count, piece, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "rows"
    folder.mkdir(exist_ok=True)
    frame = rows(60).astype(str)
    for name in ("t.csv", "t.parquet"):
        path = folder / name
        if not path.exists():
            write(path, frame)
        assert rows_of(path) == 60
        tables = list(read_pieces(path, piece, range(begin, begin + count)))
        assert all(0 < len(table) <= piece for table in tables)
        read = [utr for table in tables for utr in table["seq"].to_pylist()]
        assert read == frame["seq"].tolist()[begin : begin + count]


def test_a_large_parquet_file_is_several_portions_and_text_is_one(tmp_path):
    large, text = write(tmp_path / "x.parquet", rows(50)), write(tmp_path / "y.csv", rows(50))
    portions = shards.divide([large, text], f"{tmp_path}/out", rows=20)
    assert [(portion.begin, portion.end) for portion in portions] == [(0, 16), (16, 33), (33, 50), (None, None)]
    assert portions[1] == Portion(large, f"{tmp_path}/out/x.00002-of-00003.parquet", 16, 33, Share(2, 3))
