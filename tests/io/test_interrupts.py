"""Ctrl-C, SIGTERM and SIGHUP at any moment: one line, an exit code, and no half file."""

import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="no signals to a process"),
    pytest.mark.usefixtures("heeded"),
]

RUN = [sys.executable, "-m", "ribocast"]
ENDS = {
    signal.SIGINT: (130, "error: interrupted"),
    signal.SIGTERM: (143, "error: terminated"),
    signal.SIGHUP: (129, "error: hung up"),
}


def start(*arguments, **options) -> subprocess.Popen:
    command = [str(argument) for argument in arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


SELF = """
import os, signal, sys, time
from ribocast.io import interrupts
def stop(number={number}):
    os.kill(os.getpid(), number)
interrupts.install()
{rest}
"""


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize(
    "rest",
    [
        "stop()",
        "interrupts.begin(); interrupts.finish(); stop()",
        # Twice, and the second time not at once: whoever does that has waited in vain for things to be put in order.
        "interrupts.begin()\ntry: stop()\nexcept KeyboardInterrupt: time.sleep(1.1); stop(); time.sleep(10)",
    ],
    ids=["before it has begun", "after it has ended", "again"],
)
def test_a_signal_ends_the_process_at_once_where_nothing_is_to_be_put_in_order(number, rest):
    process = start(sys.executable, "-c", SELF.format(number=int(number), rest=rest))
    _, said = process.communicate()
    assert (process.returncode, said.decode().strip()) == ENDS[number]


SWALLOWS = "import os, signal, time\ntry:\n os.kill(os.getpid(), 2); time.sleep(0.05); done = 1\nexcept: done = 0\n"
FINALISER = "class Ends:\n def __del__(self): stop(2); [None for _ in range(100)]\n"


@pytest.mark.parametrize(
    "rest",
    ["import swallows; assert swallows.done; time.sleep(60)", FINALISER + "Ends(); time.sleep(60)"],
    ids=["in an import", "in a finaliser"],
)
def test_a_signal_is_not_lost_where_exceptions_are(tmp_path, rest):
    (tmp_path / "swallows.py").write_text(SWALLOWS)
    rest = "interrupts.begin()\ntry:\n " + rest.replace("\n", "\n ") + "\nexcept KeyboardInterrupt: print('raised')"
    process = start(sys.executable, "-c", SELF.format(number=2, rest=rest), cwd=tmp_path)
    printed, said = process.communicate()
    assert (process.returncode, printed, said) == (0, b"raised\n", b"")


def test_an_error_that_a_signal_turned_into_is_not_told():
    rest = """
interrupts.begin()
from ribocast.cli.terminal import fail
try: stop()
except KeyboardInterrupt: sys.exit(fail("numpy could not be imported"))
"""
    process = start(sys.executable, "-c", SELF.format(number=15, rest=rest))
    assert process.communicate()[1].decode().strip() == "error: terminated"
    assert process.returncode == 143


@pytest.mark.parametrize("number", ENDS)
def test_the_exit_code_is_that_of_the_signal_where_a_thread_is_left_at_work(number):
    rest = """
import threading
from ribocast.model.background import in_background
interrupts.begin()
threading.Timer(0.1, stop).start()
try: in_background(time.sleep, 30)
except KeyboardInterrupt: pass
"""
    process = start(sys.executable, "-c", SELF.format(number=int(number), rest=rest))
    process.communicate()
    assert process.returncode == 128 + number


def test_what_is_ignored_stays_ignored():
    """So nohup and shells have it."""
    code = SELF.format(number=2, rest="stop(); interrupts.begin(); stop(); print('on')")
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, preexec_fn=lambda: signal.signal(2, signal.SIG_IGN)
    )
    assert process.communicate()[0] == b"on\n"


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("command", ["predict", "explain", "simulate"])
def test_no_half_file_is_left(framed, tmp_path, number, command):
    (tmp_path / "in.txt").write_text("ACGTACGTAC\n" * 1_000_000)
    out = tmp_path / "out"
    out.mkdir()
    options = {"predict": ["../in.txt", "-o", "t.csv", "--model", framed],
               "explain": ["../in.txt", "--table", "t.csv", "--model", framed, "--json"],
               "simulate": ["-n", 3_000_000, "-o", "t.csv"]}  # fmt: skip
    with start(*RUN, command, *options[command], cwd=out) as process:
        process.stdout.close()
        while not list(out.glob(".t.csv.*.part")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(number)
        said = process.stderr.read().decode()
        assert (process.wait(60), said.splitlines()[-1]) == ENDS[number]
    assert "Traceback" not in said
    assert list(out.iterdir()) == []


def test_ctrl_c_at_any_moment_is_one_line(framed, tmp_path):
    (tmp_path / "t.csv").write_text("seq\nACGTACGTACGT\n")
    chance = random.Random(1)
    for arguments in (["predict", "t.csv", "--model", framed], ["data", "describe", "t.csv"], ["models"]) * 2:
        process = start(*RUN, *arguments, cwd=tmp_path)
        # Python itself takes some hundredths of a second before it runs anything of ours.
        time.sleep(chance.uniform(0.2, 1.2))
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1].decode()
        assert (process.returncode, said.splitlines()[-1:]) in (
            (130, ["error: interrupted"]),
            (0, said.splitlines()[-1:]),
        )
        assert "Traceback" not in said
