"""Results as the API and the page's downloads spell them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ribocast.bundle import AssayCard, ModelCard
from ribocast.web import schemas
from ribocast.web.service import Served

if TYPE_CHECKING:
    import pandas as pd

_DIGITS = 5


def as_csv(table: pd.DataFrame) -> str:
    """Spell a table as CSV, with numbers as `ribocast predict` rounds them."""
    return table.round(_DIGITS).to_csv(index=False, lineterminator="\n")


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of a table as plain values; what is unknown is None."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in table.to_dict("records")]


def figures_of(served: Served) -> schemas.ModelOut:
    """Describe a model that is served."""
    card = served.predictor.card
    return schemas.ModelOut(
        name=served.name, architecture=card.architecture, default_assay=card.default_assay,
        gives_profiles=card.output == "fractions", citation=card.citation,
        assays=[_assay(card, assay) for assay in card.assays],
    )  # fmt: skip


def _assay(card: ModelCard, assay: AssayCard) -> schemas.AssayOut:
    return schemas.AssayOut(
        name=assay.name, description=assay.description, min_length=assay.min_length, max_length=assay.max_length,
        unit=assay.unit, has_interval=assay.interval is not None,
        has_change_interval=assay.change_interval is not None,
        figures=[
            schemas.FigureOut(subset=one.subset, rows=one.rows, pearson_r2=one.pearson_r2, spearman_r=one.spearman_r,
                              mae=one.mae)
            for one in card.figures if one.assay == assay.name
        ],
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
