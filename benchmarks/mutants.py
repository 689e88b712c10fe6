"""`python -m benchmarks.mutants FILE... [--count 25] [--seed 0]`: do the tests notice a changed line?

A mutant is a copy of the repository with one comparison, constant or branch of one file changed. Each is met by the
tests of the changed file alone (src/instruct_ablate/a/b.py: tests/a/test_b.py, or its folder's: tests/test_a.py); one
that they let pass has survived, and so has one of a file without tests. Messages, annotations and docstrings are left
alone. Nothing is written into the working tree.
"""

import argparse
import ast
import contextlib
import importlib
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path("src/instruct_ablate")
SWAPPED = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
}
# What no test of behaviour can see: speed, messages, types.
LEFT_ALONE = ("dataclass", "cache", "lru_cache", "cast", "overload", "TypeVar")
LIBRARIES = ("pytest", "hypothesis", "numpy", "scipy.stats", "pyarrow.parquet", "matplotlib.figure", "pandas",
             "hydra", "absl.logging", "datasets", "torch", "transformers", "pytorch_lightning", "peft")  # fmt: skip
SPOKEN = ("debug", "info", "warning", "echo", "print", "field")
STARTING = 60  # seconds: a test session's start on a busy machine
LOOKS = (
    "capsize",
    "figsize",
    "fontsize",
    "linewidth",
    "markersize",
    "ncols",
    "rotation",
    "shrink",
)  # of figures
TIMES = 5  # a mutant that takes so many times as long as the tests do otherwise hangs, and is caught


@dataclass(frozen=True)
class Mutant:
    """One change of one place."""

    path: Path
    line: int
    start: int  # bytes of the file
    end: int
    text: str

    def apply(self, content: bytes) -> bytes:
        return content[: self.start] + self.text.encode() + content[self.end :]


def mutants(path: Path, content: bytes) -> list[Mutant]:
    """List all mutants of a file."""
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def place(node: ast.expr) -> tuple[int, int]:
        last, column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return starts[node.lineno - 1] + node.col_offset, starts[last - 1] + column

    found = [
        Mutant(path, node.lineno, *place(node), f"({text})" if " " in text else text)
        for node in _walk(ast.parse(content))
        for text in _changed(node)
    ]
    return list({(one.start, one.end, one.text): one for one in found}.values())


def _walk(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that a test can see the value of."""
    if isinstance(node, ast.JoinedStr | ast.Raise) or _name(node) in (*LEFT_ALONE, *SPOKEN):
        return
    if isinstance(node, ast.keyword) and node.arg in (
        "strict",
        *LOOKS,
    ):  # zip's: what are equally long stay so
        return
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":  # a type
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":  # a command's start
        return
    if isinstance(node, ast.If | ast.While | ast.IfExp) and "TYPE_CHECKING" not in ast.unparse(node.test):
        yield _Branch(node.test)
    if isinstance(node, ast.expr):
        yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "slice") and not isinstance(node, ast.Subscript):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_docstring(child):
                yield from _walk(child)


class _Branch(ast.expr):
    """The condition of a branch, to be turned round."""

    def __init__(self, test: ast.expr) -> None:
        super().__init__()
        self.test = test
        ast.copy_location(self, test)


def _name(node: ast.AST) -> str:
    """Name what a call calls."""
    called = node.func if isinstance(node, ast.Call) else None
    return getattr(called, "id", "") or getattr(called, "attr", "")


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changed(node: ast.expr) -> Iterator[str]:
    """Yield what may stand in an expression's place."""
    if isinstance(node, _Branch) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        yield f"not ({ast.unparse(node.test)})"
    elif isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            swapped = [*node.ops[:at], SWAPPED[type(operator)](), *node.ops[at + 1 :]]
            yield ast.unparse(ast.Compare(node.left, swapped, node.comparators))
    elif isinstance(node, ast.BoolOp):
        yield ast.unparse(ast.BoolOp(SWAPPED[type(node.op)](), node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.Constant):
        yield from _other(node.value)


def _other(value: object) -> Iterator[str]:
    """Yield another constant: a number one off, a truth turned round, a name misspelt."""
    if isinstance(value, bool):
        yield repr(not value)
    elif isinstance(value, int | float):
        yield repr(value + 1)
    elif isinstance(value, str) and value.isidentifier():
        yield repr(f"{value}_")


def test_file(path: Path) -> Path | None:
    """Return the test file of a source file, or of its folder; None where it has none."""
    inner = path.relative_to(SOURCE)
    own = Path("tests", inner.parent, f"test_{inner.name}")
    of_folder = Path("tests", inner.parent.parent, f"test_{inner.parent.name}.py")
    return next((test for test in (own, of_folder) if (ROOT / test).is_file()), None)


def copy_tree(target: Path) -> Path:
    """Copy what git knows of the repository, changes included; the development data are found beside it."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tree = target / "tree"
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    if (ROOT.parent / "shared").is_dir():
        (target / "shared").symlink_to((ROOT.parent / "shared").resolve())
    return tree


def passes(tree: Path, test: Path, limit: float = math.inf) -> bool:
    """Whether the tests of a file of a tree pass in time; they run in a fork, which has the libraries already."""
    child = os.fork()
    if not child:
        _test(tree, test)
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)  # it hangs
    os.waitpid(child, 0)
    return False


def _test(tree: Path, test: Path) -> NoReturn:
    """Run a test file in this process, of which nothing is left afterwards."""
    os.setsid()
    os.chdir(tree)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]
    sys.path[:] = [str(tree / "src"), str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
    os.environ["PYTHONPATH"] = str(tree / "src")
    sys.dont_write_bytecode = True
    status = 1
    try:
        status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", str(test)])
    finally:
        os._exit(status)


def preload() -> None:
    """Import what most test files import, but nothing of this project."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert "instruct_ablate" not in sys.modules


def survives(tree: Path, mutant: Mutant, limits: dict[Path, float]) -> bool:
    """Whether the tests let a mutant pass; the tree is as before afterwards."""
    test = test_file(mutant.path)
    if test is None:
        return True
    file = tree / mutant.path
    content = file.read_bytes()
    try:
        file.write_bytes(mutant.apply(content))
        return passes(tree, test, limits[test])
    finally:
        file.write_bytes(content)


def shown(tree: Path, mutant: Mutant) -> str:
    """Write a mutant's line before and after."""
    content = (tree / mutant.path).read_bytes()
    before, after = content[mutant.start : mutant.end].decode(), mutant.text
    line = content.decode().splitlines()[mutant.line - 1].strip()
    return f"{mutant.path.relative_to(SOURCE)}:{mutant.line}  {' '.join(before.split())}  ->  {after}   in: {line}"


def run(files: Sequence[Path], count: int, seed: int) -> tuple[int, int]:
    """Try `count` mutants of the files, drawn evenly over them; print each; return (caught, all)."""
    preload()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = copy_tree(Path(folder))
        drawn = draw(files, tree, count, random.Random(seed))
        limits = _limits(tree, {test for mutant in drawn if (test := test_file(mutant.path))})
        survived = 0
        for mutant in drawn:
            alive = survives(tree, mutant, limits)
            survived += alive
            outcome = "caught  " if not alive else "SURVIVED" if test_file(mutant.path) else "NO TESTS"
            print(f"{outcome}  {shown(tree, mutant)}", flush=True)
    print(f"{len(drawn) - survived} of {len(drawn)} caught ({(len(drawn) - survived) / len(drawn):.0%})")
    return len(drawn) - survived, len(drawn)


def _limits(tree: Path, tests: Collection[Path]) -> dict[Path, float]:
    """Return the seconds that a mutant's tests may take; without a change they must pass."""
    limits = {}
    for test in tests:
        started = time.monotonic()
        if not passes(tree, test):
            sys.exit(f"{test} fails without any change")
        limits[test] = STARTING + TIMES * (time.monotonic() - started)
    return limits


def draw(files: Sequence[Path], tree: Path, count: int, chance: random.Random) -> list[Mutant]:
    """Draw mutants, one file after the other, so that large files do not crowd out small ones."""
    queues = []
    for path in files:
        of_file = mutants(path, (tree / path).read_bytes())
        queues.append(chance.sample(of_file, len(of_file)))
    chance.shuffle(queues)
    drawn: list[Mutant] = []
    while len(drawn) < count and any(queues):
        drawn += [queue.pop() for queue in queues if queue][: count - len(drawn)]
    return drawn


def main() -> None:
    """Read the command line; exit 1 where fewer than the share asked for were caught."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, help="source files, or folders of them")
    parser.add_argument("--count", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-least", type=float, default=0.0, help="share that must be caught")
    given = parser.parse_args()
    inside = [path.resolve().relative_to(ROOT) for path in given.files]
    listed = [file for path in inside for file in (sorted((ROOT / path).rglob("*.py")) or [ROOT / path])]
    files = [file.relative_to(ROOT) for file in listed if file.name != "__init__.py"]
    caught, tried = run(files, given.count, given.seed)
    sys.exit(caught < given.at_least * tried)


if __name__ == "__main__":
    main()
