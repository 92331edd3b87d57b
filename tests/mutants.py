"""Would the tests notice? Change one token of the code, run the tests that reach it, and list the changes that pass.

``python tests/mutants.py -n 200`` draws changes of ``sequence/``, ``io/``, ``variants/`` and the constraints of
``design/`` with a seed: ``<`` becomes ``<=``, ``+`` becomes ``-``, ``and`` ``or``, a ``not`` is left out, a number or
an index is one further, ``True`` is ``False``. Each is written into a temporary copy of ``src`` and meets the tests of
its room that reach its line (coverage says which). The results are kept in a folder; a second run continues: what was
noticed stays so while its module is unchanged, what survived is tried again when the room's tests have changed.

It needs the ``dev`` extra and a system that can fork.
"""

import argparse
import ast
import copy
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage, CoverageData

ROOT = Path(__file__).parents[1]
SRC = Path("src/ribocast")
ROOMS = {"sequence": "sequence/**/*.py", "io": "io/**/*.py", "variants": "variants/**/*.py",
         "design": "design/constraints*"}  # fmt: skip
MODELS = ("framed", "fixed")
"""Fixtures that train: they are made once, and every run is handed their folders."""
MOST_MEMORY = 16 << 30

OPERATORS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr,
}  # fmt: skip


def code(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what is run: no annotations, decorators, or imports for type checkers."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if isinstance(child, ast.AST) and not is_typing:
                yield child
                yield from code(child)


def further(node: ast.expr) -> ast.expr:
    """Return the expression plus one."""
    return ast.BinOp(node, ast.Add(), ast.Constant(1))


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield copies of a node, each with one token changed."""

    def changed(field: str, value: object) -> ast.AST:
        other = copy.copy(node)
        setattr(other, field, value)
        return other

    match node:
        case ast.Compare():
            for number, op in enumerate(node.ops):
                yield changed("ops", [*node.ops[:number], OPERATORS[type(op)](), *node.ops[number + 1 :]])
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign() if type(node.op) in OPERATORS:
            yield changed("op", OPERATORS[type(node.op)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield changed("value", not node.value)
        case ast.Constant(value=int()):
            yield changed("value", node.value + 1)
            yield changed("value", node.value - 1)
        case ast.Subscript(slice=ast.Name() | ast.BinOp() | ast.Attribute()):
            yield changed("slice", further(node.slice))
        case ast.Slice():
            for end in ("lower", "upper"):
                if not isinstance(getattr(node, end), ast.Constant | None):
                    yield changed(end, further(getattr(node, end)))


def put(tree: ast.AST, node: ast.AST, other: ast.AST) -> None:
    """Put another node where one stands."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is node:
                return setattr(parent, field, other)
            if isinstance(value, list) and any(child is node for child in value):
                return setattr(parent, field, [other if child is node else child for child in value])
    raise LookupError(node)


def modules(room: str) -> list[Path]:
    """List the files of a room."""
    found = (ROOT / SRC).glob(ROOMS[room])
    return sorted(file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path]))


def mutants(room: str) -> Iterator[dict[str, object]]:
    """Yield every change of a room, with the text of its module as it would be."""
    for file in modules(room):
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        for node in code(tree):
            for other in changes(node):
                shown = f"{ast.unparse(node)}  ->  {ast.unparse(other)}"
                yield {"room": room, "file": file.relative_to(ROOT).as_posix(), "line": node.lineno,
                       "change": shown, "tree": (tree, node, other), "of": digest(text)}  # fmt: skip


def digest(text: str) -> str:
    """Say in a few letters which text it was."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Models:
    """Hand every run the small trained models, which the first run makes; note how long each test takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("[")[0]
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        # Not by coverage's own way, which takes Hypothesis's `test_function` for the test.
        if measured := Coverage.current():
            measured.switch_context(item.nodeid.split("[")[0])
        yield
        if measured:
            measured.switch_context("")

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Path], request: pytest.FixtureRequest) -> Path | None:
        kept = self.folder / fixturedef.argname
        if fixturedef.argname not in MODELS or not kept.is_dir():
            return None
        fixturedef.cached_result = (kept, fixturedef.cache_key(request), None)
        return kept

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Path]) -> None:
        made = fixturedef.cached_result
        if fixturedef.argname in MODELS and made and made[0] != self.folder / fixturedef.argname:
            shutil.copytree(made[0], self.folder / fixturedef.argname, dirs_exist_ok=True)


def run_here(work: Path, tests: list[str], log: str, *, reached: bool) -> int:
    """Run tests on the copy in this process; `reached` notes who reaches which line, and how long they take."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    out = os.open(work / log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.path.insert(0, str(work / "src"))
    # The same examples in every run, and none of a mutant's kept for the next.
    os.environ |= {"CI": "true", "PYTHONPATH": str(work / "src")}
    sys.dont_write_bytecode = not reached
    plugin = Models(work / "models")
    options = ["-o", "addopts=--strict-markers", "-p", "no:cacheprovider", "-m", "not thorough", "-q", "--tb=short"]
    if not reached:
        return pytest.main([*options, "-x", *tests], plugins=[plugin])
    settings = work / "coverage.ini"
    settings.write_text(f"[run]\nsource = {work / 'src'}\ndata_file = {work / 'reached'}\n")
    with Coverage(config_file=str(settings)).collect():
        rc = pytest.main([*options, *tests], plugins=[plugin])
    (work / "seconds.json").write_text(json.dumps(plugin.seconds))
    return rc


def run_tests(work: Path, tests: list[str], log: str, allowed: float, *, reached: bool = False) -> tuple[int, float]:
    """Run tests on the copy in a forked child, which finds PyTorch and the like imported; return its exit code."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        rc = 99
        try:
            os.setsid()
            rc = run_here(work, tests, log, reached=reached)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(rc)
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() - start > allowed:
            os.killpg(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(ended[1]), time.monotonic() - start


def reach(work: Path, room: str) -> dict[str, Any]:
    """Run a room's tests on the code as it is; return which reach each file's lines, and the seconds each took."""
    files = sorted((ROOT / "tests" / room).glob("test_*.py"))
    rc, seconds = run_tests(work, [str(file) for file in files], f"{room}.log", 3600.0, reached=True)
    if rc:
        raise SystemExit((work / f"{room}.log").read_text()[-3000:] + f"\nthe tests of {room} fail before any change")
    print(f"{room}: its tests pass in {seconds:.0f} s", flush=True)
    seconds = json.loads((work / "seconds.json").read_text())
    data = CoverageData(str(work / "reached"))
    data.read()
    found: dict[str, dict[str, list[str]]] = {}
    for measured in data.measured_files():
        lines = {
            str(line): sorted(filter(None, contexts), key=seconds.get)
            for line, contexts in data.contexts_by_lineno(measured).items()
        }
        # What no test reaches by itself (at import, in a fixture, in a thread) meets all tests of its module.
        every = sorted({test for tests in lines.values() for test in tests}, key=seconds.get)
        found[Path(measured).relative_to(work).as_posix()] = {line: tests or every for line, tests in lines.items()}
    return {"lines": found, "seconds": seconds}


def main() -> None:
    """Draw changes, try those that are not decided yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", type=int, default=200, help="how many changes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--room", action="append", choices=ROOMS, help="only this room; may be repeated")
    parser.add_argument("--kept", type=Path, default=ROOT / ".mutants", help="the folder of results")
    parser.add_argument("--times", action="store_true", help="print the seconds that each change took")
    asked = parser.parse_args()
    everything = [mutant for room in asked.room or ROOMS for mutant in mutants(room)]
    drawn = random.Random(asked.seed).sample(everything, min(asked.n, len(everything)))
    asked.kept.mkdir(exist_ok=True)
    results_file = asked.kept / "results.json"
    kept = json.loads(results_file.read_text()) if results_file.is_file() else {}
    for heavy in ("pandas", "pyarrow.parquet", "openvino", "torch", "onnxscript", "scipy.stats"):
        __import__(heavy)  # once, not in every child
    results = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copytree(ROOT / "src", work / "src", ignore=shutil.ignore_patterns("__pycache__"))
        whole = digest("".join(file.read_text() for file in sorted((ROOT / SRC).rglob("*.py"))))
        models = asked.kept.resolve() / f"models-{whole}"
        models.mkdir(exist_ok=True)
        (work / "models").symlink_to(models)
        for number, mutant in enumerate(drawn, 1):
            room, name = str(mutant["room"]), str(mutant["file"])
            tests = digest("".join(file.read_text() for file in sorted((ROOT / "tests" / room).glob("test_*.py"))))
            key = f"{name}:{mutant['line']}: {mutant['change']}"
            old = kept.get(key, {})
            if old.get("of") != mutant["of"] or not (old["noticed"] or old["tests"] == tests):
                known = asked.kept / f"{room}-{tests}-{digest(''.join(m.read_text() for m in modules(room)))}.json"
                if not known.is_file():
                    known.write_text(json.dumps(reach(work, room)))
                reached = json.loads(known.read_text())
                tree, node, other = mutant["tree"]
                put(tree, node, other)
                (work / name).write_text(ast.unparse(tree), encoding="utf-8")
                put(tree, other, node)
                mine = reached["lines"].get(name, {}).get(str(mutant["line"]), [])
                allowed = 20 + 3 * sum(reached["seconds"][test] for test in mine)
                rc, seconds = run_tests(work, mine, "mutant.log", allowed) if mine else (0, 0.0)
                shutil.copy(ROOT / name, work / name)
                old = {"of": mutant["of"], "tests": tests, "noticed": rc != 0, "seconds": round(seconds, 1),
                       "reached": len(mine)}  # fmt: skip
                kept[key] = old
                results_file.write_text(json.dumps(kept, indent=1))
            results.append((key, old))
            if asked.times or not old["noticed"]:
                said = (
                    "noticed" if old["noticed"] else "SURVIVED" if old["reached"] else "SURVIVED (no test reaches it)"
                )
                print(f"{number:>4} {old['seconds']:>6} s  {said}  {key}", flush=True)
    noticed = sum(old["noticed"] for _, old in results)
    share = f"{noticed} of {len(results)} changes noticed ({noticed / len(results):.1%})"
    print(f"{share}, drawn from {len(everything):,}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main()
