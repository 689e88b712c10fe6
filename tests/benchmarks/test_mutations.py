"""Mutations: each kind of place is found, and what stands there afterwards is still Python."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from benchmarks.mutations import mutants

PATH = Path("src/instruct_ablate/one.py")


def changed(text: str) -> set[str]:
    """Return a text as each of its mutants has it."""
    content = text.encode()
    every = {mutant.apply(content).decode() for mutant in mutants(PATH, content)}
    for one in every:
        ast.parse(one)
    return every


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = b < c", {"a = (b <= c)"}),
        ("a = b + c * d", {"a = (b - c * d)", "a = b + (c / d)"}),
        ("a = sorted(b, key=c)", {"a = list(b)", "a = sorted(b)"}),
        ("a = max(b)", {"a = min(b)"}),
        ("a = [b for b in c if b]", {"a = ([b for b in c])"}),
        ("a = b, c", {"a = (c,)", "a = (b,)"}),
        ("a = b[c:]", {"a = b"}),
        ("a.append(b)", {"pass"}),
        ("if a < b:\n    c = d", {"pass", "if (a <= b):\n    c = d"}),
        ("a = f'é{b}' if c else d", {"a = f'é{b}' if (not c) else d"}),
    ],
)
def test_a_place_becomes_another(text: str, expected: set[str]) -> None:
    found = {one.replace("(not (c))", "(not c)") for one in changed(text)}
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""What it does."""',
        'raise ValueError("more than 3")',
        "a, b = c",
        'def f(a: "int" = b) -> "str": ...',
        "if TYPE_CHECKING:\n    from a import b",
        'if __name__ == "__main__":\n    main()',
        'print("said", 3)',
    ],
)
def test_messages_annotations_and_starts_are_left_alone(text: str) -> None:
    assert not changed(text)
