"""Predictions on demand: the same as on a page, whatever is chosen; files that change, or are none."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.record.predictions import to_line
from instruct_ablate.errors import UserError
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.report.page.browser import browser_data
from instruct_ablate.report.page.sample import choose, every_block
from instruct_ablate.report.view.prediction_index import PredictionIndex, Selection
from tests.report.studies import HOSTILE, rows_of, small_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return read_study(small_study(tmp_path / "s"))


def index_of(study: Study) -> PredictionIndex:
    return PredictionIndex(study.folder, every_block(study.cells), ("exact_match", "rougeL"))


def file_of(study: Study, column: int) -> Path:
    cell, block = every_block(study.cells)[column]
    return study.folder / cell.name / block.predictions


def ids(index: PredictionIndex, selection: Selection) -> list[str]:
    count = index.look(selection)["count"]
    return [index.look(selection, place)["id"] for place in range(count)]


def test_an_instance_is_what_a_page_holds_of_it(study: Study):
    data = browser_data(study.folder, choose(study.cells))
    whole = data["tasks"]["task_c"]["instances"]["i1"]
    one = index_of(study).look(Selection("task_c"), at="i1")
    assert (one["count"], one["place"], one["task"], one["id"]) == (4, 1, "task_c", "i1")
    assert one["kind"] == "classification"
    assert one["references"] == whole["references"]
    assert readable(one["answers"], one["texts"]) == readable(whole["answers"], data["texts"])


def readable(answers: list[Any], texts: list[str]) -> list[tuple[Any, ...]]:
    return [
        (column, texts[prompt], texts[text], exact, values) for column, prompt, text, exact, values in answers
    ]


def test_right_wrong_and_search_choose_instances(study: Study):
    index = index_of(study)
    original, simplified = 1, 2
    assert ids(index, Selection()) == ["i0", "i1", "i2", "i3"]
    assert ids(index, Selection(right=original)) == ["i1", "i3"]
    assert ids(index, Selection(wrong=original)) == ["i0", "i2"]
    assert ids(index, Selection(right=original, wrong=simplified)) == ["i1"]
    assert ids(index, Selection(search="PROMPT 3")) == ["i3"]
    assert ids(index, Selection(search="I2")) == ["i2"], "an id"
    assert ids(index, Selection(search=HOSTILE.upper())) == ["i0", "i1", "i2", "i3"]
    assert index.look(Selection(search="nothing has this")) == {"count": 0, "place": 0}
    assert index.look(Selection(task="another")) == {"count": 0, "place": 0}
    assert index.look(Selection(), place=5)["place"] == 1, "round and round"
    with pytest.raises(UserError, match="no column 99"):
        index.look(Selection(right=99))


@pytest.mark.parametrize("text", ['say "a\\b"', "línea\nnueva", "\ud83d half"])
def test_search_finds_what_a_line_has_escaped(study: Study, text: str):
    path, row = file_of(study, 1), rows_of(study.cells[1])[2]
    path.write_text(f"{to_line(dataclasses.replace(row, prediction=f'They {text}!'))}\n", encoding="utf-8")
    assert ids(index_of(study), Selection(search=text.upper())) == ["i2"]


def test_a_file_that_changes_is_read_again(study: Study):
    index, path = index_of(study), file_of(study, 1)
    assert ids(index, Selection(right=1)) == ["i1", "i3"]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(reversed(lines[:2])))
    assert ids(index, Selection(right=1)) == ["i1"]
    path.unlink()
    assert ids(index, Selection(right=1)) == []
    assert [answer[0] for answer in index.look(Selection())["answers"]] == [0, 2, 3, 4, 5, 6, 7, 8]


def test_damaged_and_half_written_lines_are_passed_over(study: Study):
    path = file_of(study, 1)
    first, second, *_ = path.read_text().splitlines(keepends=True)
    path.write_text(f'{first}no line\n[1]\n{{"task": 1, "instance_id": 2, "prompt": 3}}\n{second[:-1]}')
    index = index_of(study)
    assert [answer[0] for answer in index.look(Selection(), at="i0")["answers"]] == list(range(9))
    assert 1 not in [answer[0] for answer in index.look(Selection(), at="i1")["answers"]]
    assert ids(index, Selection(wrong=1)) == ["i0"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_as_good_as_gone(study: Study, tmp_path: Path, kind: str):
    path, elsewhere = file_of(study, 1), tmp_path / "elsewhere.jsonl"
    path.rename(elsewhere)
    make = {"link": lambda: path.symlink_to(elsewhere), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}
    make[kind]()
    assert 1 not in [answer[0] for answer in index_of(study).look(Selection())["answers"]]


@pytest.mark.parametrize("name", ["../../elsewhere.jsonl", "/elsewhere.jsonl"])
def test_a_record_cannot_lead_out_of_its_cell(study: Study, tmp_path: Path, name: str):
    file_of(study, 1).rename(tmp_path / "elsewhere.jsonl")
    blocks = list(every_block(study.cells))
    cell, block = blocks[1]
    away = name if ".." in name else str(tmp_path / "elsewhere.jsonl")
    blocks[1] = (cell, dataclasses.replace(block, predictions=away))
    index = PredictionIndex(study.folder, blocks, ("exact_match",))
    assert 1 not in [answer[0] for answer in index.look(Selection())["answers"]]
