"""What a search tries: settings and their values, from a TOML file, checked before anything is trained."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import math
import reprlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ribocast.errors import InputError, RibocastError
from ribocast.io.inputs import in_our_words, read_small
from ribocast.learn.recipe import Recipe

if TYPE_CHECKING:
    from ribocast.learn.networks import Architecture
    from ribocast.model.bundle import AssayCard

RECIPE = "recipe."
_SEPARATE = {"target": "changes which rows are trained on", "patience": "needs rows held out to choose the epoch by"}
_MOST_BUILT = 512
_LARGEST_GRID = 1 << 20
_RANGE_KEYS = {"low", "high", "step", "log"}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole if both are; by steps, or even in their logarithm."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


Choice = tuple[Any, ...] | Range


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes
    ----------
    source : str
        For messages.
    settings : dict of str to (tuple or Range)
        Values by setting; those of the training recipe are named ``recipe.…``.
    """

    source: str
    settings: dict[str, Choice]

    @property
    def is_grid(self) -> bool:
        """Whether every setting is a list."""
        return not any(isinstance(choice, Range) for choice in self.settings.values())

    @property
    def size(self) -> int:
        """Combinations of a grid."""
        return math.prod(len(choice) for choice in self.settings.values() if not isinstance(choice, Range))

    def points(self, seed: int) -> list[dict[str, Any]]:
        """Return every combination of a grid, in an order that depends on the seed alone."""
        lists = [choice for choice in self.settings.values() if not isinstance(choice, Range)]
        every = [dict(zip(self.settings, values, strict=True)) for values in itertools.product(*lists)]
        return [every[index] for index in np.random.default_rng(seed).permutation(len(every))]


def divide(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide the values of a trial into settings of the architecture and changes of the recipe."""
    settings = {name: value for name, value in values.items() if not name.startswith(RECIPE)}
    changes = {name.removeprefix(RECIPE): value for name, value in values.items() if name.startswith(RECIPE)}
    return settings, changes


def read_space(grid: str | Path | Mapping[str, Any], design: Architecture, recipe: Recipe) -> Space:
    """Read a grid: a list of values a setting, or a range ``{ low = 32, high = 128, step = 32 }`` (or ``log = true``).

    Parameters
    ----------
    grid : str, Path or mapping
        A TOML file, or what would stand in it; the settings may stand under ``[grid]``.
    design : Architecture
        Whose settings are meant.
    recipe : Recipe
        Whose settings are meant by ``recipe.…``.

    Raises
    ------
    RibocastError
        If it is not TOML, or a setting or value is not possible.
    """
    source = "the grid" if isinstance(grid, Mapping) else str(grid)
    table = grid if isinstance(grid, Mapping) else _read_toml(Path(grid))
    if isinstance(inner := table.get("grid"), Mapping):
        if others := [name for name in table if name != "grid"]:
            raise InputError(f"{source}: {others[0]} must be inside [grid]")
        table = inner
    flat = {name: value for name, value in table.items() if name != "recipe"}
    under_recipe = table.get("recipe", {})
    if not isinstance(under_recipe, Mapping):
        raise InputError(f"{source}: recipe: name a setting of it, e.g. recipe.learning_rate = [0.001, 0.003]")
    flat |= {RECIPE + name: value for name, value in under_recipe.items()}
    if not flat:
        raise InputError(f"{source}: has no settings to try")
    defaults = _defaults(design, recipe)
    settings = {}
    for name, given in flat.items():
        _known(source, name, defaults, design)
        try:
            settings[name] = _choice(given, defaults[name])
        except ValueError as error:
            raise InputError(f"{source}: {name}: {error}") from None
    return Space(source, settings)


def check_space(
    space: Space, design: Architecture, cards: Sequence[AssayCard], settings: Mapping[str, Any], recipe: Recipe
) -> None:
    """Build what will be trained, once, without training it: every combination of a small grid; else the corners.

    Raises
    ------
    RibocastError
        For the first value, or combination of values, that cannot be.
    """
    ends = {name: (choice.low, choice.high) if isinstance(choice, Range) else choice
            for name, choice in space.settings.items()}  # fmt: skip
    for name, values in ends.items():
        for value in values:
            _build({name: value}, f"{space.source}: {name}", design, cards, settings, recipe)
    of_network = {name: values for name, values in ends.items() if not name.startswith(RECIPE)}
    if math.prod(map(len, of_network.values())) > _MOST_BUILT:
        of_network = {name: (values[0], values[-1]) for name, values in of_network.items()}
    for combination in itertools.islice(itertools.product(*of_network.values()), _MOST_BUILT):
        together = dict(zip(of_network, combination, strict=True))
        _build(together, space.source, design, cards, settings, recipe)


def _build(
    values: dict[str, Any], where: str, design: Architecture, cards: Sequence[AssayCard], settings: Mapping[str, Any],
    recipe: Recipe,
) -> None:  # fmt: skip
    chosen, changes = divide(values)
    try:
        dataclasses.replace(recipe, **changes)
        if chosen:
            design.build(cards, **{**settings, **chosen})
    except RibocastError as error:
        raise InputError(f"{where}: {error}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with in_our_words(str(path)):
            return tomllib.loads(read_small(path, _LARGEST_GRID, what="a grid").decode("utf-8"))
    except RibocastError:
        raise
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    except (ValueError, RecursionError):
        # A number of thousands of digits, lists in lists in lists; a path with a NUL.
        raise InputError(f"{path}: not a readable grid") from None


def _defaults(design: Architecture, recipe: Recipe) -> dict[str, Any]:
    declared = importlib.import_module(f"ribocast.learn.networks.{design.module}").Settings
    defaults = {field.name: field.default for field in dataclasses.fields(declared)} | dict(design.defaults)
    return defaults | {RECIPE + name: value for name, value in dataclasses.asdict(recipe).items()}


def _known(source: str, name: str, defaults: Mapping[str, Any], design: Architecture) -> None:
    own = name.removeprefix(RECIPE)
    if name not in defaults:
        if RECIPE + name in defaults:
            raise InputError(f"{source}: {name} is a setting of the training recipe: write {RECIPE}{name}")
        kind = RECIPE if name.startswith(RECIPE) else ""
        there = [other.removeprefix(kind) for other in defaults if other.startswith(RECIPE) == bool(kind)]
        whose = "the training recipe" if kind else design.name
        raise InputError(f"{source}: {whose} has no setting {reprlib.repr(own)}; it has: {', '.join(there)}")
    if name.startswith(RECIPE) and own in _SEPARATE:
        raise InputError(f"{source}: {name} cannot be searched: it {_SEPARATE[own]}")


def _choice(given: Any, default: Any) -> Choice:
    if isinstance(given, Mapping):
        return _range(given, default)
    if not isinstance(given, list | tuple):
        text = reprlib.repr(given)
        raise ValueError(f"{text} is neither a list of values, such as [{text}], nor a range, {{ low = …, high = … }}")
    if not given:
        raise ValueError("the list is empty")
    values = tuple(_value(value, default) for value in given)
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{reprlib.repr(value)} appears twice")
    return values


def _value(value: Any, default: Any) -> Any:
    """Bring a value to the type of the default: bool, int, float, str, or a tuple."""
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            text = reprlib.repr(value)
            raise ValueError(f"{text} is not a list; its own is {list(default)}, and several stand in a list of lists")
        return tuple(value)
    kind = type(default)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind is float and (whole or isinstance(value, float)):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return float(value)
    if type(value) is not kind:
        expected = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
        raise ValueError(f"{reprlib.repr(value)} is not {expected.get(kind, 'possible')}")
    return value


def _range(given: Mapping[str, Any], default: Any) -> Range:
    if isinstance(default, bool) or not isinstance(default, int | float):
        raise ValueError("a range is for numbers; give a list of values")
    if unknown := set(given) - _RANGE_KEYS:
        raise ValueError(f"a range has low, high, step and log, not {min(unknown)!r}")
    if not {"low", "high"} <= set(given):
        raise ValueError("a range needs low and high")
    low, high = _value(given["low"], default), _value(given["high"], default)
    step = None if given.get("step") is None else _value(given["step"], default)
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ValueError("log is true or false")
    if not low < high:
        raise ValueError(f"low, {low}, is not below high, {high}")
    if log and (low <= 0 or step is not None):
        raise ValueError("log is for ranges above 0 without a step")
    if step is not None and (step <= 0 or not math.isclose((steps := (high - low) / step), round(steps))):
        raise ValueError(f"no whole number of steps of {step} lies between {low} and {high}")
    return Range(low, high, step, log)
