"""Trained with one template, tested with another: what counts, what is shown where, and who stands beside whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.stages import Words, prompts_at_test
from instruct_ablate.cell.state.canonical import effective, shown_at_test, under_templates
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.instruction.context import Context
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.settings import check_prompt
from instruct_ablate.prompt.template_set import content, every_template, trained_under, under_each
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.tables.tables import main_table
from instruct_ablate.schema import BudgetConfig, EvaluationConfig, PromptConfig, TasksConfig, TrainerConfig
from instruct_ablate.tasks.collection import read_tasks
from tests.standins import make_config

SWAPPED = PromptConfig("plain", 512, 8, training_template="chat")
TASKS = TasksConfig("starter", test_tasks=2, test_instances=3)


def test_training_and_test_are_shown_their_own(tmp_path: Path) -> None:
    config = effective(
        make_config(tmp_path, tasks=TASKS, prompt=replace(SWAPPED, training_template="set_12/bars"))
    )
    read = read_tasks(TASKS, tmp_path / "cache")
    ((_, shown),) = shown_at_test(config)
    ((_, tested),) = under_templates(config)
    plain = effective(make_config(tmp_path, tasks=TASKS, prompt=replace(SWAPPED, training_template="first")))
    bars = replace(plain, prompt=replace(plain.prompt, template="set_12/bars"))
    assert prompts_at_test(tested, read, shown, Words()) == prompts_at_test(plain, read, shown, Words())
    context = Context.of(config, read, "train")
    trained, alone, other = (
        build_prompts(read.train[:2], one.instruction, one.prompt, Words(), context)
        for one in (config, bars, plain)
    )
    assert [one.source for one in trained] == [one.source for one in alone]
    assert [one.source for one in trained] != [one.source for one in other]


def test_both_count_and_an_untuned_model_reads_the_tested_one_alone(tmp_path: Path) -> None:
    def hashed(tested: str, trained: str, budget: int = 8) -> str:
        prompt = replace(SWAPPED, template=tested, training_template=trained)
        return identify(make_config(tmp_path, prompt=prompt, data_budget=BudgetConfig(budget))).hash

    every = {
        hashed(*pair)
        for pair in (("plain", "chat"), ("plain", "first"), ("chat", "plain"), ("chat", "first"))
    }
    assert len(every) == 4
    assert hashed("plain", "chat", 0) == hashed("plain", "first", 0) != hashed("chat", "plain", 0)


def test_the_text_of_a_training_template_counts(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"

    def hashed(text: str, folder: str = "") -> str:
        place = tmp_path / folder / "own.yaml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
        prompt = replace(SWAPPED, training_template=f"{place}/one")
        return identify(make_config(tmp_path, prompt=prompt)).hash

    text = "- {name: one, input: 'Q {input}', output: 'A: {output}'}\n"
    first = hashed(text)
    assert hashed(text, "moved") == first
    assert hashed(text.replace("Q ", "Question ")) != first
    assert content(replace(SWAPPED, training_template=f"{own}/one")) is not None
    assert content(SWAPPED) is None


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ("chta", "unknown prompt.training_template 'chta'.*chat"),
        ("set_12", "names several templates.*set_12/titled"),
        ("plain+chat", "names several templates"),
        ("set_12/nothing", "nothing"),
    ],
)
def test_what_is_no_training_template_is_refused(trained: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_prompt(replace(SWAPPED, training_template=trained))


def test_the_keys_of_a_chat_template_are_read_where_training_is_in_it() -> None:
    check_prompt(replace(SWAPPED, system="Be brief."))
    with pytest.raises(UserError, match="has no chat template in it"):
        check_prompt(replace(SWAPPED, training_template="alpaca", system="Be brief."))
    assert every_template(SWAPPED) == ("plain", "chat")
    assert [one.template for one in trained_under(SWAPPED)] == ["chat"]
    assert [(one.template, one.training_template) for one in under_each(SWAPPED)] == [("plain", "first")]


def test_a_model_without_a_chat_template_is_refused_before_the_start(tmp_path: Path) -> None:
    config = make_config(tmp_path, prompt=SWAPPED)
    assert faults([config]) == []
    (fault,) = faults([replace(config, model=replace(config.model, name="tiny_t5"))])
    assert "no chat template" in fault


def test_the_report_tells_both_and_the_untuned_model_stands_beside_each(tmp_path: Path) -> None:
    trainer = TrainerConfig(batch_size=4, precision="fp32", accelerator="cpu", progress=False, threads=1)
    general = {"reader": "everyday", "test_tasks": 1, "test_instances": 4}
    records = []
    for tested, trained, budget in (("plain", "chat", 1), ("plain", "plain", 1), ("plain", "chat", 0)):
        config = make_config(
            tmp_path, tasks=TASKS, trainer=trainer, data_budget=BudgetConfig(budget, tasks=1 if budget else None),
            prompt=replace(SWAPPED, template=tested, training_template=trained),
            evaluation=EvaluationConfig(general=general),
        )  # fmt: skip
        records.append(run_cell(config))
        assert records[-1].state == "done", records[-1].failure
    rows = build_rows(records)
    trained_rows = [row for row in rows if not row.setting.untuned]
    assert {row.setting.get("prompt.training_template") for row in trained_rows} == {"chat", "plain"}
    assert all(row.to_untuned is not None and row.forgetting is not None for row in trained_rows)
    table = main_table(rows, "original")
    column = table.headings.index("prompt.training_template")
    assert sorted(line[column] for line in table.lines) == ["-", "chat", "plain"]
