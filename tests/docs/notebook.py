"""Runs a notebook's code cells without Jupyter, each as it would: the value of a last expression is what is displayed.

Usage: python notebook.py NOTEBOOK; prints a JSON list of what the cells display, as text.
"""

from __future__ import annotations

import ast
import contextlib
import json
import sys
from pathlib import Path


def code_cells(notebook: Path) -> list[dict[str, object]]:
    """Read the code cells."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def displayed(cells: list[str]) -> list[str]:
    """Run cells one after another in one namespace; return what each displays."""
    names: dict[str, object] = {"__name__": "__main__"}
    shown = []
    for cell in cells:
        tree = ast.parse(cell)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<cell>", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None
        shown.append(_text(value))
    return shown


def _text(value: object) -> str:
    """Return a value's whole text, of a data frame every column too."""
    return "" if value is None else value.to_string() if hasattr(value, "to_string") else repr(value)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        texts = displayed(["".join(cell["source"]) for cell in code_cells(Path(sys.argv[1]))])
    sys.stdout.write(json.dumps(texts))
