"""What every column that ribocast writes means, said once: its title, unit and description."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

_MRL = "ribosomes per mRNA"
_LOG2 = "log2"
Name = TypeVar("Name")
_FIVE_PRIME = re.compile("(5(p|prime)?|fiveprime)?utr5?(seq|sequence)?")


class Column(NamedTuple):
    """A column of an output: a short title, the unit of its numbers (empty for text and counts), and what it says."""

    title: str
    unit: str
    description: str


COLUMNS = {
    "row": Column("row", "", "The row of the input, counted from 1 without a header."),
    "id": Column("name", "", "What the sequence is called: a FASTA title, or a column id or name."),
    "seq": Column("5′ UTR", "", "5′→3′, ending right before the start codon."),
    "mrl": Column("MRL", _MRL, "Predicted mean ribosome load, in the units of the assay."),
    "mrl_low": Column("MRL, low", _MRL, "Lower end of the 90 % interval for a new measurement."),
    "mrl_high": Column("MRL, high", _MRL, "Upper end of the 90 % interval for a new measurement."),
    "note": Column("note", "", "What is unusual about the sequence for this assay; empty where nothing is."),
    "ref": Column("reference", "", "The 5′ UTR without the variant."),
    "alt": Column("alternative", "", "The 5′ UTR with the variant."),
    "chrom": Column("CHROM", "", "The sequence that the VCF names."),
    "pos": Column("POS", "", "Position of the first letter of REF, counted from 1."),
    "vcf_ref": Column("REF", "", "The reference allele of the VCF."),
    "vcf_alt": Column("ALT", "", "The alternative allele of the VCF."),
    "ref_mrl": Column("MRL of the reference", _MRL, "Predicted mean ribosome load without the variant."),
    "alt_mrl": Column("MRL of the alternative", _MRL, "Predicted mean ribosome load with the variant."),
    "log2_fold_change": Column("change", _LOG2, "log2 of the MRL with the change over the MRL without it."),
    "log2_low": Column("change, low", _LOG2, "Lower end of the 90 % interval for a measured change."),
    "log2_high": Column("change, high", _LOG2, "Upper end of the 90 % interval for a measured change."),
    "consequence": Column("consequence", "", "What the change does to upstream start codons and their reading frames."),
    "position": Column("position", "nt", "From the start codon: −1 is the last base of the 5′ UTR."),
    "kind": Column("kind", "", "Substitution, deletion or insertion; of an upstream start codon, the kind of uORF."),
    "change": Column("difference", _MRL, "The MRL with the change less the MRL without it."),
    "uatgs": Column("uATGs", "", "Upstream ATGs."),
    "uorfs": Column("uORFs", "", "Upstream ATGs whose reading frame ends before the start codon."),
    "overlapping_uorfs": Column("overlapping uORFs", "", "Upstream ATGs whose reading frame overlaps the start codon."),
    "n_terminal_extensions": Column("N-terminal extensions", "", "Upstream ATGs in frame with the start codon."),
    "upstream_starts": Column("upstream starts", "", "Each upstream start codon in words."),
    "kozak": Column("Kozak", "", "Strength of the start codon's context: weak, moderate, strong or unknown."),
    "kozak_score": Column(
        "Kozak score", _MRL, "What the context takes beyond an average one; see ribocast.sequence.kozak."
    ),
    "name": Column("design", "", "What the design is called."),
    "target": Column("target", _MRL, "The wanted MRL; empty where the highest was wanted."),
    "length": Column("length", "nt", "Letters of the 5′ UTR."),
    "independent_mrl": Column("MRL, independent", _MRL, "What a model that the search did not use predicts."),
    "second": Column("second objective", "", "Value of the second objective."),
    "out_of_distribution_score": Column(
        "out-of-distribution score", "", "How unlike the measured sequences it is; 1 is usual."
    ),
    "gc": Column("GC", "share", "Share of G and C, 0 to 1."),
    "free_energy": Column("folding energy", "kcal/mol", "Minimum free energy of the 5′ UTR, by ViennaRNA."),
    "edits": Column("edits", "nt", "Edits from the sequence to stay near to."),
}


def column_called(columns: Iterable[Name], names: Sequence[str]) -> Name | None:
    """Return the column that has the first of some names, in any case; None if none has one.

    Where none has, signs and white space do not count, and ``5'UTR``, ``UTR5`` and the like are ``utr``.
    """
    found = list(columns)
    # As it is named, and else as people spell it: 5'UTR, 5′ UTR sequence, UTR5, Ref seq.
    for spelled in (lambda name: name.strip().lower(), _plain):
        by_name = {spelled(str(column)): column for column in reversed(found)}
        if (name := next((name for name in names if spelled(name) in by_name), None)) is not None:
            return by_name[spelled(name)]
    return None


def _plain(name: str) -> str:
    letters = re.sub("[^a-z0-9]", "", name.lower())
    return "utr" if _FIVE_PRIME.fullmatch(letters) else letters
