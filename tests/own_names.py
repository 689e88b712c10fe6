"""What a program names of ours and is not there: imports, attributes of modules, what it replaces; none of it is run.

A slow test breaks late where a function moves that it patches, or that its program in a string calls, and no linter
looks into strings. Not seen: names that are put together, and with which arguments a function is called.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

OURS = ("instruct_ablate", "benchmarks", "tests")
_IMPORT = re.compile(rf"\b(?:from|import)\s+(?:\w+,\s*)*(?:{'|'.join(OURS)})\b")
_DOTTED = re.compile(rf"(?:{'|'.join(OURS)})(?:\.[A-Za-z_]\w*)*\.\w*[A-Za-z]\w*")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_UNKNOWN = object()  # of a library that is not installed: nothing is said of it


def is_ours(name: str) -> bool:
    """Whether a module is of this repository."""
    return name.partition(".")[0] in OURS


def programs(tree: ast.AST) -> Iterator[tuple[int, ast.Module]]:
    """Yield the programs in a file's strings that import of ours, each with its line; what is filled in is a name."""
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        words = [
            part.value if isinstance(part, ast.Constant) else "filled_in"
            for part in parts
            if isinstance(part, (ast.Constant, ast.FormattedValue))
        ]
        text = "".join(word for word in words if isinstance(word, str))
        if _IMPORT.search(text):
            try:
                yield getattr(node, "lineno", 0), ast.parse(text)
            except SyntaxError:  # a sentence, or one part of a program
                continue


def dotted_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the strings that are the full name of something of ours, as `python -m` takes it, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            yield node.lineno, node.value


def look_up(dotted: str) -> object:
    """Return what a full name stands for; `LookupError` where there is nothing of that name."""
    first, *rest = dotted.split(".")
    found, path = _load(first), first
    for name in rest:
        path = f"{path}.{name}"
        found = _member(found, name, path)
        if found is _UNKNOWN:
            break
    return found


def _member(owner: object, name: str, path: str) -> object:
    if hasattr(owner, name):
        return getattr(owner, name)
    if inspect.isclass(owner) and any(name in inspect.get_annotations(base) for base in owner.__mro__):
        return _UNKNOWN  # a field, which instances have
    if not isinstance(owner, ModuleType):
        raise LookupError(path)
    return _load(f"{owner.__name__}.{name}", path)


def _load(module: str, path: str = "") -> object:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not is_ours(error.name):
            return _UNKNOWN
        raise LookupError(path or module) from None
    except pytest.skip.Exception:
        return _UNKNOWN


class Names(ast.NodeVisitor):
    """Collects in `missing` what a program names of ours and is not there, as (line, full name)."""

    def __init__(self) -> None:
        """Begin with no names."""
        self.known: dict[str, object] = {}
        self.missing: list[tuple[int, str]] = []

    def visit(self, node: ast.AST) -> None:
        """Enter a function with its own names: what it binds itself is not what was imported outside."""
        if not isinstance(node, _SCOPES):
            super().visit(node)
            return
        outside, own = self.known, _bound(node)
        self.known = {name: value for name, value in outside.items() if name not in own}
        self.generic_visit(node)
        self.known = outside

    def visit_Import(self, node: ast.Import) -> None:
        """Look up whole modules."""
        for alias in node.names:
            found = self.found(node.lineno, alias.name)
            top = alias.name.partition(".")[0]
            self.known[alias.asname or top] = found if alias.asname else self.found(node.lineno, top)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Look up what is taken from a module."""
        for alias in node.names:
            if alias.name != "*":
                self.known[alias.asname or alias.name] = self.found(
                    node.lineno, f"{node.module}.{alias.name}"
                )
            elif is_ours(module := node.module or ""):
                self.known |= vars(importlib.import_module(module))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Look up what is read or set of our modules and classes."""
        self._value(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Look up what is replaced."""
        self.generic_visit(node)
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        words = [word.value if isinstance(word, ast.Constant) else None for word in node.args[:2]]
        if called not in ("setattr", "delattr") or any(word.arg == "raising" for word in node.keywords):
            return
        if isinstance(words[0], str):
            self.found(node.lineno, words[0])
        elif len(words) == 2 and isinstance(words[1], str):
            self._of(node, self._value(node.args[0]), words[1])

    def found(self, line: int, dotted: str) -> object:
        """Return what a full name of ours stands for."""
        return self._noted(line, lambda: look_up(dotted)) if is_ours(dotted) else _UNKNOWN

    def _noted(self, line: int, look: Callable[[], object]) -> object:
        try:
            return look()
        except LookupError as error:
            self.missing.append((line, str(error.args[0])))
            return _UNKNOWN

    def _value(self, node: ast.expr) -> object:
        """Return what a name, or an attribute of one, is where this is known."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id, _UNKNOWN)
        if isinstance(node, ast.Attribute):
            return self._of(node, self._value(node.value), node.attr)
        self.visit(node)
        return _UNKNOWN

    def _of(self, node: ast.expr, owner: object, name: str) -> object:
        """Look an attribute up where its owner is a module or a class of ours."""
        where = owner.__name__ if isinstance(owner, ModuleType) else getattr(owner, "__module__", None)
        if not isinstance(owner, (ModuleType, type)) or not is_ours(str(where)):
            return _UNKNOWN
        return self._noted(node.lineno, lambda: _member(owner, name, f"{owner.__name__}.{name}"))


def _bound(scope: ast.AST) -> set[str]:
    """Name what a function binds but by an import."""
    names = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
    return names


def missing(text: str) -> list[str]:
    """Name what a file, and the programs in its strings, name of ours and is not there: `line N: a.b.c`."""
    tree = ast.parse(text)
    found = set()
    for line, program in [(0, tree), *programs(tree)]:
        names = Names()
        names.visit(program)
        for at, name in dotted_names(program):
            names.found(at, name)
        found |= {(line or at, name) for at, name in names.missing}
    return [f"line {line}: {name}" for line, name in sorted(found)]
