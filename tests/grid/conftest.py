"""A sweep run as users run it, with stand-ins for data, weights and work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Train = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Call with command-line words; environment variables as keywords."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join((str(ROOT), str(ROOT / "src")))
        return subprocess.run(
            [sys.executable, "-m", "tests.grid.standin_train", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run
