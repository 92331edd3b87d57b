"""``ribocast data fetch`` and ``ribocast data prepare``: the published tables of GEO series GSE114002."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ribocast.cli.options import JsonOption, data_app
from ribocast.cli.terminal import print_json, print_table, progress, say
from ribocast.errors import InputError, OptionError

LibraryOption = Annotated[
    list[str] | None,
    typer.Option("--library", help="A library, e.g. egfp_random50; may be given often. All without it."),
]


@data_app.command("fetch", epilog="Example: ribocast data fetch GSE114002 --library egfp_random50")
def fetch(
    series: Annotated[str, typer.Argument(help="GSE114002 (Sample et al. 2019), the one that is known.")],
    library: LibraryOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the files; else the user's cache.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of a mirror with GEO's folders, else GEO itself.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Download published tables: sizes first, resumed where it broke off, checked, not twice."""
    from ribocast.learn.data.published.download import cached, probe
    from ribocast.learn.data.published.download import fetch as fetch_file
    from ribocast.learn.data.published.series import BASE_URL, SERIES, choose_libraries, files_of

    if series.upper() != SERIES:
        raise OptionError(f"unknown series {series!r}; use {SERIES}")
    wanted = files_of(choose_libraries(library))
    folder = output or _cache()
    base = (url or BASE_URL).rstrip("/")
    say(f"folder: {folder}")
    # What is damaged is said when it is fetched again.
    there = {file.name: cached(folder / file.name, lambda line: None) for file in wanted}
    sizes = []
    for file in wanted:
        if found := there[file.name]:
            say(f"{file.name}: {_megabytes(found.size)}, cached")
        else:
            sizes.append(probe(f"{base}/{file.path}").size)
            say(f"{file.name}: {_megabytes(sizes[-1])}, at {base}/{file.path}")
    say(f"to download: {len(sizes)} file{'s' * (len(sizes) != 1)}, {_megabytes(sum(size or 0 for size in sizes))}")
    done = []
    for file in wanted:
        if found := there[file.name]:
            done.append(found)
            continue
        with progress(file.name) as (advance, tell):
            done.append(fetch_file(
                f"{base}/{file.path}", folder / file.name, say=tell,
                watch=lambda got, total: advance(got, total, f"{_megabytes(got)} {_of(total)}"),
            ))  # fmt: skip
    if as_json:
        print_json([{"file": str(found.path), "size": found.size, "sha256": found.sha256, "how": found.how}
                    for found in done])  # fmt: skip
        return
    rows = [[found.path.name, f"{found.size:,}", found.how, found.sha256] for found in done]
    print_table(["file", "bytes", "", "SHA-256"], rows)


@data_app.command("prepare", epilog="Example: ribocast data prepare -o measurements --library egfp_random50")
def prepare(
    folder: Annotated[Path | None, typer.Argument(help="Where the fetched files are; the user's cache.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the tables.")] = Path("measurements"),
    library: LibraryOption = None,
    replicate: Annotated[
        int, typer.Option(min=1, max=2, help="Which of two measurements; the published split is that of the first.")
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Turn fetched tables into tables to train on: NAME.csv.gz with the published split; what is left out is counted.

    Without --library, every library whose file is there.
    """
    from ribocast.learn.data.published.prepare import prepare as prepare_library
    from ribocast.learn.data.published.series import choose_libraries

    folder = folder or _cache()
    chosen = [entry for entry in choose_libraries(library) if library or replicate <= len(entry.files)]
    here = [entry for entry in chosen if library or (folder / entry.files[replicate - 1].name).is_file()]
    if not here:
        raise InputError(f"{folder}: none of the published tables is there; ribocast data fetch GSE114002 -o {folder}")
    reports = []
    with progress("preparing") as (advance, tell):
        for number, entry in enumerate(here):
            advance(number, len(here), entry.name)
            report = prepare_library(entry, folder, output, replicate=replicate)
            for remark in report.remarks:
                tell(f"{entry.name}: {remark}")
            reports.append(report)
    absent = [entry.name for entry in chosen if entry not in here]
    if absent:
        say(f"not there: {', '.join(absent)}")
    if as_json:
        print_json([report.as_dict() for report in reports])
        return
    rows = [[report.output, report.source, f"{report.rows_in:,}", f"{report.rows:,}", f"{report.train:,}",
             f"{report.test:,}"] for report in reports]  # fmt: skip
    print_table(["table", "from", "rows in", "rows written", "train", "test"], rows)
    reasons = [[report.library, f"{count:,}", why] for report in reports for why, count in report.left_out.items()]
    if reasons:
        print_table(["library", "left out", "why"], reasons)


def _cache() -> Path:
    from ribocast.learn.data.published.download import cache_folder
    from ribocast.learn.data.published.series import SERIES

    return cache_folder() / SERIES


def _megabytes(size: int | None) -> str:
    return f"{size / 1e6:,.1f} MB" if size is not None else "of unknown size"


def _of(total: int | None) -> str:
    return f"of {_megabytes(total)}" if total is not None else ""
