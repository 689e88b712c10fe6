"""`python -m benchmarks`: what it says of itself, and to whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import commands, main, named_only

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_names_the_benchmarks_and_runs_none(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: pytest.fail("it ran one"))
    main([word])
    said = capsys.readouterr().out
    assert all(name in said for name in (*commands(), *named_only()))


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """Before: `python -m benchmarks --help | head -1` ended in one."""
    command = [sys.executable, "-m", "benchmarks", "--help"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before it has written a word
        assert process.stderr.read() == b""
