"""Write requirements.lock: every package of a developer's environment with its version and SHA-256.

In an environment made by ``pip install -c constraints.txt ".[dev]" hatchling``: ``python .ci/lock.py >
requirements.lock``. With ``--check``, in one that was installed from the lock: is there anything that it does not name?

The hashes are those of the wheels for this Python and platform. PyTorch is left out: its CPU build is not on the index
under that version, and is taken from wherever ``constraints.txt`` finds it.
"""

import json
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

LEFT_OUT = {"ribocast", "torch", "pip", "setuptools", "wheel"}
LOCK = Path(__file__).parent.parent / "requirements.lock"


def installed() -> list[str]:
    """Return what this environment has, as NAME==VERSION."""
    return sorted(
        f"{distribution.name}=={distribution.version}"
        for distribution in metadata.distributions()
        if distribution.name.lower() not in LEFT_OUT
    )


def check() -> str | None:
    """Return in words what was installed and is not in the lock, if anything."""
    locked = {line.split()[0].lower() for line in LOCK.read_text().splitlines() if "==" in line}
    strange = [pin for pin in installed() if pin.lower() not in locked]
    return f"error: not in {LOCK.name}: {', '.join(strange)}; write it anew with .ci/lock.py" if strange else None


def main() -> None:
    """Ask pip, without installing anything, what it would install."""
    pins = installed()
    with tempfile.TemporaryDirectory() as folder:
        pinned, report = Path(folder, "pinned.txt"), Path(folder, "report.json")
        pinned.write_text("\n".join(pins) + "\n")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        subprocess.run([*command, "--report", str(report), "-r", str(pinned)], check=True)  # noqa: S603
        found = json.loads(report.read_text())["install"]
    sys.stdout.write(
        "# Written by .ci/lock.py, for Linux on x86-64 with Python 3.11; PyTorch is left out, see there.\n"
    )
    for entry in sorted(found, key=lambda entry: entry["metadata"]["name"].lower()):
        name, version = entry["metadata"]["name"], entry["metadata"]["version"]
        digest = entry["download_info"]["archive_info"]["hashes"]["sha256"]
        sys.stdout.write(f"{name}=={version} --hash=sha256:{digest}\n")


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv else main())
