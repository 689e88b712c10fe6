"""The ready grids: each composes, says its command, expands as meant, and makes claims that can be judged."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from instruct_ablate.cell.state.identity import Contents, identify
from instruct_ablate.configuration.composition import register
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.configuration.typed_values import plain
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.grid.composing.expansion import Declared, expand
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.instruction.label import parse
from instruct_ablate.report.verdicts.at_looks import check_sides, planned_trials
from instruct_ablate.schema import BudgetConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.sampling.budget import sample
from tests.standins import replace_inputs

FOLDER = config_directory() / "experiment"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
BASELINES = ("uniform_guess", "majority", "label_prior")


def composed(*overrides: str) -> DictConfig:
    register()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)


def cells(name: str, *arguments: str) -> list[tuple[str, ...]]:
    sweeper = composed(f"experiment={name}").hydra.sweeper
    params, grids = (OmegaConf.to_container(sweeper[key]) or {} for key in ("params", "grids"))
    return expand(Declared(params, grids or []), arguments, lambda model: model in BASELINES)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_composes_and_begins_with_its_command(name: str) -> None:
    config = plain(composed(f"experiment={name}"))
    assert config.study == name
    head = (FOLDER / f"{name}.yaml").read_text().splitlines()[:4]
    assert any(f"python train.py -m experiment={name}" in line for line in head)


@pytest.mark.parametrize("name", NAMES)
def test_labels_and_hypotheses_are_valid(name: str) -> None:
    config = plain(composed(f"experiment={name}"))
    assert config.hypotheses
    for label in config.evaluation.instructions:
        parse(label, config.instruction)
    for text in config.hypotheses:
        parse_hypothesis(text)


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_every_grid_names_choices_that_exist(name: str) -> None:
    made = cells(name)
    assert made
    for override in sorted({line for cell in made for line in cell}):
        plain(composed(f"experiment={name}", override))


def test_low_resource_keeps_its_baselines_whatever_the_model() -> None:
    made = cells("kung_peng_low_resource", "model=tiny_t5", "data_budget=0,2", "seed=0")
    flat = [" ".join(cell) for cell in made]
    assert [line for line in flat if "model=uniform_guess" in line]
    assert sum("model=tiny_t5" in line for line in flat) == 3 * 2


def test_llama_and_alpaca_are_a_union() -> None:
    made = [set(cell) for cell in cells("kung_peng_llama_alpaca")]
    assert len([cell for cell in made if any("method=" in line for line in cell)]) == 2 * 2 * 2 * 3
    assert sum("model=alpaca_7b" in cell for cell in made) == 1


def test_t0_is_tested_free_and_constrained_and_trained_on_p3() -> None:
    made = [set(cell) for cell in cells("kung_peng_t0")]
    assert len(made) == 2 * 2 + 2
    assert sum("tasks=p3" in cell for cell in made) == 2


def test_quickstart_has_both_sides_of_every_claim_beside_the_untuned_model() -> None:
    made = cells("quickstart")
    assert len(made) == 3 * 2 + 3
    first = [lines for lines in made if "seed=1" not in lines]
    configs = [plain(composed("experiment=quickstart", *lines)) for lines in [*first, ("data_budget='0'",)]]
    contents = Contents()
    identities = [identify(config, contents=contents) for config in configs]
    assert identities[-1].hash[:8] == "f5f04302"  # the untuned cell of the plain grid: done once for both
    trials = planned_trials(identities)
    places = [
        check_sides(parse_hypothesis(text), trials, "original", "test") for text in configs[0].hypotheses
    ]
    assert set(places) == {(1,)}


def narrowed(name: str) -> list[str]:
    """One seed, and one budget where no claim names any; of models that are alike here, one."""
    first = composed(f"experiment={name}")
    params = OmegaConf.to_container(first.hydra.sweeper.params) or {}
    keys = ["seed", *([] if any("data_budget" in text for text in first.hypotheses) else ["data_budget"])]
    lines = [
        f"{key}={str(params[key]).split(',')[0 if key == 'seed' else -1]}" for key in keys if key in params
    ]
    return [*lines, "model=smollm2_135m_base"] if name == "kung_peng_2026" else lines


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_has_both_its_sides_in_the_grid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the untuned models that a sweep adds; a claim without them is found out when all is done."""
    replace_inputs(monkeypatch)
    contents, found = Contents(), {}
    for lines in cells(name, *narrowed(name)):
        config = compose_config([f"experiment={name}", *lines])
        for one in (config, replace(config, data_budget=BudgetConfig(0))):
            identity = identify(one, contents=contents)
            found[identity.hash] = identity
    trials = planned_trials(list(found.values()))
    assert not trials.clashes
    for text in composed(f"experiment={name}").hypotheses:
        assert min(check_sides(parse_hypothesis(text), trials, "original", "test")) > 0


@pytest.mark.slow
def test_categories_are_more_or_fewer_at_one_number_of_tasks_and_examples(
    shared: Path, tmp_path: Path
) -> None:
    """On the real collection, most of whose categories have fewer than eight training tasks."""
    given = composed("experiment=domain_diversity", f"tasks.root={shared / 'natural-instructions'}")
    config = plain(given)
    config.tasks.test_tasks = 1
    train = read_tasks(config.tasks, tmp_path).train
    for number in map(int, given.hydra.sweeper.params["data_budget.categories"].split(",")):
        for seed in range(5):
            drawn = sample(train, replace(config.data_budget, categories=number), seed).tasks
            size = len({task.category for task in drawn}), len(drawn), sum(len(t.instances) for t in drawn)
            assert size == (number, config.data_budget.tasks, config.data_budget.total)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kung_peng_examples", ["model=tiny_t5", "data_budget=0,1"]),
        ("kung_peng_low_resource", ["model=tiny_t5", "data_budget=0,1", "tasks.test_subset=null"]),
    ],
)
def test_commands_run_in_small(name: str, words: list[str], tmp_path: Path) -> None:
    """As users run them; what all of them score is in test_papers_in_small.py."""
    small = ["tasks=starter", "tasks.test_tasks=2", "tasks.test_instances=2", "trainer.max_steps=1"]
    small += ["trainer.batch_size=2", "logger=none", f"output={tmp_path}/multirun", f"cache={tmp_path}/cache"]
    words = [*words, "seed=0"]
    run = subprocess.run(
        [sys.executable, "train.py", "-m", f"experiment={name}", *words, *small, "data_budget.tasks=2"],
        cwd=FOLDER.parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    records = list((tmp_path / "multirun" / name).glob("*/record.json"))
    assert records
    if name == "kung_peng_examples":
        assert all(len(list((path.parent / "predictions").glob("*.jsonl"))) == 2 for path in records)
    if name == "kung_peng_low_resource":
        assert sum(any(one in path.parent.name for one in BASELINES) for path in records) == 3
