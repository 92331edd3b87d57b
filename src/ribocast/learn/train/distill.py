"""Teaching one network what several know: sequences that nobody measured, labelled by trained models.

A network that is trained on the mean of others, beside the measurements, comes out better than one trained on the
measurements alone, and is as fast (Hinton et al., arXiv:1503.02531; on new sequences: Bucila et al., KDD 2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ribocast.errors import OptionError
from ribocast.model.predictor import Predictor
from ribocast.sequence.letters import is_missing

# A crossing takes at least this many letters of either parent.
_LEAST_OF_A_PARENT = 5
# The largest share of letters that a mutant has drawn anew.
_MUTATED = 1 / 8


def distilled_rows(
    teachers: Sequence[Predictor], rows: pd.DataFrame, count: int, *, seed: int, reads: float = 400.0
) -> pd.DataFrame:
    """Make new sequences like the measured ones, labelled by the mean of trained models.

    Parameters
    ----------
    teachers : sequence of Predictor
        Models that know the assays of `rows`. For honest figures they must not have seen the rows that evaluate the
        student.
    rows : pandas.DataFrame
        Measured rows: ``seq``, ``assay``, and ``origin`` if known; see `ribocast.learn.data.assays.training_rows`.
    count : int
        New rows in all, an equal share for every assay; those that turn out like a measured one are left out.
    seed : int
        Of the sequences.
    reads : float
        How far to trust the labels: as those of this many reads.

    Returns
    -------
    pandas.DataFrame
        ``seq``, ``mrl``, ``assay``, ``reads``, ``origin``, ``published_split``, and ``r0`` … if the teachers give
        profiles.

    Raises
    ------
    RibocastError
        Without teachers.
    """
    if not teachers:
        raise OptionError("give at least one trained model")
    random = np.random.default_rng(seed)
    measured = set(rows["seq"])
    parts = []
    names = list(dict.fromkeys(rows["assay"]))
    for number, name in enumerate(names):
        own = rows[rows["assay"] == name]
        share = count * (number + 1) // len(names) - count * number // len(names)
        # Two letters can spell NA, which is no sequence.
        utrs = [utr for utr in _like(own, share, random) if utr not in measured and not is_missing(utr)]
        part = pd.DataFrame({"seq": utrs, "mrl": 0.0, "assay": name, "reads": reads, "origin": "distilled",
                             "published_split": "distilled"})  # fmt: skip
        assay = teachers[0].card.assay(name)
        if assay.fraction_weights and all(teacher.card.output == "fractions" for teacher in teachers):
            profile = np.mean([teacher.profile(utrs, assay=name) for teacher in teachers], axis=0)
            part["mrl"] = profile @ np.array(assay.fraction_weights)
            part[[f"r{fraction}" for fraction in range(profile.shape[1])]] = profile
        else:
            part["mrl"] = np.mean([teacher.predict(utrs, assay=name)["mrl"] for teacher in teachers], axis=0)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _like(own: pd.DataFrame, count: int, random: np.random.Generator) -> list[str]:
    """Make sequences that each follow one drawn from `own`: random letters after random ones, else a relative."""
    utrs = own["seq"].tolist()
    free = (own["origin"] == "random").to_numpy() if "origin" in own else np.zeros(len(own), dtype=bool)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    made = []
    for drawn in random.integers(len(utrs), size=count):
        model = np.frombuffer(utrs[drawn].encode(), dtype=np.uint8)
        if free[drawn]:
            child = random.choice(letters, len(model))
        elif random.random() < 0.5:
            child = _mutate(model, letters, random)
        else:
            other = np.frombuffer(utrs[random.integers(len(utrs))].encode(), dtype=np.uint8)
            child = _cross(model, other, random)
        made.append(child.tobytes().decode())
    return made


def _mutate(
    utr: NDArray[np.uint8], letters: NDArray[np.uint8], random: np.random.Generator
) -> NDArray[np.uint8]:  # fmt: skip
    places = random.integers(len(utr), size=random.integers(1, max(2, int(len(utr) * _MUTATED) + 1)))
    child = utr.copy()
    child[places] = random.choice(letters, len(places))
    return child


def _cross(utr: NDArray[np.uint8], other: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Put the start of one before the end of another, both keeping their distance to the start codon."""
    shorter = min(len(utr), len(other))
    if shorter <= 2 * _LEAST_OF_A_PARENT:
        return utr
    end = random.integers(_LEAST_OF_A_PARENT, shorter - _LEAST_OF_A_PARENT + 1)
    return np.concatenate([utr[:-end], other[-end:]])
