from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instruct_ablate.cell.state.canonical import effective, is_baseline, is_untuned, shown_at_test
from instruct_ablate.schema import (
    BudgetConfig,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    TrainerConfig,
)
from tests.standins import make_config

OUT = Path("out")


def test_a_trained_cell_keeps_what_it_is_trained_with() -> None:
    config = make_config(OUT, instruction=InstructionConfig("simplified"), seed=3)
    shaped = effective(config)
    assert (shaped.instruction, shaped.seed, shaped.data_budget) == (
        config.instruction,
        3,
        config.data_budget,
    )


def test_full_training_forgets_what_only_lora_reads() -> None:
    assert effective(make_config(OUT, method=MethodConfig("full", rank=4))).method == MethodConfig("full")
    lora = MethodConfig("lora", rank=4)
    assert effective(make_config(OUT, method=lora)).method == lora


def test_the_untuned_model_depends_on_no_training_axis() -> None:
    plain = effective(make_config(OUT, data_budget=BudgetConfig(0)))
    for changes in (
        {"instruction": InstructionConfig("simplified")},
        {"seed": 7},
        {"data_budget": BudgetConfig(0, tasks=5)},
        {"method": MethodConfig("lora")},
        {"trainer": TrainerConfig(learning_rate=1.0, epochs=9)},
    ):
        assert effective(make_config(OUT, **{"data_budget": BudgetConfig(0), **changes})) == plain


def test_no_training_tasks_is_untuned_too() -> None:
    assert is_untuned(make_config(OUT, data_budget=BudgetConfig(8, tasks=0)))


def test_the_untuned_model_is_tested_with_the_reference() -> None:
    config = make_config(OUT, data_budget=BudgetConfig(0), instruction=InstructionConfig(examples="delusive"))
    assert [name for name, _ in shown_at_test(effective(config))] == ["original"]
    other = replace(config, reference="simplified")
    assert [name for name, _ in shown_at_test(effective(other))] == ["simplified"]


def test_same_is_spelt_out_and_doubles_are_dropped() -> None:
    evaluation = EvaluationConfig(["same", "original", "delusive"])
    config = make_config(OUT, evaluation=evaluation, instruction=InstructionConfig(examples="delusive"))
    assert [name for name, _ in shown_at_test(config)] == ["delusive", "original"]


def test_the_number_of_examples_stays_at_test_time() -> None:
    config = make_config(
        OUT,
        instruction=InstructionConfig(examples="empty", num_positive=1),
        evaluation=EvaluationConfig(["original"]),
    )
    assert shown_at_test(effective(config))[0][1].num_positive == 1


def test_a_baseline_depends_on_no_model_and_no_training() -> None:
    guess = ModelConfig("uniform_guess", source="baseline")
    plain = effective(make_config(OUT, model=guess))
    assert is_baseline(plain)
    changed = make_config(
        OUT,
        model=guess,
        seed=4,
        instruction=InstructionConfig("simplified"),
        evaluation=EvaluationConfig(["original", "delusive"], decoding="rank"),
    )
    assert effective(changed) == plain
    assert effective(make_config(OUT, model=replace(guess, tries=5))) != plain


def test_copying_a_demonstration_depends_on_the_instruction_shown() -> None:
    copy = make_config(OUT, model=ModelConfig("copy_demonstration", source="baseline"))
    shown = replace(copy, evaluation=EvaluationConfig(["delusive"]))
    assert effective(copy) != effective(shown)


def test_sources_end_as_the_checkpoint_was_trained() -> None:
    def ends(reader: str, convention: bool | None, given: bool | None = None) -> bool | None:
        config = make_config(OUT, model=ModelConfig("a", end_of_source=convention))
        config = replace(
            config,
            tasks=replace(config.tasks, reader=reader),
            prompt=replace(config.prompt, end_of_source=given),
        )
        return effective(config).prompt.end_of_source

    assert ends("natural_instructions", None) is True
    assert ends("natural_instructions", False) is False, "T0, wherever it is tested"
    assert ends("p3", None) is False, "T5 trained here on P3"
    assert ends("p3", True) is True, "Tk-Instruct"
    assert ends("p3", False, given=True) is True, "asked for"
