"""What the documents and docstrings name is there: modules, files, tests, one version."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

import ribocast
from where import ROOT, TESTS

TEXTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
CODE = [path for folder in ("src", "tests", "benchmarks", "fuzz", ".ci") for path in (ROOT / folder).rglob("*.py")]
SCRIPTS = [ROOT / ".ci" / "run", ROOT / ".pre-commit-config.yaml", *(ROOT / ".github").rglob("*.yml")]
PAST = ROOT / "CHANGELOG.md"
pytestmark = pytest.mark.skipif(not PAST.is_file(), reason="not in a checkout")


def named(pattern, files):
    """List every name of a pattern with the files that name it."""
    found = {}
    for file in files:
        for name in re.findall(pattern, file.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(file.relative_to(ROOT).as_posix())
    return found


def is_there(name):
    """Tell whether a dotted name is a module or a public thing in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


def test_modules_that_are_named_are_there():
    names = named(r"`(ribocast(?:\.\w+)+)(?:\(.*?\))?`", {*TEXTS, *CODE} - {PAST})
    assert len(names) > 20
    assert {name: files for name, files in names.items() if not is_there(name)} == {}


def test_tests_that_are_named_are_there():
    known = {path.stem for path in TESTS.rglob("*.py")} | set(named(r"def (test_\w+)\(", TESTS.rglob("*.py")))
    names = named(r"`(test_\w+)(?:::\w+)?`", TEXTS) | named(r"`test_\w+::(test_\w+)`", TEXTS)
    assert len(names) > 20
    assert {name: where for name, where in names.items() if name not in known} == {}


def test_files_that_are_named_are_there():
    names = named(
        r"\b((?:src/ribocast|tests|benchmarks|docs|fuzz|examples|\.ci)/[\w./-]*\w\.\w+)",
        {*TEXTS, *CODE, *filter(Path.is_file, SCRIPTS)} - {PAST},
    )
    assert len(names) > 20
    assert {name: files for name, files in names.items() if not (ROOT / name).exists()} == {}


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == ribocast.__version__
    assert f"\nversion: {ribocast.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {ribocast.__version__}\n" in PAST.read_text(encoding="utf-8")
