"""The guide's notebook runs as it stands, and is kept without outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import notebook
from tests.docs.blocks import DOCS, TOP

NOTEBOOK = DOCS / "notebook.ipynb"


def test_outputs_are_not_kept() -> None:
    cells = notebook.code_cells(NOTEBOOK)
    assert len(cells) > 5
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None] == []


def test_a_cell_displays_its_last_expression() -> None:
    assert notebook.displayed(["a = 1", "a += 1\na", "b = a"]) == ["", "2", ""]


@pytest.mark.slow
def test_the_notebook_runs_as_it_stands(tmp_path: Path) -> None:
    """Two seeds of two variants and the untuned model, with random weights; the plot is drawn to nowhere."""
    quiet = {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": str(TOP / "src")}
    done = subprocess.run(
        [sys.executable, notebook.__file__, str(NOTEBOOK)],
        cwd=tmp_path, env={**os.environ, **quiet}, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = "\n".join(json.loads(done.stdout.splitlines()[-1]))  # behind the sweep's own table
    assert "'simplified'" in shown, "the configuration"
    for word in (
        "done",
        "simplified",
        "starter",
        "p_difference",
        "simplified equals original on exact_match",
    ):
        assert word in shown, word
