"""`python -m instruct_ablate` is the command line, and importing the module starts nothing."""

from __future__ import annotations

import importlib
import runpy
import sys

import pytest


def test_the_module_is_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["instruct-ablate", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("instruct_ablate", run_name="__main__")
    assert ended.value.code in (0, None)
    assert "status" in capsys.readouterr().out


def test_importing_it_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instruct_ablate.command_line.main", lambda: pytest.fail("it ran"))
    sys.modules.pop("instruct_ablate.__main__", None)
    importlib.import_module("instruct_ablate.__main__")
