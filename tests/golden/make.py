"""What the shipped models predict for 200 sequences on three assays, written down.

After the shipped weights were replaced: ``python tests/golden/make.py``. The tests compare every engine with these.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

import ribocast
from ribocast.model.bundle import RUNNING_NAME, open_bundle, shipped_models

HERE = Path(__file__).parent
ASSAYS = ("egfp_random50", "egfp_human50", "egfp_varying25to100")


def sequences() -> list[str]:
    """Return 100 random UTRs of 50 nt, 80 of 25 to 100 nt, and 20 with unknown letters, RNA or other lengths."""
    random = np.random.default_rng(20_190_701)
    lengths = [50] * 100 + random.integers(25, 101, 80).tolist() + random.integers(1, 200, 20).tolist()
    utrs = []
    for number, length in enumerate(lengths):
        letters = "ACGT" if number < 180 else ("acgu", "ACGTN")[number % 2]
        utrs.append("".join(random.choice(list(letters), length)))
    return utrs


def main() -> None:
    """Write one file a model."""
    utrs = sequences()
    for name in shipped_models():
        model = ribocast.load(name, engine="openvino", threads=1)
        golden = {
            "model": name,
            "sha256": hashlib.sha256(open_bundle(name).read(RUNNING_NAME)).hexdigest(),
            "utrs": utrs,
            "mrl": {assay: [round(mrl, 6) for mrl in model.mrl(utrs, assay=assay).tolist()] for assay in ASSAYS},
        }
        (HERE / f"{name}.json").write_text(json.dumps(golden, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
