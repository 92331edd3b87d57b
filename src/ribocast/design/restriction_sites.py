"""Restriction sites by the names of their enzymes, as Biopython and REBASE spell them."""

from __future__ import annotations

import difflib
import importlib
import re

from ribocast.errors import MissingExtraError, OptionError

# REBASE (Roberts et al., Nucleic Acids Research 51, D629–D630 (2023)); the test compares them with Biopython.
COMMON_SITES = {
    "AatII": "GACGTC", "AflII": "CTTAAG", "AgeI": "ACCGGT", "ApaI": "GGGCCC", "ApaLI": "GTGCAC", "AscI": "GGCGCGCC",
    "AvrII": "CCTAGG", "BamHI": "GGATCC", "BbsI": "GAAGAC", "BglII": "AGATCT", "BsaI": "GGTCTC", "BsmBI": "CGTCTC",
    "BspEI": "TCCGGA", "BspQI": "GCTCTTC", "BsrGI": "TGTACA", "BssHII": "GCGCGC", "BstBI": "TTCGAA", "BtgZI": "GCGATG",
    "ClaI": "ATCGAT", "DraI": "TTTAAA", "EcoRI": "GAATTC", "EcoRV": "GATATC", "Esp3I": "CGTCTC", "FseI": "GGCCGGCC",
    "HindIII": "AAGCTT", "HpaI": "GTTAAC", "KpnI": "GGTACC", "MluI": "ACGCGT", "MscI": "TGGCCA", "NaeI": "GCCGGC",
    "NcoI": "CCATGG", "NdeI": "CATATG", "NheI": "GCTAGC", "NotI": "GCGGCCGC", "NruI": "TCGCGA", "NsiI": "ATGCAT",
    "PacI": "TTAATTAA", "PmeI": "GTTTAAAC", "PstI": "CTGCAG", "PvuI": "CGATCG", "PvuII": "CAGCTG", "SacI": "GAGCTC",
    "SacII": "CCGCGG", "SalI": "GTCGAC", "SapI": "GCTCTTC", "SbfI": "CCTGCAGG", "ScaI": "AGTACT",
    "SfiI": "GGCCNNNNNGGCC", "SmaI": "CCCGGG", "SnaBI": "TACGTA", "SpeI": "ACTAGT",
    "SphI": "GCATGC", "StuI": "AGGCCT", "SwaI": "ATTTAAAT",
    "XbaI": "TCTAGA", "XhoI": "CTCGAG", "XmaI": "CCCGGG",
}  # fmt: skip


_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")


def find_site(enzyme: str) -> str:
    """Return the site of an enzyme, 5′→3′ with IUPAC letters; any case.

    Raises
    ------
    RibocastError
        If neither the common ones nor Biopython, where the extra ``design`` is installed, know it.
    """
    name = enzyme.strip()
    common = {known.lower(): site for known, site in COMMON_SITES.items()}
    if name.lower() in common:
        return common[name.lower()]
    try:
        restriction = importlib.import_module("Bio.Restriction")
    except ImportError:
        near = _near(name, list(COMMON_SITES))
        raise MissingExtraError(
            f"unknown restriction enzyme {name!r}{near}; more are known after pip install 'ribocast[design]'"
        ) from None
    every = {str(one).lower(): one for one in restriction.AllEnzymes}
    found = every.get(name.lower())
    if found is None:
        raise OptionError(f"unknown restriction enzyme {name!r}{_near(name, list(map(str, every.values())))}")
    return str(found.site)


def _near(name: str, known: list[str]) -> str:
    by_lower = {one.lower(): one for one in known}
    # EcoR1 is a common way to write EcoRI.
    roman = re.sub("[1-9]$", lambda digit: _ROMAN[int(digit[0])], name.strip()).lower()
    if roman in by_lower:
        return f" (did you mean {by_lower[roman]}?)"
    found = difflib.get_close_matches(name.lower(), by_lower, 1)
    return f" (did you mean {by_lower[found[0]]}?)" if found else ""
