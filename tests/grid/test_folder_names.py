"""Folder names: what was changed of the choices' defaults, and never another folder for a cell that has one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import Failure
from instruct_ablate.cell.state.store import missing_record, write_record
from instruct_ablate.configuration.composition import register
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.grid.composing.composer import Composer
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.folder_names import marks, named
from instruct_ablate.grid.planned_cell import Cell, study_folder
from tests.grid.composing.test_composer import Loader
from tests.standins import replace_inputs

TINY = ("model=tiny_llama", "data_budget='8'")


@pytest.fixture(scope="module")
def composer() -> Iterator[Composer]:
    register()
    with initialize_config_dir(str(config_directory()), version_base=None):
        yield Composer(Loader(), None)


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def cell(composer: Composer, *overrides: str) -> Cell:
    config = composer.compose((*TINY, *overrides))
    return Cell((*TINY, *overrides), config, identify(config))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ((), ()),
        (("seed=3", "instruction=simplified", "logger=none", "trainer.threads=1"), ()),
        (("trainer.learning_rate=1e-5",), ("learning_rate_1e-05",)),
        (("trainer.learning_rate=2e-4",), ()),  # the default of trainer=default
        (("trainer=kung_peng",), ("kung_peng",)),
        (("trainer=kung_peng", "trainer.epochs=2"), ("kung_peng", "epochs_2.0")),
        (("prompt=alpaca", "evaluation=rank"), ("alpaca", "rank")),
        (("instruction.num_positive=0",), ("num_positive_0",)),
        (("method=lora", "method.rank=4"), ("rank_4",)),
        (("method=prompt_weights",), ("prompt_weights",)),
        (("method=prompt_weights", "data_budget='0'"), ()),
        (("evaluation.metrics=[my_metrics.first_word]",), ()),  # scoring is no part of a cell
        (("method.rank=4",), ()),  # nothing of it is read
        (("data_budget.tasks=3",), ("data_budget.tasks_3",)),
        (("data_budget='0'", "trainer=kung_peng", "trainer.epochs=2"), ()),
        (("model=majority", "prompt=alpaca"), ()),
    ],
)
def test_what_was_changed_of_the_choices_defaults(composer: Composer, overrides, told) -> None:
    assert marks(composer, cell(composer, *overrides)) == told


def test_the_name_tells_it_before_the_hash(composer: Composer, tmp_path: Path) -> None:
    one = cell(composer, "trainer.learning_rate=1e-5", f"output={tmp_path}")
    (found,) = named([one], composer)
    short = one.identity.hash[:8]
    assert found.identity.name == f"tiny_llama-original-8-s0-learning_rate_1e-05-{short}"
    assert one.identity.name == f"tiny_llama-original-8-s0-{short}"


def test_a_cell_that_has_a_folder_goes_on_there(composer: Composer, tmp_path: Path) -> None:
    one = cell(composer, "trainer.learning_rate=1e-5", f"output={tmp_path}")
    record = replace(missing_record(one.identity), state="failed", failure=Failure("it broke", ""))
    write_record(study_folder(one.config) / one.identity.name, record)
    assert named([one], composer) == [one]


def test_a_name_that_was_declared_stays(composer: Composer, tmp_path: Path) -> None:
    one = cell(composer, f"output={tmp_path}")
    earlier = replace(one.identity, name=f"earlier-{one.identity.hash[:8]}")
    declare(study_folder(one.config), [earlier], one.config)
    (found,) = named([one], composer)
    assert found.identity.name == earlier.name


def test_what_is_marked_is_worked_out_once_for_all_seeds(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_out = []
    monkeypatch.setattr(
        "instruct_ablate.grid.folder_names.marks", lambda *given: worked_out.append(given) or ("mark",)
    )
    rates = ("trainer.learning_rate=1e-5", "trainer.learning_rate=3e-5")
    cells = [cell(composer, f"seed={seed}", rate) for rate in rates for seed in range(3)]
    assert all("-mark-" in one.identity.name for one in named(cells, composer))
    assert len(worked_out) == 2
