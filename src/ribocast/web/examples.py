"""An input for each call, which the page's example buttons fill in and the documentation shows."""

from __future__ import annotations

from typing import Any

UTRS = """\
>HBB human beta-globin
ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC
>HBA2 human alpha-globin
ACTCTTCTGGTCCCCACAGACTCAGAGAGAACCCACC
>BNT162b2 vaccine, from human alpha-globin
GAGAAUAAACUAGUAUUCUUCUGGUCCCCACAGACUCAGAGAGAACCCGCCACC
>mRNA-1273 vaccine
GGGAAAUAAGAGAGAAAAGAAGAGUAAGAAGAAAUAUAAGACCCCGGCGCCGCCACC
>TMV-omega tobacco mosaic virus
GTATTTTTACAACAATTACCAACAACAACAAACAACAAACAACATTACAATTACTATTTACAATTACA
>HBB-uATG beta-globin with one letter changed
ACATTTGCTTCTGACACAACTGTGTTCACTATGAACCTCAAACAGACACC
"""
HBB = "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC"
HBB_CHANGED = "ACATTTGCTTCTGACACAACTATGTTCACTAGCAACCTCAAACAGACACC"
CDKN2A = "CCGGCGGCTGCGGAGAGGGGGAGAGCAGGCAGCGGGCGGCGGGGAGCAGC"
CDKN2A_CHANGED = "CCGGCGGCTGCGGAGATGGGGAGAGCAGGCAGCGGGCGGCGGGGAGCAGC"
TRANSCRIPTS = f">HBB\n{HBB}\n>CDKN2A\n{CDKN2A}\n"
VCF = """\
##fileformat=VCFv4.3
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
HBB\t22\tc.-29G>A\tG\tA\t.\t.\t.
CDKN2A\t17\tc.-34G>T\tG\tT\t.\t.\t.
"""
EXAMPLES: dict[str, dict[str, Any]] = {
    "predict": {"title": "six 5′ UTRs", "text": UTRS},
    "explain": {"title": "beta-globin with an upstream ATG", "text": f">HBB-uATG\n{HBB_CHANGED}\n"},
    "variants": {
        "title": "two disease variants", "refs": f"{HBB}\n{CDKN2A}\n", "alts": f"{HBB_CHANGED}\n{CDKN2A_CHANGED}\n",
    },
    "vcf": {"title": "a VCF of two rows", "utrs": TRANSCRIPTS, "vcf": VCF},
    "design": {
        "title": "highest near beta-globin",
        "request": {"target": None, "n": 3, "like": HBB, "forbid": ["ATG", "GGTCTC"]},
    },
}  # fmt: skip
