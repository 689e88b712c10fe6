from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.checking import preflight
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    DataConfig,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    ReportConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks.task import Example, Instance, Task, TaskCollection
from tests.conftest import make_task
from tests.standins import make_config

ONE = Example("A lovely evening.", "positive")
POOR = make_task(
    "task2_poor",
    negative_examples=(),
    positive_examples=(ONE, ONE),
    label_space=None,
    instances=make_task().instances[:1],
)


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    collection = TaskCollection("mine", (make_task(),), (make_task(), POOR), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: collection)


def test_a_sound_grid_has_no_faults(tmp_path: Path) -> None:
    assert faults([make_config(tmp_path), make_config(tmp_path, seed=1)]) == []


def test_all_faults_of_all_cells_are_told_at_once_and_each_once(tmp_path: Path) -> None:
    lost = ModelConfig("mine", path="./no/such/folder")
    configs = [
        make_config(tmp_path, instruction=InstructionConfig(examples="delusive")),
        make_config(tmp_path, model=lost),
        make_config(tmp_path, model=lost, seed=3),
        make_config(tmp_path, data_budget=BudgetConfig(-1)),
        make_config(tmp_path, trainer=TrainerConfig(optimizer="adamm")),
    ]
    found = faults(configs)
    assert len(found) == 4
    for part in ("task2_poor", "no/such/folder", "instances_per_task=-1", "adamw"):
        assert sum(part in fault for fault in found) == 1, found


def test_a_baseline_needs_no_model_and_no_processes(tmp_path: Path) -> None:
    guess = ModelConfig("uniform_guess", source="baseline")
    assert faults([make_config(tmp_path, model=guess, trainer=TrainerConfig(devices=2))]) == []


def test_metrics_that_read_the_model_are_refused_where_the_engine_gives_answers_alone(tmp_path: Path) -> None:
    asked = EvaluationConfig(metrics=["reference_log_likelihood"], engine="vllm")
    (fault,) = [
        one
        for one in faults([make_config(tmp_path, evaluation=asked)])
        if one.startswith("evaluation.metrics")
    ]
    assert "evaluation.engine=vllm does not give. Use evaluation.engine=native." in fault
    assert "\n" not in fault
    guess = ModelConfig("uniform_guess", source="baseline")
    told = faults([make_config(tmp_path, model=guess, evaluation=asked)])
    assert not any("reads the model" in one for one in told)


def test_several_faults_of_one_check_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def many() -> None:
        raise UserErrors(["one", "two"])

    def single() -> None:
        raise UserError("three")

    monkeypatch.setattr(preflight, "cell_checks", lambda config, ranks: [(many, ()), (single, ())])
    assert faults([make_config(tmp_path)]) == ["one", "two", "three"]


@pytest.mark.parametrize("decoding", ["greedy", "constrained", "rank"])
def test_labels_longer_than_any_answer_are_refused_for_every_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoding: str
) -> None:
    sound = TaskCollection("mine", (make_task(),), (make_task(),), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: sound)

    def of(limit: int) -> list[str]:
        prompt, evaluation = (
            PromptConfig("tk_instruct", max_target_length=limit),
            EvaluationConfig(decoding=decoding),
        )
        cell = make_config(tmp_path, prompt=prompt, evaluation=evaluation, cache=str(tmp_path / "cache"))
        return faults([cell])

    assert of(64) == []
    (found,) = of(2)
    assert "labels, such as 'positive', are longer than prompt.max_target_length=2 tokens" in found


def calls(config: Config, ranks_later: bool = False) -> dict[str, tuple[Any, ...]]:
    """The checks of a cell that read something, by name, with what they look at."""
    return {function.__name__: given for function, given in preflight.cell_checks(config, ranks_later)}


def test_what_is_checked_of_each_kind_of_cell(tmp_path: Path) -> None:
    always = {"check_folder", "check_variants", "check_effects", "check_constraints"}
    always |= {"tell_few_examples", "tell_few_tasks"}
    models = {
        "check_own_prompts",
        "check_model_fits",
        "check_precision",
        "check_choices",
        "check_tokenizer",
        "check_processes",
    }
    trained = calls(make_config(tmp_path))
    untuned = calls(make_config(tmp_path, data_budget=BudgetConfig(0)))
    baseline = calls(make_config(tmp_path, model=ModelConfig("majority", source="baseline")))
    assert set(baseline) == always
    assert set(untuned) == always | models
    assert set(trained) >= always | models | {"check_adapted"}
    assert set(trained) - set(calls(make_config(tmp_path), ranks_later=True)) == {"check_processes"}
    assert trained["check_variants"][1] == InstructionConfig()
    assert untuned["check_variants"][1] is baseline["check_variants"][1] is None
    assert trained["check_folder"] == ("output", str(tmp_path))


def test_stages_of_values_end_at_the_first_that_has_faults(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    there = str(tmp_path / "file" / "x")
    one = preflight.Preflight()
    assert one.of_values(make_config(tmp_path)) == []
    (fault,) = one.of_values(make_config(tmp_path, study="a/b", trainer=TrainerConfig(devices=0)))
    assert fault.startswith("study='a/b' must be the name")
    (fault,) = one.of_values(make_config(tmp_path, trainer=TrainerConfig(devices=0), cache=there))
    assert fault == "trainer.devices=0 must be at least 1"
    (fault,) = one.of_values(make_config(tmp_path, cache=there))
    assert fault.startswith(f"cannot write {there}")
    assert fault.endswith("choose another cache=PATH")


def test_a_check_is_made_once_for_the_same_arguments() -> None:
    made: list[int] = []

    def check(number: int) -> list[str]:
        made.append(number)
        return ["odd"] if number % 2 else []

    one = preflight.Preflight()
    assert one.told([(check, (1,)), (check, (2,)), (check, (1,))]) == ["odd"]
    assert one.told([(check, (1,))]) == ["odd"]
    assert one.told([(check, (3,)), (check, (2,))]) == ["odd"]
    assert made == [1, 2, 3]


def test_only_half_precision_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    kinds = iter(("encoder-decoder", "decoder-only"))
    monkeypatch.setattr("instruct_ablate.model.loading.location.check_checkpoint", lambda model: next(kinds))
    monkeypatch.setattr(
        "instruct_ablate.model.loading.precision.resolve_precision", lambda *given: asked.append(given)
    )
    for precision in ("auto", "bf16", "fp32"):
        preflight.check_precision(TrainerConfig(precision=precision), ModelConfig("m"))
    assert asked == []
    for _ in range(2):
        preflight.check_precision(TrainerConfig(precision="fp16", accelerator="cpu"), ModelConfig("m"))
    assert asked == [("fp16", "cpu", True), ("fp16", "cpu", False)]


def test_only_named_layers_of_lora_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        "instruct_ablate.model.training.lora.check_layers", lambda *given: asked.append(given)
    )
    model, named = ModelConfig("m"), MethodConfig("lora", target_modules=["q"])
    for method in (MethodConfig("lora"), MethodConfig("full", target_modules=["q"]), named):
        preflight.check_adapted(model, method, tmp_path)
    assert asked == [(model, named, tmp_path)]


def rows_of(monkeypatch: pytest.MonkeyPatch, *tasks: Task) -> None:
    collection = TaskCollection("mine", (), tasks, "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: collection)


@pytest.mark.parametrize(("decoding", "count"), [("greedy", 0), ("constrained", 1), ("rank", 1)])
def test_labels_that_are_one_once_normalised_cannot_be_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoding: str, count: int
) -> None:
    rows_of(monkeypatch, make_task(label_space=("Yes", "yes.")), make_task("task2_sound"))
    found = preflight.check_choices(
        TasksConfig("starter"), tmp_path, EvaluationConfig(decoding=decoding), PromptConfig("plain")
    )
    assert len(found) == count
    assert all("task1_sentiment" in fault for fault in found)


@pytest.mark.parametrize(
    ("decoding", "count"), [("greedy", 0), ("constrained", 0), ("rank", 1), ("rank_normalized", 1)]
)
def test_a_prompt_sets_rows_without_choices_cannot_be_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoding: str, count: int
) -> None:
    choices = tuple((one.id, ("a", "b")) for one in make_task("p3_free").instances)
    free = make_task("p3_free", label_space=None, prompted=True, answer_choices=choices[:2])
    whole = make_task("p3_free", label_space=None, prompted=True, answer_choices=choices)
    rows_of(monkeypatch, free, whole)
    found = preflight.check_choices(
        TasksConfig("p3"), tmp_path, EvaluationConfig(decoding=decoding), PromptConfig("plain")
    )
    assert len(found) == count
    for fault in found:
        assert fault.startswith(
            f"p3_free: evaluation.decoding={decoding}: 4 of 6 rows have no answer_choices"
        )


def test_only_a_trained_cell_needs_training_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_of(monkeypatch, make_task())
    assert faults([make_config(tmp_path, data_budget=BudgetConfig(0))]) == []
    assert len(faults([make_config(tmp_path)])) == 1


def test_processes_are_counted_where_they_are_not_started_later(tmp_path: Path) -> None:
    several = make_config(tmp_path, trainer=TrainerConfig(devices=2))
    (fault,) = faults([several])
    assert "torchrun" in fault
    assert faults([several], ranks_later=True) == []


def test_several_templates_of_tasks_that_bring_their_own_prompts_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = TaskCollection("p3", (make_task(),), (make_task(prompted=True),), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: own)
    set_12 = PromptConfig("set_12")
    (fault,) = preflight.Preflight().told(
        [(preflight.check_own_prompts, (TasksConfig("p3"), tmp_path, set_12))]
    )
    assert "bring their own prompts, which no template changes" in fault
    preflight.check_own_prompts(TasksConfig("p3"), tmp_path, PromptConfig("plain"))


def test_a_grid_over_a_set_has_no_faults_and_a_lost_one_is_told(tmp_path: Path) -> None:
    assert faults([make_config(tmp_path, prompt=PromptConfig("set_12", training_template="drawn"))]) == []
    (fault,) = faults([make_config(tmp_path, prompt=PromptConfig("set_21"))])
    assert "did you mean 'set_12'" in fault


def test_a_start_says_where_tasks_drawn_together_share_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grouped = DataConfig(grouping="task")
    cells = [
        make_config(tmp_path, data=grouped, seed=seed, model=ModelConfig("tiny_t5", source="random"))
        for seed in (0, 1)
    ]
    assert faults(cells) == []
    assert sum(line.startswith("data.grouping=task: an encoder") for line in caplog.messages) == 1


def test_answers_that_constraints_check_need_their_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Task("asked", "Do it.", (Instance("1", "Please.", ('{"constraint": "title"}',)),))
    collection = TaskCollection("mine", (make_task(),), (asked,), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: collection)
    config = make_config(tmp_path, model=ModelConfig("copy_input", source="baseline"))
    (fault,) = faults([config])
    assert fault.startswith("asked: its answers are checked by constraints, and none of evaluation.metrics")
    scored = replace(config.evaluation, metrics=["prompt_level_loose"])
    assert faults([replace(config, evaluation=scored)]) == []


ASKED = (
    "check_folder", "check_variants", "check_effects", "check_constraints", "check_own_prompts", "check_model_fits",
    "check_choices", "check_weighted", "check_sharing", "check_budget", "check_defined", "check_drawn",
    "check_processes", "tell_few_examples", "tell_few_tasks", "tell_few_instances",
)  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_a_plan_refuses_what_the_start_refuses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UserError(f"{name} says no")

    monkeypatch.setattr(preflight, name, refuse)
    config = make_config(tmp_path)
    assert faults([config]) == preflight.planned_faults([config])[0] == [f"{name} says no"]


def test_a_plan_asks_every_check_that_loads_no_model(tmp_path: Path) -> None:
    """A check that is new is asked by both; what loads is one of few, and said."""
    loading = {one.__name__ for one in preflight.LOADING}
    assert loading == {"check_tokenizer", "check_adapted", "check_precision", "check_general_choices"}
    assert set(calls(make_config(tmp_path))) - loading == set(ASKED)
    assert preflight.planned_faults([make_config(tmp_path)]) == ([], [])
    loaded = make_config(
        tmp_path,
        prompt=PromptConfig("chat"),
        method=MethodConfig("lora", target="attention"),
        trainer=TrainerConfig(precision="fp16"),
        evaluation=EvaluationConfig(general={"reader": "everyday"}),
    )
    assert len(preflight.planned_faults([loaded])[1]) == len(loading)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"model": ModelConfig("tiny_t5", source="random"), "trainer": TrainerConfig(prompt_loss_weight=0.1)},
         "an encoder-decoder reads its prompt"),
        ({"instruction": InstructionConfig(examples="delusive")}, "task2_poor"),
        ({"prompt": PromptConfig("plain", max_source_length=5000)}, "the model reads at most 4096"),
        ({"trainer": TrainerConfig(devices=2)}, "torchrun"),
        ({"output": "FILE"}, "a file stands where a folder is needed"),
    ],
)  # fmt: skip
def test_faults_of_a_cell_are_the_same_in_a_plan(given: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = {"output": str(tmp_path / "file" / "x")} if "output" in given else {}
    config = make_config(tmp_path, **{**given, **place})
    found, left = preflight.planned_faults([config])
    assert found == faults([config])
    assert any(told in fault for fault in found)
    assert left == []


def test_a_plan_makes_no_folder(tmp_path: Path) -> None:
    there = tmp_path / "made"
    there.mkdir()
    for place in (tmp_path / "a" / "b", there, there / "c"):
        assert preflight.planned_faults([make_config(tmp_path, output=str(place))]) == ([], [])
    assert {path.name for path in tmp_path.iterdir()} <= {"made", "cache"}
    assert list(there.iterdir()) == []


def test_of_a_large_grid_the_first_seed_of_each_setting_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(preflight, "check_variants", lambda config, *_: asked.append(config.seed))
    one = make_config(tmp_path)
    cells = [replace(one, seed=seed) for seed in range(preflight.MOST_DRAWN + 1)]
    assert preflight.planned_faults(cells[:-1]) == ([], [])
    assert len(asked) == preflight.MOST_DRAWN
    asked.clear()
    found, left = preflight.planned_faults(cells)
    assert (found, asked) == ([], [0])
    assert left == ["what is drawn for other seeds than the first of each setting"]


def test_prompts_that_are_cut_are_left_to_the_start(tmp_path: Path) -> None:
    config = make_config(
        tmp_path,
        instruction=InstructionConfig(definition="empty"),
        prompt=PromptConfig("plain", max_source_length=8),
    )
    found, left = preflight.planned_faults([config])
    assert (found, left) == ([], [preflight.EFFECTS])


def test_metrics_that_no_table_would_show_are_refused_once(tmp_path: Path) -> None:
    asked = replace(EvaluationConfig(), metrics=["consistency", "lenient_match"])
    config = make_config(tmp_path, evaluation=asked)
    (fault,) = faults([config])
    assert fault.startswith("evaluation.metrics: consistency would be in no table")
    assert faults([replace(config, report=ReportConfig(columns=["exact_match", "consistency"]))]) == []
    unknown = replace(asked, metrics=["consistencies"])
    assert len(faults([replace(config, evaluation=unknown)])) == 1
