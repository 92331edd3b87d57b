"""What the GEO series GSE114002 holds: files, libraries, columns, and how its authors split them.

Sample et al., Nature Biotechnology 37, 803–809 (2019). The files themselves were not at hand when this was written.
What is stated here, and from where:

- Files and their place at GEO: public download scripts of several groups that agree.
- Columns: the header of the authors' published table of variants (``snv_phenotype_log_diff.csv`` of their repository
  ``pjsample/human_5utr_modeling``), their notebooks there, and public code that reads the files. The reads are
  ``total_reads`` in the first eGFP replicate and in the library of varying length, where a column ``total`` stands
  beside it that is not a number of reads; elsewhere they are ``total``. Fractions are named ``0`` … or ``00`` …, their
  shares ``r0`` … or ``r_00`` …; the random library's first replicate and the designed library have 14, that of
  varying length 13, others are said to have fewer. So columns are found by a set of names
  (`ribocast.learn.data.published.published`).
- Ends of the UTRs: some files hold 59 letters, the UTR of 50 and the first nine of the coding sequence. The authors'
  notebooks use the first 50 letters of every file of a 50-nt library.
- Split: the authors' notebooks ``training_poly_CNN`` and ``training_MRL_CNN`` (280,000 by reads, the first 20,000 are
  the test set), ``Varying_length_25to100_modeling`` (at least 10 reads; for each length the 100 with the most, random
  and human UTRs apart) and ``human_utr_modeling`` (the 25,000 with the most reads evaluate a model).
- A share is the count over all counts of its fraction, divided by the sum of these over the fractions; checked on the
  authors' table of variants, as are the weights of that library (`ribocast.learn.data.assays`), to 1e-10.

What could not be checked is how rows with equal reads were ordered, so that rows at the edge of a split can differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ribocast.errors import OptionError

SERIES = "GSE114002"
BASE_URL = "https://ftp.ncbi.nlm.nih.gov/geo/samples"
"""Where GEO keeps the files of samples; a mirror has the same folders below."""
PAIRS = "egfp_human50_snv_pairs"
"""Reference and variant side by side; made from the designed library."""


@dataclass(frozen=True)
class SeriesFile:
    """One file of the series.

    Attributes
    ----------
    accession : str
        Of the sample at GEO.
    name : str
        Of the file there and on disk.
    """

    accession: str
    name: str

    @property
    def path(self) -> str:
        """Where it is below the address of GEO or of a mirror."""
        return f"{self.accession[:-3]}nnn/{self.accession}/suppl/{self.name}"


@dataclass(frozen=True)
class Library:
    """What a library is made from, and how its authors split it.

    Attributes
    ----------
    name : str
        As in `ribocast.learn.data.assays`.
    files : tuple of SeriesFile
        One for each replicate.
    kind : {"random", "designed", "varying"}
        Which reader; "designed" holds human UTRs and their variants among other sequences.
    keep : int or None
        So many rows with the most reads are used; None is all.
    test : int
        Number of these with the most reads that are the test set; for "varying", of each length and origin.
    least_reads : int
        Rows with fewer are not used.
    note : str
        How far the split is the published one.
    """

    name: str
    files: tuple[SeriesFile, ...]
    kind: Literal["random", "designed", "varying"]
    keep: int | None
    test: int
    least_reads: int
    note: str


def _file(accession: str, stem: str) -> SeriesFile:
    return SeriesFile(accession, f"{accession}_{stem}.csv.gz")


_CHEMISTRY = (
    "the paper compares chemistries on the UTRs that all six eGFP tables share (260,000 of them); "
    "here the rule of the unmodified library is applied to one table"
)
_DESIGNED = (_file("GSM3130443", "designed_library"),)

LIBRARIES = {
    library.name: library
    for library in (
        Library(
            "egfp_random50",
            (_file("GSM3130435", "egfp_unmod_1"), _file("GSM3130436", "egfp_unmod_2")),
            "random", 280_000, 20_000, 1,
            "as published for the first replicate",
        ),
        Library(
            "egfp_random50_pseudo",
            (_file("GSM3130437", "egfp_pseudo_1"), _file("GSM3130438", "egfp_pseudo_2")),
            "random", 280_000, 20_000, 1, _CHEMISTRY,
        ),
        Library(
            "egfp_random50_m1psi",
            (_file("GSM3130439", "egfp_m1pseudo_1"), _file("GSM3130440", "egfp_m1pseudo_2")),
            "random", 280_000, 20_000, 1, _CHEMISTRY,
        ),
        Library(
            "mcherry_random50",
            (_file("GSM3130441", "mcherry_1"), _file("GSM3130442", "mcherry_2")),
            "random", 180_000, 20_000, 1,
            "the paper takes the UTRs of both replicates, the 180,000 with the most reads in the first and of these "
            "the 170,000 with the most in the second; here only the first of the two cuts is made",
        ),
        Library(
            "egfp_human50", _DESIGNED, "designed", None, 25_000, 1,
            "test is what the paper evaluates on, the 25,000 with the most reads; it trains on none of these rows",
        ),
        Library(
            "egfp_varying25to100",
            (_file("GSM4084997", "varying_length_25to100"),),
            "varying", None, 100, 10,
            "as published for random UTRs; the paper trains on none of the human ones",
        ),
        Library(PAIRS, _DESIGNED, "designed", None, 0, 1, "no split: the pairs are for evaluation alone"),
    )
}  # fmt: skip


def choose_libraries(names: Iterable[str] | None) -> tuple[Library, ...]:
    """Look libraries up by name; all of them without names.

    Raises
    ------
    RibocastError
        For a name that is not in ``LIBRARIES``.
    """
    wanted = list(dict.fromkeys(names or LIBRARIES))
    for name in wanted:
        if name not in LIBRARIES:
            raise OptionError(f"unknown library {name!r}; {SERIES} has: {', '.join(LIBRARIES)}")
    return tuple(LIBRARIES[name] for name in wanted)


def files_of(libraries: Iterable[Library]) -> tuple[SeriesFile, ...]:
    """List the files that libraries are made from, each once."""
    return tuple(dict.fromkeys(file for library in libraries for file in library.files))
