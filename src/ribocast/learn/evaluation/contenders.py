"""What is compared: trained models, and tables of somebody else's predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import InputError
from ribocast.io.tables import Chunk, need_column, read_rows, read_table
from ribocast.io.writers import TABLE_ENDINGS
from ribocast.learn.evaluation.metrics import Floats, was_trained_on
from ribocast.model.bundle import shipped_models
from ribocast.model.engine import EngineName
from ribocast.model.predictor import Predictor, load
from ribocast.sequence.letters import to_dna

PREDICTION_NAMES = ("predicted", "prediction", "pred", "mrl")
_SAME = 1e-3
"""Predictions that are all this near to the measurements, in their standard deviations, are a rounded copy."""


class Contender(NamedTuple):
    """A model's predictions for the rows of a comparison.

    Attributes
    ----------
    name : str
        What it is called.
    predicted : numpy.ndarray of float, shape (n,)
        NaN where a table of predictions has no such sequence.
    remarks : list of str
        What the reader of a comparison should know of it.
    """

    name: str
    predicted: Floats
    remarks: list[str]


def contender(
    text: str, data: Chunk, *, assay: str | None = None, column: str | None = None, engine: EngineName = "auto",
    threads: int | None = None,
) -> Contender:  # fmt: skip
    """Let a model, or a table of predictions, predict the rows of a table.

    Parameters
    ----------
    text : str
        The name of a shipped model, a folder, or a table of predictions: ``[NAME=]FILE[:COLUMN]``.
    data : Chunk
        Checked, labelled rows. With a column ``assay``, each row is predicted on its own assay's scale where the model
        knows it.
    assay : str, optional
        In which assay's units a model predicts the rows of assays that it does not know; its default assay without it.
        Of a table of predictions that has a column ``assay``, the rows of the same assay are used.
    column : str, optional
        Where a table of predictions has its sequences, if it has such a column.
    engine, threads
        See `ribocast.load`.

    Raises
    ------
    RibocastError
        If there is no such model or table, or it cannot be matched with the rows.
    """
    name, path, predictions = _parse(text)
    if path is None:
        model = load(text, engine=engine, threads=threads)
        return _by_model(model, data, assay)
    return _by_table(name, path, predictions, column, data, _assays(data, assay))


def predicted_by_all(
    data: Chunk, contenders: Sequence[Contender], on_missing: str, say: Callable[[str], None]
) -> NDArray[np.bool_]:
    """Say which rows every contender predicts; shape (n,).

    Raises
    ------
    RibocastError
        If a row lacks a prediction and `on_missing` is not ``drop``, or none is left.
    """
    common = np.ones(len(data.frame), dtype=bool)
    for one in contenders:
        missing = ~np.isfinite(one.predicted)
        if missing.any():
            first = int(np.flatnonzero(missing)[0])
            lacks = f"{one.name} has no prediction for {missing.sum():,} of {len(missing):,} rows"
            if on_missing != "drop":
                raise InputError(
                    f"{lacks}; the first: {data.source} row {data.first_row + first}; --on-missing drop leaves such out"
                )
            say(f"{lacks}: they are left out for all")
            common &= ~missing
    if not common.any():
        raise InputError("no row is predicted by all")
    return common


def file_of(text: str) -> Path:
    """Return the file, or the folder of a model, that a contender is read from."""
    return _parse(text)[1] or Path(text)


def _parse(text: str) -> tuple[str, Path | None, str | None]:
    """Tell models from tables: name, file and column of a table; no file if it is a model."""
    if text in shipped_models() or Path(text).is_dir():
        return text, None, None
    name, equals, rest = text.partition("=")
    if not equals or Path(text).is_file():
        name, rest = "", text
    path, colon, column = rest, "", ""
    if not Path(rest).is_file():
        path, colon, column = rest.rpartition(":")
    if not Path(path).is_file() or (colon and not column):
        # A name with an ending is a file that is not there, not a model.
        if equals or colon or text.lower().endswith(TABLE_ENDINGS):
            raise InputError(f"{text}: no such file of predictions ([NAME=]FILE[:COLUMN])")
        return text, None, None
    return name or Path(path).name.split(".")[0], Path(path), column or None


def _by_model(model: Predictor, data: Chunk, assay: str | None) -> Contender:
    card, remarks = model.card, []
    known = {entry.name for entry in card.assays}
    other = card.assay(assay).name
    own = _assays(data, assay)
    predicted = np.empty(len(own))
    utrs = np.array(data.utrs, dtype=object)
    for name in dict.fromkeys(own.tolist()):
        mine = own == name
        scale = name if name in known else other
        if name not in known:
            remarks.append(
                f"{card.name} does not know the assay {name or '(none)'}: predicted as {scale}; R² and errors depend "
                "on the scale, r² and Spearman's correlation do not"
            )
        predicted[mine] = model.mrl(utrs[mine].tolist(), assay=scale)
        if was_trained_on(model, data.keep(mine)):
            remarks.append(f"{card.name} was trained on these very rows of {name or data.source}: no fair comparison")
        elif rows := sum(part.rows for part in card.data if part.assay == scale == name):
            # A bundle holds no sequences: a sample of what it was trained on cannot be told from unseen rows.
            remarks.append(
                f"{card.name} was trained on {rows:,} rows of {name}: it cannot be told whether these are among them"
            )
    return Contender(card.name, predicted, remarks)


def _by_table(
    name: str, path: Path, predictions: str | None, column: str | None, data: Chunk, assays: NDArray[np.object_]
) -> Contender:
    header = [str(title) for title in next(read_rows(path)).columns]
    label = need_column(header, str(path), predictions, PREDICTION_NAMES, "prediction", f"{path}:COLUMN")
    table = read_table(path, column=column if column in header else None, label=label)
    table.check(need_label=True)
    of_table = _assays(table, None) if "assay" in header else np.array([], dtype=object)
    # Somebody's own name for an assay that no row of the table has says nothing: match by sequence alone.
    by_assay = bool(set(of_table) & set(assays))
    hint = "; of which assay is the data? Say it with --assay" if len(of_table) and not by_assay else ""
    wanted = _keys(data, assays if by_assay else None)
    needed = set(wanted)
    mrls: dict[tuple[str, str], tuple[float, int]] = {}
    for row, (key, value) in enumerate(zip(_keys(table, of_table if by_assay else None), table.labels(), strict=True)):
        if key not in needed:
            continue
        seen, first = mrls.setdefault(key, (float(value), row))
        if seen != value:
            raise InputError(
                f"{table.source} rows {table.first_row + first} and {table.first_row + row}: different predictions "
                f"({seen:g} and {value:g}) for one sequence{hint}"
            )
    nothing = (float("nan"), 0)
    predicted = np.array([mrls.get(key, nothing)[0] for key in wanted])
    known, measured = np.isfinite(predicted), data.labels()
    if known.any() and np.abs(predicted - measured)[known].max() <= _SAME * measured.std():
        raise InputError(f"{path}: column {table.label_column!r} holds the measurements themselves")
    return Contender(name, predicted, [])


def _assays(chunk: Chunk, assay: str | None) -> NDArray[np.object_]:
    """Say which assay each row is of: by its column, or else the name given, or else the file's."""
    if "assay" in chunk.frame.columns:
        return np.array(chunk.names("assay"), dtype=object)
    return np.full(len(chunk.frame), assay or chunk.source.split(".")[0], dtype=object)


def _keys(chunk: Chunk, assays: NDArray[np.object_] | None) -> list[tuple[str, str]]:
    of_row = [""] * len(chunk.frame) if assays is None else assays.tolist()
    return [(name, to_dna(utr)) for name, utr in zip(of_row, chunk.utrs, strict=True)]
