"""What the page says about the chosen model and assay: its figures, and its limits."""

from __future__ import annotations

from html import escape

from ribocast.bundle import AssayCard, ModelCard
from ribocast.web.service import Service

AUTOMATIC = ""
"""The choice of the assay that fits."""


def assay_choices(card: ModelCard) -> list[tuple[str, str]]:
    """List the assays for people; the first lets the model choose."""
    default, variants = card.assay(), card.variant_assay
    automatic = f"automatic ({default.name}{f'; variants: {variants.name}' if variants != default else ''})"
    return [(automatic, AUTOMATIC), *((f"{one.description or one.name} ({one.name})", one.name) for one in card.assays)]


def about(service: Service, model: str, assay: str) -> str:
    """Say, in HTML, how accurate the model is on the assay, and what it does not know."""
    card = service.model(model).predictor.card
    chosen = card.assay(assay or None)
    lines = [_accuracy(card, chosen), _limits(card, chosen)]
    return "".join(f'<p class="rc-note">{escape(line)}</p>' for line in lines)


def _accuracy(card: ModelCard, assay: AssayCard) -> str:
    figures = [one for one in card.figures if one.assay == assay.name]
    if not figures:
        return f"The model {card.name} says nothing of its accuracy on {assay.name}: no rows were held out."
    said = []
    for one in figures[:3]:
        error = "" if one.mae is None else f", mean error {one.mae:.2f}"
        said.append(f"{one.subset} ({one.rows:,} rows): r² {one.pearson_r2:.3f}{error}")
    return f"Accuracy of {card.name} on {assay.name}, rows it had not seen: {'; '.join(said)}."


def _limits(card: ModelCard, assay: AssayCard) -> str:
    lengths = f"{assay.min_length}"
    if assay.max_length > assay.min_length:
        lengths += f" to {assay.max_length}"
    parts = [
        f"Limits: it learnt {assay.description or assay.name}, {lengths} nt, and predicts {assay.unit} of that assay, "
        "not of your cells; other lengths are extrapolated, and the note says so"
    ]
    if assay.interval is not None:
        parts.append(f"the interval holds {100 * assay.interval.coverage:.0f} % of single measurements")
    if card.output != "fractions":
        parts.append("it gives no polysome profile")
    return "; ".join(parts) + "."
