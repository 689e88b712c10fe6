"""The partition holds: no import upwards, no circle, no heavy library where it has no business.

Every import counts: those inside functions and those for type checkers alone too.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "instruct_ablate"
ROOT = Path(__file__).parents[1] / "src" / PACKAGE

# From the ground up; a room imports from its own line and from the lines before it, never from one after.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "cost", "limits", "plural", "rounding", "terminal", "long_table"),
    ("schema", "normalisation", "process", "hub"),
    ("disk", "configuration"),
    ("constraints",),
    ("tasks",),
    ("instruction",),
    ("prompt",),
    ("data",),
    ("model",),
    ("scores", "rouge", "aggregation", "metrics"),
    ("baselines",),
    ("cell.state",),
    ("cell.mirror",),
    ("cell.run",),
    ("cell.after",),
    ("hypotheses",),
    ("grid",),
    ("report",),
    ("archive",),
    (
        "python_api",
        "completion",
        "pages",
        "commands",
        "entry",
        "command_line",
        "__main__",
    ),
)
MODEL_SIDE = ("data", "model")
HEAVY = ("torch", "transformers", "pytorch_lightning", "lightning_fabric", "peft", "accelerate", "vllm")
# Two towers: these stand above the model side and know nothing of it, but where a line below says why.
WITHOUT_MODEL = (
    "scores",
    "rouge",
    "aggregation",
    "metrics",
    "baselines",
    "cell.state",
    "cell.mirror",
    "grid",
    "report",
    "archive",
)
WITHOUT_HEAVY = ("tasks", "instruction", "prompt", *WITHOUT_MODEL)


@dataclass(frozen=True)
class Import:
    """One import statement: who imports what, and where."""

    importer: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


# Importer, what it may import all the same, and why. Those of the model side wait until they are called.
ALLOWED: dict[tuple[str, str], str] = {
    (
        "cell.state.identity",
        "model.loading.fingerprint",
    ): "an identity counts the checkpoint's files",
    (
        "grid.checking.effects",
        "model.loading.checkpoint",
    ): "prompts are cut as the model's own tokenizer counts",
    (
        "grid.checking.effects",
        "model.loading.tokenizer",
    ): "prompts are cut as the model's own tokenizer counts",
    (
        "grid.planning.estimate",
        "data.batches",
    ): "a plan counts the very steps that the fit will take; numpy alone",
    ("grid.planning.estimate", "model.loading.parameter_count"): "a plan counts parameters without a weight",
    (
        "grid.checking.reading_checks",
        "model.decoding.answers.label_check",
    ): "a check is the code that the use calls",
    (
        "grid.token_counts",
        "model.loading.tokenizer_file",
    ): "a plan counts tokens by the model's own tokenizer",
    (
        "grid.checking.reading_checks",
        "model.loading.checkpoint",
    ): "labels are told apart by the model's own tokenizer",
    ("grid.checking.reading_checks", "model.loading.location"): "a check is the code that the use calls",
    ("grid.checking.unread", "model.loading.location"): "the kind of model, found out as the check does",
    ("grid.checking.reading_checks", "model.loading.precision"): "a check is the code that the use calls",
    (
        "grid.checking.preflight",
        "data.settings",
    ): "a group's check stands beside its use; it imports nothing heavy",
    (
        "grid.checking.preflight",
        "model.decoding.settings",
    ): "a group's check stands beside its use; it imports nothing heavy",
    (
        "grid.checking.preflight",
        "model.loading.settings",
    ): "a group's check stands beside its use; it imports nothing heavy",
    (
        "grid.checking.preflight",
        "model.training.settings",
    ): "a group's check stands beside its use; it imports nothing heavy",
    (
        "grid.checking.reading_checks",
        "model.decoding.settings",
    ): "a check stands beside its use; it imports nothing heavy",
    (
        "grid.checking.reading_checks",
        "model.training.settings",
    ): "a check stands beside its use; it imports nothing heavy",
    ("grid.checking.reading_checks", "model.loading.chat_format"): "a check is the code that the use calls",
    ("grid.checking.reading_checks", "model.training.lora"): "a check is the code that the use calls",
    ("grid.speeds", "data.settings"): "whether grouped steps share anything, found out as the check does",
    ("grid.speeds", "model.loading.location"): "the kind of model, found out as the check does",
    (
        "grid.planning.prepare",
        "model.loading.checkpoint",
    ): "preparing converts checkpoints before the grid starts",
    (
        "grid.planning.prepare",
        "model.loading.parameter_count",
    ): "what is loaded is counted, so that no plan needs to",
    ("grid.planning.prepare", "torch"): "preparing converts checkpoints before the grid starts",
    ("cell.mirror.loggers", "pytorch_lightning"): "a mirror hands Lightning its loggers",
    ("cell.mirror.mirror", "pytorch_lightning"): "a mirror hands Lightning its loggers",
    ("cell.mirror.wandb_run", "pytorch_lightning"): "a mirror hands Lightning its loggers",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {name_of(path): path for path in ROOT.rglob("*.py")}


def room(module: str) -> str | None:
    """The entry of `FLOORS` that a module belongs to; None for the package itself."""
    named = [name for floor in FLOORS for name in floor if module == name or module.startswith(f"{name}.")]
    return named[0] if named else None


@cache
def floor_of(module: str) -> int:
    return next((at for at, floor in enumerate(FLOORS) if room(module) in floor), -1)


def targets(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            name, inner = alias.name, alias.name
        else:
            name, inner = str(node.module), f"{node.module}.{alias.name}"
        own = inner.removeprefix(f"{PACKAGE}.")
        yield (
            own
            if inner.startswith("instruct_ablate.") and own in modules()
            else name.removeprefix("instruct_ablate.")
        )


@cache
def imports() -> tuple[Import, ...]:
    found: list[Import] = []
    for importer, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
            if isinstance(node, ast.Import | ast.ImportFrom):
                found += [Import(importer, target, node.lineno) for target in targets(node)]
    return tuple(dict.fromkeys(found))


def is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in rooms)


def allowed(found: Import) -> bool:
    return any(found.importer == importer and is_in(found.target, (target,)) for importer, target in ALLOWED)


def test_every_module_has_its_floor() -> None:
    homeless = [name for name in modules() if name and floor_of(name) < 0 and name != "cell"]
    assert homeless == []


def test_no_import_goes_upwards() -> None:
    upwards = [
        str(found)
        for found in imports()
        if found.target in modules()
        and floor_of(found.target) > floor_of(found.importer)
        and not allowed(found)
    ]
    assert upwards == []


def test_no_circle() -> None:
    """Modules are taken away while they import none of those left; what stays goes round in a circle."""
    needs = {
        name: {found.target for found in imports() if found.importer == name and found.target in modules()}
        - {name}
        for name in modules()
    }
    while ready := [name for name, needed in needs.items() if not needed & needs.keys()]:
        for name in ready:
            del needs[name]
    assert sorted(needs) == []


def test_scores_and_reports_know_no_model_code() -> None:
    found = [
        str(found)
        for found in imports()
        if is_in(found.importer, WITHOUT_MODEL) and is_in(found.target, MODEL_SIDE) and not allowed(found)
    ]
    assert found == []


def test_heavy_libraries_stay_on_the_model_side() -> None:
    found = [
        str(found)
        for found in imports()
        if is_in(found.importer, WITHOUT_HEAVY) and is_in(found.target, HEAVY) and not allowed(found)
    ]
    assert found == []


def test_what_is_allowed_is_there_and_heavy_parts_wait_until_called() -> None:
    for importer, target in ALLOWED:
        known = [
            found for found in imports() if found.importer == importer and is_in(found.target, (target,))
        ]
        assert known, f"{importer} imports {target} no more: take the line out"


@pytest.mark.parametrize(
    "rooms",
    [
        ("tasks", "instruction", "prompt", "metrics", "baselines", "hypotheses"),
        ("cell.state", "cell.mirror", "cell.after", "report"),
        ("grid", "commands", "command_line", "entry"),
        (
            "model.loading.fingerprint",
            "model.loading.parameter_count",
            "model.loading.tokenizer_file",
            "model.modes",
        ),  # what a plan asks
    ],
    ids=lambda rooms: str(rooms[0]),
)
def test_loading_them_loads_no_heavy_library(rooms: tuple[str, ...]) -> None:
    """The real import of every module of these rooms, in a fresh process: what libraries bring along counts too."""
    names = [f"{PACKAGE}.{name}" for name in sorted(modules()) if is_in(name, rooms)]
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# Modules that know the inside of a library; each names in a test what broke when a new version moves it.
INTERNALS = "_internals"
SYSTEM = {"os._exit"}  # documented in spite of its name


def test_private_names_of_libraries_stand_in_named_places() -> None:
    """A private attribute belongs to `self`, `cls`, or to something that the same file gives that attribute."""
    found = []
    for module, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        attributes = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr.startswith("_")]
        own = {node.attr for node in attributes if ast.unparse(node.value) in ("self", "cls")}
        own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        foreign = [node for node in attributes if node.attr not in own]
        private = [
            node for node in foreign if not node.attr.startswith("__") and ast.unparse(node) not in SYSTEM
        ]
        if not module.endswith(INTERNALS):
            found += [f"{module}:{node.lineno} uses {ast.unparse(node)}" for node in private]
    assert found == []


def test_every_file_of_internals_has_its_tests() -> None:
    tests = Path(__file__).parent
    lacking = [
        str(path)
        for module, path in modules().items()
        if module.endswith(INTERNALS)
        and not (tests / path.relative_to(ROOT).with_name(f"test_{path.name}")).is_file()
    ]
    assert lacking == []


# Dependencies that another library imports for us, and those whose import has another name.
UNSEEN = {"gguf": "GGUF checkpoints", "sentencepiece": "SentencePiece tokenizers", "protobuf": "the same"}
IMPORTED_AS = {"hydra-core": "hydra", "pyyaml": "yaml"}


def test_every_dependency_is_imported() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    project = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[^\w-]", line)[0] for line in project["dependencies"]]
    used = {found.target.split(".")[0] for found in imports()}
    idle = [name for name in names if IMPORTED_AS.get(name, name.replace("-", "_")) not in used]
    assert sorted(idle) == sorted(UNSEEN)
