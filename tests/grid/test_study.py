from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import Data, Identity, identify
from instruct_ablate.cell.state.record.record import Failure, ScoreBlock
from instruct_ablate.cell.state.store import find_folder, missing_record, write_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.declaration import declare, read_declaration
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.metrics import TaskScore
from instruct_ablate.schema import TasksConfig
from tests.standins import make_config, make_scores, replace_inputs


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def cells(tmp_path: Path, seeds: range = range(2)) -> list[Identity]:
    return [identify(make_config(tmp_path, seed=seed)) for seed in seeds]


def test_what_was_asked_for_is_known_before_anything_ran(tmp_path: Path) -> None:
    declare(
        tmp_path / "s", cells(tmp_path), make_config(tmp_path, hypotheses=["a claim"], reference="simplified")
    )
    study = read_study(tmp_path / "s")
    assert [cell.state for cell in study.cells] == ["missing", "missing"]
    assert [cell.seed for cell in study.cells] == [0, 1]
    assert (study.name, study.hypotheses, study.reference) == ("s", ("a claim",), "simplified")
    assert study.commands


def test_records_on_disk_take_the_place_of_missing_ones(tmp_path: Path) -> None:
    identities = cells(tmp_path)
    declare(tmp_path, identities, make_config(tmp_path))
    block = ScoreBlock("original", "p.jsonl", make_scores())
    done = replace(missing_record(identities[0]), state="done", blocks=(block,))
    write_record(tmp_path / identities[0].name, done)
    (tmp_path / identities[1].name).mkdir()
    (tmp_path / identities[1].name / "record.json").write_text("{")
    first, second = read_study(tmp_path).cells
    assert first == done
    assert second.state == "unreadable"
    assert second.notes[0].startswith("record.json cannot be read: ")
    assert replace(second, state="missing", notes=()) == missing_record(identities[1])


def test_cells_that_nobody_asked_for_here_are_found(tmp_path: Path) -> None:
    identity = cells(tmp_path)[0]
    block = ScoreBlock("original", "p.jsonl", make_scores())
    write_record(tmp_path / "imported", replace(missing_record(identity), state="done", blocks=(block,)))
    assert [cell.state for cell in read_study(tmp_path).cells] == ["done"]


def test_no_such_study_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "ablation").mkdir()
    with pytest.raises(UserError, match="did you mean 'ablation'"):
        read_study(tmp_path / "ablaton")


def test_two_hundred_cells_are_read(tmp_path: Path) -> None:
    identities = cells(tmp_path, range(200))
    declare(tmp_path, identities, make_config(tmp_path))
    scores = make_scores()
    tasks = tuple(TaskScore("generation", "c", scores.overall) for _ in range(119))
    block = ScoreBlock("original", "p.jsonl", replace(scores, tasks=tasks))
    for identity in identities:
        write_record(
            tmp_path / identity.name, replace(missing_record(identity), state="done", blocks=(block,))
        )
    assert len(read_study(tmp_path).cells) == 200


def test_a_renamed_folder_is_a_study_of_its_new_name(tmp_path: Path) -> None:
    declare(tmp_path / "before", cells(tmp_path, range(1)), make_config(tmp_path))
    (tmp_path / "before").rename(tmp_path / "after")
    assert read_study(tmp_path / "after").name == "after"


def test_a_folder_of_studies_is_told_from_a_study(tmp_path: Path) -> None:
    for name in ("one", "two"):
        declare(tmp_path / name, cells(tmp_path, range(1)), make_config(tmp_path))
    with pytest.raises(UserError, match=r"is no study, but holds some: one, two"):
        read_study(tmp_path)
    (tmp_path / "empty").mkdir()
    assert read_study(tmp_path / "empty").cells == ()


def test_a_cell_is_found_by_its_hash_whatever_its_folder_is_called(tmp_path: Path) -> None:
    (identity,) = cells(tmp_path, range(1))
    declare(tmp_path, [identity], make_config(tmp_path))
    elsewhere = tmp_path / f"another_name-{identity.hash[:8]}"
    write_record(
        elsewhere, replace(missing_record(identity), state="failed", failure=Failure("it broke", ""))
    )
    (found,) = read_study(tmp_path).cells
    assert (found.name, found.state, found.setting) == (elsewhere.name, "failed", identity.setting)
    assert find_folder(tmp_path, identity) == elsewhere


def test_a_cell_that_has_not_begun_gets_the_name_that_was_declared(tmp_path: Path) -> None:
    (identity,) = cells(tmp_path, range(1))
    declared = replace(identity, name=f"tiny-learning_rate_0.1-{identity.hash[:8]}")
    declare(tmp_path, [declared], make_config(tmp_path))
    assert find_folder(tmp_path, identity).name == declared.name
    text = (tmp_path / "study.json").read_text().replace("tiny-learning", "../tiny-learning")
    (tmp_path / "study.json").write_text(text)
    assert find_folder(tmp_path, identity) == tmp_path / identity.name, "never outside of the study"


def test_a_study_compares_with_the_original_where_nothing_else_is_declared(tmp_path: Path) -> None:
    write_record(
        tmp_path / "cell",
        replace(missing_record(cells(tmp_path)[0]), state="failed", failure=Failure("x", "")),
    )
    study = read_study(tmp_path)
    assert (study.reference, study.hypotheses, study.commands, study.columns) == ("original", (), (), ())
    bare = Study("s", tmp_path, ())
    assert (bare.reference, bare.hypotheses, bare.stated.versions) == ("original", (), ())
    assert read_declaration(tmp_path / "none").reference == "original"


def test_a_folder_that_is_no_study_is_told_from_one_that_has_not_begun(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "train.csv").write_text("text,label\n")
    for folder, other in ((tmp_path, "films"), (tmp_path / "films", "train.csv")):
        with pytest.raises(UserError, match=rf"is no study: there is no study.json .* but '{other}'"):
            read_study(folder)
    declare(tmp_path / "multirun" / "one", cells(tmp_path, range(1)), make_config(tmp_path))
    with pytest.raises(UserError, match=r"holds some: multirun/one\. "):
        read_study(tmp_path)
    begun = tmp_path / "begun"  # a declaration that is gone, a cell that has not written its record
    (begun / "cell").mkdir(parents=True)
    (begun / "cell" / "config.yaml").write_text("")
    assert read_study(begun).cells == ()
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / ".study.json.lock").touch()
    assert read_study(tmp_path / "locked").cells == ()


def test_a_folder_with_an_unreadable_record_that_nobody_asked_for_is_shown(tmp_path: Path) -> None:
    (tmp_path / "stray").mkdir()
    (tmp_path / "stray" / "record.json").write_text("{")
    (found,) = read_study(tmp_path).cells
    assert (found.name, found.state, found.identity, found.seed) == ("stray", "unreadable", "", 0)
    assert found.notes[0].startswith("record.json cannot be read")


def test_a_folder_of_studies_is_told_by_its_cells_too(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_record(
            tmp_path / name / "cell",
            replace(missing_record(cells(tmp_path)[0]), state="failed", failure=Failure("x", "")),
        )
    with pytest.raises(UserError, match=rf"holds some: a, b. Give one of them, such as {tmp_path}/a"):
        read_study(tmp_path)


@pytest.mark.parametrize("name", [None, "reviews"])
def test_a_data_set_of_ones_own_is_one_setting_with_and_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr(
        "instruct_ablate.cell.state.identity._data", lambda config: Data(str(config.tasks.root))
    )

    def of(root: str, name: str | None, seed: int) -> Identity:
        return identify(
            make_config(tmp_path, tasks=TasksConfig("hf_dataset", root=root, name=name), seed=seed)
        )

    earlier = [of(root, None, 0) for root in ("a", "b")]
    later = [of("a", name, 1), of("b", None, 1)]
    declare(tmp_path, [*earlier, *later], make_config(tmp_path))
    first, second, third, fourth = read_study(tmp_path).cells
    assert first.setting == third.setting
    assert second.setting == fourth.setting != first.setting
    assert first.setting.text("tasks") == (name or "hf_dataset")
    assert second.setting.text("tasks") == "hf_dataset"
    assert [cell.identity for cell in (first, second)] == [one.hash for one in earlier], (
        "cells stay what they are"
    )
