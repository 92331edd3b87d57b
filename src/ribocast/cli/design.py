"""``ribocast design``: 5′ UTRs for a wanted MRL, under rules that always hold."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from ribocast.cli import options
from ribocast.cli.terminal import print_json, progress, say
from ribocast.errors import InputError, OptionError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from ribocast.design.constraints.base import Spelling
    from ribocast.design.design import Designs
    from ribocast.design.request import DesignRequest
    from ribocast.design.rounds import Progress

_MOST_STEPS = 1_000
_FIGURES = (".png", ".svg", ".pdf")


@options.app.command(epilog="Example: ribocast design --target 8 --length 50 -n 20 --forbid ATG -o designs.csv")
def design(
    target: Annotated[
        float | None, typer.Option(help="The wanted MRL, ribosomes per mRNA.", show_default=False)
    ] = None,
    maximise: Annotated[bool, typer.Option("--maximise", "--maximize", help="The highest MRL.")] = False,
    series: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH:STEPS", help="Wanted MRLs, evenly from the lowest to the highest.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="Designs of each MRL: 10, or 1 of each in a series.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A folder or a shipped model; several are averaged, default without it.")
    ] = None,
    independent: Annotated[
        str | None, typer.Option(help="A model that the search does not use, for independent_mrl.")
    ] = None,
    second: Annotated[str | None, typer.Option(help="A model whose MRL is a second objective.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help=".csv, .tsv (also .gz), .parquet, or .fasta; else standard output."),
    ] = None,
    order: Annotated[
        Literal["idt"] | None, typer.Option(help="Also an order sheet with adapters: NAME.order.csv beside the output.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Path of the search and final set: .png, .svg or .pdf.")] = None,
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
    **given: Any,
) -> None:
    """Design 5′ UTRs for the highest mean ribosome load (MRL), a wanted one or a series, under rules that always hold.

    The search is for an estimate on the safe side, of sequences like those that were measured. Every design is checked
    again by other code. Columns: target, seq, mrl with its 90 % interval, independent_mrl (an independent prediction),
    upstream starts, gc, free_energy, edits from the seed.
    """
    from ribocast.design.design import propose
    from ribocast.design.output import FASTA_ENDINGS
    from ribocast.design.request import DesignRequest
    from ribocast.io.output_paths import OutputPaths
    from ribocast.io.writers import TABLE_ENDINGS, check_output
    from ribocast.model.predictor import load

    if (target is not None) + maximise + (series is not None) != 1:
        raise OptionError("give one of --target, --maximise and --series")
    if order and (output is None or str(output) == "-"):
        raise OptionError("--order writes beside the output: give -o too")
    if given["weight"] != 1.0 and second is None:
        raise OptionError("--weight is that of a second objective: give --second too")
    check_output(output, (*TABLE_ENDINGS, *FASTA_ENDINGS), stdout=True)
    files = [given[name] for name, field in DesignRequest.model_fields.items() if _spelling(field).file]
    outputs = OutputPaths((*files, *(model or []), independent, second))
    outputs.add(output, "the designs")
    sheet = outputs.add_list(_bare(output), "order", "the order sheet") if order else None
    if figure is not None:
        check_output(figure, _FIGURES)
        import matplotlib  # noqa: F401  (missing, it is better said before the search than after)

        outputs.add(figure, "the figure")
    wanted = _read_series(series) if series is not None else target
    n = (10 if series is None else 1) if n is None else n
    request = _read_request({**given, "target": wanted, "n": n})
    loaded = [load(name, engine=engine, threads=threads) for name in model or ["default"]]
    with progress("designing", results_to=output) as (advance, _):

        def watch(now: Progress) -> None:
            advance(now.calls, now.budget, f"best {now.best[-1].mrl:.2f}" if now.best else "")

        try:
            found = propose(
                loaded, request, watch=watch, threads=threads,
                second=load(second, engine=engine, threads=threads) if second else None,
                independent=load(independent, engine=engine, threads=threads) if independent else "shipped",
            )  # fmt: skip
        except OptionError as error:
            raise OptionError(_spelt(str(error))) from None
    for line in found.remarks:
        say(_spelt(line))
    _write(found, output, order, sheet, figure, as_json=as_json)
    options.say_assay(request.assay, loaded[0])


_OWN = inspect.signature(design, eval_str=True)
_PARAMETERS = [one for one in _OWN.parameters.values() if one.kind is not one.VAR_KEYWORD]
design.__signature__ = _OWN.replace(parameters=_PARAMETERS)  # type: ignore[attr-defined]


def add_request_options() -> None:
    """Give the command the options of a request, which takes a time that other commands spare."""
    from ribocast.design.request import DesignRequest

    added = [option for name, field in DesignRequest.model_fields.items() if (option := _option(name, field))]
    parameters = sorted([*_PARAMETERS[:4], *added, *_PARAMETERS[4:]], key=lambda one: one.kind)
    design.__signature__ = _OWN.replace(parameters=parameters)  # type: ignore[attr-defined]


def _option(name: str, field: FieldInfo) -> inspect.Parameter | None:
    """Make the command-line option of a field; None for a field without one, or with one written by hand."""
    if name in _OWN.parameters or not field.description:
        return None
    spelling, kind = _spelling(field), _kind_of(field)
    default = None if isinstance(field.default, tuple) else field.default
    option = typer.Option(_name_of(name, field), help=field.description, metavar=spelling.metavar or None)
    kind = kind if default is not None else kind | None
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Annotated[kind, option]
    )


def _kind_of(field: FieldInfo) -> Any:
    """Return the type that the command line reads a field as."""
    if isinstance(field.default, tuple):
        return list[str]
    kind: Any = field.annotation
    while get_args(kind) and get_origin(kind) is not Literal:
        kinds = [one for one in get_args(kind) if one is not type(None)]
        if get_origin(kind) is not Annotated and len(kinds) > 1:
            return str
        kind = kinds[0]
    return kind if kind in (bool, int, float) or get_origin(kind) is Literal else str


def _spelling(field: FieldInfo) -> Spelling:
    from ribocast.design.constraints.base import Spelling

    return next((one for one in field.metadata if isinstance(one, Spelling)), Spelling())


def _read_request(given: dict[str, Any]) -> DesignRequest:
    """Make the request of the options, with what files of theirs hold.

    Raises
    ------
    RibocastError
        If an option cannot be read; the message names it.
    """
    from ribocast.design.request import DesignRequest, FieldError

    fields = DesignRequest.model_fields
    names = {name: _name_of(name, field) for name, field in fields.items()}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in values:
        spelling = _spelling(fields[name])
        if spelling.file:
            values[name] = _read_file(given[name], names[name], spelling.file)
        elif ":" in spelling.metavar:
            values[name] = given[name].split(":")
    try:
        request = DesignRequest(**values)
        request.rules  # noqa: B018  (what cannot be read is said before a model is loaded)
    except FieldError as error:
        shown, example = given[error.field], _spelling(fields[error.field]).example
        shown = ",".join(shown) if isinstance(shown, list) and error.field != "target" else shown
        ask = f"; such as {example}" if example else ""
        raise OptionError(f"{names[error.field]} {str(shown)[:60]}: {error.reason}{ask}") from None
    except OptionError as error:
        raise OptionError(_spelt(str(error))) from None
    return request


def _spelt(message: str) -> str:
    """Return a message with the fields that it names spelled as options."""
    return re.sub("`([a-z_]+)`", lambda found: f"--{found[1].replace('_', '-')}", message)


def _name_of(name: str, field: FieldInfo) -> str:
    """Return how the command line calls a field."""
    return _spelling(field).option or f"--{name.replace('_', '-')}"


def _read_file(given: str, option: str, what: str) -> str | tuple[str, ...]:
    """Read the sequences of a file, or the one that there is to be; of ``letters``, the option may have them itself."""
    from ribocast.io.tables import read_table
    from ribocast.sequence.letters import to_dna

    if what == "letters" and not os.path.isfile(given):  # noqa: PTH113 (a Path raises where a name is too long)
        if set(to_dna(given)) <= set("ACGT"):
            return given
        raise InputError(f"{option} {given}: neither a file nor a sequence of A, C, G and T (or U)")
    chunk = read_table(given)
    chunk.check(need_label=False)
    if what == "sequences":
        return tuple(chunk.utrs)
    if len(chunk.utrs) > 1:
        raise InputError(f"{option} {given}: has {len(chunk.utrs):,} sequences; give one")
    return chunk.utrs[0]


def _read_series(series: str) -> list[float]:
    """Read LOW:HIGH:STEPS as MRLs."""
    import numpy as np

    from ribocast.design.request import LARGEST

    try:
        low, high, steps = map(float, series.split(":"))
    except ValueError:
        raise OptionError(f"--series {series}: give LOW:HIGH:STEPS, such as 4:8:9") from None
    if not max(abs(low), abs(high)) <= LARGEST or steps not in range(1, _MOST_STEPS + 1):
        raise OptionError(f"--series {series}: give MRLs, and from 1 to {_MOST_STEPS:,} steps, such as 4:8:9")
    return [round(float(mrl), 6) for mrl in np.linspace(low, high, int(steps))]


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
