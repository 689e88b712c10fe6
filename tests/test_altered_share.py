"""A share of the training examples altered (`data.altered_share`): which ones, what counts, and what is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.stages import Words
from instruct_ablate.cell.run.training import prompts_in_training
from instruct_ablate.cell.state.canonical import effective
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.setting.counterpart import Among, closest, counterparts
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.data.settings import check_data
from instruct_ablate.errors import UserError
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import BudgetConfig, Config, DataConfig, InstructionConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from tests.standins import make_config

TASKS = TasksConfig("starter", test_tasks=2, test_instances=2)
DELETED = InstructionConfig(definition="deleted", rate=0.5)


def given(folder: Path, share: float, instruction: InstructionConfig = DELETED, **more: object) -> Config:
    data = DataConfig(altered_share=share)
    parts = {
        "tasks": TASKS,
        "instruction": instruction,
        "data": data,
        "data_budget": BudgetConfig(4, tasks=5),
    }
    return make_config(folder, **{**parts, **more})


def shown(config: Config) -> tuple[Prompt, ...]:
    collection = read_tasks(config.tasks, Path(config.cache))
    return prompts_in_training(effective(config), collection, Words())[0]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("encodings", ["one", "tk_instruct"])
def test_so_many_are_altered_and_the_others_are_the_originals(
    share: float, encodings: str, tmp_path: Path
) -> None:
    def of(share: float, instruction: InstructionConfig) -> tuple[Prompt, ...]:
        return shown(
            given(tmp_path, share, instruction, data=DataConfig(altered_share=share, encodings=encodings))
        )

    altered, plain, mixed = of(1.0, DELETED), of(1.0, InstructionConfig()), of(share, DELETED)
    assert len(mixed) == len(altered) == 20
    under = [one == other for one, other in zip(mixed, altered, strict=True)]
    assert sum(under) == max(1, round(share * 20))
    assert all(
        one == other for one, other, is_altered in zip(mixed, plain, under, strict=True) if not is_altered
    )
    assert not [1 for one, other in zip(altered, plain, strict=True) if one == other], (
        "each can be told apart"
    )
    assert [one.target for one in mixed] == [one.target for one in altered]


def places(
    folder: Path, share: float, seed: int, instruction: InstructionConfig = DELETED, **more: object
) -> set[tuple[str, str]]:
    mixed, altered = (shown(given(folder, one, instruction, seed=seed, **more)) for one in (share, 1.0))
    pairs = zip(mixed, altered, strict=True)
    return {(one.task, one.instance_id) for one, other in pairs if one == other}


def test_smaller_shares_are_within_larger_ones_and_the_seed_chooses(tmp_path: Path) -> None:
    quarter, half = places(tmp_path, 0.25, 0), places(tmp_path, 0.5, 0)
    assert quarter < half
    assert places(tmp_path, 0.5, 0, InstructionConfig(definition="shuffled")) == half, "whatever the variant"
    assert len({task for task, _ in half}) > 2
    every = BudgetConfig(1000)  # of which the seed draws all
    first, second = (places(tmp_path, 0.5, seed, data_budget=every) for seed in (0, 1))
    assert len(first) == len(second) > 100
    assert first != second


def test_repeated_examples_are_shown_alike(tmp_path: Path) -> None:
    config = given(tmp_path, 0.5, data_budget=BudgetConfig(4, tasks=5, repeat=2))
    mixed = shown(config)
    assert len(mixed) == 20
    assert len({(one.task, one.instance_id) for one in mixed}) == len(
        {(o.task, o.instance_id, o.source) for o in mixed}
    )
    whole = shown(replace(config, data=DataConfig()))
    assert sum(one == other for one, other in zip(mixed, whole, strict=True)) == 10


@pytest.mark.parametrize(
    ("share", "repeat", "said"), [(0.25, 1, "5 of 20"), (0.25, 2, "4 of 20"), (0.01, 1, "1 of 20")]
)
def test_how_many_are_altered_is_noted(share: float, repeat: int, said: str, tmp_path: Path) -> None:
    """Of few examples the share is not to be had; what was trained on is said, and is what the prompts show."""
    config = given(tmp_path, share, data_budget=BudgetConfig(4, tasks=5, repeat=repeat))
    collection = read_tasks(config.tasks, Path(config.cache))
    prompts, notes = prompts_in_training(effective(config), collection, Words())
    whole = shown(replace(config, data=DataConfig()))
    count = sum(one == other for one, other in zip(prompts, whole, strict=True))
    assert said == f"{count} of {len(prompts)}"
    assert f"training: {said} examples are shown under the variant (data.altered_share={share:g})." in notes
    _, plain = prompts_in_training(replace(config, data=DataConfig()), collection, Words())
    assert not [note for note in plain if "under the variant" in note]


def test_what_counts(tmp_path: Path) -> None:
    def hashed(share: float, instruction: InstructionConfig = DELETED, budget: int = 4) -> str:
        return identify(given(tmp_path, share, instruction, data_budget=BudgetConfig(budget))).hash

    assert len({hashed(1.0), hashed(0.5), hashed(0.25)}) == 3
    assert hashed(0.5, InstructionConfig()) == hashed(1.0, InstructionConfig())
    assert hashed(0.5, InstructionConfig(definition="simplified")) != hashed(
        1.0, InstructionConfig("simplified")
    )
    no_examples = InstructionConfig(examples="delusive", num_positive=0)
    assert hashed(0.5, no_examples) == hashed(1.0, no_examples), "examples that are not shown are not altered"
    assert hashed(0.5, DELETED, 0) == hashed(1.0, DELETED, 0)
    plain = identify(given(tmp_path, 1.0)).counted
    assert "data.altered_share" not in plain
    assert identify(given(tmp_path, 0.5)).counted == {**plain, "data.altered_share": 0.5}
    assert identify(given(tmp_path, 0.5)).setting.get("data.altered_share") == 0.5
    assert identify(given(tmp_path, 1.0)).setting.get("data.altered_share") == 1.0


def counterpart(one: Setting, among: Among, **changed: Any) -> Setting | None:
    return closest(one, counterparts(one, among, **changed))


def test_each_share_is_compared_with_the_reference(tmp_path: Path) -> None:
    def setting(share: float, instruction: InstructionConfig) -> Setting:
        return identify(given(tmp_path, share, instruction)).setting

    reference, half, whole = setting(1.0, InstructionConfig()), setting(0.5, DELETED), setting(1.0, DELETED)
    shuffled = [setting(share, InstructionConfig(definition="shuffled")) for share in (0.5, 1.0)]
    among = Among([reference, half, whole, *shuffled])
    assert counterpart(half, among, instruction="original") == reference
    assert counterpart(whole, among, instruction="original") == reference
    assert counterpart(half, among, **{"data.altered_share": 1.0}) == whole
    assert counterpart(reference, among, instruction="deleted(0.5)") == whole
    assert [counterpart(one, among, instruction="shuffled") for one in (half, whole)] == shuffled


def test_another_variant_altered_in_another_share_is_no_counterpart(tmp_path: Path) -> None:
    """Where a grid is half done, half of one noise is not held against all of another."""

    def setting(share: float, *given_as: str, budget: int = 4) -> Setting:
        instruction = InstructionConfig(*given_as, rate=0.5)
        return identify(given(tmp_path, share, instruction, data_budget=BudgetConfig(budget))).setting

    half, plain, whole = setting(0.5, "deleted"), setting(1.0), setting(1.0, "shuffled")
    among = Among([half, plain, whole, setting(1.0, budget=0)])
    assert counterpart(half, among, instruction="shuffled") is None
    assert counterpart(whole, among, instruction="deleted(0.5)") is None
    assert counterpart(half, among, instruction="original") == plain
    assert counterpart(plain, among, instruction="deleted(0.5)") == half
    untuned = counterpart(half, among, data_budget=0)
    assert untuned is not None
    assert untuned.untuned


@pytest.mark.parametrize("shares", [(0.5,), (0.25, 0.5), (0.25, 1.0)])
def test_the_share_is_said_wherever_a_study_shows_its_cells(
    shares: tuple[float, ...], tmp_path: Path
) -> None:
    plain = identify(given(tmp_path, 1.0, InstructionConfig())).setting
    altered = [identify(given(tmp_path, share, InstructionConfig("simplified"))).setting for share in shares]
    legend = Legend([plain, *altered])
    if len(shares) == 1:
        assert ("data.altered_share", "0.5") in legend.shared
    else:
        assert "data.altered_share" in legend.keys
        texts = [legend.text(one, "data.altered_share") for one in (plain, *altered)]
        assert texts == ["-", *map(str, shares)]


def test_shares_that_cannot_be_are_refused() -> None:
    check_data(DataConfig(altered_share=0.5))
    for share in (0, -0.1, 1.1):
        with pytest.raises(UserError, match="altered_share"):
            check_data(DataConfig(altered_share=share))
    with pytest.raises(UserError, match=r"data.altered_share=0.5 shows two of them: choose one"):
        check_data(DataConfig(grouping="task", altered_share=0.5))


def test_cells_of_two_shares_train_on_other_prompts(tmp_path: Path) -> None:
    losses = set()
    for share in (0.25, 1.0):
        record = run_cell(given(tmp_path, share))
        assert record.state == "done", record.failure
        curve = (tmp_path / "ablation" / record.name / "training.jsonl").read_text()
        losses.add(curve.splitlines()[0].split('"loss"')[1].split(",")[0])
    assert len(losses) == 2
