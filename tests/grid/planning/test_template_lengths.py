"""A plan says of a set how many templates are tested, and which one makes the longest prompts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instruct_ablate.grid.planning.template_lengths import template_lines
from instruct_ablate.schema import BudgetConfig, ModelConfig, PromptConfig, TasksConfig
from tests.standins import make_config

LONG = """
- {name: short, input: "{input}", output: "= {output}"}
- {name: long, input: "What follows is the input of the task, word for word: {input}", output: "= {output}"}
"""


def test_the_longest_is_named_once_for_all_cells_that_are_shown_alike(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(LONG)
    tasks, prompt = (
        TasksConfig("starter", test_tasks=2, test_instances=3),
        PromptConfig(f"{tmp_path}/mine.yaml"),
    )
    cell = make_config(tmp_path, tasks=tasks, prompt=prompt)
    grid = [cell, replace(cell, seed=1), replace(cell, data_budget=BudgetConfig(0))]
    (line,) = template_lines(grid)
    assert line.startswith("templates: 2, each a test of its own, trained under mine/short; ")
    assert "the longest prompts are those of mine/long: about " in line
    assert line.endswith(" tokens, prompt.max_source_length=1,024")
    (untuned,) = template_lines(grid[2:])
    assert "trained" not in untuned
    (drawn,) = template_lines([replace(cell, prompt=replace(prompt, training_template="drawn"))])
    assert "training examples under one each, drawn" in drawn


def test_of_one_template_and_of_baselines_nothing_is_said(tmp_path: Path) -> None:
    one = make_config(tmp_path)
    baseline = make_config(
        tmp_path, prompt=PromptConfig("set_12"), model=ModelConfig("majority", source="baseline")
    )
    assert list(template_lines([one, baseline])) == []
