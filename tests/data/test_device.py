"""Where a cell runs: on a GPU that is there and not left aside, else on the processor; never silently elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.data.device import is_on_gpu
from instruct_ablate.errors import UserError
from instruct_ablate.schema import TrainerConfig
from tests.cell.run.test_stages import small


@pytest.mark.parametrize(
    ("accelerator", "there", "on_gpu"),
    [
        ("cpu", True, False),
        ("auto", True, True),
        ("gpu", True, True),
        ("cuda", True, True),
        ("auto", False, False),
        ("cpu", False, False),
    ],
)
def test_a_gpu_is_used_where_it_is_and_is_not_left_aside(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, there: bool, on_gpu: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert is_on_gpu(TrainerConfig(accelerator=accelerator)) == on_gpu


@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_a_gpu_that_is_asked_for_and_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerator: str
) -> None:
    """Before: the cell was trained and tested on the processor, and nothing said so."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = f"trainer.accelerator={accelerator}: torch finds no GPU on this machine"
    with pytest.raises(UserError, match=told):
        is_on_gpu(TrainerConfig(accelerator=accelerator))
    asked = TrainerConfig(precision="fp32", accelerator=accelerator, progress=False, threads=1)
    record = run_cell(small(tmp_path, tmp_path / "cache", trainer=asked))
    assert record.state == "failed"
    assert record.failure is not None
    assert told in record.failure.reason


def test_asking_loads_no_trainer() -> None:
    code = "import sys, instruct_ablate.data.device; sys.exit('pytorch_lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
