"""Whole cells on a GPU that is not there: trained, stopped and taken up, joined, tested; all as on a processor.

Beside what `test_on_pretended_gpu` sees of single passes: what stays on the processor between the stages of a cell.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.side_by_side import side_by_side
from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.disk.learning_curve import FILE, read_curve
from instruct_ablate.errors import Interrupted
from instruct_ablate.model.training.fit import fit
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.schema import (
    Config,
    DataConfig,
    EvaluationConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from tests.cell.run.test_stages import small
from tests.model.fits import load, make_config, make_prompts, make_store
from tests.model.pretended_gpu import GPU, OnGpu
from tests.model.pretended_machine import MEMORY, Machine, one_gpu

LORA = {"name": "lora", "rank": 2}
CASES: dict[str, dict[str, Any]] = {
    "tested while it trains, references scored": {
        "evaluation": {"at": [0.5], "at_instances": 2, "metrics": ["reference_log_likelihood"]},
    },
    "T5, ranked": {"model": "tiny_t5", "evaluation": {"decoding": "rank"}},
    "adapters with masks, shared beginnings, constrained": {
        "method": {**LORA, "dropout": 0.2},
        "data": {"grouping": "prefix"},
        "evaluation": {"decoding": "constrained"},
    },
    "top layer in bf16, tasks together": {
        "method": {**LORA, "layers": "top:1"},
        "data": {"grouping": "task", "group_size": 2},
        "trainer": {"precision": "bf16"},
    },
    "T5 with masks": {"model": "tiny_t5", "method": LORA, "trainer": {"dropout": 0.1}},
    "recomputed activations in bf16": {
        "trainer": {"precision": "bf16", "activation_checkpointing": True, "optimizer": "adafactor"},
    },
    "BART, padded, by transformers' own decoding": {"model": "tiny_bart"},
    "best weights": {
        "tasks": {"validation": 1},
        "trainer": {"select": "best:rougeL"},
        "evaluation": {"at": [0.5, 1.0]},
    },
}


@pytest.fixture(scope="module", autouse=True)
def _small_heap() -> Iterator[None]:
    """Cells collect garbage between their stages: not each time through all that tests have imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with one_gpu(monkeypatch) as made:
        yield made


def cell(folder: Path, cache: Path, case: dict[str, Any], accelerator: str) -> Config:
    """A small cell of two steps and six answers."""
    trainer = {"precision": "fp32", "batch_size": 2, "learning_rate": 1e-2, **case.get("trainer", {})}
    return small(
        folder,
        cache,
        tasks=TasksConfig("starter", **{"test_tasks": 2, "test_instances": 3, **case.get("tasks", {})}),
        model=ModelConfig(case.get("model", "tiny_llama"), source="random"),
        method=MethodConfig(**case.get("method", {"name": "full"})),
        data=DataConfig(**case.get("data", {})),
        prompt=PromptConfig("tk_instruct", max_source_length=300, max_target_length=5),
        evaluation=EvaluationConfig(**case.get("evaluation", {})),
        trainer=TrainerConfig(**trainer, accelerator=accelerator, progress=False, threads=1),
    )


def told(config: Config) -> tuple[CellRecord, list[float], list[Any]]:
    """Run a cell; return its record, losses, and answers with what it holds of the references."""
    record = run_cell(config)
    assert record.state == "done", record.failure
    folder = Path(config.output) / config.study / record.name
    rows = [row for block in record.blocks for row in read_predictions(folder / block.predictions)]
    return record, [row["loss"] for row in read_curve(folder / FILE)], rows


@pytest.mark.parametrize("case", CASES)
def test_a_cell_is_what_it_is_on_a_processor(
    case: str, tmp_path: Path, cache: Path, request: pytest.FixtureRequest
) -> None:
    _, wanted, right = told(cell(tmp_path / "cpu", cache, CASES[case], "cpu"))
    machine: Machine = request.getfixturevalue("machine")
    config = cell(tmp_path / "gpu", cache, CASES[case], "gpu")
    record, losses, rows = told(config)
    assert record.environment is not None
    assert (record.environment.device, record.environment.processor) == ("cuda:0", machine.name)
    assert record.cost.gpu_memory == MEMORY
    exact = config.trainer.precision == "fp32"
    assert losses == pytest.approx(wanted, rel=1e-3 if exact else 3e-2)
    if exact:
        assert [row.prediction for row in rows] == [row.prediction for row in right]
        for row, other in zip(rows, right, strict=True):
            assert (row.likelihoods is None) == (other.likelihoods is None)
            for one, same in zip(row.likelihoods or (), other.likelihoods or (), strict=True):
                assert one.log_probability == pytest.approx(same.log_probability, rel=1e-3)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5", "tiny_gemma3"])
def test_joined_cells(
    name: str, tmp_path: Path, cache: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    case = {"model": name, "method": LORA, "trainer": {"batch_size": 1, "max_steps": 2, "precision": "bf16"}}
    configs = [replace(cell(tmp_path, cache, case, "gpu"), seed=seed) for seed in range(2)]
    records: list[CellRecord] = []
    side_by_side(
        {str(one.seed): partial(lambda given: records.append(run_cell(given)), one) for one in configs}, 8192
    )
    for record in records:
        assert record.state == "done", record.failure
        assert record.environment is not None
        assert (record.environment.device, record.environment.fused) == ("cuda:0", 1)
    assert not [one.getMessage() for one in caplog.records if "alone" in one.getMessage()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fit_goes_on_with_all_that_lay_on_the_gpu(
    dtype: torch.dtype, tmp_path: Path, cache: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(cache, accelerator="gpu", checkpoint_every_steps=1, max_steps=3, batch_size=4)
    own, states = InstructionModule._step, []

    def stopping(module: InstructionModule) -> None:
        assert {type(one) for one in module._weights.masters} == {OnGpu}
        own(module)
        machine.state.fill_(module.done)  # something has drawn
        if stops and module.done == 1:
            trainer: Any = module.trainer
            next(one for one in trainer.callbacks if hasattr(one, "stop")).stop.reason = "SIGTERM"

    monkeypatch.setattr(InstructionModule, "_step", stopping)
    for parts in (False, True):
        stops = parts
        checkpoint, folder = load(config, dtype), tmp_path / str(parts)
        if parts:
            with pytest.raises(Interrupted):
                fit(load(config, dtype), make_prompts(), config, folder)
            state = training_state.latest(folder / "checkpoints")
            assert state is not None
            assert state["random"]["cuda"][0].tolist() == [1] * len(machine.state)
            machine.state.fill_(99)
            stops = False
        fit(checkpoint, make_prompts(), config, folder)
        states.append([weight.detach().clone() for weight in checkpoint.model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))


def test_batches_are_pinned_and_brought(cache: Path, machine: Machine) -> None:
    config = make_config(cache, "tiny_t5", accelerator="gpu")
    checkpoint = load(config)
    data = PromptDataModule(make_store(checkpoint, config), config, checkpoint.start_token)
    assert data.train_dataloader().pin_memory
    batches = data.batches()
    batch = batches.batch(0, batches.schedule.order(0)).pin_memory()
    assert machine.pinned > 0
    part = batch.to(GPU).micro_batches[0]
    assert part.encoder is not None
    tensors = (part.rows, part.labels, part.owners, part.examples, part.decoder.ids, part.encoder.offsets)
    assert {type(one) for one in tensors} == {OnGpu}


def test_a_generator_of_the_processor_cannot_draw_there(machine: Machine) -> None:
    draw = torch.Generator().manual_seed(0)
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(3, generator=draw, device="cuda")
    with pytest.raises(RuntimeError, match="generator"):
        torch.ones(3, device="cuda").uniform_(generator=draw)
    assert torch.randn(3, generator=draw).to("cuda").device == GPU


def test_what_is_left_behind_in_a_backward_pass_is_noticed(machine: Machine) -> None:
    class Careless(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, states: torch.Tensor) -> torch.Tensor:
            return states * 2

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
            return gradients[0] * torch.ones(3)

    weight = torch.nn.Linear(3, 3).to("cuda").weight
    states: torch.Tensor = Careless.apply(weight)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="on one device"):
        states.sum().backward()  # type: ignore[no-untyped-call]


def test_what_a_cell_forgets_to_bring_fails_it(
    tmp_path: Path, cache: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EffectiveBatch, "to", lambda batch, *_, **__: batch)
    record = run_cell(cell(tmp_path, cache, {}, "gpu"))
    assert record.failure is not None
    assert "on one device" in record.failure.reason
