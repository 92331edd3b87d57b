"""The libraries of others that the page brings along: whole, of the version and with the hash that are written down."""

import base64
import hashlib
import json

import pytest

from where import ROOT

VENDOR = ROOT / "src/ribocast/web/page/vendor"
LIBRARIES = json.loads((VENDOR / "vendor.json").read_text())
LOCK = json.loads((ROOT / "package-lock.json").read_text())["packages"]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library["package"])
def test_a_library_is_what_its_registry_published(library):
    locked = LOCK[f"node_modules/{library['package']}"]
    for name in ("version", "license", "integrity"):
        assert library[name] == locked[name]
    assert any(name.endswith(".LICENSE") for name in library["files"])
    for name, file in library["files"].items():
        content = (VENDOR / name).read_bytes()
        assert file["integrity"] == "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        installed = ROOT / "node_modules" / library["package"]
        if installed.is_dir():
            assert content == (installed / file["from"]).read_bytes()


def test_nothing_else_is_brought_along():
    named = {name for library in LIBRARIES for name in library["files"]}
    # Types for the checker, which say only where a library's own are.
    there = {path.name for path in VENDOR.iterdir() if not path.name.endswith((".d.ts", ".d.mts"))}
    assert there == {*named, "vendor.json"}


def test_the_lock_names_no_registry():
    assert [name for name, entry in LOCK.items() if "resolved" in entry] == []
