"""Mutations: the places of a file that can be changed, and what may stand there instead.

An expression becomes another (a comparison, constant, sum, branch, `sorted`, `min`, `any`), a collection or a call
loses one of its parts, a comprehension its filter, and a statement that does something is left out.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SWAPPED: dict[type[ast.AST], type[Any]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
}
SUMMED: dict[type[ast.AST], type[Any]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div},
    **{ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Mod: ast.FloorDiv},
}
CALLED = {
    **{"min": "max", "max": "min", "any": "all", "all": "any", "ceil": "floor", "floor": "ceil"},
    **{"sorted": "list", "frozenset": "list", "set": "list", "lstrip": "strip", "rstrip": "strip"},
}
# What no test of behaviour can see: speed, messages, types.
LEFT_ALONE = ("dataclass", "cache", "lru_cache", "cast", "overload", "TypeVar")
SPOKEN = ("debug", "info", "warning", "echo", "print", "field")
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

    def place(node: ast.expr | ast.stmt) -> tuple[int, int]:
        last, column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return starts[node.lineno - 1] + node.col_offset, starts[last - 1] + column

    parsed = ast.parse(content)
    found = [
        Mutant(path, node.lineno, *place(node), f"({text})" if " " in text else text)
        for node in _walk(parsed)
        for text in (*_changed(node), *_lacking(node))
    ]
    left_out = [Mutant(path, node.lineno, *place(node), "pass") for node in _statements(parsed)]
    found += [one for one in left_out if not content[one.start :].startswith(b"elif")]
    return list({(one.start, one.end, one.text): one for one in found}.values())


def _walk(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that a test can see the value of."""
    if isinstance(getattr(node, "ctx", None), ast.Store):  # what is assigned to
        return
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


def _lacking(node: ast.expr) -> Iterator[str]:
    """Yield an expression without one of its parts, or with another operation."""
    if isinstance(node, ast.BinOp) and type(node.op) in SUMMED and not _is_text(node.left, node.right):
        yield ast.unparse(ast.BinOp(node.left, SUMMED[type(node.op)](), node.right))
    elif (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and not isinstance(node.operand, ast.Constant)
    ):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        yield from _unfiltered(node)
    elif isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 1:
        for at in range(len(node.elts)):
            fewer = ", ".join(ast.unparse(one) for one in (*node.elts[:at], *node.elts[at + 1 :]))
            yield {ast.Tuple: f"({fewer},)", ast.List: f"[{fewer}]", ast.Set: f"{{{fewer}}}"}[type(node)]
    elif isinstance(node, ast.Call):
        yield from _called(node)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield ast.unparse(node.value)


def _is_text(*nodes: ast.expr) -> bool:
    return any(isinstance(node, ast.JoinedStr | ast.List | ast.Tuple) for node in nodes) or any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) for node in nodes
    )


def _unfiltered(node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Iterator[str]:
    """Yield a comprehension without each of its filters."""
    for loop in node.generators:
        filters = loop.ifs
        for at in range(len(filters)):
            loop.ifs = [*filters[:at], *filters[at + 1 :]]
            yield ast.unparse(node)
        loop.ifs = filters


def _called(node: ast.Call) -> Iterator[str]:
    """Yield another call: of the opposite function, or without one of its named arguments."""
    if other := CALLED.get(_name(node)):
        called = (
            ast.Attribute(node.func.value, other, ast.Load())
            if isinstance(node.func, ast.Attribute)
            else ast.Name(other)
        )
        keywords = [] if other == "list" else node.keywords
        yield ast.unparse(ast.Call(called, node.args, keywords))
    for at, named in enumerate(node.keywords):
        if named.arg not in ("strict", *LOOKS):
            keywords = [*node.keywords[:at], *node.keywords[at + 1 :]]
            yield ast.unparse(ast.Call(node.func, node.args, keywords))


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements without which the code still runs: calls, sums, checks that raise, early ends."""
    match node:
        case ast.If():
            test = ast.unparse(node.test)
            if "TYPE_CHECKING" in test or test == "__name__ == '__main__'":
                return
            if not node.orelse:
                yield node
        case ast.AugAssign() | ast.Continue() | ast.Break():
            yield node
        case ast.Expr(value=ast.Call() as call) if _name(call) not in SPOKEN:
            yield node
    for child in ast.iter_child_nodes(node):
        yield from _statements(child)


def _other(value: object) -> Iterator[str]:
    """Yield another constant: a number one off, a truth turned round, a name misspelt."""
    if isinstance(value, bool):
        yield repr(not value)
    elif isinstance(value, int | float):
        yield repr(value + 1)
    elif isinstance(value, str) and value.isidentifier():
        yield repr(f"{value}_")
