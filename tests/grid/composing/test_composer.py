from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from instruct_ablate.configuration.composition import name_tasks, register
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.configuration.typed_values import plain
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.composing.composer import Composer, check_choices, compose_config
from instruct_ablate.schema import Config


class Loader:
    """Hydra's loader as far as a composer asks, through Hydra's public compose function."""

    def __init__(self) -> None:
        self.calls = 0
        self._own = GlobalHydra.instance().config_loader()
        self.compute_defaults_list, self.repository = self._own.compute_defaults_list, self._own.repository

    def load_sweep_config(self, master: object, overrides: list[str]) -> Any:
        self.calls += 1
        return compose("config", overrides=overrides, return_hydra_config=True)

    def get_group_options(self, group: str) -> list[str]:
        return sorted(path.stem for path in (config_directory() / group).glob("*.yaml"))


@pytest.fixture
def loader() -> Iterator[Loader]:
    register()
    with initialize_config_dir(str(config_directory()), version_base=None):
        yield Loader()


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("instruction=simplified", "data_budget='2'", "seed=3"),
        ("instruction=no_examples", "instruction.num_positive=1", "trainer.learning_rate=1e-3"),
        ("instruction.num_positive=1", "instruction=no_examples"),
        ("experiment=kung_peng_examples", "instruction=delusive", "data_budget='2'"),
        ("experiment=kung_peng_definitions", "model=tiny_t5", "trainer.batch_size=4"),
        ("model=pretrained", "model.path=some/folder", "seed=1"),
        ("tasks=hf_dataset", "+tasks.columns.input=question", "+tasks.columns.output=answer"),
        ("evaluation.instructions=[same,delusive]", "output=elsewhere", "cell_timeout=null"),
        ("trainer.max_steps=3", "trainer.threads=null", "extensions=[]"),
    ],
)
def test_parts_put_together_are_what_hydra_composes(loader: Loader, overrides: tuple[str, ...]) -> None:
    assert Composer(loader, None).compose(overrides) == by_hydra(overrides)


def by_hydra(overrides: tuple[str, ...]) -> Config:
    composed: Any = compose("config", overrides=list(overrides), return_hydra_config=True)
    return plain(name_tasks(composed, composed.hydra.runtime.choices))


def test_each_choice_is_composed_once(loader: Loader) -> None:
    composer = Composer(loader, None)
    for name in ("original", "simplified", "delusive"):
        for budget in range(3):
            for seed in range(10):
                composer.compose((f"instruction={name}", f"data_budget='{budget}'", f"seed={seed}"))
    assert loader.calls == 1, "by Hydra; of the others their files tell"


@pytest.mark.parametrize(
    "lines",
    [
        ("seed=1", "seed=2", "seed='3'", "seed=4"),
        ("trainer.epochs=1.5", "trainer.epochs=2", "trainer.epochs=3.0", "trainer.epochs=4"),
        ("trainer.compile=true", "trainer.compile=false", "trainer.compile=1", "trainer.compile=yes"),
        ("trainer.max_steps=3", "trainer.max_steps=null", "trainer.max_steps=5"),
        ("study=one", "study='two and three'", "study=4", "study=5", "study='true'"),
        ("output=a/b", "output=${study}", "output=c/${oc.env:HOME}", "output=d"),
        ("hypotheses=[a]", "hypotheses=[b,c]", "+hypotheses=[d]"),
    ],
)
def test_later_values_are_what_hydra_makes_of_them(loader: Loader, lines: tuple[str, ...]) -> None:
    composer = Composer(loader, None)
    for line in lines:
        overrides = ("instruction=simplified", line)
        expected = by_hydra(overrides)
        assert composer.compose(overrides) == expected, line


def test_a_later_value_of_the_wrong_type_is_told(loader: Loader) -> None:
    composer = Composer(loader, None)
    assert [composer.compose((f"seed={seed}",)).seed for seed in (1, 2)] == [1, 2]
    with pytest.raises(UserError, match="seed"):
        composer.compose(("seed=many",))
    with pytest.raises(UserError, match="seed"):
        composer.compose(("seed=1.5",))


def test_values_of_the_wrong_type_are_told(loader: Loader) -> None:
    with pytest.raises(UserError, match=r"trainer\.epochs"):
        Composer(loader, None).compose(("trainer.epochs=many",))


def test_all_choices_that_no_group_offers_are_told_at_once(loader: Loader) -> None:
    composer = Composer(loader, None)
    check_choices(composer, [("instruction=original", "data_budget='8'", "seed=9")])
    with pytest.raises(UserError, match="did you mean 'simplified'"):
        check_choices(composer, [("instruction=simplifed",)])
    with pytest.raises(UserErrors) as caught:
        check_choices(composer, [("instruction=simplifed",), ("model=tiny_lama",)])
    assert len(caught.value.faults) == 2


def test_baselines_are_known(loader: Loader) -> None:
    composer = Composer(loader, None)
    assert composer.is_baseline("uniform_guess")
    assert not composer.is_baseline("tiny_llama")
    assert not composer.is_baseline("nothing")


def test_one_configuration_outside_of_a_sweep(tmp_path: Path) -> None:
    config = compose_config(["data_budget=2", f"output={tmp_path}"])
    assert (config.data_budget.instances_per_task, config.output) == (2, str(tmp_path))
    with pytest.raises(UserError, match="did you mean 'instruction'"):
        compose_config(["instrction=x"])
    with pytest.raises(UserError, match="did you mean 'simplified'"):
        compose_config(["instruction=simplifed"])


def test_several_values_are_no_one_cell() -> None:
    with pytest.raises(
        UserError, match=r"^instruction=original,simplified names several values, and here is but one"
    ):
        compose_config(["instruction=original,simplified"])
    assert compose_config(["study='a,b'"]).study == "a,b"


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_several_devices_train_as_one(strategy: str) -> None:
    one = compose_config(("model=tiny_llama", "data_budget=8"))
    several = compose_config(("model=tiny_llama", "data_budget=8", f"trainer={strategy}"))
    assert several.trainer == replace(one.trainer, strategy=strategy, devices=2)


def test_tasks_have_the_name_of_their_choice_unless_they_say_another(loader: Loader) -> None:
    composer = Composer(loader, None)
    assert composer.compose(("tasks=p3",)).tasks.name == "p3"
    assert composer.compose(("experiment=kung_peng_definitions",)).tasks.name == "natural_instructions"
    assert composer.compose(("tasks=p3", "tasks.name=mine")).tasks.name == "mine"
    assert composer.choices(("trainer=kung_peng",))["trainer"] == "kung_peng"


def test_what_decides_a_group_is_its_choice_and_what_changes_all_parts(loader: Loader) -> None:
    composer = Composer(loader, None)
    lines = ("experiment=kung_peng_examples", "trainer=kung_peng", "data_budget='2'", "seed=3")
    assert composer.deciding(lines, ("trainer",)) == lines[:2]
    assert composer.deciding(lines[2:], ("trainer",)) == ()
    assert composer.deciding(lines[1:3], ("data_budget",)) == ("data_budget='2'",)
