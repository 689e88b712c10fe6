"""The browser's data: texts once, answers by instance, first seeds first where room is short."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest

from instruct_ablate.grid.study import read_study
from instruct_ablate.report import browser
from instruct_ablate.report.browser import browser_data, chosen_blocks, packed
from tests.report.cells import make_cell
from tests.report.studies import HOSTILE, small_study


def test_instances_stand_under_every_variant(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    data = browser_data(study.folder, study.cells)
    one = data["tasks"]["task_c"]["instances"]["i1"]
    assert len(one["answers"]) == len(data["columns"]) == 9
    column, prompt, answer, exact, _ = one["answers"][1]
    assert data["columns"][column]["trained"] == "original"
    assert data["texts"][prompt].startswith("original prompt 1")
    assert data["texts"][answer] == "positive"
    assert exact == 1.0
    assert data["texts"].count(HOSTILE) == 1


def test_first_seeds_first_where_room_is_short(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(browser, "MOST_ROWS", 400)
    cells = [make_cell(50.0, seed=s, instruction=i) for s in (1, 0) for i in ("original", "simplified")]
    chosen, total = chosen_blocks(cells)
    assert total == 4
    assert [(cell.axes.seed, cell.axes.instruction) for cell, _ in chosen] == [
        (0, "original"),
        (0, "simplified"),
    ]


def test_packed_data_unpack_and_are_the_same_each_time():
    data = {"a": ["</script>", "é"]}
    text = packed(data)
    assert "<" not in text
    assert json.loads(gzip.decompress(base64.b64decode(text))) == data
    assert packed(data) == text
