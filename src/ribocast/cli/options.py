"""The command line's two groups of commands, and the options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ribocast.cli.terminal import say

if TYPE_CHECKING:
    from ribocast.io.output_paths import OutputPaths
    from ribocast.io.tables import Chunk
    from ribocast.model.bundle import AssayCard
    from ribocast.model.predictor import Predictor

app = typer.Typer(
    name="ribocast",
    help="Reads a 5′ UTR and says how well its mRNA is translated; trains on measurements.",
    epilog="Example: ribocast predict utrs.fasta",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(
    help="Fetch, prepare and look at tables of measurements.",
    epilog="Example: ribocast data describe train.csv",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")

Column = Annotated[str | None, typer.Option(help="Column of the sequences; else seq, sequence or utr is looked for.")]
Label = Annotated[
    str | None, typer.Option(help="Column of the mean ribosome loads (MRLs); else label, mrl or rl is looked for.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; all cores without it.")]
Length = Annotated[int, typer.Option(min=1, max=10_000, help="Shortest and longest, nt.")]
Engine = Annotated[
    Literal["auto", "openvino", "openvino-bf16", "torch"],
    typer.Option(help="What runs the network; openvino-bf16 is faster where the processor has bfloat16, and rounds."),
]
CutAtStart = Annotated[
    bool,
    typer.Option(
        "--cut-at-start", help="Leave out the start codon, and what follows it, of sequences that likely hold it."
    ),
]
OnError = Annotated[Literal["stop", "skip"], typer.Option(help="At a bad row: stop, or skip it, count it and list it.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with a run to the same -o that was killed; see docs/speed.md.")
]

Shard = Annotated[
    str | None,
    typer.Option(metavar="K/N", help="Do the K-th of N parts: of the files, or of one file's rows; see docs/scale.md."),
]
Ray = Annotated[
    str | None,
    typer.Option(metavar="auto|ADDRESS", help="Let a Ray cluster do it (auto: the one there is, else a local one)."),
]


def read_labelled(
    path: str, column: str | None, label: str | None, on_error: OnError, outputs: OutputPaths | None = None,
    output: Path | None = None,
) -> Chunk:  # fmt: skip
    """Read a labelled table without its bad rows, listed beside the output if there is one, or stop at the first."""
    from ribocast.io.output_paths import OutputPaths
    from ribocast.io.rejects import RowFilter
    from ribocast.io.tables import read_table

    chunk = read_table(path, column=column, label=label)
    with RowFilter(on_error, outputs or OutputPaths(), output, say) as row_filter:
        good = row_filter.keep(chunk, chunk.faults(need_label=True))
        row_filter.refuse_nothing(len(good.frame))
    return good


def say_assay(asked: str | None, model: Predictor, used: AssayCard | None = None) -> None:
    """Say in which assay's units the numbers are, where nobody asked for one of several."""
    if asked is None and len(model.card.assays) > 1:
        used = used or model.card.assay()
        say(f"assay: {used.name} ({used.description}); others: see ribocast models")
