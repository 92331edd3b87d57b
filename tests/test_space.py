"""The layout of a Hugging Face Space, put together as its README says and started as a Space starts it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx

import ribocast
from served import LEADER

ROOT = Path(__file__).parent.parent
SPACE = ROOT / "examples" / "space"


def test_a_space_of_these_files_and_the_package_predicts(tmp_path):
    for file in SPACE.iterdir():
        shutil.copy(file, tmp_path)
    shutil.copytree(Path(ribocast.__file__).parent, tmp_path / "ribocast", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"RIBOCAST_PORT": "0", "PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            port = re.fullmatch(r"http://0\.0\.0\.0:(\d+)\n", process.stdout.readline())[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
                page = client.get("/", headers={"host": "someone-ribocast.hf.space"})
                answer = client.post("/api/v1/predict", json={"sequences": [LEADER]}).json()
        finally:
            process.terminate()
    assert page.status_code == 200
    assert "frame-ancestors https://huggingface.co https://*.hf.space" in page.headers["content-security-policy"]
    assert abs(answer["predictions"][0]["mrl"] - ribocast.load().mrl([LEADER])[0]) < 1e-3


def test_its_requirements_are_those_of_the_extra_web():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {*project["dependencies"], *extras["design"], *extras["web"]} - {"ribocast[design]"}
    lines = (SPACE / "requirements.txt").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} == wanted
