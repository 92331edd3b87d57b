"""The 5′ UTRs of an annotation in a genome: which of them a place concerns, and their letters."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ribocast.errors import InputError
from ribocast.io.output_paths import OutputPaths, remove_list
from ribocast.io.writers import open_table
from ribocast.sequence.construct import Construct
from ribocast.variants.annotation import Annotation, count_reasons, read_annotation
from ribocast.variants.genome import Genome, contig_key
from ribocast.variants.placement import SplicedTranscript
from ribocast.variants.transcripts import Transcript

_BIN = 1 << 11
_KEPT = 8_192
_LOOKED_AT = 200


class GenomeUtrs:
    """5′ UTRs, found by place.

    Parameters
    ----------
    annotation : Annotation
        Their transcripts; those that the genome does not hold are moved to its list of the skipped.
    genome : Genome
        Their letters.

    Raises
    ------
    RibocastError
        If the genome holds none of them.
    """

    def __init__(self, annotation: Annotation, genome: Genome) -> None:
        self.genome = genome
        self.skipped = list(annotation.skipped)
        self.transcripts: list[Transcript] = []
        for transcript in annotation.transcripts:
            if reason := self._missing(transcript):
                self.skipped.append((transcript.gene, transcript.name, reason))
            else:
                self.transcripts.append(transcript)
        if not self.transcripts:
            raise InputError(f"{genome.name}: {self.skipped[-1][2]}: {self.skipped[-1][1]}, and so for all others")
        self.read = lru_cache(maxsize=_KEPT)(self._read)
        """Of the number of a transcript: it with its letters; the last thousands are kept in memory."""
        self._bins: dict[tuple[str, int], list[int]] = {}
        self._contigs: set[str] = set()
        for number, transcript in enumerate(self.transcripts):
            key = contig_key(transcript.contig)
            self._contigs.add(key)
            spans = [*transcript.utr, *((zone.begin, zone.end) for zone in transcript.zones)]
            held = {place for begin, end in spans for place in range(begin // _BIN, end // _BIN + 1)}
            for place in held:
                self._bins.setdefault((key, place), []).append(number)

    def _missing(self, transcript: Transcript) -> str:
        contig = self.genome.contig(transcript.contig)
        if contig is None:
            return f"the FASTA file has no contig {transcript.contig!r}"
        if max(transcript.utr[-1][1], transcript.coding[-1][1]) > self.genome.length(contig):
            return f"it ends beyond the end of contig {transcript.contig!r} in the FASTA file"
        return ""

    def knows(self, contig: str) -> bool:
        """Tell whether any UTR is on a contig, with or without chr."""
        return contig_key(contig) in self._contigs

    def near(self, contig: str, begin: int, end: int) -> list[int]:
        """Return the numbers of transcripts that ``[begin, end)`` of a contig may concern, ascending."""
        key = contig_key(contig)
        first, last = (begin - 1) // _BIN, (end + 1) // _BIN
        if first == last:
            return self._bins.get((key, first), [])
        return sorted({number for one in range(first, last + 1) for number in self._bins.get((key, one), ())})

    def _read(self, number: int) -> SplicedTranscript:
        transcript = self.transcripts[number]
        utr, coding = (self.genome.spliced(transcript, blocks) for blocks in (transcript.utr, transcript.coding))
        return SplicedTranscript(transcript, utr, coding)

    def with_atg(self) -> float:
        """Return the share of start codons that are ATG, among the first transcripts."""
        some = [self.read(number).coding for number in range(min(_LOOKED_AT, len(self.transcripts)))]
        return sum(coding.startswith("ATG") for coding in some) / len(some)


@lru_cache(maxsize=1_024)
def own_construct(spliced: SplicedTranscript) -> tuple[Construct, str]:
    """Return a transcript's own construct, nothing before the UTR and its coding sequence behind it, and a remark."""
    coding, note = spliced.coding, ""
    if not coding.startswith("ATG"):
        note = f"its start codon is {coding[:3]}, read as ATG"
        coding = f"ATG{coding[3:]}"
    return Construct("", coding), note


def open_utrs(
    gtf: str | Path,
    fasta: str | Path,
    output: str | Path | None,
    *,
    canonical: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> GenomeUtrs:
    """Read an annotation and open its genome; say and list what is skipped.

    Parameters
    ----------
    gtf, fasta
        See `ribocast.variants.annotation.read_annotation` and `ribocast.variants.genome.Genome`.
    output : str or Path, optional
        Skipped transcripts are listed with the reason in ``NAME.skipped.csv`` beside it.
    canonical : bool
        One transcript of each gene; see `ribocast.variants.annotation.read_annotation`.
    say : callable, optional
        Told, in a line, what the user should know.
    """
    import pandas as pd

    listing = OutputPaths((gtf, fasta)).add_list(output, "skipped", "the list of skipped transcripts")
    if Path(fasta).is_file() and not Path(f"{fasta}.fai").exists():
        say(f"making the index {Path(fasta).name}.fai")
    genome = Genome(fasta)
    utrs = GenomeUtrs(read_annotation(gtf, canonical=canonical), genome)
    skipped = utrs.skipped
    count = len(utrs.transcripts)
    say(f"{Path(gtf).name}: {count:,} transcript{'s' * (count != 1)} with a 5' UTR")
    if skipped:
        listed = ""
        if listing:
            with open_table(listing) as sink:
                sink.write(pd.DataFrame(skipped, columns=["gene", "transcript", "reason"]))
            listed = f", listed in {listing}"
        say(f"skipped {len(skipped):,} transcript{'s' * (len(skipped) != 1)} ({count_reasons(skipped)}){listed}")
    elif listing and remove_list(listing, "skipped"):
        say(f"no transcript is skipped; removed an earlier run's list, {listing}")
    if (share := utrs.with_atg()) < 0.5:
        say(
            f"only {share:.0%} of the first start codons are ATG: is {Path(fasta).name} the genome of {Path(gtf).name}?"
        )
    return utrs
