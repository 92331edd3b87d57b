"""What the project is made of: pins, locked hashes and the bill of materials say the same."""

import json
import re

import pytest

from where import ROOT

FILES = [ROOT / name for name in ("constraints.txt", "requirements.lock", "sbom.cdx.json", "pyproject.toml")]
pytestmark = pytest.mark.skipif(not all(file.is_file() for file in FILES), reason="not in a checkout")


def same(name):
    """Spell a package's name in the one way that all its spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text):
    return {same(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


@pytest.fixture(scope="module")
def locked():
    return pins((ROOT / "requirements.lock").read_text())


def test_every_locked_package_has_a_hash(locked):
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(locked) > 100
    assert all(re.fullmatch(r"[\w.-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_the_lock_has_the_versions_the_constraints_pin(locked):
    tested = pins((ROOT / "constraints.txt").read_text())
    # PyTorch's CPU build is not on the index under that version; see .ci/lock.py.
    assert tested.pop("torch")
    assert {name: locked.get(name) for name in tested} == tested


def test_the_lock_has_what_the_project_needs(locked):
    needed = re.findall(r'^  "([\w.-]+)(?:\[\w+\])?>=', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert len(needed) > 20
    assert {same(name) for name in needed} - {"torch"} <= locked.keys()


def test_the_bill_of_materials_is_the_locks(locked):
    bill = json.loads((ROOT / "sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    parts = [part for part in bill["components"] if part["purl"].startswith("pkg:pypi/")]
    assert {same(part["name"]): part["version"] for part in parts} == locked
    lock = (ROOT / "requirements.lock").read_text()
    for part in parts:
        assert f"{part['name']}=={part['version']} --hash=sha256:{part['hashes'][0]['content']}\n" in lock
    libraries = json.loads((ROOT / "src/ribocast/web/page/vendor/vendor.json").read_text())
    others = {part["name"]: part["version"] for part in bill["components"] if part not in parts}
    assert others == {library["package"]: library["version"] for library in libraries}
