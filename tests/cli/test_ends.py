"""Every command ends as docs/robustness.md says, whatever becomes of what it prints."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such redirections")

COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "predict": ["predict", "t.csv", "--model", "MODEL"],
    "variants": ["variants", "pairs.csv", "--model", "MODEL"],
    "explain": ["explain", "ACGTACGTACGT", "--model", "MODEL"],
    "explain table": ["explain", "ACGTACGTACGT", "--table", "-", "--model", "MODEL"],
    "design": ["design", "--target", "7", "-n", "1", "--length", "12", "--budget", "50", "--model", "MODEL"],
    "evaluate": ["evaluate", "MODEL", "t.csv", "--json"],
    "compare": ["compare", "p=t.csv:label2", "--data", "t.csv", "--json"],
    "models": ["models"],
    "describe": ["data", "describe", "t.csv"],
    "simulate": ["simulate", "-n", "10"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ends")
    rows = [f"ACGTACGTAC{a}{b},{n},{n % 5}" for n, (a, b) in enumerate((a, b) for a in "ACGT" for b in "ACGT")]
    (folder / "t.csv").write_text("\n".join(["seq,label,label2", *rows]) + "\n")
    (folder / "pairs.csv").write_text("ref,alt\nACGTACGTACGT,ACGTACGAACGT\n")
    return folder


def end(place, framed, command, **streams):
    arguments = [str(framed) if word == "MODEL" else word for word in COMMANDS[command]]
    return subprocess.Popen(
        [sys.executable, "-m", "ribocast", *arguments], cwd=place, stdin=subprocess.DEVNULL, text=True, **streams
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_is_gone_ends_it_silently(place, framed, command):
    with end(place, framed, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait() == 141
    assert "rror" not in said


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_standard_output_is_one_line_and_a_full_standard_error_nothing(place, framed, command):
    with Path("/dev/full").open("w") as full:
        process = end(place, framed, command, stdout=full, stderr=subprocess.PIPE)
        said = process.communicate()[1]
        assert process.returncode == 2
        assert said.splitlines()[-1] == "error: output: No space left on device"
        assert "Traceback" not in said
        process = end(place, framed, command, stdout=subprocess.PIPE, stderr=full)
        assert process.communicate()[0]
        assert process.returncode == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("what", "code"),
    [("predict t.csv --model MODEL", 0), ("predict t.csv -o out.csv --model MODEL", 0), ("predict none.csv", 2)],
)
def test_streams_that_are_closed(place, framed, closed, what, code):
    command = f"{sys.executable} -m ribocast {what.replace('MODEL', str(framed))}"
    done = subprocess.run(f"{command} {closed}", shell=True, cwd=place, capture_output=True, text=True, check=False)
    # What was to be printed is lost, and that is said, unless nothing can be said.
    is_lost = ">&-" in closed.split() and "-o" not in what
    assert done.returncode == (2 if is_lost else code)
    if closed == ">&-" and is_lost and not code:
        assert done.stderr.splitlines()[-1] == "error: output: Bad file descriptor"
    if "-o" in what:
        # No warning of a library has come into the file, because its number was that of standard error.
        assert (place / "out.csv").read_text().startswith("seq,label,label2,mrl,")
        (place / "out.csv").unlink()
