"""`instruct-ablate replay`: what is the same is said and ends with 0, what is not is named and ends with 1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.archive.replay import Replayed
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.grid.declaration import Declaration, write_declaration
from instruct_ablate.metrics import Selection

SAME = Replayed(Path("replay/study/s"), Path("replay/report"), 7, (), (), 4, (), (), placed=4, cells=4)
Calls = list[tuple[Any, ...]]


def run(monkeypatch: pytest.MonkeyPatch, replayed: Replayed, *words: str) -> tuple[Result, Calls]:
    calls: Calls = []

    def replay(*given: Any) -> Replayed:
        calls.append(given)
        return replayed

    monkeypatch.setattr("instruct_ablate.archive.replay.replay", replay)
    return CliRunner().invoke(group, ["replay", "a.zip", *words]), calls


def test_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    result, calls = run(monkeypatch, SAME)
    assert result.exit_code == 0
    assert calls == [(Path("a.zip"), Path("replay"), Selection((), ()), False, 8 * 2**30)]
    assert result.stdout.splitlines() == [
        "tables: 7 of 7 the same, byte for byte",
        "scores: those of 4 cells follow from their predictions",
        "settings: those of 4 cells are the ones that were hashed",
        "study: replay/study/s",
        "report: replay/report",
    ]


def test_options_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--output", "o", "--extensions", "a.py", "--extensions", "b.py", "--trust", "--limit", "0.5")
    _, calls = run(monkeypatch, SAME, *words)
    assert calls == [(Path("a.zip"), Path("o"), Selection((), ("a.py", "b.py")), True, 2**29)]


@pytest.mark.parametrize(
    ("changes", "line", "status"),
    [
        ({"other_tables": ("main.csv",)}, "  differs: main.csv", 1),
        ({"unequal": ("cell-1",)}, "  do not: cell-1", 1),
        ({"unscored": ("cell-2: is failed",)}, "  not scored again: cell-2: is failed", 0),
        (
            {"unscored": ("cell-2: no rows",), "unheld": ("cell-2",)},
            "  not scored again: cell-2: no rows",
            1,
        ),
        (
            {"unknown": (("vowels", 3), ("words", 1))},
            "  not scored again: vowels of 3 cells, whose code is not here: give its file by --extensions, or let what "
            "the study names run by --trust",
            1,
        ),
        ({"scored": 3}, "scores: those of 3 of 4 cells follow from their predictions", 0),
        ({"placed": 0}, "settings: those of 0 of 4 cells are the ones that were hashed", 0),
        (
            {"placed": 2, "unhashed": ("a", "b")},
            "  not held, for nothing is hashed of imported predictions: a, b",
            0,
        ),
        (
            {"other_figures": ("a.svg", "b.svg")},
            "figures and page: 2 differ (they hang on library versions)",
            0,
        ),
    ],
)
def test_what_differs_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], line: str, status: int
) -> None:
    result, _ = run(monkeypatch, replace(SAME, **changes))
    assert line in result.stdout.splitlines()
    assert result.exit_code == status


def test_tables_are_counted_with_those_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run(monkeypatch, replace(SAME, other_tables=("a.csv", "b.md")))
    assert result.stdout.startswith("tables: 7 of 9 the same")


@pytest.mark.parametrize("limit", ["0", "-1", "inf", "nan"])
def test_a_limit_that_is_none_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    result, calls = run(monkeypatch, SAME, "--limit", limit)
    assert isinstance(result.exception, UserError)
    assert "GiB above zero" in str(result.exception)
    assert calls == []


@pytest.fixture
def commanded(tmp_path: Path) -> Replayed:
    commands = ("train.py -m 'seed=0,1'", "train.py study=\x1b[2J")
    (tmp_path / "s").mkdir()
    write_declaration(tmp_path / "s", Declaration("s", commands=commands))
    return replace(SAME, study=tmp_path / "s")


def test_stored_commands_are_shown_as_words(monkeypatch: pytest.MonkeyPatch, commanded: Replayed) -> None:
    result, _ = run(monkeypatch, commanded, "--commands", "show")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == [
        "command: train.py -m seed=0,1",
        r"command: 'train.py study=\x1b[2J'",
    ]


@pytest.mark.parametrize(("tables", "retrained", "status"), [((), 0, 0), ((), 3, 3), (("main.csv",), 0, 1)])
def test_stored_commands_are_run_below_the_output(
    monkeypatch: pytest.MonkeyPatch, commanded: Replayed, tables: tuple[str, ...], retrained: int, status: int
) -> None:
    runs: Calls = []

    def run_again(*given: Any) -> int:
        runs.append(given)
        return retrained

    monkeypatch.setattr("instruct_ablate.archive.retrain.run_again", run_again)
    replayed = replace(commanded, other_tables=tables)
    result, _ = run(monkeypatch, replayed, "--commands", "run", "--output", "o", "--trust")
    assert result.exit_code == status
    assert runs == [(("train.py -m 'seed=0,1'", "train.py study=\x1b[2J"), Path("o/retrained"), "s", True)]
