from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from instruct_ablate.command_line import group


def test_it_hands_every_word_to_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("instruct_ablate.entry.main", lambda: seen.append(list(sys.argv)))
    monkeypatch.setattr(sys, "argv", ["instruct-ablate"])
    words = ["-m", "instruction=original,simplified", "--cfg", "job", "--help"]
    assert CliRunner().invoke(group, ["train", *words]).exit_code == 0
    assert [argv[1:] for argv in seen] == [words]


def test_it_is_called_by_its_name_in_what_it_records(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("instruct_ablate.entry.main", lambda: seen.append(sys.argv[0]))
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/instruct-ablate"])
    assert CliRunner().invoke(group, ["train", "seed=1"]).exit_code == 0
    assert seen == ["instruct-ablate train"]
