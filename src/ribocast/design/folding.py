"""Minimum free energies, from ViennaRNA where the extra ``design`` is installed."""

from __future__ import annotations

import importlib
from functools import lru_cache
from types import ModuleType

from ribocast.errors import MissingExtraError


@lru_cache(maxsize=200_000)
def free_energy(seq: str) -> float:
    """Return the minimum free energy of a sequence alone, kcal/mol at 37 °C.

    Raises
    ------
    RibocastError
        If ViennaRNA is not installed.

    References
    ----------
    Lorenz et al., ViennaRNA Package 2.0, Algorithms for Molecular Biology 6, 26 (2011).
    """
    package = vienna()
    if package is None:
        raise MissingExtraError("free energies need ViennaRNA: pip install 'ribocast[design]'")
    return float(package.fold(seq)[1])


@lru_cache(maxsize=1)
def vienna() -> ModuleType | None:
    """Return the package, or None where it is not installed."""
    try:
        return importlib.import_module("RNA")
    except ImportError:
        return None
