from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from instruct_ablate.model.training.strategies import (
    ShardedStrategy,
    SummedStrategy,
    build_strategy,
    is_sharded,
    master_copy,
    sharded_like,
    whole,
)
from instruct_ablate.schema import TrainerConfig

FIT = """
import json, sys, torch
from pathlib import Path
from instruct_ablate.model.training.fit import check_trainer, fit
from tests.model.fits import changed, load, make_config, make_prompts

folder, cache, name, strategy, devices, grouping, method = sys.argv[1:]
config = make_config(
    Path(cache), name, strategy=strategy, devices=int(devices), micro_batch_tokens=200, learning_rate=1e-3
)
config = changed(config, data={"grouping": grouping}, method={"name": method})
check_trainer(config)
checkpoint = load(config)
cost, _ = fit(checkpoint, make_prompts(), config, Path(folder))
if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
    torch.save(checkpoint.model.state_dict(), Path(folder) / "final.pt")
if torch.distributed.is_initialized():
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""


def test_strategies_by_name() -> None:
    assert build_strategy(TrainerConfig()) == "auto"
    assert type(build_strategy(TrainerConfig(devices=2))) is SummedStrategy
    assert type(build_strategy(TrainerConfig(num_nodes=2))) is SummedStrategy
    assert type(build_strategy(TrainerConfig(strategy="ddp"))) is SummedStrategy
    assert type(build_strategy(TrainerConfig(strategy="fsdp", devices=2))) is ShardedStrategy


def test_tensors_that_are_not_sharded_stay_as_they_are() -> None:
    tensor, pattern = torch.ones(3), torch.zeros(3)
    assert not is_sharded(tensor)
    assert whole(tensor) is tensor
    assert sharded_like(tensor, pattern) is tensor


def test_masters_to_be_sharded_are_a_copy() -> None:
    layer = torch.nn.Linear(2, 2).bfloat16()
    copied = master_copy(layer)
    assert {weight.dtype for weight in copied.parameters()} == {torch.float32}
    assert {weight.dtype for weight in layer.parameters()} == {torch.bfloat16}


def run(
    folder: Path, cache: Path, devices: int, *settings: str, fit: str = FIT
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """A fit in processes of its own: its weights and losses."""
    folder.mkdir()
    script = folder / "fit_it.py"
    script.write_text(fit)
    name, strategy, grouping, method = settings
    start = [sys.executable]
    if devices > 1:
        start += ["-m", "torch.distributed.run", f"--nproc-per-node={devices}", "--standalone"]
    command = [*start, str(script), str(folder), str(cache), name, strategy, str(devices), grouping, method]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [json.loads(line)["loss"] for line in (folder / "training.jsonl").read_text().splitlines()]
    return torch.load(folder / "final.pt", weights_only=True), losses


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ("tiny_llama", "ddp", "none", "full"),
        ("tiny_llama", "ddp", "task", "lora"),
        ("tiny_llama", "ddp", "prefix", "full"),
        ("tiny_llama", "fsdp", "prefix", "full"),
        ("tiny_llama", "fsdp", "none", "full"),
        ("tiny_t5", "ddp", "none", "full"),
        ("tiny_t5", "fsdp", "none", "full"),
    ],
    ids="-".join,
)
def test_two_processes_train_what_one_trains(settings: tuple[str, ...], tmp_path: Path) -> None:
    name, _, *rest = settings
    one, losses = run(tmp_path / "one", tmp_path / "cache", 1, name, "auto", *rest)
    two, other_losses = run(tmp_path / "two", tmp_path / "cache", 2, *settings)
    assert len(losses) == 6
    assert other_losses == pytest.approx(losses, rel=1e-4)
    for weight, tensor in one.items():
        # Adam divides by the gradient's size: where that is nearly 0, the order of additions shows.
        torch.testing.assert_close(two[weight], tensor, rtol=1e-3, atol=3e-4)
