from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instruct_ablate.cell.state.canonical import (
    canonical_blocks,
    effective,
    is_baseline,
    is_untuned,
    shown_at_test,
    under_templates,
)
from instruct_ablate.schema import (
    BudgetConfig,
    DataConfig,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
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


def test_a_trained_cell_keeps_nothing_for_others_to_read() -> None:
    for method in (MethodConfig("full"), MethodConfig("lora", layers="top:1")):
        plain = make_config(OUT, method=method)
        asked = replace(plain, trainer=replace(plain.trainer, keep_below="top:1"))
        assert asked.trainer != effective(asked).trainer
        assert effective(asked) == effective(plain)
    untuned = make_config(OUT, data_budget=BudgetConfig(0))
    asked = replace(untuned, trainer=replace(untuned.trainer, keep_below="top:1"))
    assert effective(asked).trainer.keep_below == "top:1"


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


ODD = {
    "trainer": TrainerConfig(
        optimizer="adafactor", learning_rate=1.0, schedule="linear", warmup_steps=3, weight_decay=0.5, batch_size=2,
        epochs=3.0, max_steps=7, gradient_clip=9.0, precision="fp32", compile=True, threads=3, devices=2,
        accelerator="cpu", progress=False,
    ),
    "data": DataConfig("task", group_size=2, packing=False, num_workers=3),
    "method": MethodConfig("lora", rank=4, alpha=8, dropout=0.1, target_modules=["q"]),
    "prompt": PromptConfig("alpaca", max_source_length=7, max_target_length=5),
    "instruction": InstructionConfig("simplified", "delusive", 3, 1, True, 0.3, 0.9),
}  # fmt: skip


def test_an_untuned_cell_keeps_of_the_trainer_what_inference_takes() -> None:
    found = effective(make_config(OUT, data_budget=BudgetConfig(0), seed=5, **ODD))
    assert found.trainer == TrainerConfig(
        optimizer="adamw", learning_rate=1e-4, schedule="constant", warmup_steps=0, weight_decay=0.0, batch_size=16,
        epochs=1.0, max_steps=None, gradient_clip=1.0, precision="fp32", compile=True, threads=3, devices=2,
        accelerator="cpu", progress=False,
    )  # fmt: skip
    assert found.data == DataConfig("none", group_size=8, packing=True, num_workers=3)
    assert found.method == MethodConfig("full", rank=16, alpha=32, dropout=0.0, target_modules=[])
    assert (found.data_budget, found.seed) == (BudgetConfig(0, None), 0)
    assert found.prompt == replace(ODD["prompt"], end_of_source=True)  # type: ignore[type-var]


def test_a_baseline_keeps_what_writes_its_predictions() -> None:
    evaluation = EvaluationConfig(
        ["same"], "rank", ["own.py"], "vllm", 7, cut_wrong_answers=True, save_prompts=False
    )
    guess = ModelConfig("majority", source="baseline", tries=9, kind="decoder-only")
    found = effective(make_config(OUT, model=guess, seed=5, evaluation=evaluation, **ODD))
    assert found.trainer == TrainerConfig(
        optimizer="adamw", learning_rate=1e-4, schedule="constant", warmup_steps=0, weight_decay=0.0, batch_size=16,
        epochs=1.0, max_steps=None, gradient_clip=1.0, precision="auto", compile=False, threads=3, progress=False,
    )  # fmt: skip
    assert found.prompt == PromptConfig("plain", 1024, 128, end_of_source=True)
    assert found.model == ModelConfig("majority", source="baseline", tries=1)
    assert found.evaluation == EvaluationConfig(
        ["original"], "greedy", ["own.py"], "native", cut_wrong_answers=False, save_prompts=False
    )
    assert found.instruction == InstructionConfig("original", "original", 3, 0, False, 0.2, 0.5)
    assert found.seed == 0


def test_only_baselines_that_draw_have_a_seed() -> None:
    def seed(name: str) -> int:
        return effective(make_config(OUT, model=ModelConfig(name, source="baseline"), seed=5)).seed

    names = ("uniform_guess", "majority", "label_prior", "copy_demonstration")
    assert [seed(name) for name in names] == [0, 0, 5, 5]
    guess = effective(make_config(OUT, model=ModelConfig("uniform_guess", source="baseline", tries=9)))
    assert guess.model.tries == 9


def test_a_baseline_that_reads_no_instruction_is_tested_once() -> None:
    evaluation = EvaluationConfig(["original", "delusive"])
    names = {"majority": ["original"], "copy_demonstration": ["original", "delusive"]}
    for name, blocks in names.items():
        config = make_config(OUT, model=ModelConfig(name, source="baseline"), evaluation=evaluation)
        assert effective(config).evaluation.instructions == blocks


def test_untuned_is_what_no_instance_or_no_task_trains() -> None:
    budgets = {(0, None): True, (8, 0): True, (1, 1): False, (8, None): False}
    for (instances, tasks), untuned in budgets.items():
        assert is_untuned(make_config(OUT, data_budget=BudgetConfig(instances, tasks))) is untuned
    assert is_untuned(make_config(OUT, model=ModelConfig("majority", source="baseline")))


def test_blocks_count_in_the_order_of_their_labels() -> None:
    one = make_config(OUT, evaluation=EvaluationConfig(["simplified", "delusive"]))
    other = make_config(OUT, evaluation=EvaluationConfig(["delusive", "simplified"]))
    assert canonical_blocks(one) == canonical_blocks(other)
    assert [(block["definition"], block["examples"]) for block in canonical_blocks(one)] == [
        ("original", "delusive"),
        ("simplified", "original"),
    ]


def test_an_untuned_model_keeps_its_seed_where_examples_are_drawn() -> None:
    def seed(*shown: str, **changes: object) -> int:
        tested = EvaluationConfig(list(shown))
        return effective(
            make_config(OUT, data_budget=BudgetConfig(0), evaluation=tested, seed=7, **changes)
        ).seed

    assert seed("original", "random_labels") == 7
    assert seed("original", "delusive", "simplified") == 0
    assert seed("random_labels", instruction=InstructionConfig(num_positive=0)) == 0


def test_each_template_is_a_configuration_of_its_own(tmp_path: Path) -> None:
    config = make_config(tmp_path, prompt=PromptConfig("plain+set_12/bars", training_template="drawn"))
    found = under_templates(config)
    assert [name for name, _ in found] == ["plain", "set_12/bars"]
    assert [one.prompt for _, one in found] == [PromptConfig("plain"), PromptConfig("set_12/bars")]
    assert under_templates(make_config(tmp_path)) == (("", make_config(tmp_path)),)
    assert effective(config).prompt.training_template == "drawn"
    assert effective(replace(config, data_budget=BudgetConfig(0))).prompt.training_template == "first"


def test_two_tests_at_nearly_one_rate_are_two_and_each_at_its_own() -> None:
    """Before: labels had six digits, the second test was dropped, and "same" was tested at the rounded rate."""
    rates = (0.12345671, 0.12345672)
    tests = EvaluationConfig(instructions=["same", *(f"deleted({rate})" for rate in rates)])
    config = make_config(OUT, instruction=InstructionConfig("deleted", rate=rates[0]), evaluation=tests)
    shown = [one.rate for _, one in shown_at_test(effective(config))]
    assert shown == list(rates)
    tiny = make_config(OUT, instruction=InstructionConfig("deleted", rate=1e-5))
    assert [one.rate for _, one in shown_at_test(effective(tiny))] == [1e-5]
