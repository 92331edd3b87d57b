"""From a VCF, a name or a pair of sequences to what a variant does to translation."""
