from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError

STUDY = Path(__file__).parents[1] / "goldens" / "old_study"


def fault(*words: str) -> str:
    exception = CliRunner().invoke(group, ["export", *words]).exception
    assert isinstance(exception, UserError), exception
    return str(exception)


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    target = str(tmp_path / "model")
    cell = STUDY / "tiny_llama-original-2-s0-b383ea47"
    assert "its weights were not kept" in fault(str(cell), target, "--cache", str(tmp_path))
    assert "trained nothing" in fault(str(STUDY / "copy_input-c4d1f18a"), target, "--cache", str(tmp_path))
    assert "--public goes with --push" in fault(str(cell), target, "--public")
    assert not (tmp_path / "model").exists()


def test_the_usual_cache_is_that_of_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from instruct_ablate.commands.export import _usual_cache

    monkeypatch.setenv("INSTRUCT_ABLATE_CACHE", str(tmp_path))
    assert _usual_cache() == tmp_path
