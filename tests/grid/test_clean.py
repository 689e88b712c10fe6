from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.lock import locked
from instruct_ablate.cell.state.record.record import ScoreBlock
from instruct_ablate.cell.state.store import missing_record, write_record
from instruct_ablate.commands.clean import command
from instruct_ablate.errors import UserError
from instruct_ablate.grid.clean import STALE, leftovers, remove
from tests.standins import make_config, make_scores, replace_inputs


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    replace_inputs(monkeypatch)
    block = ScoreBlock("original", "p.jsonl", make_scores())
    for state, blocks in (("done", (block,)), ("interrupted", ())):
        cell = tmp_path / state
        (cell / "checkpoints").mkdir(parents=True)
        (cell / "checkpoints" / "step-00000005.ckpt").write_bytes(b"x" * 1000)
        (cell / "checkpoints" / "step-00000004.damaged").write_bytes(b"x" * 10)
        (cell / "record.corrupt-1.json").write_text("{")
        record = missing_record(identify(make_config(tmp_path)))
        write_record(cell, replace(record, state=state, blocks=blocks))  # type: ignore[arg-type]
    return tmp_path


def names(study: Path, quarantined: bool = False) -> list[str]:
    return [str(found.path.relative_to(study)) for found in leftovers(study, quarantined)]


def test_what_can_go_is_named(study: Path) -> None:
    assert names(study) == ["done/checkpoints", "interrupted/checkpoints/step-00000004.damaged"]
    assert "done/record.corrupt-1.json" in names(study, quarantined=True)


def test_a_running_cell_is_not_touched(study: Path) -> None:
    with locked(study / "interrupted"):
        assert names(study) == ["done/checkpoints"]


def test_only_old_temporary_files_go(study: Path) -> None:
    for name, age in ((".record.json.a.tmp", 2 * STALE), (".record.json.b.tmp", 0.0)):
        path = study / "done" / name
        path.write_text("x")
        os.utime(path, (time.time() - age, time.time() - age))
    assert "done/.record.json.a.tmp" in names(study)
    assert "done/.record.json.b.tmp" not in names(study)


def test_it_frees_what_it_said(study: Path) -> None:
    assert remove(leftovers(study)) == 1020
    assert leftovers(study) == []
    assert (study / "interrupted" / "checkpoints" / "step-00000005.ckpt").exists()


def test_the_command_asks_first(study: Path) -> None:
    told = CliRunner().invoke(command, [str(study)])
    assert "could be freed: add --yes" in told.output
    assert (study / "done" / "checkpoints").exists()
    assert "freed 0.00 MB" in CliRunner().invoke(command, [str(study), "--yes"]).output
    assert "nothing to free" in CliRunner().invoke(command, [str(study)]).output


def test_no_study_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no study at"):
        leftovers(tmp_path / "nothing")


def test_hidden_folders_and_files_of_a_study_are_no_cells(study: Path) -> None:
    for name in (".hidden", "plain"):
        (study / name / "checkpoints").mkdir(parents=True)
        (study / name / "checkpoints" / "x.damaged").write_bytes(b"123")
    (study / "a file").write_text("")
    assert [name for name in names(study) if "x.damaged" in name] == ["plain/checkpoints/x.damaged"]


def test_what_is_unfinished_goes_only_where_the_cell_is_done(study: Path) -> None:
    for state in ("done", "interrupted"):
        (study / state / "predictions").mkdir()
        (study / state / "predictions" / "original.jsonl.partial-1").write_bytes(b"12345")
    found = {one.path.parent.parent.name: one for one in leftovers(study) if "partial" in one.path.name}
    assert list(found) == ["done"]
    assert (found["done"].size, found["done"].why) == (5, "unfinished predictions of a done cell")


def test_why_and_how_much_is_said(study: Path) -> None:
    found = {
        str(one.path.relative_to(study)): (one.why, one.size) for one in leftovers(study, quarantined=True)
    }
    assert found == {
        "done/checkpoints": ("checkpoints of a done cell", 1010),
        "done/record.corrupt-1.json": ("quarantined record", 1),
        "interrupted/checkpoints/step-00000004.damaged": ("damaged checkpoint", 10),
        "interrupted/record.corrupt-1.json": ("quarantined record", 1),
    }


def test_a_temporary_file_of_the_study_itself_goes_too(study: Path) -> None:
    path = study / ".study.json.a.tmp"
    path.write_text("x")
    os.utime(path, (time.time() - 2 * STALE,) * 2)
    assert names(study)[0] == ".study.json.a.tmp"


def test_what_cannot_be_removed_is_said(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(UserError, match=r"^cannot remove .*done/checkpoints: Permission denied$"):
        remove(leftovers(study))
