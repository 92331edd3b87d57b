"""Commands whose work is divided: `--shard`, `--ray`, and several inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ribocast.errors import OptionError, OutputError

if TYPE_CHECKING:
    from ribocast.model.predictor import Predictor
    from ribocast.predict.shards import Portion, PortionWork, Share
    from ribocast.predict.stream import Predicted
    from ribocast.variants.work import Substitutions


class Parts(NamedTuple):
    """How work is divided: the options `--shard`, `--ray`, `--resume` and `--threads`."""

    shard: str | None
    ray: str | None
    resume: bool
    threads: int | None

    @property
    def of_one(self) -> int | None:
        """Threads of a model: where many workers have one each, a single one unless told otherwise."""
        return self.threads if self.ray is None else self.threads or 1

    def are_needed(self, output: str | None, tables: int = 1) -> bool:
        """Tell whether work is done in parts: several tables, one of many shares, on a cluster, or into a folder.

        Raises
        ------
        RibocastError
            If so, and they have nowhere to go.
        """
        from ribocast.io.writers import is_folder_name

        if self.shard is None and self.ray is None and tables < 2 and not (output and is_folder_name(output)):
            return False
        if self.shard is not None and self.ray is not None:
            raise OptionError("--shard is for machines without Ray: give --shard or --ray, not both")
        if output is None or output == "-":
            raise OptionError("several tables, --shard and --ray need -o: a folder, such as -o out/")
        if self.ray is not None and tables < 2 and not is_folder_name(output):
            raise OutputError(f"{output}: with --ray, outputs go to a folder, such as -o out/")
        return True

    def share(self) -> Share | None:
        """Read `--shard`."""
        from ribocast.predict.shards import read_share

        return read_share(self.shard) if self.shard is not None else None


def do_files(
    model: Predictor, function: Callable[..., Predicted], settings: dict[str, Any], sources: Sequence[str], output: str,
    parts: Parts, done: Callable[[int], None], say: Callable[[str], None],
) -> None:  # fmt: skip
    """Let a function have all rows of some files, or a share of them."""
    from ribocast.predict.ray import SHARD_ROWS
    from ribocast.predict.shards import TableWork, divide

    rows = SHARD_ROWS if parts.ray is not None else None
    portions = divide(sources, output, parts.share(), rows=rows, lists=settings["on_error"] == "skip")
    _do(model, TableWork(function, settings), portions, parts, done, say)


def do_substitutions(
    model: Predictor, work: Substitutions, output: str, parts: Parts, done: Callable[[int], None],
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """Score all substitutions, or a share of them."""
    from dataclasses import replace

    from ribocast.io.writers import is_folder_name, make_folder
    from ribocast.predict.ray import SHARD_ROWS
    from ribocast.predict.shards import divide_evenly, refuse_clashes

    share, into_folder = parts.share(), is_folder_name(output)
    target = Path(output) / "all.parquet" if into_folder else Path(output)
    if into_folder:
        make_folder(target.parent)
    utrs = work.utrs(target, say)
    sizes = [3 * transcript.length for transcript in utrs.transcripts]
    portions = divide_evenly(sizes, work.gtf, str(target), share, SHARD_ROWS)
    if not into_folder:
        portions = [replace(portion, output=output) for portion in portions]
    refuse_clashes(portions, (work.gtf, work.fasta), lists=False)
    _do(model, work, portions, parts, done, say)


def _do(
    model: Predictor, work: PortionWork, portions: list[Portion], parts: Parts, done: Callable[[int], None],
    say: Callable[[str], None],
) -> None:  # fmt: skip
    if not portions:
        say(f"--shard {parts.shard}: nothing is left for it")
    elif parts.ray is None:
        from ribocast.predict.shards import work_off

        work_off(model, work, portions, resume=parts.resume, done=done, say=say)
    else:
        from ribocast.predict.ray import work_on_ray

        work_on_ray(
            parts.ray, model, work, portions, threads=parts.of_one or 1, resume=parts.resume, done=done, say=say
        )
