"""How a network is trained: the settings of the loop, as one frozen value."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from ribocast.errors import OptionError

_KINDS = {"optimiser": ("adam", "adamw", "muon"), "schedule": ("constant", "one-cycle"), "target": ("mrl", "profile")}


@dataclass(frozen=True)
class Recipe:
    """Settings of the training loop.

    Attributes
    ----------
    optimiser : {"adam", "adamw", "muon"}
        Betas 0.9 and 0.999, epsilon 1e-8. Muon is for the matrices inside a network, AdamW for the rest (for all of
        an ensemble, or where there are but two); see `ribocast.learn.train.muon`.
    learning_rate : float
        Highest step size.
    weight_decay : float
        Of weight matrices; biases and normalisation are spared. What suits Muon is much for the others.
    schedule : {"constant", "one-cycle"}
        One-cycle: cosine up from a 25th over the first 30 % of steps, cosine down to nothing (Smith & Topin 2018).
    epochs, batch_size : int
        Passes over the training rows; rows a step.
    bfloat16 : bool
        Multiply in bfloat16 while learning, where the device has it by itself; weights are float32, and so is
        evaluation.
    target : {"mrl", "profile"}
        Whose squared error is made small: the standardised mean MRL, or the shares of polysome fractions (then only
        rows with a measured profile teach).
    patience : int, optional
        Stop after this many epochs without a better validation loss.
    profile_weight : float
        Weight of the cross-entropy of measured polysome profiles beside the squared error of the MRL.
    noise_reads : float
        Rows weigh 1 / (1 + noise_reads / reads): few reads, noisy MRL. 0 weighs all alike.
    huber : float
        Above this many standard deviations an error counts by its size and no longer by its square (Huber 1964): some
        rows are far off for reasons that no sequence shows, and should not pull. 0 squares all.
    keep_norms : bool
        Leave the statistics of batch normalisation as they are: for fine-tuning, where few rows would spoil them.
    """

    optimiser: Literal["adam", "adamw", "muon"]
    learning_rate: float
    weight_decay: float
    schedule: Literal["constant", "one-cycle"]
    epochs: int
    batch_size: int
    bfloat16: bool = False
    target: Literal["mrl", "profile"] = "mrl"
    patience: int | None = None
    profile_weight: float = 0.0
    noise_reads: float = 0.0
    huber: float = 0.0
    keep_norms: bool = False

    def __post_init__(self) -> None:
        for name, low in (("learning_rate", 0.0), ("epochs", 0), ("batch_size", 0), ("patience", 0)):
            value = getattr(self, name)
            if value is not None and not low < value < math.inf:
                raise OptionError(f"{name.replace('_', ' ')} is {value}; it must be above {low:g}")
        for name, kinds in _KINDS.items():
            if getattr(self, name) not in kinds:
                raise OptionError(f"{name} is {getattr(self, name)!r}; it must be one of: {', '.join(kinds)}")
        for name in ("weight_decay", "profile_weight", "noise_reads", "huber"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{name.replace('_', ' ')} is {getattr(self, name)}; it must not be below 0")

    def with_changes(self, **changes: Any) -> Recipe:
        """Return the recipe with some settings replaced; those given as None stay."""
        return dataclasses.replace(self, **{name: value for name, value in changes.items() if value is not None})

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the step size of `step`, from 0, of `steps` in all."""
        if self.schedule == "constant":
            return self.learning_rate
        warm_up, first, last = 0.3 * steps, self.learning_rate / 25, self.learning_rate / 250_000
        if step < warm_up:
            start, stop, done = first, self.learning_rate, step / warm_up
        else:
            start, stop, done = self.learning_rate, last, (step - warm_up) / max(steps - warm_up, 1)
        return stop + (start - stop) * (1 + math.cos(math.pi * done)) / 2


# The homework's notebook. bfloat16, here and below, is ours: faster, no less accurate (docs/speed.md).
HOMEWORK_RECIPE = Recipe("adam", 1e-3, 0.0, "constant", epochs=20, batch_size=64, bfloat16=True)
# The paper's is 3 epochs of 260,000 rows in batches of 128; epochs here are the homework's, the best one is kept.
OPTIMUS_RECIPE = Recipe("adam", 1e-3, 0.0, "constant", epochs=20, batch_size=128, bfloat16=True)
OPTIMUS_PROFILE_RECIPE = dataclasses.replace(OPTIMUS_RECIPE, target="profile")
# The authors' is 6 epochs of 350,000 rows, batches not stated; epochs here are the homework's, the best one is kept.
FRAMEPOOL_RECIPE = Recipe("adam", 1e-3, 0.0, "constant", epochs=20, batch_size=128, bfloat16=True)
FRAMED_RECIPE = Recipe(
    "muon", 2e-3, 1.0, "one-cycle", epochs=8, batch_size=128, bfloat16=True, profile_weight=0.1, noise_reads=380.0
)
# Small steps: larger ones made a trained network worse where there were only hundreds of rows (benchmarks/transfer.py).
FINE_TUNING = {
    "optimiser": "adamw", "learning_rate": 2e-4, "weight_decay": 0.01, "schedule": "one-cycle", "epochs": 10,
    "batch_size": 32, "patience": None, "keep_norms": True,
}  # fmt: skip
