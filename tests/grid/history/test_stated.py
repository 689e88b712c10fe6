"""What a study stated and when: versions are added, never written over, and a damaged file is said to be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.history.stated import STATED, Statement, history, read_stated, standing, state
from instruct_ablate.grid.study import read_study
from instruct_ablate.hypotheses import parse_hypothesis
from tests.left_out import left_out
from tests.standins import make_config, replace_inputs

EQUAL = "simplified equals original on exact_match within 2"
LATER = "simplified equals original on exact_match within 5"


def begin(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"cell{number}").mkdir(exist_ok=True)
        (folder / f"cell{number}" / "record.json").write_text("{}")


def test_a_sweep_states_its_claims_before_its_first_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path, hypotheses=[EQUAL])
    declare(tmp_path / "s", [identify(config)], config)
    (one,) = read_study(tmp_path / "s").stated.versions
    assert (one.hypotheses, one.reference, one.cells) == ((EQUAL,), "original", 0)
    assert (one.metrics, one.clauses[0].margin) == (("exact_match",), 2.0)


def test_what_changes_is_added_and_nothing_written_over(tmp_path: Path) -> None:
    state(tmp_path, (EQUAL,), "original", ())
    first = (tmp_path / STATED).read_bytes()
    state(tmp_path, (EQUAL,), "original", ())
    assert (tmp_path / STATED).read_bytes() == first
    begin(tmp_path, 3)
    state(tmp_path, (EQUAL, LATER), "original", ("consistency",))
    assert (tmp_path / STATED).read_bytes().startswith(first)
    stated = read_stated(tmp_path)
    assert [one.cells for one in stated.versions] == [0, 3]
    assert standing(EQUAL, stated, 9).startswith("stated before the first cell (2")
    assert standing(LATER, stated, 9).startswith("stated after 3 cells (2")
    one, two = history(stated)
    assert "stated before the first cell" in one
    assert EQUAL in one
    assert "changed after 3 cells" in two
    assert f"added {LATER!r}; metrics added: consistency" in two


def test_another_reference_restates_every_hypothesis(tmp_path: Path) -> None:
    state(tmp_path, (EQUAL,), "original", ())
    begin(tmp_path, 1)
    state(tmp_path, (EQUAL,), "simplified", ())
    stated = read_stated(tmp_path)
    assert standing(EQUAL, stated, 1).startswith("stated after 1 cell (")
    assert "reference original -> simplified" in list(history(stated))[1]


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe", b"{", b"[]\n", b'{"version": 99}\n', b"null\n", b'{"time": 1e300}\n', b"[" * 100_000],
)
def test_a_damaged_file_is_said_and_added_to(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / STATED).write_bytes(damage)
    broken = read_stated(tmp_path)
    assert not broken.versions
    assert broken.faults
    assert "not recorded" in standing(EQUAL, broken, 1)
    begin(tmp_path, 2)
    state(tmp_path, (EQUAL,), "original", ())
    mended = read_stated(tmp_path)
    assert mended.faults
    assert standing(EQUAL, mended, 2).startswith("stated after 2 cells")
    assert any(line.startswith("unreadable: ") for line in history(mended))
    assert any(damage.strip() in path.read_bytes() for path in tmp_path.glob(f"{STATED}*"))


def test_an_edit_shows(tmp_path: Path) -> None:
    state(tmp_path, (EQUAL,), "original", ())
    begin(tmp_path, 2)
    state(tmp_path, (EQUAL, LATER), "original", ())
    path = tmp_path / STATED
    whole = path.read_text()
    path.write_text(whole.replace("within 2", "within 9", 1))
    assert "it is not as it was written" in read_stated(tmp_path).faults[0]
    path.write_text(whole.splitlines()[1] + "\n")
    assert "not the one that it was added to" in read_stated(tmp_path).faults[0]


def test_what_stands_in_its_place_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / STATED).symlink_to("/etc/hostname")
    assert read_stated(tmp_path).faults
    state(tmp_path, (EQUAL,), "original", ())
    assert read_stated(tmp_path).versions
    assert not (tmp_path / STATED).is_symlink()


def test_what_other_letters_say_is_written_as_it_is(tmp_path: Path) -> None:
    claim = "étude equals original on exact_match within 2"
    state(tmp_path, (claim,), "original", ())
    assert "étude" in (tmp_path / STATED).read_text(encoding="utf-8")
    assert read_stated(tmp_path).versions[0].hypotheses == (claim,)


def test_the_damaged_line_is_named_by_its_number(tmp_path: Path) -> None:
    state(tmp_path, (EQUAL,), "original", ())
    state(tmp_path, (EQUAL, LATER), "original", ())
    first, second = (tmp_path / STATED).read_text().splitlines()
    (tmp_path / STATED).write_text(f"{{}}\n{second}\n")
    faults = read_stated(tmp_path).faults
    assert [fault.partition(":")[0] for fault in faults] == [f"{STATED}, line 1", f"{STATED}, line 2"]
    (tmp_path / STATED).write_text(f"{first}\n{second[:-3]}\n")
    (fault,) = read_stated(tmp_path).faults
    assert fault == f"{STATED}, line 2: it is no statement"
    assert [line for line in history(read_stated(tmp_path)) if line.startswith("unreadable")] == [
        f"unreadable: {fault}"
    ]


def test_words_that_are_read_otherwise_than_before_are_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(tmp_path, (EQUAL,), "original", ("exact_match",))
    monkeypatch.setattr(
        "instruct_ablate.grid.history.stated.parse_hypothesis", lambda text: parse_hypothesis(LATER)
    )
    state(tmp_path, (EQUAL,), "original", ("exact_match",))
    told = list(history(read_stated(tmp_path)))
    assert told[1].endswith(": the same words read otherwise")
    assert told[1].startswith("version 2: changed before the first cell (")
    state(tmp_path, (), "original", ())
    assert list(history(read_stated(tmp_path)))[2].endswith(f": left out {EQUAL!r}")


def test_a_version_without_hypotheses(tmp_path: Path) -> None:
    state(tmp_path, (), "simplified", ())
    (line,) = history(read_stated(tmp_path))
    assert line.endswith(": reference simplified; no hypothesis")
    assert standing(EQUAL, read_stated(tmp_path), 0).startswith(
        "when it was stated is not recorded (no readable"
    )
    assert standing(EQUAL, read_stated(tmp_path / "none"), 0) == "when it was stated is not recorded"
    assert (
        standing(EQUAL, read_stated(tmp_path), 1, alone=True)
        == "stated after 1 cell: given to this report alone"
    )
    assert standing(EQUAL, read_stated(tmp_path), 2, alone=True).startswith("stated after 2 cells")


def test_what_is_left_out() -> None:
    assert left_out(Statement) == {"time": 0.0, "version": 1, "cells": 0}
