"""The summary: one row a variant, differences and states told in plain sight."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from instruct_ablate.cell.state.setting.contamination import SEEN
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.figures.paper import main_caption
from instruct_ablate.report.rows.columns import column_heading, main_columns
from instruct_ablate.report.rows.seed_means import Mean, Over, build_rows
from instruct_ablate.report.tables.tables import latex, main_table
from instruct_ablate.report.tables.terminal_table import (
    FORMS,
    LONGEST,
    Form,
    Places,
    caption,
    measured,
    number,
    print_summary,
    summary_table,
    unfinished,
    warnings,
)
from tests.left_out import left_out
from tests.report.cells import make_cell
from tests.report.studies import small_study


def shown(cells) -> str:
    rows = build_rows(cells)
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(summary_table("study", rows, "original"))
    return captured.get()


def test_one_row_a_variant_with_differences():
    text = shown([make_cell(20.0, data_budget=0), make_cell(60.0), make_cell(57.5, instruction="simplified")])
    lines = [line for line in text.splitlines() if "60.00" in line or "57.50" in line]
    assert "-2.50" in text
    assert "+40.00" in text
    assert "(untuned)" in text
    assert len(lines) == 2


def test_missing_cells_are_named_as_such():
    text = shown([make_cell(60.0), make_cell(None, instruction="delusive"), make_cell(None, seed=1)])
    assert text.count("1 missing") == 2


def test_only_varying_axes_have_a_column():
    rows = build_rows([make_cell(60.0), make_cell(50.0, instruction="simplified")])
    assert Places(rows).headings == ("trained on",)
    rows = build_rows([make_cell(60.0), make_cell(50.0, data_budget=20)])
    assert set(Places(rows).headings) == {"budget", "trained on"}


def test_a_test_variant_gets_a_column():
    rows = build_rows([make_cell(60.0), make_cell(50.0, tested="delusive")])
    assert Places(rows).headings[-1] == "tested on"


def test_the_caption_says_what_rows_share():
    text = caption(build_rows([make_cell(60.0), make_cell(50.0, instruction="simplified")]))
    assert "model=tiny" in text
    assert "budget=8" in text
    assert "One seed" in text


def test_numbers():
    assert number(None) == "-"
    assert number(Mean(1.234, None, 1)) == "1.23"
    assert number(Mean(1.234, 0.5, 3), signed=True) == "+1.23 ± 0.50"
    assert number(Mean(1.234, 0.5, 3), form=FORMS[1]) == "1.2 ± 0.5"
    assert number(Mean(1.234, 0.5, 3), form=FORMS[2]) == "1.2"


def test_the_uniform_guess_does_not_deviate():
    (row,) = build_rows([make_cell(60.0), make_cell(62.0, seed=1)])
    assert measured(row, "exact_match") == "61.00 ± 1.41"
    assert measured(row, "uniform_guess") == "50.00"


def test_a_pipe_gets_all_columns_whole(tmp_path: Path):
    text = io.StringIO()
    print_summary(small_study(tmp_path / "s"), Console(file=text, width=40))
    assert "…" not in text.getvalue()
    assert "58.50 ± 0.71" in text.getvalue()
    assert "1 missing" in text.getvalue()


def test_a_narrow_terminal_gets_shorter_numbers_and_is_told(tmp_path: Path):
    text = io.StringIO()
    console = Console(file=text, width=105, force_terminal=True, color_system=None)
    print_summary(small_study(tmp_path / "s"), console)
    assert "58.5 " in text.getvalue()
    assert "58.5 ±" not in text.getvalue()
    assert "A wider terminal shows" in " ".join(text.getvalue().split())
    assert "…" not in text.getvalue()


def test_a_terminal_without_room_for_columns_has_a_rows_values_one_below_the_other(tmp_path: Path):
    """At 40 columns lines of 74 were broken anywhere: no number stood below its heading."""
    folder, text = small_study(tmp_path / "s"), io.StringIO()
    console = Console(file=text, width=40, force_terminal=True, color_system=None)
    print_summary(folder, console)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    told = [" ".join(line.split()) for line in lines]
    study = read_study(folder)
    rows = build_rows(study.cells, study.reference)
    names = main_columns(rows, study.columns)
    assert "exact_match" in names
    for row in rows:
        for name in names:
            heading = " ".join(column_heading(name, study.reference).split())
            assert f"{heading} {measured(row, name)}" in told
    assert "not finished 1 missing" in told
    assert "A wider terminal" not in " ".join(told), "deviations are there"


def test_an_empty_study_says_so(tmp_path: Path):
    text = io.StringIO()
    print_summary(tmp_path, Console(file=text, width=1000))
    assert "no cells yet" in text.getvalue()


def test_the_caption_counts_seeds_and_tells_clashes():
    one = make_cell(60.0)
    both = [one, make_cell(61.0, seed=1)]
    assert "over 2 seeds" in caption(build_rows(both))
    assert "single cell" not in caption(build_rows(both))
    assert "over 2 seeds; without ± a single cell" in caption(
        build_rows([*both, make_cell(9.0, data_budget=0)])
    )
    assert "over up to 2 seeds" in caption(build_rows([*both, make_cell(9.0, instruction="simplified")]))
    assert "clash" not in caption(build_rows([one]))
    clashing = build_rows([one, replace(one, name="again", identity="again")])
    assert "clash: several cells are the same setting" in caption(clashing)
    assert unfinished(clashing[0]) == f"clash: again and {one.name}"
    assert caption([]).startswith(". One seed;")


def test_a_row_of_fewer_seeds_than_others_says_how_many():
    cells = [make_cell(60.0), make_cell(61.0, seed=1), make_cell(9.0, instruction="simplified"),
             make_cell(9.0, data_budget=0)]  # fmt: skip
    lines = main_table(build_rows(cells), "original").lines
    assert {line[0]: line[-1] for line in lines} == {
        "(untuned)": "done", "original": "done", "simplified": "done (1 seed)",
    }  # fmt: skip
    assert "(1 seed)" in latex(main_table(build_rows(cells), "original"), "")


def test_every_caption_says_over_how_many_tasks_and_instances():
    rows = build_rows([make_cell(60.0), make_cell(50.0, instruction="simplified")])
    for text in (caption(rows), main_caption("study", rows, main_columns(rows))):
        assert (
            "averaged per task, of 1 classification (100 instances) and 1 generation (100 instances)" in text
        )
    fewer = replace(rows[0], over=frozenset({Over("classification", 2, 1000)}))
    said = caption([*rows, fewer], ("exact_match",))
    assert "of 1 to 2 classification (100 to 1,000 instances) and 1 generation" in said
    assert "ROUGE-L" not in said, "what is no column is not explained"


def test_paper_and_terminal_say_alike_what_a_reader_must_know():
    lora = make_cell(60.0, method="lora", **{"method.learning_rate_factor": 10.0})
    seen = make_cell(60.0, model="flan_t5_base", **{"tasks.reader": "natural_instructions"})
    rows = build_rows([make_cell(60.0), lora, seen])
    told = warnings(rows)
    assert len(told) == 2
    for text in (caption(rows), main_caption("study", rows, main_columns(rows))):
        assert all(line[1:] in text for line in told)


def test_the_caption_says_at_which_rates_methods_were_trained():
    lora = make_cell(60.0, method="lora", **{"method.learning_rate_factor": 10.0})
    assert "lora 0.002 (0.0002 x 10)" in caption(build_rows([make_cell(60.0), lora]))
    assert "as trained" not in caption(build_rows([make_cell(60.0)]))


def test_the_caption_names_tasks_with_fewer_examples_than_are_to_be_shown():
    line = "instruction.num_positive=3: 1 of 2 test tasks has fewer positive examples: two (2 of 3)"
    cells = [replace(make_cell(60.0, seed=seed), notes=(f"test, original: {line}",)) for seed in (0, 1)]
    told = caption(build_rows([*cells, make_cell(60.0, instruction="delusive")]))
    assert told.count(line) == 1
    assert line not in caption(build_rows([replace(cells[0], state="failed"), make_cell(60.0, seed=2)]))
    others = line.replace("1 of 2 test tasks has", "2 of 5 test tasks have")
    drawn = [cells[0], replace(cells[1], notes=(f"test, original: {others}",))]
    assert caption(build_rows(drawn)).count("fewer positive examples") == 1, (
        "not a sentence for each seed's tasks"
    )


def test_what_models_have_seen_of_their_tests_has_a_column_and_a_sentence():
    tests = {"tasks.reader": "natural_instructions"}
    seen, not_seen = (make_cell(60.0, model=name, **tests) for name in ("flan_t5_base", "t5_base_lm_adapt"))
    rows = build_rows([seen, not_seen])
    assert SEEN in Places(rows).headings
    at = Places(rows).headings.index(SEEN)
    assert sorted(Places(rows).texts(row)[at] for row in rows) == ["no", "yes"]
    assert ". Contamination: flan_t5_base has probably seen Super-NI" in caption(rows)
    alone = build_rows([not_seen])
    assert SEEN not in Places(alone).headings
    assert "contamination" not in caption(alone)


def test_long_values_are_cut_in_the_caption():
    fits, longer = "m" * LONGEST, "m" * (LONGEST + 1)
    assert f"model={fits}." in caption(build_rows([make_cell(60.0, model=fits)])).replace(",", ".")
    assert f"model={fits}…" in caption(build_rows([make_cell(60.0, model=longer)]))


def test_of_a_long_list_whole_items_stay_and_the_others_are_counted():
    """Which tasks were tested is for a reader to know: what is cut in a name could be any of several."""

    def said(*tasks: str) -> str:
        return caption(build_rows([make_cell(60.0, **{"tasks.test_include": tasks})]))

    names = tuple(f"task{number}_mnli_*" for number in range(190, 196))
    assert "tasks.test_include=task190_mnli_*, task191_mnli_* and 4 more" in said(*names)
    assert "tasks.test_include=task190_mnli_*, task191_mnli_*." in said(*names[:2]).replace(" Mean", "")
    assert f"tasks.test_include={'t' * LONGEST}… and 1 more" in said("t" * (LONGEST + 1), "b")


def test_only_differences_are_signed():
    rows = build_rows([make_cell(60.0), make_cell(62.0, instruction="simplified")])
    assert [measured(rows[1], name) for name in ("exact_match", "to_reference", "to_untuned")] == [
        "62.00",
        "+2.00",
        "-",
    ]


def test_a_column_for_what_is_not_finished_where_something_is():
    assert "finished" not in shown([make_cell(60.0)])
    assert "finished" in shown([make_cell(60.0), make_cell(None, seed=1)])


def test_a_terminal_that_is_wide_enough_shows_all(tmp_path: Path):
    text = io.StringIO()
    console = Console(file=text, width=400, force_terminal=True, color_system=None)
    print_summary(small_study(tmp_path / "s"), console)
    assert "58.50 ± 0.71" in text.getvalue()
    assert "A wider terminal" not in text.getvalue()


def test_what_is_left_out():
    assert left_out(Form) == {"digits": 2, "spread": True}


def test_tests_of_what_is_not_trained_have_a_column() -> None:
    """Before: two rows "(untuned)" with other numbers, where no trained row was tested otherwise than trained."""
    cell = make_cell(5.0, data_budget=0)
    both = (cell.blocks[0], replace(cell.blocks[0], instruction="simplified"))
    for more in ([], [make_cell(50.0)]):
        rows = build_rows([replace(cell, blocks=both), *more])
        places = Places(rows)
        at = places.headings.index("tested on")
        assert [places.texts(row)[at] for row in rows] == [
            "original",
            "simplified",
            *["original"] * len(more),
        ]
    alone = build_rows([make_cell(5.0, "simplified", data_budget=0)])
    assert "tested on" in Places(alone).headings, "nothing else says it"
    assert "tested on" not in Places(build_rows([cell, make_cell(50.0)])).headings
