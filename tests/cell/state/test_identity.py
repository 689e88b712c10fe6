from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state import identity as module
from instruct_ablate.cell.state.identity import Data, identify
from instruct_ablate.errors import UserError
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.schema import (
    BudgetConfig,
    EvaluationConfig,
    InstructionConfig,
    LoggerConfig,
    ModelConfig,
    PromptConfig,
    TrainerConfig,
)
from tests.standins import make_config, replace_inputs

OUT = Path("out")


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def same(**changes: Any) -> bool:
    return identify(make_config(OUT)).hash == identify(make_config(OUT, **changes)).hash


@pytest.mark.parametrize(
    "changes",
    [
        {
            "trainer": TrainerConfig(
                devices=2, micro_batch_tokens=7, threads=3, progress=False, strategy="ddp"
            )
        },
        {"logger": LoggerConfig("wandb", project="x")},
        {"study": "other", "output": "elsewhere", "cache": "c", "retry": "none", "fail_fast": True},
        {"hypotheses": ["a claim"], "cell_timeout": 3.0, "keep_checkpoints": True, "detach": True},
        {"instruction": InstructionConfig(rate=0.9, correct=0.1)},
        {"evaluation": EvaluationConfig(["original"])},
        {"evaluation": EvaluationConfig(["same", "original"], batch_tokens=16384, save_prompts=False)},
    ],
)
def test_what_cannot_change_the_result_does_not_count(changes: dict[str, Any]) -> None:
    assert same(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"evaluation": EvaluationConfig(batch_tokens=5)},
        {"data_budget": BudgetConfig(4)},
        {"data_budget": BudgetConfig(8, tasks=3)},
        {"instruction": InstructionConfig("simplified")},
        {"instruction": InstructionConfig(num_positive=1)},
        {"evaluation": EvaluationConfig(["same", "delusive"])},
        {"evaluation": EvaluationConfig(decoding="constrained")},
        {"trainer": TrainerConfig(learning_rate=3e-4)},
        {"trainer": TrainerConfig(precision="fp32")},
        {"model": ModelConfig("tiny_t5", source="random")},
    ],
)
def test_what_changes_the_result_counts(changes: dict[str, Any]) -> None:
    assert not same(**changes)


def test_channel_prompts_of_another_version_are_other_cells_and_no_others_are() -> None:
    given = [
        identify(make_config(OUT, evaluation=EvaluationConfig(["same"], decoding=name), **changes))
        for changes in ({}, {"data_budget": BudgetConfig(0, tasks=None)})
        for name in ("greedy", "rank", "channel")
    ]
    assert [one.counted.get("channel") for one in given] == [None, None, 2] * 2
    guess = make_config(
        OUT,
        model=ModelConfig("majority", source="baseline"),
        evaluation=EvaluationConfig(["same"], decoding="channel"),
    )
    assert "channel" not in identify(guess).counted


def test_weights_chosen_by_another_version_are_other_cells_and_no_others_are() -> None:
    last = identify(make_config(OUT))
    best = identify(make_config(OUT, trainer=TrainerConfig(select="best:rougeL")))
    assert "choosing" not in last.counted
    assert best.counted["choosing"] == 2


def test_a_parameter_counts_where_the_variant_reads_it() -> None:
    deleted = InstructionConfig("deleted")
    assert identify(make_config(OUT, instruction=deleted)) != identify(
        make_config(OUT, instruction=replace(deleted, rate=0.5))
    )


def test_a_variant_that_was_mended_is_another_cell_and_another_setting() -> None:
    plain = identify(make_config(OUT))
    assert "instruction.versions" not in plain.counted
    tested = identify(make_config(OUT, evaluation=EvaluationConfig(["same", "delusive"])))
    trained = identify(make_config(OUT, instruction=InstructionConfig(examples="delusive")))
    assert tested.counted["instruction.versions"] == trained.counted["instruction.versions"] == ["delusive 2"]
    assert trained.setting.get("instruction.versions") == ("delusive 2",)
    mended = identify(make_config(OUT, instruction=InstructionConfig(examples="delusive_mended")))
    assert "instruction.versions" not in mended.counted


def test_the_order_of_test_instructions_does_not_count() -> None:
    one, two = (EvaluationConfig(names) for names in (["original", "delusive"], ["delusive", "original"]))
    assert identify(make_config(OUT, evaluation=one)).hash == identify(make_config(OUT, evaluation=two)).hash


def test_the_data_and_the_weights_count_by_content(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify(make_config(OUT)).hash
    monkeypatch.setattr(module, "_data", lambda config: Data("other data"))
    assert identify(make_config(OUT)).hash != before


def test_the_same_weights_under_another_name_are_the_same_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "weights_fingerprint", lambda config: "weights")
    elsewhere = ModelConfig("copy", path="some/folder")
    assert identify(make_config(OUT)).hash == identify(make_config(OUT, model=elsewhere)).hash


def test_the_untuned_model_is_one_cell_over_a_whole_grid() -> None:
    configs = [
        make_config(OUT, instruction=shown, data_budget=BudgetConfig(budget), seed=seed)
        for shown in (
            InstructionConfig("simplified"),
            InstructionConfig(examples="delusive"),
            InstructionConfig(),
        )
        for budget in (0, 8)
        for seed in (0, 1)
    ]
    assert len({identify(config).hash for config in configs}) == 1 + 3 * 2


def test_names_can_be_read() -> None:
    trained = identify(make_config(OUT, instruction=InstructionConfig("simplified")))
    assert trained.name == f"tiny_llama-simplified-8-s0-{trained.hash[:8]}"
    untuned = identify(make_config(OUT, data_budget=BudgetConfig(0), seed=5))
    assert untuned.name == f"tiny_llama-untuned-{untuned.hash[:8]}"
    odd = identify(make_config(OUT, model=ModelConfig("some folder/with: odd*signs")))
    assert odd.name.startswith("with_odd_signs-original-8-s0-")


def test_the_setting_says_where_the_cell_stands() -> None:
    identity = identify(make_config(OUT, instruction=InstructionConfig("empty", "delusive"), seed=2))
    setting = identity.setting
    assert (setting.instruction, setting.budget, identity.seed) == ("empty+delusive", 8, 2)
    assert not setting.untuned


def test_users_own_code_counts_by_content(tmp_path: Path) -> None:
    file = tmp_path / "my_own_variants.py"
    file.write_text("A = 1")
    one = identify(make_config(OUT, extensions=[str(file)])).hash
    file.write_text("A = 2")
    assert identify(make_config(OUT, extensions=[str(file)])).hash != one
    with pytest.raises(UserError, match="extensions: "):
        identify(make_config(OUT, extensions=[str(tmp_path / "none.py")]))


def test_a_set_of_templates_counts_by_its_texts(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("- {name: a, input: 'In {input}', output: 'Out {output}'}")
    given = PromptConfig(str(tmp_path / "mine.yaml"))
    before = identify(make_config(Path(), prompt=given))
    assert before.setting.get("prompt") == before.counted["prompt.template"] == "mine"
    (tmp_path / "mine.yaml").rename(tmp_path / "moved.yaml")
    (tmp_path / "further").mkdir()
    (tmp_path / "moved.yaml").rename(tmp_path / "further" / "mine.yaml")
    moved = replace(given, template=str(tmp_path / "further" / "mine.yaml"))
    assert identify(make_config(Path(), prompt=moved)).hash == before.hash
    (tmp_path / "further" / "mine.yaml").write_text("- {name: a, input: 'In {input}', output: 'So {output}'}")
    other = identify(make_config(Path(), prompt=moved))
    assert other.hash != before.hash
    assert other.setting.revision("prompt") != before.setting.revision("prompt") != ""


def test_templates_without_texts_of_their_own_count_by_name() -> None:
    both = identify(make_config(Path(), prompt=PromptConfig("plain+alpaca")))
    assert "templates" not in both.counted
    assert both.setting.revision("prompt") == ""
    drawn = PromptConfig("plain+alpaca", training_template="drawn")
    assert not same(prompt=drawn)
    assert identify(make_config(Path(), prompt=drawn)).hash != both.hash


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data_budget": BudgetConfig(0)},
        {"data_budget": BudgetConfig(0), "instruction": InstructionConfig(examples="random_labels")},
        {"data_budget": BudgetConfig(0), "reference": "random_labels"},
        {"model": ModelConfig("label_prior", source="baseline")},
        {"model": ModelConfig("uniform_guess", source="baseline")},
    ],
)
def test_cells_that_differ_by_their_seed_have_the_identities_that_they_have_alone(
    changes: dict[str, Any],
) -> None:
    shared, config = module.Contents(), replace(make_config(OUT), **changes)
    for seed in (3, 0, 1, 3):
        one = replace(config, seed=seed)
        assert identify(one, shared) == identify(one)


def test_a_total_leaves_the_instances_of_a_task_no_meaning() -> None:
    base = ["model=tiny_llama", "data_budget.total=16"]
    one, other = (identify(compose_config([*base, f"data_budget={n}"])) for n in (1, 4))
    assert one.hash == other.hash
    assert "-total_16-" in one.name
    assert one.hash != identify(compose_config([*base[:1], "data_budget=4"])).hash


def test_axes_of_the_budget_count_for_what_is_trained_alone() -> None:
    base = compose_config(["model=tiny_llama", "data_budget=4"])
    untuned = replace(base.data_budget, instances_per_task=0)
    plain, nothing = identify(base), identify(replace(base, data_budget=untuned))
    for key, value in {"categories": 2, "total": 16, "repeat": 2}.items():
        name = f"data_budget.{key}"
        trained = identify(replace(base, data_budget=replace(base.data_budget, **{key: value})))
        assert trained.hash != plain.hash
        assert trained.setting.text(name) == str(value)
        assert name in plain.setting
        assert name not in nothing.setting
        assert identify(replace(base, data_budget=replace(untuned, **{key: value}))).hash == nothing.hash
