"""What is built to be given away: types that other people's checkers see, and the files that the documents link to."""

import re
import subprocess
import sys
import tarfile
import zipfile

import pytest

from where import ROOT

pytest.importorskip("hatchling", reason="hatchling builds the package; it is in requirements.lock")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build both forms, without the network; give the folder they are in."""
    folder = tmp_path_factory.mktemp("built")
    run = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return folder


def test_a_wheel_has_the_code_the_models_and_the_mark_of_types(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert "ribocast/py.typed" in names
    assert {f"ribocast/model/pretrained/default/model.{ending}" for ending in ("json", "onnx", "safetensors")} <= names
    ours = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "ribocast").rglob("*.py")}
    assert ours <= names


def test_a_source_archive_has_what_its_documents_link_to_and_what_its_tests_read(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for text in ("README.md", "README.zh-CN.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))):
        assert text in names
        for link in re.findall(r"\]\(([^)#\s]+)", (ROOT / text).read_text(encoding="utf-8")):
            if "://" in link:
                continue
            target = (ROOT / text).parent.joinpath(link).resolve().relative_to(ROOT).as_posix()
            assert any(name == target or name.startswith(f"{target}/") for name in names), f"{text}: {link}"
    assert {
        "fuzz/run.py",
        "fuzz/targets.py",
        "requirements.lock",
        "sbom.cdx.json",
        ".ci/run",
        "pyproject.toml",
    } <= names


def test_a_users_checker_knows_the_types(built, tmp_path):
    mypy = pytest.importorskip("mypy.api")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(tmp_path / "env")],
                   check=True)  # fmt: skip
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    place = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                           capture_output=True, text=True).stdout.strip()  # fmt: skip
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(place)
    (tmp_path / "user.py").write_text("import ribocast\nmodel = ribocast.load()\nreveal_type(model)\n")
    said, _, code = mypy.run(["--python-executable", str(python), "--cache-dir", str(tmp_path / "cache"),
                              "--config-file", "", str(tmp_path / "user.py")])  # fmt: skip
    assert 'Revealed type is "ribocast.model.predictor.Predictor"' in said
    assert code == 0, said
