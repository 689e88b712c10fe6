from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.grid.kept_tests import keeping_for_others
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.schema import BudgetConfig, Config, InstructionConfig, MethodConfig, ModelConfig
from tests.standins import make_config, replace_inputs

NOTHING = BudgetConfig(0)
Make = Callable[..., Config]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    replace_inputs(monkeypatch)
    return lambda layers="top:2", **keys: make_config(
        tmp_path, **{"method": MethodConfig("lora", layers=layers), **keys}
    )


def kept(*configs: Config) -> list[str]:
    """What each cell is launched with."""
    cells = [Cell(("seed=0",), config, identify(config)) for config in configs]
    launched = keeping_for_others(cells)
    for one, cell in zip(launched, cells, strict=True):
        layers = one.config.trainer.keep_below
        assert one.identity == cell.identity == replace(identify(one.config), name=cell.identity.name)
        assert replace(one.config, trainer=cell.config.trainer) == cell.config
        assert one.overrides == (
            *cell.overrides,
            *([] if layers == "all" else [f"trainer.keep_below={layers}"]),
        )
    return [one.config.trainer.keep_below for one in launched]


def test_an_untuned_model_keeps_what_lora_cells_of_its_sweep_leave_as_it_is(make: Make) -> None:
    untuned, full = make(data_budget=NOTHING), make("all", method=MethodConfig("full"))
    assert kept(untuned, make(), full) == ["top:2", "all", "all"]
    plain = replace(full, data_budget=NOTHING)
    assert kept(plain, full, make()) == ["top:2", "all", "all"]  # whichever of its twins was asked for


def test_it_keeps_what_most_of_them_read(make: Make) -> None:
    cells = [make("top:1"), make("top:2"), make("top:2", seed=1), make(seed=2, data_budget=BudgetConfig(2))]
    assert kept(make(data_budget=NOTHING), *cells)[0] == "top:2"
    assert kept(make(data_budget=NOTHING), cells[0], cells[1], make("top:1", seed=1))[0] == "top:1"


def test_nothing_is_kept_that_nobody_reads(make: Make, tmp_path: Path) -> None:
    untuned, one = make(data_budget=NOTHING), make()
    assert kept(untuned) == ["all"]
    assert kept(untuned, make("all"), make("all", method=MethodConfig("full"))) == ["all"] * 3
    others: Sequence[Config] = (
        make(instruction=InstructionConfig("simplified")),  # which is tested under another instruction
        replace(one, cache=str(tmp_path / "elsewhere")),
        replace(one, trainer=replace(one.trainer, threads=3)),
        replace(one, prompt=replace(one.prompt, max_source_length=99)),
        replace(one, evaluation=replace(one.evaluation, batch_tokens=77)),
        replace(one, model=replace(one.model, name="tiny_qwen3")),
    )
    for other in others:
        assert kept(untuned, other) == ["all", "all"]
    assert kept(untuned, *others, one)[0] == "top:2"
    baseline = make(model=ModelConfig("majority", source="baseline"))
    assert kept(baseline, one) == ["all", "all"]


WORDS = (
    "model=tiny_llama", "logger=none", "tasks.test_tasks=2", "tasks.test_instances=3", "trainer.progress=false",
    "method=lora", "method.layers=top:1", "reuse=none",
)  # fmt: skip


def test_its_answers_are_those_of_a_cell_alone(tmp_path: Path) -> None:
    def cell(study: str, *words: str) -> Cell:
        config = compose_config([*WORDS, *words, f"output={tmp_path / study}", f"cache={tmp_path / 'cache'}"])
        return Cell((), config, identify(config))

    def tested(config: Config) -> list[object]:
        record = run_cell(config)
        assert record.state == "done"
        return [record.identity, record.name, record.blocks, record.notes]

    frozen = tmp_path / "cache" / "frozen"
    alone = tested(cell("alone", "data_budget=0").config)
    assert not frozen.exists()
    first, _ = keeping_for_others([cell("both", "data_budget=0"), cell("both", "data_budget=1")])
    assert tested(first.config) == alone
    assert list(frozen.glob("*/*/states"))
    shutil.rmtree(frozen)
    bounded = replace(first.config, trainer=replace(first.config.trainer, frozen_cache_gb=0))
    assert tested(replace(bounded, study="bounded")) == alone
    assert not frozen.exists()
