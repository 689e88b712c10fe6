"""The browser's data: texts once, answers by instance, what is not there told, a bound on the size."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.record.instance_scores import checksum
from instruct_ablate.cell.state.record.predictions import read_predictions, to_line
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.report.page import browser
from instruct_ablate.report.page.browser import MOST_TEXT, browser_data, packed, packed_data
from instruct_ablate.report.page.sample import choose
from instruct_ablate.tasks.sampling.budget import ALL
from tests.report.cells import make_cell
from tests.report.studies import HOSTILE, small_study, write_study


def unpacked(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def prediction_file(study: Study) -> Path:
    cell = study.cells[0]
    return study.folder / cell.name / cell.blocks[0].predictions


def test_instances_stand_under_every_variant(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    data = browser_data(study.folder, choose(study.cells))
    one = data["tasks"]["task_c"]["instances"]["i1"]
    assert len(one["answers"]) == len(data["columns"]) == 9
    column, prompt, answer, exact, _ = one["answers"][1]
    assert data["columns"][column]["trained"] == "original"
    assert data["texts"][prompt].startswith("original prompt 1")
    assert data["texts"][answer] == "positive"
    assert exact == 1.0
    assert one["references"] == ["positive"]
    assert data["tasks"]["task_c"]["kind"] == "classification"
    assert data["tasks"]["task_c"]["category"] == "Logic"
    assert data["texts"].count(HOSTILE) == 1
    assert data["note"] == ""


def test_an_answer_stands_beside_the_references_that_it_was_scored_by(tmp_path: Path):
    """One study may hold two data sets: what was mended in between has one id and other right outputs."""
    study = read_study(small_study(tmp_path / "s"))
    path = study.folder / study.cells[1].name / study.cells[1].blocks[0].predictions
    text = path.read_text()
    path.write_text(text.replace('"references": ["positive"]', '"references": ["negative", "no"]'))
    assert path.read_text() != text
    one = browser_data(study.folder, choose(study.cells))["tasks"]["task_c"]["instances"]["i1"]
    assert one["references"] == ["positive"]
    assert one["answers"][1][5:] == [0, ["negative", "no"]]
    assert all(len(answer) == 5 for answer in one["answers"][:1] + one["answers"][2:])


def test_predictions_that_are_gone_or_damaged_are_told_and_the_rest_is_shown(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    prediction_file(study).unlink()
    data = browser_data(study.folder, choose(study.cells))
    assert data["note"] == f"No predictions on disk: {study.cells[0].name}."
    assert len(data["tasks"]["task_c"]["instances"]["i1"]["answers"]) == 8


def test_predictions_that_were_changed_after_they_were_scored_are_told_and_not_shown(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    cell, path = study.cells[0], prediction_file(study)
    block = replace(cell.blocks[0], sha256=checksum(path))
    cells = [replace(cell, blocks=(block, *cell.blocks[1:])), *study.cells[1:]]
    assert browser_data(study.folder, choose(cells))["note"] == ""
    path.write_text(path.read_text().replace("positive", "negative", 1))
    data = browser_data(study.folder, choose(cells))
    assert (
        data["note"] == f"Not shown, for their predictions were changed after they were scored: {cell.name}."
    )
    assert len(data["tasks"]["task_c"]["instances"]["i1"]["answers"]) == 8


def test_long_texts_are_cut_and_say_so(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    path = prediction_file(study)
    path.write_text(path.read_text().replace("original prompt 0", "x" * MOST_TEXT + "the input"))
    texts = browser_data(study.folder, choose(study.cells))["texts"]
    longest, half = max(texts, key=len), MOST_TEXT // 2
    assert longest.startswith("x" * half + " […] x"), "the beginning stands, and the end with the input"
    assert longest.endswith("the input: <script>document.title='broken'</script>")
    assert len(longest) == MOST_TEXT + len(" […] ")


def test_a_page_takes_fewer_predictions_where_they_need_more_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    study = read_study(small_study(tmp_path / "s", count=80))
    whole = packed_data(study.folder, study.cells, {"plot": 1})
    monkeypatch.setattr(browser, "MOST_PACKED", len(whole) // 2)
    part = packed_data(study.folder, study.cells, {"plot": 1})
    assert len(part) <= len(whole) // 2
    assert unpacked(part)["plot"] == 1
    assert "of every task the same" in unpacked(part)["browser"]["note"]


def test_packed_data_unpack_and_are_the_same_each_time():
    data = {"a": ["</script>", "é"]}
    text = packed(data)
    assert "<" not in text
    assert unpacked(text) == data
    assert packed(data) == text


def test_half_a_character_that_a_model_made_does_no_harm():
    assert unpacked(packed(["\ud83d!"])) == ["?!"]


def test_packed_data_carry_no_date():
    assert base64.b64decode(packed({"a": 1}))[4:8] == bytes(4), "gzip's field of it"


def test_values_have_three_digits_and_an_exact_match_that_is_not_defined_is_none(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    path = prediction_file(study)
    rows = read_predictions(path)
    changed = [replace(row, values=(("rougeL", 0.123456),)) for row in rows]
    path.write_text("".join(f"{to_line(row)}\n" for row in changed))
    data = browser_data(study.folder, choose(study.cells))
    answers = data["tasks"][rows[0].task]["instances"][rows[0].instance_id]["answers"]
    (answer,) = [one for one in answers if data["columns"][one[0]]["cell"] == study.cells[0].name]
    assert answer[3] == 0.0
    assert [value for value in answer[4] if value is not None] == [0.123]


def test_a_file_with_too_few_predictions_is_as_good_as_none(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    path = prediction_file(study)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    data = browser_data(study.folder, choose(study.cells))
    assert data["note"] == f"No predictions on disk: {study.cells[0].name}."


def test_a_column_leads_back_to_its_cell(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    data = browser_data(study.folder, choose(study.cells))
    cells = {cell.name: cell for cell in study.cells}
    for column in data["columns"]:
        cell = cells[column["cell"]]
        assert (column["model"], column["budget"]) == (cell.setting.model, cell.setting.budget)
        assert column["shown_budget"] == ("-" if cell.setting.untuned else str(cell.setting.budget))
        assert (column["seed"], column["tested"]) == (cell.seed, cell.blocks[0].instruction)


def test_a_budget_is_shown_as_people_say_it(tmp_path: Path):
    cells = [make_cell(60.0, data_budget=ALL), make_cell(60.0, data_budget=ALL, **{"data_budget.total": 64})]
    study = read_study(write_study(tmp_path / "s", cells))
    shown = {
        one["shown_budget"]: one["place"]
        for one in browser_data(study.folder, choose(study.cells))["columns"]
    }
    assert shown.keys() == {"all", "64 in all"}
    assert not any("64" in place for place in shown.values()), "the budget says it"


def test_a_cut_answer_is_marked_and_others_stay_as_they_were(tmp_path: Path):
    study = read_study(small_study(tmp_path / "study"))
    path = prediction_file(study)
    first, *rest = read_predictions(path)
    path.write_text("".join(f"{to_line(row)}\n" for row in (replace(first, cut=True), *rest)))
    data = browser_data(study.folder, choose(study.cells))
    instances = [one for task in data["tasks"].values() for one in task["instances"].values()]
    lengths = [len(answer) for one in instances for answer in one["answers"]]
    assert sorted(lengths)[-2:] == [5, 6]
