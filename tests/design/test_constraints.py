"""Constraints: one class a file, and one line of a registry; their examples run; a new one is at home everywhere."""

import doctest
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ribocast
from ribocast.design import GC, DesignRequest, MaxEdits
from ribocast.design.constraints import CONSTRAINTS
from ribocast.design.request import DesignOptions
from ribocast.errors import RibocastError

FILES = sorted(kind.__module__ for kind in CONSTRAINTS)
NEW = '''
from dataclasses import dataclass

from pydantic import Field

from ribocast.design.constraints.base import Rule, RuleOptions


@dataclass(frozen=True)
class MaxPurines(Rule):
    """At most so many A and G."""

    most: int

    class Options(RuleOptions):
        max_purines: int | None = Field(None, ge=0, description="A and G at most.")

    @classmethod
    def from_request(cls, request, remarks):
        return [] if request.max_purines is None else [cls(request.max_purines)]

    def violations(self, seq, construct):
        purines = sum(map(seq.count, "AG"))
        return [f"{purines} purines"] * (purines > self.most)

    def __str__(self):
        return f"max purines {self.most}"
'''
USE = """
import json, sys
import ribocast
from ribocast.cli import main
from ribocast.design.request import DesignOptions

def purines(seqs):
    return [sum(map(seq.count, "AG")) for seq in seqs]

def most(**options):
    return max(purines(ribocast.design(purines, n=3, length=12, budget=300, independent=None, **options)["seq"]))

from ribocast.design.constraints.max_purines import MaxPurines
model = sys.argv[1]
code = main(["design", "--maximise", "--length", "50", "-n", "2", "--max-purines", "20", "--budget", "200", "--model",
             model, "-o", sys.argv[2]])
refused = main(["design", "--maximise", "--max-purines", "-1", "--model", model])
print(json.dumps({"object": most(constraints=[MaxPurines(5)]), "field": most(max_purines=4), "code": code,
                  "json": DesignOptions.model_validate_json('{"max_purines": 3}').max_purines, "refused": refused}))
"""


def test_a_constraint_has_a_file_to_itself():
    assert len(set(FILES)) == len(FILES)
    folder = Path(ribocast.__file__).parent / "design" / "constraints"
    assert {name.rpartition(".")[2] for name in FILES} == {path.stem for path in folder.glob("*.py")} - {
        "__init__",
        "base",
    }


@pytest.mark.parametrize("name", FILES)
def test_the_example_of_a_constraint_runs(name):
    found = doctest.testmod(sys.modules[name])
    assert found.attempted > 1
    assert found.failed == 0


def test_one_file_and_one_line_make_a_constraint(framed, tmp_path):
    package = tmp_path / "src" / "ribocast"
    shutil.copytree(
        Path(ribocast.__file__).parent, package, ignore=shutil.ignore_patterns("pretrained", "page", "__pycache__")
    )
    (package / "design" / "constraints" / "max_purines.py").write_text(NEW)
    registry = package / "design" / "constraints" / "__init__.py"
    text = registry.read_text(encoding="utf-8").replace(
        "CONSTRAINTS: tuple", "from ribocast.design.constraints.max_purines import MaxPurines\n\nCONSTRAINTS: tuple"
    )
    registry.write_text(text.replace("    Length, Template,", "    MaxPurines, Length, Template,"), encoding="utf-8")
    output = tmp_path / "designs.csv"
    done = subprocess.run(
        [sys.executable, "-c", USE, str(framed), str(output)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {"object": 5, "field": 4, "code": 0, "json": 3, "refused": 2}
    seqs = [line.split(",")[2] for line in output.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(seqs) == 2
    assert all(seq.count("A") + seq.count("G") <= 20 for seq in seqs)
    assert "--max-purines -1: must be at least 0" in done.stderr


@pytest.mark.parametrize("share", [[0.35, 0.6], (0.35, 0.6), {"low": 0.35, "high": 0.6}, ["0.35", "0.6"]])
def test_numbers_of_a_request_are_numbers(share):
    assert DesignRequest(gc=share, allow_extensions=True).rules == (GC(0.35, 0.6),)
    assert DesignOptions.model_validate({"gc": share}).gc == (0.35, 0.6)


def test_an_unknown_field_is_named():
    with pytest.raises(RibocastError, match="gcc"):
        ribocast.design(len, gcc=(0.4, 0.6))


def test_the_nearest_of_two_limits_on_edits_counts():
    seed, other = "ACGTACGTACGTACGT", "ACGTACGTACGTTTTT"
    table = ribocast.design(
        lambda seqs: [seq.count("G") for seq in seqs], n=3, budget=400, independent=None, like=seed,
        constraints=[MaxEdits(seed, 6), MaxEdits(other, 6)],
    )  # fmt: skip
    assert len(table) == 3


def test_other_commands_do_not_wait_for_the_options_of_a_request():
    code = "import ribocast.cli, sys; ribocast.cli.main(['--help']); sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
