"""docs/robustness.md shows what tests/fault_matrix.py found: all commands, all faults, no failure."""

import itertools
import re
import sys

import pytest

from fault_matrix import BEGIN, COMMANDS, DOCS, END, FAILED, FAULTS, MEANS, NEVER, Bench, cell, in_docs, never
from killing import make_commands


def test_the_table_in_the_docs_is_that_of_the_code_and_holds_no_failure(framed, tmp_path):
    made = DOCS.read_text().split(BEGIN)[1].split(END)[0]
    assert re.match(r"ribocast [\d.]+, 20\d\d-\d\d-\d\d, linux:\n", made.strip())
    cells = in_docs()
    assert list(cells) == list(itertools.product(COMMANDS, FAULTS))
    assert [*make_commands(tmp_path, str(framed), 2), "serve"] == list(COMMANDS)
    bench = Bench(tmp_path, str(framed), 2)
    for (command, fault), found in cells.items():
        assert found != FAILED, (command, fault)
        assert (found == NEVER) == never(bench, command, fault), (command, fault)
    assert all(f"- {word}: " in made for word in MEANS)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize(
    ("command", "fault", "found"),
    [
        ("simulate", "SIGTERM", "exit 143"),
        ("predict CSV", "input cut while read", "exit 2"),
        ("data describe", "output is an input", "exit 2"),
        ("evaluate", "output is an input", "exit 2"),
        ("compare", "reader of stdout gone", "exit 141"),
    ],
)
def test_some_of_its_cells_are_so(framed, tmp_path, command, fault, found):
    assert cell(Bench(tmp_path, str(framed), 2000), command, fault) == found
