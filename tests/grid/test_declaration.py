"""What a study declares: commands add up, one at a time, and what stands there is data from anywhere."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.record.record import Failure
from instruct_ablate.cell.state.store import missing_record, write_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.declaration import declare, forget, read_declaration
from instruct_ablate.grid.study import read_study
from instruct_ablate.schema import ReportConfig
from tests.standins import make_config, replace_inputs


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def cells(tmp_path: Path, seeds: range = range(2)) -> list[Identity]:
    return [identify(make_config(tmp_path, seed=seed)) for seed in seeds]


def test_commands_add_up(tmp_path: Path) -> None:
    declare(tmp_path, cells(tmp_path, range(2)), make_config(tmp_path))
    declare(tmp_path, cells(tmp_path, range(1, 4)), make_config(tmp_path))
    assert [cell.seed for cell in read_declaration(tmp_path).cells] == [0, 1, 2, 3]


def test_an_unreadable_declaration_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("{")
    assert read_study(tmp_path).cells == ()
    declare(tmp_path, cells(tmp_path), make_config(tmp_path))
    assert len(read_study(tmp_path).cells) == 2


def test_a_folder_that_cannot_be_written_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instruct_ablate.grid.declaration.os.access", lambda *_: False)
    with pytest.raises(UserError, match="no permission to write"):
        declare(tmp_path, cells(tmp_path), make_config(tmp_path))


def _declare(folder: Path, seed: int) -> None:
    declare(folder, [identify(make_config(folder, seed=seed))], make_config(folder))


def test_two_sweeps_of_one_study_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_declare, args=(tmp_path, seed)) for seed in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert {cell.seed for cell in read_study(tmp_path).cells} == set(range(6))


def test_a_declaration_that_another_process_holds_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instruct_ablate.grid.declaration.WAIT", 0.01)
    declare(tmp_path / "s", cells(tmp_path), make_config(tmp_path))
    with (
        FileLock(tmp_path / "s" / ".study.json.lock"),
        pytest.raises(UserError, match=r"another process has held .*study\.json\.lock"),
    ):
        declare(tmp_path / "s", cells(tmp_path), make_config(tmp_path))


def test_a_declaration_of_a_newer_version_is_neither_misread_nor_written_over(tmp_path: Path) -> None:
    declare(tmp_path, cells(tmp_path, range(1)), make_config(tmp_path))
    path = tmp_path / "study.json"
    text = json.dumps({**json.loads(path.read_text()), "version": 3})
    path.write_text(text)
    for act in (
        lambda: read_study(tmp_path),
        lambda: declare(tmp_path, cells(tmp_path, range(1, 2)), make_config(tmp_path)),
    ):
        with pytest.raises(UserError, match="by a newer version"):
            act()
    assert path.read_text() == text


def test_what_commands_asked_for_adds_up_and_the_last_reference_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, claim in enumerate(("one", "two", "one")):
        monkeypatch.setattr("sys.argv", ["train.py", f"seed={number % 2}", "a b"])
        declare(
            tmp_path,
            cells(tmp_path),
            make_config(
                tmp_path,
                hypotheses=[claim],
                reference=f"r{number}",
                report=ReportConfig(columns=["rougeL"]),
            ),
        )
    found = read_declaration(tmp_path)
    assert found.hypotheses == ("one", "two")
    assert found.commands == ("train.py seed=0 'a b'", "train.py seed=1 'a b'")
    assert (found.reference, found.columns, len(found.cells)) == ("r2", ("rougeL",), 2)
    assert {cell.data_hash for cell in found.cells} == {"data"}


def test_only_a_removed_cell_is_forgotten(tmp_path: Path) -> None:
    one, other = cells(tmp_path)
    declare(tmp_path, [one, other], make_config(tmp_path))
    write_record(tmp_path / one.name, replace(missing_record(one), state="failed", failure=Failure("x", "")))
    with pytest.raises(UserError, match="is still there: remove that folder first"):
        forget(tmp_path, one.name)
    with pytest.raises(UserError, match="unknown cell of"):
        forget(tmp_path, "nobody")
    forget(tmp_path, other.name)
    assert [cell.name for cell in read_declaration(tmp_path).cells] == [one.name]


@pytest.mark.parametrize("name", ["..", ".", "", "../other", "/tmp", "a/", "a\0b", "a\ud800b"])
def test_a_name_that_is_no_folder_of_the_study_is_no_cell(name: str, tmp_path: Path) -> None:
    """Before: "" and ".." were the study itself and the folder above, and the last two ended with a traceback."""
    study = tmp_path / "study"
    one, other = cells(tmp_path)
    declare(study, [one, other], make_config(tmp_path))
    content = json.loads((study / "study.json").read_text())
    content["cells"][0]["name"] = name
    (study / "study.json").write_text(json.dumps(content))
    assert [cell.name for cell in read_declaration(study).cells] == [other.name]
    assert [cell.name for cell in read_study(study).cells] == [other.name]
