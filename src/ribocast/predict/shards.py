"""Dividing work among machines: whose part is which, what it is called, and whether it is done.

A portion is a file, some rows of one, or some transcripts of an annotation. It is predicted as if there were no others:
a sequence's numbers do not depend on the rest of its batch (`ribocast.model.predictor.padded`), so portions together
are what one machine writes. What is finished has a record beside it, ``.NAME.done``: how it was made and of what. A
restart skips it if that is still so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ribocast.errors import OptionError, OutputError
from ribocast.io.inputs import check_kind, input_name
from ribocast.io.locks import alone_at
from ribocast.io.output_paths import OutputPaths
from ribocast.io.readers import is_parquet
from ribocast.io.resume import Record, record_of, refuse_other, source_of, terms_of_model
from ribocast.io.tables import rows_of
from ribocast.io.writers import TABLE_ENDINGS, is_folder_name, make_folder
from ribocast.model.predictor import Predictor
from ribocast.predict.journal import MAGIC, journal_of

if TYPE_CHECKING:
    from ribocast.predict.stream import Predicted


class Share(NamedTuple):
    """Part `number`, from 1, `of` a number of parts."""

    number: int
    of: int


@dataclass(frozen=True)
class Portion:
    """What one machine does at a time.

    Attributes
    ----------
    source, output : str
        The file that is read, and the one that is written.
    begin, end : int or None
        Which rows of it (or transcripts), counted from 0, the last one excluded; all without.
    share : Share or None
        Which part that is, of how many; None for all.
    """

    source: str
    output: str
    begin: int | None = None
    end: int | None = None
    share: Share | None = None

    @property
    def part(self) -> range | None:
        """The same as a range; None for all."""
        return None if self.begin is None or self.end is None else range(self.begin, self.end)


class Done(NamedTuple):
    """How many rows were written, and how many were left out."""

    rows: int
    skipped: int


class PortionWork(Protocol):
    """What is done with each portion. It travels to other machines, and holds nothing but settings."""

    def settings(self) -> dict[str, Any]:
        """Return what the output depends on beside the model and the portion, in JSON's types."""

    def do(
        self, model: Predictor, portion: Portion, *, resume: bool, keep: bool, done: Callable[[int], None],
        say: Callable[[str], None],
    ) -> Done:  # fmt: skip
        """Write a portion's output; for the parameters see `ribocast.predict.files.predict_file`."""


class TableWork(NamedTuple):
    """Portions of tables, by a function that takes these settings, such as `ribocast.predict.files.predict_file`."""

    function: Callable[..., Predicted]
    options: dict[str, Any]

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        return self.options

    def do(
        self, model: Predictor, portion: Portion, *, resume: bool, keep: bool, done: Callable[[int], None],
        say: Callable[[str], None],
    ) -> Done:  # fmt: skip
        """Write a portion's output."""
        found = self.function(
            model, portion.source, portion.output, **self.options, rows=portion.part, resume=resume, keep=keep,
            done=done, say=say,
        )  # fmt: skip
        return Done(found.rows, found.skipped)


def read_share(text: str) -> Share:
    """Read ``K/N``.

    Raises
    ------
    RibocastError
        If it is not that, or K is not from 1 to N.
    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    if not match:
        raise OptionError(f"--shard {text}: write K/N, such as 3/64")
    share = Share(int(match[1]), int(match[2]))
    if not 1 <= share.number <= share.of:
        raise OptionError(f"--shard {text}: shards are counted from 1 to {max(share.of, 1)} (sbatch --array=1-N)")
    return share


def divide(
    sources: Sequence[str], output: str, share: Share | None = None, *, rows: int | None = None, lists: bool = False
) -> list[Portion]:
    """Say what is to be done for some files.

    Parameters
    ----------
    sources : sequence of str
        Files; of several, a share is every N-th, and of one, the K-th of N runs of rows.
    output : str
        A folder, which is made, or, for one portion, a file.
    share : Share, optional
        Whose part; everything without it.
    rows : int, optional
        Divide Parquet files of more rows into portions of about this many.
    lists : bool
        Whether bad rows will be listed beside the outputs.

    Returns
    -------
    list of Portion
        In the order of files and rows; empty where there are more shares than files.

    Raises
    ------
    RibocastError
        If a file is not there or cannot be divided so, two would be written to one, or one is an input.
    """
    for source in sources:
        if source != "-":
            check_kind(source, "a table")
        if not Path(source).is_file():
            raise OptionError(f"{input_name(source)}: pipes cannot be divided, nor go to a folder: name files")
    if len(sources) == 1 and not is_folder_name(output):
        only = [_rows_of_one(sources[0], output, share) if share else Portion(sources[0], output)]
        refuse_clashes(only, sources, lists)
        return only
    if Path(output).is_file() or (output.lower().endswith(TABLE_ENDINGS) and not Path(output).is_dir()):
        raise OutputError(f"{output}: several files go to a folder, such as -o out/")
    make_folder(output)
    if share and len(sources) == 1:
        every = [[_rows_of_one(sources[0], str(Path(output) / _named(sources[0], share)), share)]]
    else:
        every = [_of_file(source, output, rows) for source in sources]
    # Also with those of other shares.
    refuse_clashes([portion for portions in every for portion in portions], sources, lists)
    mine = every if share is None or len(sources) == 1 else every[share.number - 1 :: share.of]
    return [portion for portions in mine for portion in portions]


def _of_file(source: str, output: str, most: int | None) -> list[Portion]:
    count = rows_of(source) if most and is_parquet(source) else 0
    parts = -(-count // most) if most else 0
    if parts < 2:
        return [Portion(source, str(Path(output) / _named(source)))]
    return [
        Portion(source, str(Path(output) / _named(source, share)), *_run(count, share), share)
        for share in (Share(part + 1, parts) for part in range(parts))
    ]


def _rows_of_one(source: str, output: str, share: Share) -> Portion:
    count = rows_of(source)
    if share.of > count:
        raise OptionError(f"--shard {share.number}/{share.of}: {source} has only {count:,} rows")
    return Portion(source, output, *_run(count, share), share)


def _run(count: int, share: Share) -> tuple[int, int]:
    return count * (share.number - 1) // share.of, count * share.number // share.of


def divide_evenly(sizes: Sequence[int], source: str, output: str, share: Share | None, most: int) -> list[Portion]:
    """Divide things that stand in order, such as transcripts, into runs of about the same size.

    Parameters
    ----------
    sizes : sequence of int
        Of each.
    source, output : str
        Of each portion; the output, if it were one.
    share : Share, optional
        Only this one of a number of parts; else as many as give a size of `most` each.
    most : int
        See there.
    """
    total = sum(sizes)
    parts = share.of if share else max(1, -(-total // most))
    ends, reached, part = [0], 0, 1
    for number, size in enumerate(sizes):
        # A run ends before what would begin beyond its share.
        while part < parts and reached >= total * part / parts:
            ends.append(number)
            part += 1
        reached += size
    ends += [len(sizes)] * (parts + 1 - len(ends))
    return [
        Portion(source, str(Path(output).with_name(_named(output, one))), ends[one.number - 1], ends[one.number], one)
        for one in (Share(part + 1, parts) for part in range(parts))
        if (share is None or share == one) and ends[one.number - 1] < ends[one.number]
    ]


def _named(source: str, share: Share | None = None) -> str:
    """Name an output: as its input, where that is a kind of table that is written; else ``NAME.csv``."""
    name = Path(source).name
    ending = next((end for end in sorted(TABLE_ENDINGS, key=len, reverse=True) if name.lower().endswith(end)), "")
    stem = name[: len(name) - len(ending)]
    if not ending:
        bare = Path(name[:-3] if name.lower().endswith(".gz") else name)
        stem, ending = bare.stem if bare.suffix else bare.name, ".csv"
    part = f".{share.number:05d}-of-{share.of:05d}" if share else ""
    return f"{stem}{part}{ending}"


def refuse_clashes(portions: Sequence[Portion], inputs: Sequence[str], lists: bool) -> None:
    """Raise if two portions would be written to one file, or one to an input, or to a file of the user's own."""
    outputs = OutputPaths(inputs)
    for portion in portions:
        output = portion.output
        outputs.add(output, portion.source)
        outputs.add(journal_of(output), f"what is kept to resume {output}", begins=MAGIC)
        outputs.add(record_of(output), f"the record of {output}", begins=b'{"terms": {')
        if lists:
            outputs.add_list(output, "rejected", f"the list of bad rows of {portion.source}")


def terms_of(model: Predictor, work: PortionWork) -> dict[str, Any]:
    """Return what a portion's output depends on beside the portion."""
    return {
        **terms_of_model(model.card.name, model.card.model_dump_json()),
        "engine": f"{model.engine.name} {model.engine.version}",
        **work.settings(),
    }


def finished(portion: Portion, terms: dict[str, Any]) -> Done | None:
    """Return what a portion came to if its output is there, made in this way of the input as it is now; else None.

    Raises
    ------
    RibocastError
        If it was made in another way: it says what differs.
    """
    record = Record.read(portion.output)
    if record is None:
        return None
    refuse_other(portion.output, record.terms, terms, "; without --resume it is made anew")
    try:
        same = record.source == source_of(portion.source, portion.begin, portion.end)
    except OSError:
        return None
    return Done(record.rows, record.skipped) if same and record.is_of(portion.output) else None


def note_finished(portion: Portion, terms: dict[str, Any], done: Done) -> None:
    """Write a portion's record, after its output."""
    source, size = source_of(portion.source, portion.begin, portion.end), Path(portion.output).stat().st_size
    Record(terms, source, portion.share, size, *done).write(portion.output)


def left_to_do(
    portions: Sequence[Portion], terms: dict[str, Any], resume: bool, say: Callable[[str], None]
) -> list[Portion]:
    """Return the portions that are not finished; without `resume`, all of them, and their records are removed.

    Raises
    ------
    RibocastError
        If another part stands where one of them would go.
    """
    for portion in portions:
        _refuse_another_part(portion)
    if not resume:
        for portion in portions:
            with suppress(OSError):
                record_of(portion.output).unlink()
        return list(portions)
    left = [portion for portion in portions if finished(portion, terms) is None]
    if len(left) < len(portions):
        say(f"{len(portions) - len(left):,} of {len(portions):,} were finished before")
    return left


def _refuse_another_part(portion: Portion) -> None:
    """Raise if a part of a table would replace another one, or the whole."""
    record = Record.read(portion.output)
    if record and portion.share and record.share != portion.share and record.is_of(portion.output):
        what = f"part {record.share[0]}/{record.share[1]} is" if record.share else "all rows are"
        raise OutputError(f"{portion.output}: {what} in it; name a folder (-o out/), or a file for each part")


def work_off(
    model: Predictor, work: PortionWork, portions: Sequence[Portion], *, resume: bool, done: Callable[[int], None],
    say: Callable[[str], None],
) -> Done:  # fmt: skip
    """Do portions one after the other on this machine.

    Parameters
    ----------
    model, work, portions
        What is done.
    resume : bool
        Skip those that are finished, and go on with one that was stopped in the middle.
    done, say : callable
        Told the number of rows so far; told, in a line, what the user should know.

    Raises
    ------
    RibocastError
        At the first portion that cannot be done; those before are finished and stay.
    """
    terms, total = terms_of(model, work), Done(0, 0)
    for portion in left_to_do(portions, terms, resume, say):

        def more(rows: int, before: int = total.rows) -> None:
            done(before + rows)

        # Of a part, others would replace it with theirs.
        with alone_at(portion.output) if portion.share else nullcontext():
            _refuse_another_part(portion)
            goes_on = resume and journal_of(portion.output).exists()
            one = work.do(model, portion, resume=goes_on, keep=True, done=more, say=say)
            note_finished(portion, terms, one)
        total = Done(total.rows + one.rows, total.skipped + one.skipped)
    return total
