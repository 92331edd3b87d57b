"""All substitutions of an annotation, portion by portion; see `ribocast.predict.shards`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ribocast.model.predictor import Predictor
from ribocast.predict.shards import Done, Portion

if TYPE_CHECKING:
    from ribocast.variants.utrs import GenomeUtrs


@dataclass(frozen=True)
class Substitutions:
    """Score every substitution in some UTRs of an annotation; see `ribocast.variants.files.score_all`."""

    gtf: str
    fasta: str
    canonical: bool = False
    assay: str | None = None

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        genome = Path(self.fasta).stat()
        return {**asdict(self), "genome": [genome.st_size, genome.st_mtime_ns]}

    def utrs(self, output: str | Path | None = None, say: Callable[[str], None] = lambda _: None) -> GenomeUtrs:
        """Read the annotation, once in a process; see `ribocast.variants.utrs.open_utrs`."""
        if self not in _READ:
            from ribocast.variants.utrs import open_utrs

            _READ.clear()
            _READ[self] = open_utrs(self.gtf, self.fasta, output, canonical=self.canonical, say=say)
        return _READ[self]

    def do(
        self, model: Predictor, portion: Portion, *, resume: bool, keep: bool, done: Callable[[int], None],
        say: Callable[[str], None],
    ) -> Done:  # fmt: skip
        """Write a portion's output."""
        from ribocast.variants.files import score_all

        found = score_all(
            model, self.utrs(), portion.output, assay=self.assay, transcripts=portion.part,
            done=lambda rows, _total, _text: done(rows), say=say,
        )  # fmt: skip
        return Done(found.rows, 0)


_READ: dict[Substitutions, GenomeUtrs] = {}
