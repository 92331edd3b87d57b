"""Making one model of several: independent errors average out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ribocast.errors import ModelError
from ribocast.learn.networks import load_network
from ribocast.learn.networks.ensemble import EnsembleNetwork, Settings
from ribocast.learn.train.export import write_network
from ribocast.model.bundle import LEARNING_NAME, Bundle, ModelCard


def average(
    bundles: Sequence[Bundle], folder: str | Path, *, card: ModelCard | None = None, export: bool = True
) -> Bundle:
    """Write a model that gives the mean of several.

    Parameters
    ----------
    bundles : sequence of Bundle
        Of one architecture, trained on the same rows; they differ by seed, settings, or by distilled rows.
    folder : str or Path
        For the new bundle.
    card : ModelCard, optional
        What to say of it (its architecture, settings and recipe are filled in; ``members`` of these is what they
        differ in); else what the first says of itself, without evaluations and intervals, since those were the first
        one's own.
    export : bool
        Whether to write the running form; see `ribocast.learn.fit`.

    Raises
    ------
    RibocastError
        If they are not alike.
    """
    first = bundles[0].card
    for bundle in bundles[1:]:
        for name in ("architecture", "data", "output", "fixed_length"):
            if getattr(bundle.card, name) != getattr(first, name):
                raise ModelError(f"{bundle.folder} and {bundles[0].folder} differ in {name}: they cannot be averaged")
        if _scales(bundle.card) != _scales(first):
            raise ModelError(
                f"{bundle.folder} and {bundles[0].folder} differ in the scales of their assays: they cannot be averaged"
            )
    shared, own = _common([bundle.card.settings for bundle in bundles])
    settings = Settings(first.architecture, len(bundles), shared, own)
    network = EnsembleNetwork(settings, [load_network(bundle) for bundle in bundles])
    if card is None:
        uncalibrated = {"interval": None, "change_interval": None}
        assays = tuple(assay.model_copy(update=uncalibrated) for assay in first.assays)
        card = first.model_copy(update={"name": Path(folder).name, "assays": assays, "evaluations": ()})
    networks = tuple(bundle.card.files[LEARNING_NAME].sha256 for bundle in bundles)
    recipe, recipes = _common([bundle.card.recipe | {"seed": bundle.card.seed} for bundle in bundles])
    update = {
        "architecture": "ensemble", "settings": network.settings_dict(), "networks": networks,
        "recipe": recipe | ({"members": recipes} if recipes else {}),
    }  # fmt: skip
    card = card.model_copy(update=update)
    return write_network(network, card, folder, export=export)


def _scales(card: ModelCard) -> list[tuple[Any, ...]]:
    """Return what turns the outputs of a network into MRLs; a model started from another has found its own."""
    if card.output == "fractions":
        return [(assay.name, assay.fraction_weights) for assay in card.assays]
    return [(assay.name, assay.label_mean, assay.label_scale) for assay in card.assays]


def _common(settings: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """Divide settings into those that are the same in all, and what each has beside them (nothing if none has any)."""
    shared = {
        name: value for name, value in settings[0].items() if all(one.get(name, ...) == value for one in settings)
    }
    own = tuple({name: value for name, value in one.items() if name not in shared} for one in settings)
    return shared, own if any(own) else ()
