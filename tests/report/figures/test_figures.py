"""Figures: those a study has numbers for are drawn, and drawn alike each time."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure

from instruct_ablate.cell.state.record.record import CellRecord, Drawn
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.figures import figures
from instruct_ablate.report.figures.figures import (
    LEAST_HIGH,
    MOST_LINES,
    by_task,
    draw_figures,
    learning,
    over_budget,
)
from instruct_ablate.report.figures.heat_maps import by_category, train_by_test
from instruct_ablate.report.figures.paper import PAPERS
from instruct_ablate.report.figures.styles import COLOURS, Styles
from instruct_ablate.report.page.page import plot
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.rows.trials import without_clashes
from instruct_ablate.report.tables.differences import differences
from instruct_ablate.report.tables.terminal_table import caption
from instruct_ablate.tasks.sampling.budget import ALL
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study


def draw(folder: Path, target: Path) -> dict[str, bytes]:
    study = read_study(folder)
    rows, found = build_rows(study.cells), differences(study.cells, "original")
    return {path.stem: path.read_bytes() for path in draw_figures(target, rows, found, study)}


def test_what_there_are_numbers_for_is_drawn_as_svg_and_pdf(tmp_path: Path):
    drawn = draw(small_study(tmp_path / "s"), tmp_path / "figures")
    assert set(drawn) == {"exact_match", "rougeL", "format", "categories", "tasks", "learning"}
    assert all((tmp_path / "figures" / f"{name}.pdf").stat().st_size > 1000 for name in drawn)
    assert b"<svg" in drawn["exact_match"]


def test_names_are_drawn_as_they_are(tmp_path: Path):
    """Before: two dollar signs were taken for a formula, a traceback; a control character made the SVG no XML."""
    cells = [make_cell(50.0, model=name) for name in (r"a_$\input{x}$", "red\x1b[31m")]
    named = [replace(cell, name=f"cell-{index}") for index, cell in enumerate(cells)]
    drawn = draw(write_study(tmp_path / "s", named), tmp_path / "figures")
    assert {"exact_match", "categories"} <= set(drawn)
    for content in drawn.values():
        ElementTree.fromstring(content)
    assert rb"red\x1b[31m" in drawn["categories"]


def test_figures_embed_truetype_which_publishers_take(tmp_path: Path):
    draw(small_study(tmp_path / "s"), tmp_path / "figures")
    for path in (tmp_path / "figures").glob("*.pdf"):
        content = path.read_bytes()
        assert b"/FontFile2" in content, path
        assert b"/Type3" not in content, path


def test_train_by_test_needs_models_tested_in_two_ways(tmp_path: Path):
    cells = [make_cell(60.0), make_cell(58.0, tested="original", instruction="delusive")]
    both = [cells[0], make_cell(50.0, tested="delusive", seed=1), cells[1]]
    assert "train_test" in draw(write_study(tmp_path / "s", both), tmp_path / "f")


def test_the_same_study_gives_the_same_bytes(tmp_path: Path):
    folder = small_study(tmp_path / "s")
    assert draw(folder, tmp_path / "a") == draw(folder, tmp_path / "b")


def test_an_empty_study_draws_nothing(tmp_path: Path):
    assert draw(write_study(tmp_path / "s", [make_cell(None)]), tmp_path / "f") == {}


def test_a_budget_that_was_not_met_says_what_it_came_to(axes: Any):
    cells = [replace(make_cell(60.0, data_budget=n), drawn=Drawn(3, 3 * min(n, 10))) for n in (8, 64)]
    rows = build_rows(cells)
    assert over_budget(axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["8", "64\n(10)"]


def test_a_budget_that_one_data_set_met_says_so_of_both(axes: Any):
    short = replace(make_cell(60.0, data_budget=64), drawn=Drawn(3, 30))
    met = replace(make_cell(60.0, data_budget=64, tasks="mine"), drawn=Drawn(3, 192))
    for cells in ([short, met], [met, short]):
        rows = build_rows([*cells, make_cell(50.0)])
        axes.clear()
        assert over_budget(axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows))
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["8", "64\n(10 to 64)"]
        assert "data_budget=64 came to 10 instances a task on average in some rows" in caption(rows)


def test_a_caption_says_how_many_tasks_there_were():
    """Before: "tasks trained on=6" stood below a table of models that were trained on the two there were."""
    cells = [replace(make_cell(60.0, seed=n, **{"data_budget.tasks": 6}), drawn=Drawn(2, 16)) for n in (0, 1)]
    assert "data_budget.tasks=6 came to 2, for there are no more" in caption(build_rows(cells))
    enough = [replace(cell, drawn=Drawn(6, 48)) for cell in cells]
    assert "came to" not in caption(build_rows(enough))


@pytest.fixture
def axes() -> Any:
    return Figure().subplots()


def written(axes: Any) -> list[str]:
    """The names in the legend that stands below the axes."""
    return [text.get_text() for legend in axes.figure.legends for text in legend.get_texts()]


def test_over_budget_draws_means_with_their_deviation_and_levels(axes: Any):
    cells = [make_cell(5.0, data_budget=0)]
    cells += [make_cell(50.0 + b + s, data_budget=b, seed=s) for b in (2, 8) for s in (0, 1)]
    cells += [make_cell(40.0, data_budget=8, instruction="delusive")]
    rows = build_rows(cells)
    assert over_budget(axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows))
    original, delusive = (container.lines[0] for container in axes.containers)
    assert original.get_xydata().tolist() == [[2, 52.5], [8, 58.5]]
    assert delusive.get_xydata().tolist() == [[8, 40.0]]
    assert [original.get_color(), delusive.get_color()] == list(COLOURS[:2])
    (bars,) = axes.containers[0].lines[2]
    assert [round(float(top[1] - bottom[1]), 6) for bottom, top in bars.get_segments()] == [1.414214] * 2
    assert {"original", "delusive", "untuned", "uniform guess"} == set(written(axes))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "8"]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == pytest.approx((2 / 1.2, 8 * 1.2)), "no point stands at the edge"
    assert axes.get_ylabel() == "exact match (classification), %"


def test_with_one_budget_dots_stand_below_each_other(axes: Any):
    cells = [make_cell(5.0, data_budget=0)]
    cells += [make_cell(50.0 + s, data_budget=8, seed=s) for s in (0, 1)]
    cells += [make_cell(40.0, data_budget=8, instruction="delusive")]
    rows = build_rows(cells)
    assert over_budget(axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows))
    original, delusive = (container.lines[0] for container in axes.containers)
    assert original.get_xydata().tolist() == [[50.5, 0]]
    assert delusive.get_xydata().tolist() == [[40.0, 1]]
    (bars,) = axes.containers[0].lines[2]
    ((left, right),) = bars.get_segments()
    assert float(right[0] - left[0]) == pytest.approx(2**0.5)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["original", "delusive"]
    assert axes.get_ylim() == (1.5, -0.5), "the first stands on top"
    assert axes.get_xlabel() == "exact match (classification), %"
    assert set(written(axes)) == {"untuned", "uniform guess"}


def test_what_was_trained_elsewhere_has_a_dot_of_its_own(axes: Any):
    rows = build_rows([make_cell(50.0), make_cell(40.0, seed=1, method="imported")])
    assert over_budget(axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows))
    assert [one.lines[0].get_xydata().tolist() for one in axes.containers] == [[[50.0, 0]], [[40.0, 1]]]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["original, full", "original, imported"]


def test_what_is_drawn_is_told_whole_beside_long_names():
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    cells = [
        make_cell(50.0, data_budget=8, instruction="definition_without_any_label_list+misleading_moderate")
    ]
    rows = build_rows(cells)
    axes = figure.subplots()
    assert over_budget(axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows))
    figure.draw_without_rendering()
    label, names = axes.xaxis.label.get_window_extent(), axes.yaxis.get_tightbbox()
    assert label.width < axes.get_window_extent().width, "the name stands below, under a number"
    assert 0 <= label.x0 < label.x1 <= figure.bbox.width
    assert label.y1 < names.y0 or label.x0 > names.x1
    (legend,) = figure.legends
    assert "definition_without_any_label_list" in legend.get_texts()[0].get_text()


def test_one_budget_without_levels_needs_no_legend(axes: Any):
    rows = build_rows([make_cell(50.0, data_budget=8)])
    assert over_budget(axes, rows, find_measure("rougeL"), Styles(row.setting for row in rows))
    assert axes.figure.legends == []


def test_levels_alone_are_no_figure(axes: Any):
    rows = build_rows([make_cell(5.0, data_budget=0)])
    assert not over_budget(axes, rows, find_measure("exact_match"), Styles([]))


def test_tasks_are_sorted_and_their_place_is_a_share(axes: Any):
    cells = [make_cell(50.0), make_cell(40.0, instruction="delusive")]
    found = [item for item in differences(cells, "original") if item.metric == "rougeL"]
    assert by_task(axes, found, "rougeL", Styles(cell.setting for cell in cells))
    (line, zero) = axes.get_lines()
    assert line.get_xydata().tolist() == [[0, -10.0], [100, 0.0]]
    assert list(zero.get_ydata()) == [0, 0]
    assert written(axes) == ["delusive, budget 8"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "tasks, sorted, %",
        "ROUGE-L less the reference, points",
    )
    assert axes.get_title() == ""


def test_comparisons_of_one_setting_are_named_by_their_tests(axes: Any):
    cells = []
    for instruction, lr in itertools.product(("original", "delusive"), (0.1, 0.2)):
        own = make_cell(50.0, instruction=instruction, lr=lr)
        setting = own.setting.changed(**{"evaluation.instructions": ("delusive", "original")})
        blocks = tuple(replace(own.blocks[0], instruction=tested) for tested in ("original", "delusive"))
        cells.append(replace(own, setting=setting, blocks=blocks))
    found = differences(cells, "original")
    assert by_task(axes, found, "rougeL", Styles(cell.setting for cell in cells))
    assert written(axes) == [
        f"{trained}, budget 8, trainer.learning_rate {lr}{tested}"
        for lr in (0.1, 0.2)
        for trained, tested in (
            ("original", ", tested on delusive"),
            ("delusive", ""),
            ("delusive", ", tested on original"),
        )
    ]


def test_comparisons_without_room_are_counted(axes: Any):
    cells = [make_cell(50.0), *(make_cell(40.0, instruction=f"v{n}") for n in range(MOST_LINES + 1))]
    found = differences(cells, "original")
    assert by_task(axes, found, "rougeL", Styles(cell.setting for cell in cells))
    assert len(written(axes)) == MOST_LINES
    assert axes.get_title().startswith(f"{MOST_LINES} of {MOST_LINES + 1} comparisons")
    assert not by_task(axes, [], "rougeL", Styles([]))


def test_curves_are_drawn_by_step(axes: Any, tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    assert learning(axes, study, Styles(cell.setting for cell in study.cells))
    assert len(axes.get_lines()) == len(written(axes)) == 5
    assert axes.get_lines()[1].get_xydata().tolist() == [[1, 2.0], [2, 1.5]]
    assert axes.get_title() == ""
    assert {line.get_marker() for line in axes.get_lines()} == {"None"}
    for file in study.folder.glob("*/training.jsonl"):
        file.write_text(file.read_text().splitlines()[0] + "\n")
    points = Figure().subplots()
    assert learning(points, study, Styles(cell.setting for cell in study.cells))
    assert "None" not in {line.get_marker() for line in points.get_lines()}, (
        "a line through one point is nothing"
    )
    empty = read_study(write_study(tmp_path / "e", [make_cell(None)]))
    assert not learning(Figure().subplots(), empty, Styles([]))


def test_a_variant_has_one_colour_in_every_figure_and_on_the_page(tmp_path: Path):
    cells = [make_cell(50.0 + seed, instruction=variant, data_budget=budget, seed=seed)
             for variant in ("simplified", "original", "delusive") for budget in (2, 8) for seed in (0, 1)]  # fmt: skip
    study = read_study(write_study(tmp_path / "s", cells))
    rows, found = build_rows(study.cells), differences(study.cells, "original")
    styles, figures = Styles(row.setting for row in rows), [Figure().subplots() for _ in range(3)]
    over_budget(figures[0], rows, find_measure("exact_match"), styles)
    by_task(figures[1], found, "rougeL", styles)
    learning(figures[2], study, styles)
    colours: dict[str, set[str]] = {}
    for axes in figures:
        (legend,) = axes.figure.legends
        for line, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            (colour,) = to_rgba_array(line.get_color())
            colours.setdefault(text.get_text().split(",")[0], set()).add(to_hex(colour))
    for line in plot(rows, ["exact_match"])["lines"]:
        colours.setdefault(line["name"], set()).add(line["colour"].lower())
    colours.pop("uniform guess", None)
    assert {name: len(found) for name, found in colours.items()} == dict.fromkeys(
        ("original", "simplified", "delusive"), 1
    )
    assert len(set.union(*colours.values())) == 3


def test_drawing_says_nothing_of_fonts(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    study = read_study(small_study(tmp_path / "s"))
    assert draw_figures(tmp_path / "figures", build_rows(study.cells), (), study)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("fontTools")] == []


def test_all_instances_stand_behind_the_largest_number(axes: Any):
    cells = [make_cell(50.0, data_budget=budget) for budget in (2, 8, ALL)]
    rows = build_rows(cells)
    assert over_budget(axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "8", "all"]
    assert list(axes.get_xticks()) == [2, 8, 16]
    assert plot(rows, ("exact_match",))["budgets"] == [2, 8, "all"]
    totals = [make_cell(50.0, data_budget=ALL, **{"data_budget.total": n}) for n in (64, 256)]
    rows = build_rows([*totals, *cells])
    axes.clear()
    assert over_budget(axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "8", "all", "in all"]
    shown = {tuple(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata())}
    assert {(2, 8, 16), (32,)} <= shown, "before: totals stood at the place of all, under one name"
    assert plot(rows, ("exact_match",))["budgets"] == [2, 8, "all", None]
    in_all = build_rows(totals)
    assert plot(in_all, ("exact_match",))["budgets"] == [None]


def test_a_matrix_of_categories_shows_no_mean_over_cells_that_clash(axes: Any):
    one, other = make_cell(50.0), make_cell(30.0, instruction="simplified")
    again = replace(one, name="again", identity="again")
    assert by_category(axes, [one, again, other], "rougeL")
    assert len(axes.get_xticklabels()) == 1
    assert without_clashes([one, again, other]) == [other]
    further = make_cell(40.0, seed=1)
    assert without_clashes([one, again, other, further]) == [other], (
        "the main table has no mean of seed 1 alone"
    )


def many(number: int) -> list[CellRecord]:
    """Cells that differ in five keys, each tested in two ways; their names are of three lines."""
    found = []
    for place in range(number):
        swept = {"lr": 10.0**-place, "prompt": f"template_{place}", "method": ("full", "lora")[place % 2]}
        cell = make_cell(
            40.0 + place,
            "original",
            instruction=f"simplified+permuted_labels({place})",
            num_positive=place,
            **swept,
        )
        found.append(replace(cell, blocks=(*cell.blocks, replace(cell.blocks[0], instruction="delusive"))))
    return [*found, make_cell(5.0, data_budget=0)]


def laid_out(draw: Callable[[Any], bool], width: float) -> Any:
    """Draw as `draw_figures` does, and return the axes where they came to lie."""
    with mpl.rc_context({**figures._STYLE, "font.size": 9}):
        figure = Figure(figsize=(width, min(max(width, LEAST_HIGH), 5.2) * 3.6 / 5.2))
        axes = figure.subplots()
        assert draw(axes)
        figure.draw_without_rendering()
    return axes


@pytest.mark.parametrize("width", [5.2, PAPERS["acl"].column], ids=["screen", "a column"])
@pytest.mark.parametrize("number", [2, 4, 40])
@pytest.mark.filterwarnings("error")
def test_names_of_many_keys_leave_the_axes_their_room(number: int, width: float):
    """Before: names took all of the figure, axes collapsed to nothing, and matplotlib warned on the terminal."""
    cells = many(number)
    rows = build_rows(cells)
    styles = Styles(row.setting for row in rows)
    measure = find_measure("exact_match")
    drawn = (
        lambda axes: over_budget(axes, rows, measure, styles),
        lambda axes: train_by_test(axes, rows, measure),
        lambda axes: by_category(axes, cells, "rougeL"),
    )
    for one in drawn:
        axes = laid_out(one, width)
        figure, box = axes.figure, axes.get_window_extent()
        assert box.width / figure.dpi > 0.55 * width
        assert box.height / figure.dpi > 1.4
        ticks = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert all(a.y0 >= b.y1 for a, b in itertools.pairwise(sorted(ticks, key=lambda one: -one.y0)))
        for legend in figure.legends:
            extent = legend.get_window_extent()
            assert extent.y1 <= box.y0
            assert extent.x0 >= -1
            assert extent.x1 <= figure.bbox.x1 + 1
            assert extent.y0 >= -1


def test_short_names_stand_beside_what_they_name():
    cells = [make_cell(60.0), make_cell(50.0, instruction="simplified")]
    rows = build_rows(cells)
    axes = laid_out(
        lambda axes: over_budget(
            axes, rows, find_measure("exact_match"), Styles(row.setting for row in rows)
        ),
        5.2,
    )
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "simplified"]
