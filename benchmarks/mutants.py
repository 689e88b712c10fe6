"""`python -m benchmarks.mutants FILE... [--count 25] [--seed 0]`: do the tests notice a changed line?

A mutant is a copy of the repository with one place of one file changed (`mutations.py`). Each is met by the
tests of the changed file alone (src/instruct_ablate/a/b.py: tests/a/test_b.py, or its folder's: tests/test_a.py); one
that they let pass has survived, and so has one of a file without tests. Messages, annotations and docstrings are left
alone. Nothing is written into the working tree.
"""

import argparse
import ast
import contextlib
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest
from benchmarks.mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path("src/instruct_ablate")
LIBRARIES = ("pytest", "hypothesis", "numpy", "scipy.stats", "pyarrow.parquet", "matplotlib.figure", "pandas",
             "hydra", "absl.logging", "datasets", "torch", "transformers", "pytorch_lightning", "peft")  # fmt: skip
STARTING = 60  # seconds: a test session's start on a busy machine
TIMES = 5  # a mutant that takes so many times as long as the tests do otherwise hangs, and is caught


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


def dependents(tree: Path, path: Path) -> set[str]:
    """Name a file's module, all that import it, be it by way of others, and all tests."""
    imported: dict[str, set[str]] = {}
    for file in (tree / SOURCE).rglob("*.py"):
        names = imported.setdefault(_module(file.relative_to(tree)), set())
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names.update(one.name for one in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.update((node.module, *(f"{node.module}.{one.name}" for one in node.names)))
    found, new = set(), {_module(path)}
    while new:
        found |= new
        new = {name for name, names in imported.items() if names & found} - found
    return found


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def outcomes(tree: Path, path: Path, tried: Sequence[Mutant], tests: Sequence[Path]) -> Iterator[bool | None]:
    """Yield for each mutant of a file whether the tests let it pass; None, once, where they fail without any.

    A fork runs the tests as they are. It has all modules then, forgets those that hang on the file, and is itself
    forked for every mutant, which thus costs no more than its tests.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            _serve(tree, path, tried, tests, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        for answer in answers:
            yield {"passed": True, "failed": False}.get(answer.strip())
    os.waitpid(child, 0)


def _serve(tree: Path, path: Path, tried: Sequence[Mutant], tests: Sequence[Path], writing: int) -> None:
    """Write a line for each mutant: whether the tests passed."""
    _enter(tree)
    started = time.monotonic()
    if pytest.main(_ARGUMENTS + [str(test) for test in tests]):
        os.write(writing, b"broken\n")
        return
    _forget(dependents(tree, path))
    limit = STARTING + TIMES * (time.monotonic() - started)
    sys.dont_write_bytecode = True
    content = path.read_bytes()
    if not _passes(tests, limit):
        os.write(writing, b"broken\n")
        return
    for mutant in tried:
        for kept in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            kept.unlink()
        path.write_bytes(mutant.apply(content))
        os.write(writing, b"passed\n" if _passes(tests, limit) else b"failed\n")
    path.write_bytes(content)


_ARGUMENTS = ["-q", "-x", "-p", "no:cacheprovider"]


def _enter(tree: Path) -> None:
    """Make this process one that runs a tree's tests, in silence."""
    os.chdir(tree)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]
    sys.path[:] = [str(tree / "src"), str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
    os.environ["PYTHONPATH"] = str(tree / "src")


def _forget(modules: Collection[str]) -> None:
    """Let modules be imported anew, and all tests."""
    for name in [
        name for name in sys.modules if name in modules or name.partition(".")[0] in ("tests", "conftest")
    ]:
        package, _, own = name.rpartition(".")
        del sys.modules[name]
        if package in sys.modules:
            vars(sys.modules[package]).pop(own, None)
    importlib.invalidate_caches()


def _passes(tests: Sequence[Path], limit: float) -> bool:
    """Whether test files pass in time, in a fork."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setpgid(0, 0)
            status = pytest.main(_ARGUMENTS + [str(test) for test in tests])
        finally:
            os._exit(status)
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)  # it hangs
    os.waitpid(child, 0)
    return False


def preload() -> None:
    """Import what most test files import, but nothing of this project."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert "instruct_ablate" not in sys.modules


def shown(mutant: Mutant) -> str:
    """Write what a mutant changes, before and after, and its line."""
    content = (ROOT / mutant.path).read_bytes()
    before, after = " ".join(content[mutant.start : mutant.end].decode().split()), mutant.text
    pairs = zip(before, after.lstrip("("), strict=False)
    alike = next((place for place, (old, new) in enumerate(pairs) if old != new), len(before))
    cut = max(0, alike - 25) if len(before) > 80 else 0
    line = content.decode().splitlines()[mutant.line - 1].strip()
    where = f"{mutant.path.relative_to(SOURCE)}:{mutant.line}"
    return f"{where}  {before[cut : cut + 80]}  ->  {after[cut : cut + 80]}   in: {line}"


def run(files: Sequence[Path], count: int, seed: int, also: Sequence[Path] = ()) -> tuple[int, int]:
    """Try `count` mutants of the files, drawn evenly over them; print each; return (caught, all).

    Each meets its file's own tests and those of `also`.
    """
    preload()
    survived, tried = 0, 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = copy_tree(Path(folder))
        drawn = draw(files, tree, count, random.Random(seed))
        for path in dict.fromkeys(mutant.path for mutant in drawn):
            own = [mutant for mutant in drawn if mutant.path == path]
            tests = [*([test] if (test := test_file(path)) else []), *also]
            found = outcomes(tree, path, own, tests) if tests else iter([True] * len(own))
            for mutant, alive in zip(own, found, strict=False):
                if alive is None:
                    sys.exit(f"{', '.join(map(str, tests))}: fail without any change")
                survived, tried = survived + alive, tried + 1
                outcome = "caught  " if not alive else "SURVIVED" if tests else "NO TESTS"
                print(f"{outcome}  {shown(mutant)}", flush=True)
    print(f"{tried - survived} of {tried} caught ({(tried - survived) / max(tried, 1):.0%})")
    return tried - survived, tried


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
    parser.add_argument(
        "--also", nargs="*", type=Path, default=[], help="test files that survivors meet, too"
    )
    parser.add_argument("--at-least", type=float, default=0.0, help="share that must be caught")
    given = parser.parse_args()
    inside = [path.resolve().relative_to(ROOT) for path in given.files]
    listed = [file for path in inside for file in (sorted((ROOT / path).rglob("*.py")) or [ROOT / path])]
    files = [file.relative_to(ROOT) for file in listed if file.name != "__init__.py"]
    caught, tried = run(files, given.count, given.seed, given.also)
    sys.exit(caught < given.at_least * tried)


if __name__ == "__main__":
    main()
