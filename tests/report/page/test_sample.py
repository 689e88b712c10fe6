"""The sample on a page: first seeds first, the same instances everywhere, and a note of what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.errors import UserError
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.page.sample import choose, line_reader, read_sample
from tests.report.cells import make_cell
from tests.report.studies import small_study

GRID = [
    make_cell(50.0, seed=s, instruction=i) for s in (1, 0) for i in ("original", "simplified")
]  # 200 each


def chosen(most: int) -> list[tuple[int, str]]:
    return [(cell.seed, cell.setting.instruction) for cell, _ in choose(GRID, most).blocks]


def test_all_is_shown_where_there_is_room():
    sample = choose(GRID)
    assert (len(sample.blocks), sample.per_task, sample.rows, sample.note) == (4, None, 800, "")


def test_first_seeds_come_first():
    assert chosen(400) == [(0, "original"), (0, "simplified")]
    sample = choose(GRID, 650)
    assert [cell.seed for cell, _ in sample.blocks] == [1, 0, 0]
    assert sample.note.startswith("Shown: 600 of 800 predictions, 3 of 4 cells")


def test_each_setting_counts_with_the_lowest_seed_it_has():
    late = [*GRID, make_cell(50.0, seed=7, instruction="delusive")]
    assert (7, "delusive") in [(c.seed, c.setting.instruction) for c, _ in choose(late, 600).blocks]


def test_with_less_room_each_task_shows_fewer_instances():
    sample = choose(GRID, 200)
    assert (len(sample.blocks), sample.per_task, sample.rows) == (2, 50, 200)
    assert "of every task the same 50 instances" in sample.note


def test_with_hardly_any_room_settings_are_left_out():
    sample = choose(GRID, 30)
    assert (len(sample.blocks), sample.per_task) == (1, 15)


def test_nothing_is_done():
    assert choose([make_cell(None)]).blocks == ()


def test_the_same_instances_are_read_under_every_variant(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s", count=40))
    paths = [study.folder / cell.name / block.predictions for cell in study.cells for block in cell.blocks]
    read = [{row.key for row in read_sample(path, 7)} for path in paths]
    assert len(read[0]) == 7
    assert all(keys == read[0] for keys in read)
    assert read_sample(paths[0], None) == read_predictions(paths[0])


def test_one_reader_of_several_files_gives_the_rows_of_each_and_tells_every_damage(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    paths = [study.folder / cell.name / block.predictions for cell in study.cells for block in cell.blocks]
    read = line_reader()
    assert [read_sample(path, None, read) for path in (*paths, *paths)] == [*map(read_predictions, paths)] * 2
    for path in paths:
        path.write_bytes(path.read_bytes() + b'{"task": 3}\n')
        with pytest.raises(UserError, match="no prediction"):
            read_sample(path, None, read)


def test_an_instance_cannot_pretend_to_end_its_head(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    path = study.folder / study.cells[0].name / study.cells[0].blocks[0].predictions
    text = path.read_text().replace('"i1"', r'"i1\", \"prompt\": \""')
    path.write_text(text)
    assert len(read_sample(path, 2)) == 2


def test_a_damaged_file_is_told(tmp_path: Path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"task": 3}\n')
    with pytest.raises(UserError, match="no prediction"):
        read_sample(path, None)


def test_what_just_fits_is_shown_whole():
    assert (choose(GRID, 800).per_task, choose(GRID, 800).note) == (None, "")
    assert choose(GRID, 799).rows == 600
    first = choose(GRID, 400)
    assert (first.per_task, first.rows, first.every_block) == (None, 400, 4)
    assert choose(GRID, 399).per_task == 99


def test_ten_instances_of_a_task_are_the_fewest():
    assert (len(choose(GRID, 40).blocks), choose(GRID, 40).per_task) == (2, 10)
    assert (len(choose(GRID, 39).blocks), choose(GRID, 39).per_task) == (1, 19)
    assert choose(GRID, 1).per_task == 1, "one block stays, whatever the room"
