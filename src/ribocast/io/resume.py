"""May what an earlier run left be taken up? Decided here, for predictions, portions, workers, training and searches.

A run has terms: what its numbers depend on beside its rows (version, model, assay, recipe …). What another run left is
taken up if its terms are the same. A finished output has a record beside it, ``.NAME.done``: its terms, of what input
it was made, and how large it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ribocast import __version__
from ribocast.errors import OutputError
from ribocast.io.writers import whole_file

Terms = Mapping[str, Any]


def terms_of_model(name: str, card: str) -> dict[str, str]:
    """Return the terms of every run of a model: this version of ribocast, and the model by name and its card's hash."""
    return {"ribocast": __version__, "model": f"{name} {hashlib.sha256(card.encode()).hexdigest()[:16]}"}


def difference(before: Any, now: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Find the first setting that differs, down into settings of settings: its name, what it was, and what it is."""
    if before == now:
        return None
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        before, now = dict(enumerate(before, 1)), dict(enumerate(now, 1))
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return name, before, now
    missing = object()
    # What a user chose comes before what follows from it.
    keys = ("seed", "recipe", "settings", *now, *before)
    key = next(key for key in keys if before.get(key, missing) != now.get(key, missing))
    name = f"{name} {key}".strip()
    return difference(before.get(key), now.get(key), name) or (name, before.get(key), now.get(key))


def refuse_other(where: str | Path, before: Terms, now: Terms, otherwise: str = "") -> None:
    """Raise OutputError if a stopped or finished run had other terms than `now`; `otherwise` says what to do."""
    if found := difference({name: before.get(name) for name in now}, dict(now)):
        name, was, is_now = found
        raise OutputError(f"{where}: cannot resume: {name} was {_short(was)} and is now {_short(is_now)}{otherwise}")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "…"


@dataclass(frozen=True)
class Record:
    """How a finished output was made.

    Attributes
    ----------
    terms : dict
        Of the run.
    source : dict
        What it was made of; see `source_of`.
    share : tuple of int, or None
        Which part of how many it is.
    size : int
        Bytes of the output.
    rows, skipped : int
        Rows in it, and rows left out.
    """

    terms: dict[str, Any]
    source: dict[str, Any]
    share: tuple[int, int] | None
    size: int
    rows: int
    skipped: int

    @classmethod
    def read(cls, output: str | Path) -> Record | None:
        """Return the record of an output; None if there is none, or it is damaged."""
        try:
            return TypeAdapter(cls).validate_json(record_of(output).read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, output: str | Path) -> None:
        """Write it beside its output, which is there."""
        with whole_file(record_of(output)) as partial:
            partial.write_text(json.dumps(asdict(self), ensure_ascii=False) + "\n", encoding="utf-8")

    def is_of(self, output: str | Path) -> bool:
        """Tell whether the output is still there, as large as it was."""
        with suppress(OSError):
            return Path(output).stat().st_size == self.size
        return False


def record_of(output: str | Path) -> Path:
    """Return where the record of an output is."""
    path = Path(output)
    return path.with_name(f".{path.name}.done")


def source_of(path: str | Path, begin: int | None, end: int | None) -> dict[str, Any]:
    """Describe an input, and which rows of it: what tells that it has not changed."""
    facts = Path(path).stat()
    return {"bytes": facts.st_size, "changed": facts.st_mtime_ns, "rows": [begin, end]}
