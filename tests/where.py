"""Where things lie: the project's own folder, and the measurements, which only its developers have."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
MEASUREMENTS = ROOT.parent / "shared" / "data"
