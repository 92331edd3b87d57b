"""The context of a start codon: how strong it is in words (Kozak), and how strong it was measured to be."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Strength = Literal["weak", "moderate", "strong", "unknown"]
POSITIONS = (-6, -5, -4, -3, -2, -1, 4, 5)
WEIGHTS = Path(__file__).with_name("kozak.json")
"""Ribosomes per mRNA that an upstream ATG in a context takes beyond one in an average context: by letter (A, C, G, T)
and position, and what two letters together take beyond that, by positions, first letter and second. From the
measurements of Sample et al., Nature Biotechnology 37, 803–809 (2019), random 50-nt library, rows with one upstream
ATG, out of frame and without a stop. Made by `python benchmarks/kozak.py --write`."""
_KNOWN = frozenset("ACGT")


def kozak_strength(at_minus_3: str, at_plus_4: str) -> Strength:
    """Grade a context by its letters at −3 and +4.

    Strong has A or G at −3 and G at +4, moderate one of them, weak neither (Kozak, Cell 44, 283–292 (1986), and EMBO J
    16, 2482–2492 (1997)); unknown where either is N, or beyond the construct.

    Examples
    --------
    >>> kozak_strength("A", "G")
    'strong'
    """
    if not (at_minus_3 in _KNOWN and at_plus_4 in _KNOWN):
        return "unknown"
    if at_minus_3 in "AG":
        return "strong" if at_plus_4 == "G" else "moderate"
    return "moderate" if at_plus_4 == "G" else "weak"


def kozak_score(context: str) -> float:
    """Score the context of a start codon by its letters at ``POSITIONS`` and by each pair of them; see ``WEIGHTS``.

    Parameters
    ----------
    context : str
        11 letters, −6 to +5. Letters other than A, C, G and T count as average, 0.

    Returns
    -------
    float
        Ribosomes per mRNA that an upstream ATG in this context takes beyond one in an average context.

    Examples
    --------
    >>> kozak_score("GCCACCATGGC") > kozak_score("GCCTCCATGCC")
    True
    """
    place = 0
    for letter in context[:6] + context[9:11]:
        place = place * 5 + "ACGT".find(letter) % 5  # not found is −1, and the last of five
    return round(float(_scores()[place]), 2)


@cache
def _scores() -> NDArray[np.float64]:
    """Add the weights up for every context, once: eight digits of base 5, A, C, G, T and any other letter."""
    import json

    import numpy as np

    weights = json.loads(WEIGHTS.read_text())
    letters = np.zeros((len(POSITIONS), 5))
    letters[:, :4] = np.array([weights["letters"][letter] for letter in "ACGT"]).T
    scores = np.zeros((5,) * len(POSITIONS))
    for place, own in enumerate(letters):
        scores += own.reshape([5 if at == place else 1 for at in range(len(POSITIONS))])
    for a, b in combinations(range(len(POSITIONS)), 2):
        pair = np.zeros((5, 5))
        pair[:4, :4] = weights["pairs"][f"{POSITIONS[a]:+} {POSITIONS[b]:+}"]
        scores += pair.reshape([5 if at in (a, b) else 1 for at in range(len(POSITIONS))])
    return scores.ravel()
