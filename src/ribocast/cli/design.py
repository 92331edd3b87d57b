"""``ribocast design``: 5′ UTRs for a wanted MRL, under rules that always hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ribocast.cli.options import EngineOption, JsonOption, ThreadsOption, app
from ribocast.cli.terminal import print_json, progress, say
from ribocast.errors import OptionError

if TYPE_CHECKING:
    from ribocast.design.design import Designs
    from ribocast.design.rounds import Progress


@app.command(epilog="Example: ribocast design --target 8 --length 50 -n 20 --forbid ATG -o designs.csv")
def design(
    target: Annotated[
        float | None, typer.Option(help="The wanted MRL, ribosomes per mRNA.", show_default=False)
    ] = None,
    maximise: Annotated[bool, typer.Option("--maximise", "--maximize", help="The highest MRL.")] = False,
    series: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH:STEPS", help="Wanted MRLs, evenly from the lowest to the highest.")
    ] = None,
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="Designs of each MRL: 10, or 1 of each in a series.")
    ] = None,
    length: Annotated[
        str | None, typer.Option(help="Letters, as 50 or 40:60; else of the template or seed, or 50.")
    ] = None,
    template: Annotated[str | None, typer.Option(help="IUPAC letters from 5′ to 3′, e.g. NNNNNNNNNNGCCACC.")] = None,
    like: Annotated[
        str | None, typer.Option(help="Stay near to this sequence, or to the one in this file.", show_default=False)
    ] = None,
    max_edits: Annotated[
        int | None, typer.Option(min=0, help="Maximum edits away from --like; a quarter of its length by default.")
    ] = None,
    keep_start: Annotated[int, typer.Option(min=0, help="First letters that stay as in --like.")] = 0,
    keep_end: Annotated[int, typer.Option(min=0, help="Last letters that stay as in --like.")] = 0,
    forbid: Annotated[
        list[str] | None, typer.Option(help="Motifs (IUPAC, commas) that no design holds, nor its joints.")
    ] = None,
    avoid: Annotated[
        list[str] | None, typer.Option(help="The same, but allowed where a target is not reached without.")
    ] = None,
    forbid_sites: Annotated[
        list[str] | None, typer.Option(help="Restriction enzymes, both strands, e.g. BsaI,BsmBI,EcoRI.")
    ] = None,
    no_near_cognates: Annotated[
        bool, typer.Option("--no-near-cognates", help="No upstream ATG, CTG, GTG, TTG and the like.")
    ] = False,
    no_stops: Annotated[bool, typer.Option("--no-stops", help="No stop in the frame of the start codon.")] = False,
    gc: Annotated[str | None, typer.Option(metavar="LOW:HIGH", help="Share of G and C, as 0.35:0.6.")] = None,
    gc_window: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH:SIZE", help="The same in every window of SIZE nt.")
    ] = None,
    max_run: Annotated[int | None, typer.Option(min=1, help="Longest run of one letter.")] = None,
    no_repeat: Annotated[int | None, typer.Option(min=1, help="No word of this length twice.")] = None,
    min_distance: Annotated[int, typer.Option(min=1, help="Edits between any two designs of an MRL.")] = 1,
    no_overlap: Annotated[
        Path | None, typer.Option(help="Share no word with these sequences: FASTA, or a table.")
    ] = None,
    overlap: Annotated[int, typer.Option(min=1, max=31, help="Letters of such a word.")] = 12,
    free_energy: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="kcal/mol of the UTR, as -8:-2; needs ViennaRNA.")
    ] = None,
    for_cds: Annotated[
        Path | None, typer.Option(help="FASTA of the coding sequence that follows; else the assay's.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="What stands before the UTR; else the assay's. May be empty.")
    ] = None,
    algorithm: Annotated[
        Literal["genetic", "beam", "evolution", "gradient"], typer.Option(help="How to search.")
    ] = "genetic",
    budget: Annotated[
        int | None,
        typer.Option(min=1, help="Predictions at most, after a first round; 600 a design, at least 6,000."),
    ] = None,
    risk_aversion: Annotated[float, typer.Option(min=0, help="What a standard deviation of uncertainty costs.")] = 1.0,
    out_of_distribution_penalty: Annotated[
        float, typer.Option(min=0, help="What being unlike the measured sequences costs.")
    ] = 0.1,
    model: Annotated[
        list[str] | None, typer.Option(help="A folder or a shipped model; several are averaged, default without it.")
    ] = None,
    assay: Annotated[str | None, typer.Option(help="In which assay's units; see ribocast models.")] = None,
    independent: Annotated[
        str | None, typer.Option(help="A model that the search does not use, for independent_mrl.")
    ] = None,
    second: Annotated[str | None, typer.Option(help="A model whose MRL is a second objective.")] = None,
    weight: Annotated[float, typer.Option(help="Of the second objective; below 0, lower is better.")] = 1.0,
    pareto: Annotated[bool, typer.Option("--pareto", help="Designs along the front of the two objectives.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help=".csv, .tsv (also .gz), .parquet, or .fasta; else standard output."),
    ] = None,
    order: Annotated[
        Literal["idt"] | None, typer.Option(help="Also an order sheet with adapters: NAME.order.csv beside the output.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Path of the search and final set: .png, .svg or .pdf.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Makes it repeatable.")] = 0,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Design 5′ UTRs for the highest mean ribosome load (MRL), a wanted one or a series, under rules that always hold.

    The search is for an estimate on the safe side, of sequences like those that were measured. Every design is checked
    again by other code. Columns: target, seq, mrl with its 90 % interval, independent_mrl (an independent prediction),
    upstream starts, gc, free_energy, edits from the seed.
    """
    from ribocast.design import parse as options
    from ribocast.design.design import propose
    from ribocast.design.output import FASTA_ENDINGS
    from ribocast.design.request import Brief
    from ribocast.io.output_paths import OutputPaths
    from ribocast.io.writers import TABLE_ENDINGS, check_output
    from ribocast.model.predictor import load

    if (target is not None) + maximise + (series is not None) != 1:
        raise OptionError("give one of --target, --maximise and --series")
    if order and (output is None or str(output) == "-"):
        raise OptionError("--order writes beside the output: give -o too")
    if weight != 1.0 and second is None:
        raise OptionError("--weight is that of a second objective: give --second too")
    check_output(output, (*TABLE_ENDINGS, *FASTA_ENDINGS), stdout=True)
    places = OutputPaths((like, for_cds, no_overlap, *(model or []), independent, second))
    places.add(output, "the designs")
    sheet = places.add_list(_bare(output), "order", "the order sheet") if order else None
    if figure is not None:
        options.check_figure(figure)
        places.add(figure, "the figure")
    given = options.Given(
        length=length, template=template, like=like, max_edits=max_edits, keep_start=keep_start, keep_end=keep_end,
        forbid=tuple(forbid or ()), avoid=tuple(avoid or ()), forbid_sites=tuple(forbid_sites or ()),
        no_near_cognates=no_near_cognates, no_stops=no_stops, gc=gc, gc_window=gc_window, max_run=max_run,
        no_repeat=no_repeat, min_distance=min_distance, no_overlap=no_overlap, overlap=overlap, free_energy=free_energy,
    )  # fmt: skip
    rules, remarks = options.read_rules(given)
    wanted = options.read_series(series) if series is not None else target
    loaded = [load(name, engine=engine, threads=threads) for name in model or ["default"]]
    construct = options.read_construct(for_cds, adapter, loaded[0].card.assay(assay).surroundings)
    brief = Brief(
        target=wanted, n=n or (1 if series else 10), constraints=rules, like=options.read_like(like), assay=assay,
        construct=construct, algorithm=algorithm, budget=budget, seed=seed, risk_aversion=risk_aversion,
        out_of_distribution_penalty=out_of_distribution_penalty, weight=weight, pareto=pareto,
    )  # fmt: skip
    with progress("designing", results_to=output) as (advance, _):

        def watch(now: Progress) -> None:
            advance(now.calls, now.budget, f"best {now.best[-1].mrl:.2f}" if now.best else "")

        found = propose(
            loaded, brief, watch=watch, threads=threads,
            second=load(second, engine=engine, threads=threads) if second else None,
            independent=load(independent, engine=engine, threads=threads) if independent else "shipped",
        )  # fmt: skip
    for line in [*remarks, *found.remarks]:
        say(line)
    _write(found, output, order, sheet, figure, as_json=as_json)
    if assay is None and len(loaded[0].card.assays) > 1:
        chosen = loaded[0].card.assay()
        say(f"assay: {chosen.name} ({chosen.description}); others: see ribocast models")


def _bare(output: Path | None) -> Path | None:
    from ribocast.design.output import FASTA_ENDINGS

    return output.with_suffix("") if output and output.suffix.lower() in FASTA_ENDINGS else output


def _write(
    found: Designs, output: Path | None, order: str | None, sheet: Path | None, figure: Path | None, *, as_json: bool
) -> None:
    from ribocast.design.output import order_sheet, write_designs
    from ribocast.io.writers import open_table

    if as_json and (output is None or str(output) == "-"):
        print_json([{key: None if value != value else value for key, value in row.items()}
                    for row in found.table.to_dict("records")])  # fmt: skip
    else:
        write_designs(found.table, output)
    if output is not None and str(output) != "-":
        say(f"wrote {len(found.table)} designs to {output}, after {found.calls:,} predictions")
        if order and sheet:
            with open_table(sheet) as sink:
                sink.write(order_sheet(found.table, found.construct, order))
            say(f"wrote {sheet}")
        if as_json:
            print_json({"designs": len(found.table), "predictions": found.calls, "remarks": found.remarks})
    if figure is not None:
        from ribocast.design.plot import draw_designs
        from ribocast.io.figures import save_figure
        from ribocast.io.writers import whole_file

        with whole_file(figure) as partial:
            save_figure(draw_designs(found), partial, figure.suffix.lower())
        say(f"wrote {figure}")
