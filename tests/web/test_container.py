"""The container file: what it installs and starts is what the package has, as far as that shows without a container."""

import re
import shlex
import subprocess
import sys
import tomllib

import httpx

import ribocast
from served import UTR, serving
from where import ROOT

SPACE = ROOT / "examples" / "space"
LINES = (SPACE / "Dockerfile").read_text(encoding="utf-8").splitlines()


def values(word):
    return [line.removeprefix(f"{word} ") for line in LINES if line.startswith(f"{word} ")]


def test_what_is_copied_is_there_and_enough_to_install():
    copied = [name for line in values("COPY") for name in shlex.split(line)[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"], "pyproject.toml", "src"} <= set(copied)
    assert "web" in project["optional-dependencies"]
    assert any('".[web]"' in line for line in values("RUN"))
    assert values("USER") == ["ribocast"]


def test_a_server_with_its_settings_answers_the_container_s_health_check_and_predicts(tmp_path):
    settings = dict(word.split("=") for line in values("ENV") for word in line.split() if word.startswith("RIBOCAST_"))
    named = dict(re.findall(r"`?RIBOCAST_([A-Z_]+)=([^`\s]+)`?", (SPACE / "README.md").read_text(encoding="utf-8")))
    assert settings == {"RIBOCAST_HOST": "0.0.0.0"}
    with serving(tmp_path, "--model", "default", host="0.0.0.0", auth="no", **{
        name.lower(): value for name, value in named.items() if name.lower() not in ("host", "token", "auth")
    }) as server:  # fmt: skip
        (check,) = values("HEALTHCHECK")
        program = re.search(r'"-c", "(.*)"\]', check)[1].replace("7860", str(server.port))
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=120, trust_env=False) as client:
            assert client.get("/").status_code == 200
            answer = client.post("/api/v1/predict", json={"sequences": [UTR]}).json()
    assert abs(answer["predictions"][0]["mrl"] - ribocast.load().mrl([UTR])[0]) < 1e-3
