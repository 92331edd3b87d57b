"""Where things lie, and how much of a thorough proof is run."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
MEASUREMENTS = ROOT.parent / "shared" / "data"
"""Only the project's developers have them."""


def share(count: float) -> int:
    """Return how many repeats, or seconds, of a thorough proof to run: RIBOCAST_THOROUGH is the share, 1 unless set."""
    return max(1, round(count * float(os.environ.get("RIBOCAST_THOROUGH", "1"))))
