"""What GET /models says: what is served, how accurate it is, and the words and examples for it."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel

from ribocast import __version__
from ribocast.design.constraints.base import Spelling
from ribocast.io.columns import COLUMNS
from ribocast.model.bundle import AssayCard, Evaluation, ModelCard
from ribocast.web import examples, schemas
from ribocast.web.service import Served, Service
from ribocast.web.settings import Settings

_CALLS: dict[str, type[BaseModel]] = {
    "predict": schemas.PredictIn,
    "explain": schemas.ExplainIn,
    "variants": schemas.VariantsIn,
    "design": schemas.DesignIn,
}
_KINDS: dict[str, Any] = {
    "string": "text", "array": "words", "integer": "whole", "number": "number", "boolean": "tick",
}  # fmt: skip
_SHOWN_SUBSETS = 3


def catalogue(service: Service) -> schemas.ModelsOut:
    """Describe what a server serves."""
    return schemas.ModelsOut(
        version=__version__,
        models=[_model(served) for served in service.models.values()],
        examples=examples.EXAMPLES,
        columns={name: schemas.ColumnOut.model_validate(column) for name, column in COLUMNS.items()},
        options={call: _descriptions(model) for call, model in _CALLS.items()},
        fields=_fields(),
        limits=_limits_of(service.settings),
    )


def _model(served: Served) -> schemas.ModelOut:
    card = served.predictor.card
    return schemas.ModelOut(
        name=served.name, architecture=card.architecture, default_assay=card.default_assay,
        variant_assay=card.variant_assay.name, gives_profiles=card.output == "fractions", citation=card.citation,
        assays=[_assay(card, assay) for assay in card.assays],
    )  # fmt: skip


def _assay(card: ModelCard, assay: AssayCard) -> schemas.AssayOut:
    measured, evaluations = assay.measured_quantiles, [one for one in card.evaluations if one.assay == assay.name]
    return schemas.AssayOut(
        name=assay.name, description=assay.description, min_length=assay.min_length, max_length=assay.max_length,
        unit=assay.unit, has_interval=assay.interval is not None,
        has_change_interval=assay.change_interval is not None,
        interval_coverage=assay.interval.coverage if assay.interval else None,
        measured=schemas.MeasuredOut(quantiles=list(measured)) if measured else None,
        accuracy=_accuracy(card, assay, evaluations), limits=_limits(card, assay),
        evaluations=[schemas.EvaluationOut.model_validate(one) for one in evaluations],
    )  # fmt: skip


def _accuracy(card: ModelCard, assay: AssayCard, evaluations: list[Evaluation]) -> str:
    if not evaluations:
        return f"The accuracy of {card.name} on {assay.name} is unknown: no rows were held out."
    said = []
    for one in evaluations[:_SHOWN_SUBSETS]:
        error = "" if one.mae is None else f", mean absolute error {one.mae:.2f}"
        said.append(f"{one.subset} ({one.rows:,} rows): r² {one.pearson_r2:.3f}{error}")
    return f"Accuracy of {card.name} on {assay.name}, rows it was not trained on: {'; '.join(said)}."


def _limits(card: ModelCard, assay: AssayCard) -> str:
    lengths = " to ".join(map(str, sorted({assay.min_length, assay.max_length})))
    parts = [
        f"Limits: it was trained on {assay.description or assay.name}, {lengths} nt, and predicts {assay.unit} of that "
        "assay, not of your cells; other lengths are extrapolated, and the note says so"
    ]
    if assay.interval is not None:
        parts.append(f"the interval holds {100 * assay.interval.coverage:.0f} % of single measurements")
    if card.output != "fractions":
        parts.append("it gives no polysome profile")
    return "; ".join(parts) + "."


def _descriptions(model: type[BaseModel]) -> dict[str, str]:
    return {name: field.description for name, field in model.model_fields.items() if field.description}


@cache
def _fields() -> dict[str, schemas.FieldOut]:
    """Say how to ask for each field of a design that has a title; a new constraint's is among them."""
    found, described = {}, schemas.DesignIn.model_json_schema()["properties"]
    for name, field in schemas.DesignIn.model_fields.items():
        if field.title:
            example = next((one.example for one in field.metadata if isinstance(one, Spelling)), "")
            first = described[name].get("anyOf", [described[name]])[0]
            kind: Any = _KINDS[first["type"]] if "type" in first else "numbers"
            found[name] = schemas.FieldOut(label=field.title, kind=kind, example=example)
    return found


def _limits_of(settings: Settings) -> dict[str, float]:
    wanted = ("max_", "keep_job_seconds", "job_seconds", "unasked_job_seconds", "calls_per_minute")
    return {name: value for name, value in settings.model_dump().items() if name.startswith(wanted)}
