"""A model on assays it may not know: what is right up to a straight line, and what is right as it stands.

Another coding sequence, chemistry or unit shifts and stretches MRLs (Sample et al. 2019 report transfer to mCherry and
to modified RNA as squared correlations, which do not see that). Both are reported: figures of the predictions as they
are, and after a straight line has brought them to the measured scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ribocast.errors import InputError
from ribocast.io.tables import Chunk, as_chunk
from ribocast.learn.data.assays import assay_of
from ribocast.learn.evaluation.metrics import Floats, Scores, evaluate, fit_line, score, was_trained_on
from ribocast.model.bundle import ModelCard
from ribocast.model.predictor import Predictor
from ribocast.sequence.letters import Fault

_HALVES = 2


@dataclass(frozen=True)
class AssayScores:
    """A model on the rows of one assay.

    Attributes
    ----------
    assay : str
        What the rows are.
    predicted_as : str
        On which assay's scale of the model they were predicted: the same one, if the model knows it.
    trained_on : bool
        Whether the model was trained on this very table.
    scores : Scores
        Of the predictions as they are.
    slope, intercept : float
        Of the line that brings them to the measured scale, fitted on all rows.
    on_a_line : Scores
        Of the predictions on such a line; each half of the rows on the one that the other half fits, so that nothing is
        fitted on the rows that it is evaluated on.
    """

    assay: str
    predicted_as: str
    trained_on: bool
    scores: Scores
    slope: float
    intercept: float
    on_a_line: Scores

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return {
            "assay": self.assay,
            "predicted_as": self.predicted_as,
            "trained_on": self.trained_on,
            **self.scores.as_dict(),
            "rescaled": {"slope": self.slope, "intercept": self.intercept, **self.on_a_line.as_dict()},
        }


def evaluate_by_assay(
    model: Predictor, tables: Mapping[str, Chunk], *, assay: str | None = None, seed: int = 0
) -> list[AssayScores]:
    """Score a model on several assays, each on its own scale where the model knows it.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    tables : mapping of str to Chunk
        Measured rows by assay.
    assay : str, optional
        In which assay's units assays that the model does not know are predicted; its default assay without it.
    seed : int
        Of the bootstrap, and of the halves.

    Raises
    ------
    RibocastError
        At the first row that cannot be used, or with fewer than four rows.
    """
    known = {card.name for card in model.card.assays}
    results = []
    for name, chunk in tables.items():
        own = name if name in known else model.card.assay(assay).name
        scores = evaluate(model, chunk, assay=own, seed=seed)
        predicted, measured = model.mrl(chunk.utrs, assay=own), chunk.labels()
        slope, intercept = fit_line(predicted, measured)
        results.append(
            AssayScores(
                name, own, was_trained_on(model, chunk), scores, slope, intercept,
                score(measured, on_a_line(predicted, measured, seed=seed), seed=seed),
            )
        )  # fmt: skip
    return results


def split_by_assay(chunks: Sequence[Chunk]) -> dict[str, Chunk]:
    """Divide tables by their column ``assay``; one without it is the assay that its file is named after.

    Raises
    ------
    RibocastError
        If two tables hold rows of the same assay, or a row names none.
    """
    parts: dict[str, Chunk] = {}
    for chunk in chunks:
        if "assay" in chunk.frame.columns:
            names = np.array(chunk.names("assay"), dtype=object)
            if not names.all():
                raise InputError(chunk.say(Fault(list(names).index(""), "no assay is named (column 'assay')")))
            own = {name: chunk.keep(names == name) for name in dict.fromkeys(names)}
        else:
            own = {assay_of(chunk).name: chunk}
        for name, part in own.items():
            if name in parts:
                raise InputError(f"{chunk.source}: {name} was in {parts[name].source} already")
            parts[name] = part
    return parts


def named_assay(chunk: Chunk, card: ModelCard) -> str | None:
    """Return the assay that a table names, by its column ``assay`` or its file's name; None if the model knows none.

    Raises
    ------
    RibocastError
        If rows name several, and the model knows one of them.
    """
    known = {assay.name for assay in card.assays}
    if "assay" not in chunk.frame.columns:
        name = assay_of(chunk).name
        return name if name in known else None
    names = set(chunk.names("assay"))
    if len(names) > 1 and names & known:
        listed = ", ".join(sorted(names))
        raise InputError(
            f"{chunk.source}: rows of several assays ({listed}): evaluate each with --by assay, or name one"
        )
    return next(iter(names & known), None)


def under_one_roof(chunks: Sequence[Chunk]) -> Chunk:
    """Put tables one under the other, with a column ``assay``: their own, or else the name of the file.

    A single table stays as it is.

    Raises
    ------
    RibocastError
        As `split_by_assay`.
    """
    if len(chunks) == 1:
        return chunks[0]
    frames = []
    for name, chunk in split_by_assay(chunks).items():
        plain = chunk.frame.rename(columns={chunk.seq_column: "seq", chunk.label_column or "": "mrl"})
        frames.append(plain.assign(assay=name))
    whole = as_chunk(pd.concat(frames, ignore_index=True))
    return replace(whole, source=", ".join(dict.fromkeys(chunk.source for chunk in chunks)))


def on_a_line(predicted: Floats, measured: Floats, *, seed: int = 0) -> Floats:
    """Bring predictions to the measured scale, each half of the rows by the line of the other; shape (n,)."""
    if len(predicted) < 2 * _HALVES:
        raise InputError(f"{len(predicted)} rows: at least {2 * _HALVES} are needed to fit and evaluate a line")
    half = np.random.default_rng(seed).permutation(len(predicted)) % _HALVES
    rescaled = np.empty(len(predicted))
    for number in range(_HALVES):
        slope, intercept = fit_line(predicted[half != number], measured[half != number])
        rescaled[half == number] = intercept + slope * predicted[half == number]
    return rescaled
