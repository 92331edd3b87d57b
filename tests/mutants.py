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
SIZES = {
    "CHUNK_ROWS", "_AT_ONCE", "_BATCH_LETTERS", "_BATCH_PAIRS", "_BIN", "_BLOCK_BYTES", "_BUFFER", "_COUNTED_ROWS",
    "_ENTRY_BYTES", "_GROUP_ROWS", "_KEPT", "_KNOWN_BYTES", "_LAYINGS", "_MOST", "_OF_A_LINE", "_PAIR_ROWS", "_WINDOW",
}  # fmt: skip
"""How much is read, kept or tried at once: another number changes what a run costs, and nothing of what comes out."""

OPERATORS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr,
}  # fmt: skip


def code(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what is run: no annotations, decorators, imports for type checkers, or sizes of pieces."""
    if isinstance(node, ast.Assign):
        given = {one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
        if given & SIZES:
            return
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
        # Where the statement begins, the innermost one last.
        begins = {
            part: statement.lineno for statement in ast.walk(tree) if isinstance(statement, ast.stmt)
            for part in ast.walk(statement)
        }  # fmt: skip
        for node in code(tree):
            for other in changes(node):
                shown = f"{ast.unparse(node)}  ->  {ast.unparse(other)}"
                yield {"room": room, "file": file.relative_to(ROOT).as_posix(), "line": node.lineno,
                       "begins": begins[node], "change": shown, "tree": (tree, node, other),
                       "of": digest(text)}  # fmt: skip


def digest(text: str) -> str:
    """Say in a few letters which text it was."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Models:
    """Hand every run the small trained models, which the first run makes; note how long each test takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}
        self.starting: set[str] = set()
        self._running = ""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _: object) -> None:
        if event in ("subprocess.Popen", "os.fork", "os.posix_spawn"):
            self.starting.add(self._running)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("[")[0]
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        # Not by coverage's own way, which takes Hypothesis's `test_function` for the test.
        self._running = item.nodeid.split("[")[0]
        if measured := Coverage.current():
            measured.switch_context(self._running)
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
    facts = {name: (seconds, name in plugin.starting) for name, seconds in plugin.seconds.items()}
    (work / "seconds.json").write_text(json.dumps(facts))
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


def reach(work: Path, room: str, kept: Path) -> dict[str, Any]:
    """Run a room's tests on the code as it is, each file once for each state of it and of the room.

    Returns which tests reach each line of each file (0 is any line), from the fastest to the slowest; the seconds that
    each took; and, as ``starting``, those that start processes, in which nobody sees what they reach.
    """
    lines: dict[str, dict[str, set[str]]] = {}
    facts: dict[str, tuple[float, bool]] = {}
    state = digest("".join(file.read_text() for file in modules(room)))
    for file in sorted((ROOT / "tests" / room).glob("test_*.py")):
        known = kept / f"{room}-{file.stem}-{digest(file.read_text())}-{state}.json"
        if not known.is_file():
            rc, seconds = run_tests(work, [str(file)], "reach.log", 3600.0, reached=True)
            if rc:
                raise SystemExit((work / "reach.log").read_text()[-3000:] + f"\n{file} fails before any change")
            print(f"{file.relative_to(ROOT)}: passes in {seconds:.0f} s", flush=True)
            data = CoverageData(str(work / "reached"))
            data.read()
            reached = {
                Path(one).relative_to(work).as_posix(): data.contexts_by_lineno(one) for one in data.measured_files()
            }
            known.write_text(json.dumps([reached, json.loads((work / "seconds.json").read_text())]))
        reached, of_file = json.loads(known.read_text())
        facts |= of_file
        for name, contexts in reached.items():
            for line, tests in contexts.items():
                for at in (line, "0"):
                    lines.setdefault(name, {}).setdefault(at, set()).update(filter(None, tests))
    seconds = {name: took for name, (took, _) in facts.items()}
    fastest = sorted(seconds, key=seconds.__getitem__)
    return {
        "lines": {name: {at: [test for test in fastest if test in tests] for at, tests in of_name.items()}
                  for name, of_name in lines.items()},
        "seconds": seconds,
        "starting": [test for test in fastest if facts[test][1]],
    }  # fmt: skip


def tests_of(reached: dict[str, Any], mutant: dict[str, object]) -> list[str]:
    """Choose the tests of a change: those that reach its line or statement, or else its module, or start processes."""
    lines = reached["lines"].get(mutant["file"], {})
    at = (lines.get(str(mutant[line])) for line in ("line", "begins"))
    return next(filter(None, at), None) or lines.get("0") or reached["starting"]


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
    results, reached = [], {}
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
                if room not in reached:
                    reached[room] = reach(work, room, asked.kept)
                tree, node, other = mutant["tree"]
                put(tree, node, other)
                (work / name).write_text(ast.unparse(tree), encoding="utf-8")
                put(tree, other, node)
                mine = tests_of(reached[room], mutant)
                allowed = 20 + 3 * sum(reached[room]["seconds"][test] for test in mine)
                rc, seconds = run_tests(work, mine, "mutant.log", allowed) if mine else (0, 0.0)
                shutil.copy(ROOT / name, work / name)
                old = {"of": mutant["of"], "tests": tests, "noticed": rc != 0, "seconds": round(seconds, 1),
                       "reached": len(mine)}  # fmt: skip
                kept[key] = old
                results_file.write_text(json.dumps(kept, indent=1))
            results.append((key, old))
            if asked.times or not old["noticed"]:
                said = "noticed" if old["noticed"] else "SURVIVED"
                print(f"{number:>4} {old['seconds']:>6} s  {said} {old['reached']} tests  {key}", flush=True)
    noticed = sum(old["noticed"] for _, old in results)
    share = f"{noticed} of {len(results)} changes noticed ({noticed / len(results):.1%})"
    print(f"{share}, drawn from {len(everything):,}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main()
