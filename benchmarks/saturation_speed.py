"""Time all single substitutions of one 50-nt UTR, warm, from Python: ribocast, and tangermeme on the same network.

    python benchmarks/saturation_speed.py [--turns 40] [--threads N] [--json FILE]

The shipped model. tangermeme (`pip install tangermeme`) runs it in PyTorch behind a layer that turns one-hot letters
into the bytes the network takes, by `saturation_mutagenesis` with its raw outputs; ribocast by
`Predictor.substitutions`. The two tables of MRLs are compared. Medians of turns that alternate, each after a rest,
since PyTorch's threads stay busy for a while after they have ended and would take the other's time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import ribocast
from ribocast.learn.networks import load_network
from ribocast.model.predictor import to_mrl
from ribocast.sequence.batch import encode

UTR = "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC"
REST = 0.05


class FromOneHot(nn.Module):
    """One-hot letters (rows, 4, length) to an assay's outputs (rows, width)."""

    def __init__(self, network: nn.Module, assay: int) -> None:
        super().__init__()
        self.network, self.assay = network, assay
        self.register_buffer("letters", torch.tensor([ord(base) for base in "ACGT"], dtype=torch.uint8))

    def forward(self, hot: Tensor) -> Tensor:
        """Run the network."""
        letters = self.letters[hot.argmax(dim=1)]  # type: ignore[index]
        return self.network(letters)[:, self.assay]  # type: ignore[no-any-return]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    model = ribocast.load(threads=options.threads)
    card = model.card.assay()
    ways: dict[str, Callable[[], np.ndarray]] = {"ribocast": lambda: model.substitutions(UTR)}
    try:
        from tangermeme.saturation_mutagenesis import saturation_mutagenesis
    except ImportError:
        print("tangermeme is not installed (pip install tangermeme): nothing to compare with")
    else:
        network = FromOneHot(load_network(model.bundle), model.number(card)).eval()
        hot = torch.from_numpy((encode([UTR])[:, None] == encode(list("ACGT"))[None]).astype(np.float32))

        def theirs() -> np.ndarray:
            own, all_of_them = saturation_mutagenesis(
                network, hot, raw_outputs=True, device="cpu", batch_size=256, verbose=False
            )
            table = all_of_them[0].numpy()  # (4, length, width), or (length, 4, width)
            table = table if table.shape[0] == len(UTR) else table.transpose(1, 0, 2)
            del own
            return to_mrl(table.reshape(-1, table.shape[-1]), card).reshape(len(UTR), 4)

        ways["tangermeme"] = theirs
    mrls = {name: run() for name, run in ways.items()}
    if len(mrls) == 2:
        apart = float(np.abs(mrls["ribocast"] - mrls["tangermeme"]).max())
        print(f"MRLs differ by at most {apart:.1e} ribosomes per mRNA")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.turns):
        for name, run in ways.items():
            time.sleep(REST)
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    report = {}
    for name, turns in seconds.items():
        middle = statistics.median(turns)
        # Of each turn, since the speed of a machine with neighbours changes from turn to turn.
        times = statistics.median(theirs / own for theirs, own in zip(list(seconds.values())[-1], turns, strict=True))
        report[name] = {"seconds": middle, "times_as_fast": times}
        print(f"{name:<14}{middle * 1e3:>9.1f} ms for {3 * len(UTR)} substitutions{times:>9.2f} times as fast")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
