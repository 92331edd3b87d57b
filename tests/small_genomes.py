"""Small random genomes with genes, and a slow, separate way to say what a variant does to their 5′ UTRs.

Nothing here comes from the package: positions count from 1 and ends are included, as in GTF and VCF, and what a variant
does is found by changing the genome's string, moving the exons' positions, and reading the transcript again.
"""

from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

PAIRS = dict(zip("ACGTN", "TGCAN", strict=True))


class Gene(NamedTuple):
    """Exons ascending, positions of their first and last letters from 1; `first` is that of the start codon's A."""

    name: str
    strand: str
    exons: list[tuple[int, int]]
    first: int


class Small(NamedTuple):
    letters: str
    genes: list[Gene]


def turned(letters):
    return "".join(PAIRS[letter] for letter in reversed(letters))


def mirrored(small):
    """Give the same genome read from the other end."""
    n = len(small.letters)
    genes = [
        Gene(gene.name, "-" if gene.strand == "+" else "+",
             sorted((n + 1 - last, n + 1 - first) for first, last in gene.exons), n + 1 - gene.first)
        for gene in small.genes
    ]  # fmt: skip
    return Small(turned(small.letters), genes)


def mrna(gene):
    """List the positions of a transcript's letters, 5′→3′."""
    spots = [spot for first, last in gene.exons for spot in range(first, last + 1)]
    return spots if gene.strand == "+" else spots[::-1]


def spliced_utr(letters, gene):
    """Read a 5′ UTR, letter by letter."""
    text = ""
    for spot in mrna(gene):
        if spot == gene.first:
            return text
        text += letters[spot - 1] if gene.strand == "+" else PAIRS[letters[spot - 1]]
    raise AssertionError("the start codon is in no exon")


def gtf(small, contig="chr1"):
    lines = []
    for gene in small.genes:
        spots = mrna(gene)
        coding = set(spots[spots.index(gene.first) :])
        rows = [("exon", first, last) for first, last in gene.exons]
        for first, last in gene.exons:
            inside = [spot for spot in range(first, last + 1) if spot in coding]
            if inside:
                rows.append(("CDS", min(inside), max(inside)))
        lines += [
            f'{contig}\ttest\t{kind}\t{first}\t{last}\t.\t{gene.strand}\t{"0" if kind == "CDS" else "."}\t'
            f'gene_id "G{gene.name}"; transcript_id "{gene.name}";'
            for kind, first, last in rows
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def fasta(small, contig="chr1", width=17):
    letters = small.letters
    return f">{contig} words\n" + "".join(letters[at : at + width] + "\n" for at in range(0, len(letters), width))


def places_of(letters, spot, ref, alt):
    """List all ways to write a variant: (first, last, new), `last` < `first` for an insertion before `first`."""
    result = letters[: spot - 1] + alt + letters[spot - 1 + len(ref) :]
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt, spot = ref[1:], alt[1:], spot + 1
    if bool(ref) == bool(alt):
        return [(spot, spot + len(ref) - 1, alt)] if ref else []
    found = []
    for first in range(1, len(letters) + 2):
        if ref and first + len(ref) - 1 <= len(letters):
            last, new = first + len(ref) - 1, ""
        elif alt:
            last, new = first - 1, result[first - 1 : first - 1 + len(alt)]
        else:
            continue
        if letters[: first - 1] + new + letters[last:] == result:
            found.append((first, last, new))
    return found


def expected(small, gene, spot, ref, alt):
    """Say what a variant does: ("scored", UTR, position), ("touches", set of words), or None."""
    if len(ref) == len(alt):
        return _letter_by_letter(small, gene, spot, ref, alt)
    return _as_one_change(small, gene, spot, ref, alt)


def _letter_by_letter(small, gene, spot, ref, alt):
    """Let each letter that differs be a substitution of its own, in a genome that has those before it."""
    touched, numbers, letters = set(), [], small.letters
    for at, (old, new) in enumerate(zip(ref, alt, strict=True), start=spot):
        found = _as_one_change(Small(letters, small.genes), gene, at, old, new)
        if found is None:
            continue
        if found[0] == "touches":
            touched |= found[1]
        else:
            letters = letters[: at - 1] + new + letters[at:]
            numbers.append(found[2])
    if touched:
        return ("touches", touched)
    return ("scored", spliced_utr(letters, gene), min(numbers)) if numbers else None


def _as_one_change(small, gene, spot, ref, alt):
    spots = mrna(gene)
    length = spots.index(gene.first)
    codon = set(spots[length : length + 3])
    parts = []
    for first, last in gene.exons:
        part = [one for one in range(first, last + 1) if one in spots[:length]]
        if part:
            parts.append((min(part), max(part)))
    sites = []
    order = gene.exons if gene.strand == "+" else gene.exons[::-1]
    spliced = 0
    for one, other in pairwise(order):
        spliced += one[1] - one[0] + 1
        if spliced >= length + 3:
            break
        left, right = min(one, other)[1], max(one, other)[0]
        intron = range(left + 1, right)
        sites.append((set(intron[:2]), left))
        sites.append((set(intron[-2:]), right))
    inside, touched, exons, leaves_all = [], set(), set(), False
    for first, last, new in places_of(small.letters, spot, ref, alt):
        here = set()
        if last < first:
            pair = {last, first}
            if any(pair <= site | {edge} for site, edge in sites):
                here.add("a splice site")
            if pair <= codon:
                here.add("the start codon")
            if pair == ({spots[0] - 1, spots[0]} if gene.strand == "+" else {spots[0], spots[0] + 1}):
                here.add("the 5' end of the UTR")
            beside = {spots[length - 1], gene.first}
            within = [part for part in parts if all(part[0] <= one <= part[1] for one in pair)
                      or (pair == beside and spots[length - 1] in range(part[0], part[1] + 1))]  # fmt: skip
        else:
            gone = set(range(first, last + 1))
            if any(gone & site for site, _ in sites):
                here.add("a splice site")
            if gone & codon:
                here.add("the start codon")
            if gone >= ({spots[0] - 1, spots[0]} if gene.strand == "+" else {spots[0], spots[0] + 1}):
                here.add("the 5' end of the UTR")
            within = [part for part in parts if all(part[0] <= one <= part[1] for one in gone)]
        touched |= here
        leaves_all |= not here and not within
        if within and not here:
            exons.add(within[0])
            inside.append((first, last, new))
    if len(exons) > 1:
        return ("touches", {"a splice site"})
    if not inside:
        # Written elsewhere, the same change leaves the whole ATG and what stands before it.
        if touched == {"the start codon"} and leaves_all:
            return None
        return ("touches", touched) if touched else None
    for first, last, new in inside:
        if not new and any(first <= part[0] and part[1] <= last for part in parts):
            return ("touches", {"the whole UTR" if last - first + 1 == length else "a whole exon of the UTR"})
    results, numbers = set(), []
    for first, last, new in inside:
        changed = small.letters[: first - 1] + new + small.letters[last:]
        moved = len(new) - (last - first + 1)
        # What begins at or after the change moves; an insertion right at the joint belongs to the UTR.
        plus = gene.strand == "+"
        exons = [
            (a + moved * (a > last), b + moved * (b >= last and b >= first - (last < first))) for a, b in gene.exons
        ]
        a_of_atg = gene.first + moved * (gene.first > last)
        if not plus and last < first and gene.first == last:
            a_of_atg = gene.first
        results.add(spliced_utr(changed, Gene(gene.name, gene.strand, exons, a_of_atg)))
        if last < first:
            before = last if plus else first
            numbers.append(spots.index(before) - length)
        else:
            numbers.append(min(spots.index(one) for one in range(first, last + 1)) - length)
    assert len(results) == 1
    return ("scored", results.pop(), max(numbers))


@st.composite
def small_genomes(draw, letters="ACGTACGTN"):
    """Draw a genome of up to some 150 letters with one to four genes that may overlap."""
    size = draw(st.integers(40, 150))
    text = "".join(draw(st.lists(st.sampled_from(letters), min_size=size, max_size=size)))
    genes = []
    for number in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 4))
        cuts = sorted(draw(st.lists(st.integers(2, size - 1), min_size=2 * count, max_size=2 * count, unique=True)))
        exons = [(cuts[2 * at], cuts[2 * at + 1] - draw(st.integers(0, 1))) for at in range(count)]
        if any(one[1] + 1 == other[0] for one, other in pairwise(exons)):
            continue
        gene = Gene(f"T{number}", draw(st.sampled_from("+-")), exons, 0)
        spots = mrna(gene)
        if len(spots) < 4:
            continue
        genes.append(gene._replace(first=spots[draw(st.integers(1, len(spots) - 3))]))
    return Small(text, genes)


@st.composite
def small_variants(draw, letters):
    """Draw a variant: REF as it is in the genome, ALT anything up to six letters."""
    spot = draw(st.integers(1, len(letters)))
    ref = letters[spot - 1 : spot - 1 + draw(st.integers(1, 6))]
    kind = draw(st.sampled_from(["any", "insertion", "deletion", "repeat"]))
    if kind == "any":
        alt = draw(st.text("ACGT", min_size=1, max_size=6))
    elif kind == "insertion":
        alt = ref + draw(st.text("ACGT", min_size=1, max_size=4))
    elif kind == "repeat":
        alt = ref + ref
    else:
        alt = ref[:1]
    return spot, ref, alt
