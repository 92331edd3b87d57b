"""Going on from a trained model: its network, made ready for another assay or chemistry."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ribocast.errors import ModelError, OptionError
from ribocast.learn.data.assays import Assay, describe_assay
from ribocast.learn.evaluation.metrics import Floats, fit_line
from ribocast.learn.networks import architecture, load_network
from ribocast.learn.networks.network import Network
from ribocast.learn.recipe import FINE_TUNING, Recipe
from ribocast.model.bundle import AssayCard, Bundle
from ribocast.model.predictor import Predictor, to_mrl

# MRLs beyond these quantiles may be out of reach of a fine-tuned model: a wild one should not spread all fractions.
_REACHED = (0.005, 0.995)


def fine_tuning_recipe(base: Bundle) -> Recipe:
    """Return the recipe that a model was trained by, with the smaller steps of fine-tuning."""
    known = {field.name for field in dataclasses.fields(Recipe)}
    try:
        # What the members of an average differ in is the first one's.
        recipe = {**base.card.recipe.get("members", [{}])[0], **base.card.recipe}
        return Recipe(**{**{name: value for name, value in recipe.items() if name in known}, **FINE_TUNING})
    except (TypeError, KeyError, IndexError):
        raise ModelError(f"{base.folder}: model.json: recipe: is not complete") from None


def begin_from(
    base: Bundle, assays: Sequence[Assay], rows: pd.DataFrame, say: Callable[[str], None]
) -> tuple[Network, tuple[AssayCard, ...]]:
    """Make the network of a trained model ready to learn one further assay.

    It begins with the outputs of the assay that it knows by that name, or else of the one whose predictions go with the
    new MRLs best. They are brought to the new scale by least squares: where the weights of the new assay's fractions
    are known, by tilting the fractions towards the heavier or lighter ones (see `tilt_to`); else by a straight line, on
    which the weights of the fractions, or the mean and scale of a single output, are those of the old assay. The line
    falls where the new label does as MRLs rise, by more than chance. Where it is so flat that no profile would reach
    some measured MRLs, it is made steeper, and the fractions are tilted.

    Parameters
    ----------
    base : Bundle
        A trained model, also an ensemble.
    assays : sequence of Assay
        The new one; no more than one.
    rows : pandas.DataFrame
        ``seq``, ``mrl`` and ``assay`` to train on.
    say : callable
        Told of what was chosen.

    Returns
    -------
    tuple of Network, tuple of AssayCard
        The network and the new assay as ``model.json`` will describe it.

    Raises
    ------
    RibocastError
        For several assays at once, or one with more fractions than the model knows.
    """
    if len(assays) != 1:
        raise OptionError(f"fine-tuning trains on one assay at a time, not {len(assays)}")
    (assay,) = assays
    card = describe_assay(assay, rows)
    measured = rows["mrl"].to_numpy(np.float64)
    outputs = Predictor(base).outputs(rows["seq"].tolist())  # (rows, assays, width)
    mrls = [to_mrl(outputs[:, number], known) for number, known in enumerate(base.card.assays)]
    number = _most_alike(base.card.assays, assay.name, mrls, measured)
    old = base.card.assays[number]
    slope, intercept = _line(mrls[number], measured)
    say(f"starting from {base.card.name}, its assay {old.name}; on it lies {slope:.3f} · MRL {intercept:+.3f}")
    if base.card.output == "standardised":
        update = {"label_mean": intercept + slope * old.label_mean, "label_scale": slope * old.label_scale}
        return _network(base, card.model_copy(update=update), number), (card.model_copy(update=update),)
    tilts = True
    if card.fraction_weights is None:
        known = np.array(old.fraction_weights)
        wide = np.copysign(_slope_that_reaches(known, mrls[number], np.sign(slope) * measured), slope)
        tilts = abs(wide) > abs(slope)
        if tilts:
            say(f"the line is made steeper, {wide:.3f}: no profile would have reached all measured MRLs")
            slope, intercept = float(wide), float(measured.mean() - wide * mrls[number].mean())
        card = card.model_copy(update={"fraction_weights": tuple((intercept + slope * known).tolist())})
    elif len(card.fraction_weights) > base.card.width:
        raise OptionError(
            f"{assay.name} has {len(card.fraction_weights)} polysome fractions, but {base.card.name} knows at most "
            f"{base.card.width}"
        )
    network, weights = _network(base, card, number), np.array(card.fraction_weights)
    if tilts:
        scale, lean = tilt_to(outputs[:, number, : len(weights)], weights, measured)
        network.tilt(scale, torch.from_numpy(lean * weights).float())
    return network, (card,)


def _correlate(predicted: Floats, measured: Floats) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.nan_to_num(np.corrcoef(predicted, measured)[0, 1]))


def _falls(predicted: Floats, measured: Floats) -> bool:
    """Tell whether measurements fall as predictions rise: a correlation below 0 by two standard errors."""
    return _correlate(predicted, measured) < -2 / math.sqrt(len(measured))


def _line(predicted: Floats, measured: Floats) -> tuple[float, float]:
    if not _falls(predicted, measured):
        return fit_line(predicted, measured)
    slope, intercept = fit_line(predicted, -measured)
    return -slope, -intercept


def _slope_that_reaches(weights: Floats, mrls: Floats, measured: Floats) -> float:
    """Return how steep a line through both means must be, for means of profiles to reach the measured MRLs."""
    lowest, highest = np.quantile(measured, _REACHED)
    above, below = weights.max() - mrls.mean(), mrls.mean() - weights.min()
    return float(max((highest - measured.mean()) / above, (measured.mean() - lowest) / below))


def tilt_to(
    fractions: NDArray[np.floating], weights: NDArray[np.float64], measured: NDArray[np.float64]
) -> tuple[float, float]:
    """Find how to tilt profiles so that their mean MRLs come closest to measured ones.

    Profiles become softmax(scale · log f + lean · w): an exponential tilt of the old ones, which stays a profile.

    Parameters
    ----------
    fractions : numpy.ndarray, shape (n, fractions)
        Predicted profiles.
    weights : numpy.ndarray, shape (fractions,)
        Ribosomes per mRNA of each fraction.
    measured : numpy.ndarray, shape (n,)
        MRLs.

    Returns
    -------
    tuple of float
        ``scale`` and ``lean``.
    """
    from scipy.optimize import least_squares
    from scipy.special import softmax

    logs = np.log(np.maximum(fractions, 1e-8).astype(np.float64))

    def missed(tilt: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(softmax(tilt[0] * logs + tilt[1] * weights, axis=1) @ weights - measured)

    scale, lean = least_squares(missed, x0=(1.0, 0.0), bounds=([0.1, -5.0], [10.0, 5.0])).x
    return float(scale), float(lean)


def _network(base: Bundle, card: AssayCard, number: int) -> Network:
    width = len(card.fraction_weights or ()) if base.card.output == "fractions" else 1
    network = architecture(base.card.architecture).build((card,), **base.card.settings)
    network.load_state_dict(load_network(base).weights_for(number, width))
    return network


def _most_alike(
    known: Sequence[AssayCard], name: str, mrls: Sequence[NDArray[np.float64]], measured: NDArray[np.float64]
) -> int:
    names = [assay.name for assay in known]
    if name in names:
        return names.index(name)
    # One that falls, by more than chance, goes with the new assay as well as one that rises.
    alike = [_correlate(mrl, -measured if _falls(mrl, measured) else measured) for mrl in mrls]
    return int(np.argmax(alike))
