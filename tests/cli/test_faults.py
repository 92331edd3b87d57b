"""What goes wrong around a run: kills, full and read-only disks, files that shrink, pipes, Ctrl-C, two at once, clocks.

What is defined for each is in docs/robustness.md.
"""

import contextlib
import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ribocast
from killing import Server, kill_at_work, kill_server, make_commands, measure, measure_server
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.io.tables import read_chunks
from ribocast.io.text import open_lines
from ribocast.io.writers import alone_in, whole_file
from ribocast.learn import fit
from ribocast.learn.networks import architecture
from ribocast.predict.files import predict_file

RUN = [sys.executable, "-m", "ribocast"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def commands(place, framed):
    return make_commands(place, str(framed), 2000)


def last_line(stderr: bytes | str) -> str:
    lines = (stderr if isinstance(stderr, str) else stderr.decode()).strip().splitlines()
    assert not any(line.startswith("Traceback") for line in lines), lines
    return lines[-1]


# --- SIGKILL ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("name", ["predict CSV", "predict Parquet", "variants table", "design"])
def test_a_command_killed_at_work_leaves_nothing_half_and_ends_well(commands, tmp_path, name):
    # The same for train and search: test_fit, test_search; all of them, a hundred times: test_killing.
    whole = measure(commands[name], tmp_path / "whole")
    kill_at_work(commands[name], tmp_path / "killed", whole, random.Random(name), kills=1)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_after_a_killed_server_the_next_one_takes_its_place(framed):
    server = Server(str(framed))
    whole = measure_server(server)
    kill_server(server, whole, random.Random(0))
    assert measure_server(server) == whole


# --- disks -----------------------------------------------------------------------------------------------------


LIMITED = """
import resource, sys
from ribocast.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "-n", "3000", "-o", "OUT/out.csv"],
        ["simulate", "-n", "3000", "-o", "OUT/out.csv.gz"],
        ["simulate", "-n", "3000", "-o", "OUT/out.parquet"],
        ["predict", "TABLE", "--model", "MODEL", "-o", "OUT/out.csv"],
        ["predict", "TABLE", "--model", "MODEL", "-o", "OUT/out.parquet"],
        ["variants", "PAIRS", "--model", "MODEL", "-o", "OUT/out.tsv.gz"],
        ["train", "FEW", "-o", "OUT/run", "--model", "attention-2conv", "--epochs", "1"],
    ],
    ids=lambda arguments: f"{arguments[0]} {Path(arguments[-1]).suffix}",
)
def test_a_file_that_cannot_grow_is_one_line_and_leaves_nothing(arguments, framed, commands, place, tmp_path):
    known = {"OUT": tmp_path, "TABLE": place / "utrs.csv", "PAIRS": place / "pairs.csv", "FEW": place / "few.csv",
             "MODEL": framed}  # fmt: skip
    for name, path in known.items():
        arguments = [argument.replace(name, str(path)) for argument in arguments]
    run = subprocess.run([sys.executable, "-c", LIMITED, "20000", *arguments], capture_output=True, check=False)
    assert run.returncode == 2
    assert last_line(run.stderr).startswith("error: ")
    assert "File too large" in last_line(run.stderr)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.fixture
def small_disk(tmp_path):
    """Give a function that mounts a disk of this many bytes, where we may."""
    mounted = []

    def mount(name: str, *options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a small disk here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_full_disk_is_one_line_and_what_was_there_stays(small_disk, framed, commands, place, capsys, ending):
    disk = small_disk("disk", "size=64k")
    (disk / f"out.{ending}").write_text("old")
    arguments = ["predict", place / "utrs.csv", "--model", framed, "--threads", "1", "-o", disk / f"out.{ending}"]
    assert main(list(map(str, arguments))) == 2
    assert "No space left on device" in last_line(capsys.readouterr().err)
    assert [path.name for path in disk.iterdir()] == [f"out.{ending}"]
    assert (disk / f"out.{ending}").read_text() == "old"


@pytest.mark.parametrize("command", ["predict CSV", "train", "search", "design"])
def test_a_read_only_folder_is_one_line(small_disk, commands, place, capsys, command):
    disk = small_disk("disk", "size=64k,ro")
    assert main(commands[command].command(disk)) == 2
    assert last_line(capsys.readouterr().err).startswith(f"error: {disk}")


# --- inputs that shrink ----------------------------------------------------------------------------------------


def rows_until_it_shrinks(path: Path, to: int) -> int:
    """Read a table in pieces, and cut the file after the first one."""
    rows = 0
    for chunk in read_chunks(path, chunk_rows=100):
        if not rows:
            os.truncate(path, to)
        rows += len(chunk)
    return rows


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "fasta", "csv.gz"])
def test_a_table_that_shrinks_while_it_is_read_is_said_and_not_taken_for_a_shorter_one(tmp_path, ending):
    random_ = np.random.default_rng(1)
    utrs = ["".join(row) for row in random_.choice(list("ACGT"), (60_000, 50))]
    path = tmp_path / f"t.{ending}"
    between = "\n" if ending == "txt" else "\n>x\n" if ending == "fasta" else "\n"
    text = (">x\n" if ending == "fasta" else "" if ending == "txt" else "seq\n") + between.join(utrs) + "\n"
    content = gzip.compress(text.encode(), 1) if ending.endswith("gz") else text.encode()
    for to in (len(content) // 2 // 51 * 51 + 4, 0):
        path.write_bytes(content)
        with pytest.raises(RibocastError, match=r"(became shorter while it was read|damaged or cut short)"):
            rows_until_it_shrinks(path, to)
    path.write_bytes(content)
    assert sum(map(len, read_chunks(path))) == 60_000


def test_a_parquet_file_that_shrinks_while_it_is_read_is_said(tmp_path):
    random_ = np.random.default_rng(1)
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"seq": ["".join(row) for row in random_.choice(list("ACGT"), (60_000, 50))]})
    frame.to_parquet(path, row_group_size=1000)
    assert sum(map(len, read_chunks(path, chunk_rows=100))) == 60_000
    with pytest.raises(RibocastError, match=r"t\.parquet: "):
        rows_until_it_shrinks(path, path.stat().st_size // 2)


def test_lines_that_shrink_while_they_are_read_are_said(tmp_path):
    path = tmp_path / "t.vcf"
    path.write_text("a line of text\n" * 50_000)

    def read_all():
        with open_lines(path) as opened:
            next(opened.lines)
            os.truncate(path, 300_000)
            list(opened.lines)

    with pytest.raises(RibocastError, match=r"t\.vcf: became shorter while it was read"):
        read_all()


def test_a_prediction_whose_input_shrinks_writes_nothing(framed, tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("ACGTACGTAC\n" * 300_000)
    model = ribocast.load(framed, threads=1)
    with pytest.raises(RibocastError, match="became shorter while it was read"):
        predict_file(model, path, tmp_path / "out.csv", done=lambda _: os.truncate(path, 2_000_000))
    assert [file.name for file in tmp_path.iterdir()] == ["t.txt"]


# --- pipes and Ctrl-C ------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes")
@pytest.mark.parametrize("command", ["predict TABLE --model MODEL", "variants PAIRS --model MODEL"])
def test_a_reader_that_goes_away_ends_a_command_silently(framed, commands, place, command):
    known = {"TABLE": place / "utrs.csv", "PAIRS": place / "pairs.csv", "MODEL": framed}
    arguments = [str(known.get(word, word)) for word in command.split()]
    with subprocess.Popen([*RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait() == 141
    assert [line for line in said.splitlines() if not line.startswith("assay:")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process")
@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("name", ["train", "predict CSV"])
def test_ctrl_c_is_one_line_and_leaves_what_can_be_resumed(commands, place, tmp_path, name):
    command, folder = commands[name], tmp_path / "out"
    folder.mkdir()
    for _ in range(10):
        run = command.begin(folder)
        run.process.send_signal(signal.SIGINT)
        if run.wait():
            break
        # It had ended before: from the beginning.
        shutil.rmtree(folder)
        folder.mkdir()
    assert run.process.returncode == 130
    assert last_line(run.said) == "error: interrupted"
    assert command.is_there(folder) == {}
    command.finish(folder, again=True)
    assert len(command.is_there(folder)) == len(command.outputs)


# --- two at once -----------------------------------------------------------------------------------------------


def test_two_predictions_to_one_output_leave_a_whole_one(commands, tmp_path):
    command, folders = commands["predict CSV"], [tmp_path / "both", tmp_path / "alone"]
    for folder in folders:
        folder.mkdir()
    both = [command.start(folders[0]) for _ in range(2)]
    assert [run.wait() for run in both] == [0, 0]
    command.finish(folders[1])
    assert command.is_there(folders[0]) == command.is_there(folders[1])
    assert [path.name for path in folders[0].iterdir()] == ["out.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on folders")
def test_two_trainings_in_one_folder_are_refused(commands, tmp_path, capsys):
    with alone_in(tmp_path / "run"):
        assert main(commands["train"].command(tmp_path)) == 2
        assert last_line(capsys.readouterr().err) == f"error: {tmp_path / 'run'}: another run is writing to it"
    assert list(tmp_path.iterdir()) == []
    # Once the other has ended, however it ended, the folder is free.
    script = f"""
        import os, signal
        from ribocast.io.writers import alone_in
        with alone_in({str(tmp_path)!r}):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    with alone_in(tmp_path):
        pass


# --- clocks ----------------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_changes_nothing(framed, commands, place, tmp_path, monkeypatch):
    model = ribocast.load(framed, threads=1)
    predict_file(model, place / "utrs.csv", tmp_path / "before.csv")
    fit_once(place, tmp_path / "before")
    clock = iter(range(2_000_000_000, 0, -100))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    monkeypatch.setattr(time, "time_ns", lambda: next(clock) * 10**9)
    predict_file(model, place / "utrs.csv", tmp_path / "after.csv")
    fit_once(place, tmp_path / "after")
    monkeypatch.undo()
    assert (tmp_path / "after.csv").read_bytes() == (tmp_path / "before.csv").read_bytes()
    for name in ("model.onnx", "model.safetensors"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()


def fit_once(place: Path, folder: Path) -> None:
    recipe = architecture("attention-2conv").recipe.with_changes(epochs=1)
    fit(place / "few.csv", folder, assay="mine", model="attention-2conv", recipe=recipe, name="same")


def test_outputs_newer_than_now_are_replaced_like_any(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("from the future")
    os.utime(path, (4e9, 4e9))
    with whole_file(path) as partial, contextlib.closing(partial.open("w")) as file:
        file.write("now")
    assert path.read_text() == "now"
