"""The architectures that can be trained, by name.

This registry imports no network and no PyTorch: each architecture lives in a file of its own, found when built.

A network takes letters, uint8 of shape (rows, length), and gives float32 of shape (rows, assays, width): polysome
fractions where every assay has fraction weights, else one standardised MRL (width 1). Fractions sum to 1, but for
``optimus-profile``, whose outputs are linear as in the paper and learn to.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ribocast.errors import ModelError, OptionError, RibocastError
from ribocast.learn.recipe import (
    FRAMED_RECIPE,
    FRAMEPOOL_RECIPE,
    HOMEWORK_RECIPE,
    OPTIMUS_PROFILE_RECIPE,
    OPTIMUS_RECIPE,
    Recipe,
)
from ribocast.model.bundle import LEARNING_NAME, parse_json

if TYPE_CHECKING:
    from torch import Tensor

    from ribocast.learn.networks.network import Network
    from ribocast.model.bundle import AssayCard, Bundle

# Of a stranger's model too, which is built without memory to see whether its weights fit: that must not take long.
_LARGEST_SETTING, _MOST_SETTINGS, LARGEST_HEADER = 10_000, 100, 4 << 20
_LARGEST = {"kernel": 100, "kernels": 100, "filter_length": 100, "dilations": 1_000, "layers": 100, "members": 100,
            "hairpin_reach": 100}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry.

    Attributes
    ----------
    name, summary : str
        For people.
    module : str
        The file under ``ribocast.learn.networks`` that has its ``Settings`` and builds it.
    recipe : Recipe or None
        How it is trained unless told otherwise; None if it is made of trained models.
    defaults : dict
        Settings in which it differs from those of its file.
    """

    name: str
    summary: str
    module: str
    recipe: Recipe | None
    defaults: Mapping[str, Any]

    def build(self, assays: Sequence[AssayCard], **settings: Any) -> Network:
        """Make the network with fresh weights.

        Raises
        ------
        RibocastError
            For a setting that the architecture does not have, a value that it cannot have, or assays it cannot learn.
        """
        import torch

        module = importlib.import_module(f"ribocast.learn.networks.{self.module}")
        given = ", ".join(f"{name}={value}" for name, value in settings.items())[:200] or "its defaults"
        chosen = {**self.defaults, **settings}
        fields = {field.name: field for field in dataclasses.fields(module.Settings)}
        for name, value in chosen.items():
            if name not in fields:
                raise OptionError(f"{self.name} has no setting {name!r}; it has: {', '.join(fields)}")
            if isinstance(value, list):
                chosen[name] = tuple(value)
        try:
            _refuse_huge(chosen)
            network: Network = module.build(module.Settings(**chosen), assays)
            length = 50 if network.fixed_length is None else network.fixed_length
            # Some settings fit one by one and not together: that shows when letters go through.
            with torch.inference_mode():
                network.eval()(torch.full((1, length), ord("A"), dtype=torch.uint8))
            if not all(weights.numel() for weights in network.parameters()):
                raise ValueError("a layer would be empty")
        except RibocastError:
            raise
        except (TypeError, ValueError, IndexError, RuntimeError, RecursionError) as error:
            raise OptionError(f"{self.name} cannot be built with {given}: {str(error).splitlines()[0]}") from None
        return network.train()


ARCHITECTURES = {
    entry.name: entry
    for entry in (
        Architecture(
            "attention-2conv", "the homework's CNN + attention, two convolutions", "attention", HOMEWORK_RECIPE,
            {"channels": (64, 128), "kernels": (8, 5), "pooled": (True, True), "dropout": 0.3},
        ),
        Architecture(
            "attention-3conv", "the homework's CNN + attention, three convolutions", "attention", HOMEWORK_RECIPE,
            {"channels": (64, 64, 128), "kernels": (8, 5, 5), "pooled": (True, False, True), "dropout": 0.2},
        ),
        Architecture("optimus", "Optimus 5-Prime (Sample et al. 2019)", "optimus", OPTIMUS_RECIPE, {}),
        Architecture(
            "optimus-profile", "Optimus 5-Prime for polysome profiles (Sample et al. 2019)", "optimus",
            OPTIMUS_PROFILE_RECIPE, {"dense": 80, "dropout": 0.1, "profile": True},
        ),
        Architecture("framepool", "FramePool (Karollus et al. 2021); any length, many assays", "framepool",
                     FRAMEPOOL_RECIPE, {}),
        Architecture(
            "framed", "residual convolutions, open reading frames, pooling by frame; any length, many assays",
            "framed", FRAMED_RECIPE, {},
        ),
        Architecture("ensemble", "the mean of several trained models", "ensemble", None, {}),
    )
}  # fmt: skip


def architecture(name: str) -> Architecture:
    """Look an architecture up.

    Raises
    ------
    RibocastError
        If there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise OptionError(f"unknown architecture {name!r}; use {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def load_network(bundle: Bundle) -> Network:
    """Rebuild a bundle's network with its trained weights.

    Raises
    ------
    RibocastError
        If the weights are not those of the architecture that ``model.json`` names, or no numbers.
    """
    import safetensors.torch
    import torch

    design, settings = architecture(bundle.card.architecture), bundle.card.settings
    content = bundle.read(LEARNING_NAME)
    try:
        check_header(content)
        tensors = safetensors.torch.load(content)
        # First without memory, so that settings of a giant take none.
        with torch.device("meta"):
            network = design.build(bundle.card.assays, **settings)
        reason = _difference(network.state_dict(), tensors)
    except (
        RuntimeError, ValueError, TypeError, KeyError, AttributeError, RecursionError, safetensors.SafetensorError
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200]
    if reason:
        raise ModelError(f"{bundle.learning}: not the weights of {bundle.card.architecture}: {reason}")
    network = design.build(bundle.card.assays, **settings)
    network.load_state_dict(tensors)
    return network


def _refuse_huge(settings: Any, name: str = "settings") -> None:
    """Refuse settings that would keep us building for hours."""
    if isinstance(settings, Mapping | list | tuple):
        if len(settings) > _MOST_SETTINGS:
            raise ValueError(f"{name!r:.80} has {len(settings):,} entries; the maximum is {_MOST_SETTINGS}")
        entries = settings.items() if isinstance(settings, Mapping) else [(name, entry) for entry in settings]
        for inner, entry in entries:
            _refuse_huge(entry, inner)
    elif isinstance(settings, int | float):
        most = _LARGEST.get(name, _LARGEST_SETTING)
        if not abs(settings) <= most:
            raise ValueError(f"{name!r:.80} is {settings:g}; the maximum is {most:,}")


def _difference(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    """Say in what weights differ from what a network needs; nothing where they fit."""
    for name in sorted(expected.keys() ^ tensors.keys()):
        return f"{name!r:.80} is {'missing' if name in expected else 'not part of it'}"
    for name, tensor in tensors.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            return (
                f"{name} has shape {tuple(tensor.shape)} of {tensor.dtype}, not {tuple(wanted.shape)} of {wanted.dtype}"
            )
        if not tensor.isfinite().all():
            return f"{name} holds numbers that are not finite"
    return ""


def check_header(content: bytes) -> None:
    """See that the names of weights have one meaning, before safetensors reads them.

    Raises
    ------
    ValueError, RecursionError
        Where a name is given twice, there are too many, or they have control characters.
    """
    size = int.from_bytes(content[:8], "little")
    if not 0 < size <= min(LARGEST_HEADER, len(content) - 8):
        raise ValueError(f"its header of {size:,} bytes is cut off, or longer than {LARGEST_HEADER:,}")
    parse_json(content[8 : 8 + size].decode("utf-8"))


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Read settings given as ``name=value``, the value as JSON (or a bare word).

    Raises
    ------
    RibocastError
        If there is no ``=``, or the value is beyond what can be read.
    """
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise OptionError(f"setting {text!r} is not of the form name=value")
        try:
            settings[name.strip()] = json.loads(value, parse_constant=str)
        except json.JSONDecodeError:
            settings[name.strip()] = value
        except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists in lists
            raise OptionError(f"setting {name.strip()} cannot be read: {value[:60]}…") from None
    return settings
