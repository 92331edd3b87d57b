"""Grids: anything in one is read as what it says or refused in one line, and all its combinations are tried once."""

import itertools
import math
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.learn.networks import architecture
from ribocast.learn.tune.space import Range, divide, read_space

OPTIMUS, FRAMED = architecture("optimus"), architecture("framed")
SCALARS = st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=3)
RANGES = st.dictionaries(st.sampled_from(["low", "high", "step", "log", "by"]), SCALARS | st.integers(1, 9), max_size=4)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)
NAMES = st.sampled_from(["layers", "filters", "dropout", "profile", "recipe.epochs", "recipe.bfloat16", "epochs",
                         "dilations", "recipe", "grid", "recipe.optimiser", "recipe.patience"])  # fmt: skip
TABLES = st.dictionaries(NAMES | st.text(max_size=4), RANGES | st.lists(SCALARS, max_size=3) | ANYTHING, max_size=3)
GRIDS = st.fixed_dictionaries({}, optional={
    "layers": st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True),
    "dropout": st.lists(st.floats(0, 0.9), min_size=1, max_size=3, unique=True),
    "recipe.bfloat16": st.lists(st.booleans(), min_size=1, unique=True),
    "recipe.epochs": st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
}).filter(bool)  # fmt: skip


def refused(error, source):
    return str(error).startswith(f"{source}: ") and len(str(error).splitlines()) == 1


@given(TABLES | st.builds(lambda table: {"grid": table}, TABLES), st.sampled_from([OPTIMUS, FRAMED]))
def test_any_table_is_a_space_of_the_types_of_its_settings_or_refused_in_one_line(table, design):
    try:
        space = read_space(table, design, design.recipe)
    except RibocastError as error:
        assert refused(error, "the grid")  # noqa: PT017
        return
    assert space.settings
    for choice in space.settings.values():
        if isinstance(choice, Range):
            assert choice.low < choice.high
            assert not choice.log or choice.low > 0
        else:
            assert len(choice) == len(set(choice)) > 0
            assert len({type(value) for value in choice}) == 1


@given(st.text(max_size=60).map(str.encode) | st.binary(max_size=40))
def test_any_file_is_a_grid_or_refused_in_one_line(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "grid.toml")
        path.write_bytes(content)
        with pytest.raises(RibocastError) as caught:
            read_space(path, OPTIMUS, OPTIMUS.recipe)
        assert refused(caught.value, path)


@pytest.mark.parametrize("text", ["layers = [" + "1" * 5000 + "]", "layers = " + "[" * 3000 + "]" * 3000])
def test_what_python_itself_does_not_read_is_said_in_one_line(tmp_path, text):
    (tmp_path / "grid.toml").write_text(text)
    limit = sys.getrecursionlimit()
    try:
        for depth in (limit, 100_000):  # a caller's program may let Python nest deeper than it does by itself
            sys.setrecursionlimit(depth)
            with pytest.raises(RibocastError) as caught:
                read_space(tmp_path / "grid.toml", OPTIMUS, OPTIMUS.recipe)
            assert refused(caught.value, tmp_path / "grid.toml")
            assert len(str(caught.value)) < 300
    finally:
        sys.setrecursionlimit(limit)


@given(GRIDS, st.integers(0, 99))
def test_the_points_of_a_grid_are_all_its_combinations_once(grid, seed):
    space = read_space(grid, OPTIMUS, OPTIMUS.recipe)
    points = space.points(seed)
    every = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    assert len(points) == len(every) == space.size == math.prod(map(len, grid.values()))
    assert all(points.count(one) == 1 for one in every)
    for point in points:
        settings, changes = divide(point)
        assert settings | {f"recipe.{name}": value for name, value in changes.items()} == point
