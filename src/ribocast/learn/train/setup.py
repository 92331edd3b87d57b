"""Before the first epoch: the rows, the network, what is known of both, and the loop that will train it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ribocast.errors import InputError, OptionError
from ribocast.learn.data.assays import Assay, describe_assay, describe_data
from ribocast.learn.networks import Architecture, architecture
from ribocast.learn.networks.network import Network
from ribocast.learn.recipe import Recipe
from ribocast.learn.train.batches import has_profile
from ribocast.learn.train.distributed import Team
from ribocast.learn.train.loop import Loop, seeded
from ribocast.learn.train.transfer import begin_from
from ribocast.model.bundle import LEARNING_NAME, AssayCard, Bundle, ModelCard


def prepare(
    rows: pd.DataFrame, train: NDArray[np.int64], val_rows: pd.DataFrame, *, assays: Mapping[str, Assay], model: str,
    settings: Mapping[str, Any], recipe: Recipe, seed: int, device: torch.device, name: str,
    base: Bundle | None = None, distilled: pd.DataFrame | None = None, team: Team | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Loop:  # fmt: skip
    """Make a network, fresh or from a trained one, its card, and the loop that will train it.

    Parameters
    ----------
    rows : pandas.DataFrame
        The whole table; see `ribocast.learn.data.assays.training_rows`.
    train : numpy.ndarray of int64
        The numbers of the rows to train on. Labels are standardised on these alone.
    val_rows : pandas.DataFrame
        Rows to validate by, or none.
    assays, model, settings, recipe, seed, name
        See `fit`.
    device : torch.device
        Where the network goes.
    base : Bundle, optional
        A trained model to go on from.
    distilled : pandas.DataFrame, optional
        More rows to train on, labelled by other models; labels are not standardised on these.
    team : Team, optional
        The processes that will train it, of which this is one.
    say : callable
        Told of what was chosen.

    Raises
    ------
    RibocastError
        For settings that do not fit, or rows with nothing to learn.
    """
    train_rows = rows.iloc[train].reset_index(drop=True)
    with seeded(seed, 0, device):
        if base:
            network, cards = begin_from(base, list(assays.values()), train_rows, say)
        else:
            cards = tuple(describe_assay(assay, train_rows) for assay in assays.values())
            network = _fresh(architecture(model), cards, settings, train_rows)
    card = ModelCard(
        name=name,
        architecture=model,
        settings=network.settings_dict(),
        output=cast("Any", network.output),
        fixed_length=network.fixed_length,
        assays=cards,
        default_assay=cards[0].name,
        seed=seed,
        epoch=0,
        recipe=asdict(recipe),
        started_from=f"{base.card.name} ({base.card.files[LEARNING_NAME].sha256[:12]})" if base else None,
        data=(*(base.card.data if base else ()), *describe_data(train_rows)),
        tables=(*(base.card.tables if base else ()), *describe_data(rows)),
        distilled=(*(base.card.distilled if base else ()), *(() if distilled is None else describe_data(distilled))),
        citation="Sample et al., Nature Biotechnology 37, 803–809 (2019)" if "egfp_random50" in assays else "",
    )
    if distilled is not None:
        if unknown := set(distilled["assay"]) - {known.name for known in cards}:
            raise InputError(f"distilled rows of {', '.join(sorted(unknown))}, which is not trained here")
        say(f"{len(distilled):,} more rows to train on were labelled by other models")
        train_rows = pd.concat([train_rows, distilled], ignore_index=True)
    return Loop(
        network.to(device), card, recipe, train_rows, val_rows, device,
        distilled=0 if distilled is None else len(distilled), team=team,
    )  # fmt: skip


def own_recipe(model: str) -> Recipe:
    """Return how an architecture is trained unless told otherwise.

    Raises
    ------
    RibocastError
        If there is no such architecture, or it is made of trained models.
    """
    recipe = architecture(model).recipe
    if recipe is None:
        raise OptionError(f"{model} is made of trained models, not trained itself; see ribocast.learn.average")
    return recipe


def longer_than_read(rows: pd.DataFrame, network: Network) -> str:
    """Say how many sequences are longer than what the network reads; nothing if none is."""
    length = network.fixed_length
    longer = int((rows["seq"].str.len() > length).sum()) if length else 0
    if not longer:
        return ""
    return f"{longer:,} sequences are longer than {length} nt: only their last {length} nt are read (--set length=…)"


def with_profile(rows: pd.DataFrame, say: Callable[[str], None]) -> pd.DataFrame:
    """Keep the rows with a measured polysome profile."""
    known = rows[has_profile(rows)]
    if not len(known):
        raise InputError("no row has a measured polysome profile (columns r0, r1, …) to train on")
    say(f"{len(known):,} of {len(rows):,} rows have a polysome profile; the others are left out")
    return known.reset_index(drop=True)


def _fresh(
    design: Architecture, cards: tuple[AssayCard, ...], settings: Mapping[str, Any], rows: pd.DataFrame
) -> Network:
    network = design.build(cards, **settings)
    if network.output == "fractions":
        width = max(len(card.fraction_weights or ()) for card in cards)
        columns = [f"r{index}" for index in range(width)]
        known = rows[has_profile(rows)]
        profiles = torch.full((len(cards), width), 1 / width)
        if len(known):
            for number, card in enumerate(cards):
                own = known[known["assay"] == card.name]
                # An assay without measured profiles starts from those of the others.
                mean = (own if len(own) else known)[columns].fillna(0.0).mean().to_numpy(np.float32)
                profiles[number] = torch.from_numpy(mean.copy())
        network.begin_with_profiles(profiles)
    return network
