"""The house: rooms whose imports run down only, no circles, PyTorch in learn alone, few entries."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import ribocast

SRC = Path(ribocast.__file__).parent
ROOMS = ("cli", "web", "design", "variants", "explain", "predict", "learn", "model", "io", "sequence", "errors")
"""From the roof to the ground: a room imports from those after it."""


def modules():
    return {".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): path
            for path in SRC.rglob("*.py") if path.name != "__init__.py" or path.parent != SRC}  # fmt: skip


def imports(path, *, at_import=False):
    """List the modules that a file imports; `at_import` leaves out those inside functions and for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    if at_import:
        for node in ast.walk(tree):
            lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if lazy or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
                skipped |= {id(inner) for inner in ast.walk(node)}
    known = modules()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole.removeprefix("ribocast.") in known else node.module


def test_imports_run_down_only():
    up = []
    for name, path in modules().items():
        room = name.split(".")[0]
        for target in imports(path):
            other = target.removeprefix("ribocast.").split(".")[0]
            is_ours = target.startswith("ribocast.") and room in ROOMS and other in ROOMS
            if is_ours and ROOMS.index(other) < ROOMS.index(room):
                up.append(f"{name} imports {target}")
    assert up == []


def test_no_module_imports_itself_through_others():
    known = modules()
    graph = {}
    for name, path in known.items():
        targets = {target.removeprefix("ribocast.") for target in imports(path, at_import=True)}
        graph[name] = targets & known.keys() - {name}
    TopologicalSorter(graph).prepare()


def test_pytorch_is_imported_in_learn_alone():
    assert [name for name, path in modules().items() if not name.startswith("learn")
            and any(target.split(".")[0] == "torch" for target in imports(path))] == []  # fmt: skip


def test_what_runs_a_model_needs_nothing_of_learn():
    users = {name for name, path in modules().items() for target in imports(path)
             if target.startswith("ribocast.learn") and name.split(".")[0] not in ("learn", "cli")}  # fmt: skip
    assert users == set()


def test_the_house_has_few_rooms():
    entries = [path.name for path in SRC.iterdir() if not path.name.startswith("__")]
    assert len(entries) <= 12
