"""The sweep of the peer's batch size in the benchmark of training."""

from __future__ import annotations

import argparse
import subprocess
from typing import Any

import pytest

from benchmarks import training


def answering(monkeypatch: pytest.MonkeyPatch, room: int, code: int, told: str) -> None:
    """Let each side's process report its batch size as its speed, and end so beyond `room` rows."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        size = int(command[command.index("--peer-batch") + 1])
        if size > room:
            return subprocess.CompletedProcess(command, code, "", told)
        return subprocess.CompletedProcess(command, 0, f'{{"tokens_per_second": {size}}}', "")

    monkeypatch.setattr(training.subprocess, "run", run)


def given() -> argparse.Namespace:
    names = ("steps", "batch_size", "threads", "clock", "seed", "layers", "micro_batch_tokens", "accelerator")
    return argparse.Namespace(root=None, **dict.fromkeys(names, 1))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (-9, ""),
        (1, "RuntimeError: DefaultCPUAllocator: not enough memory: you tried"),
        (1, "CUDA out of memory"),
    ],
)
def test_a_batch_size_beyond_memory_ends_the_sweep_and_not_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, code: int, told: str
) -> None:
    answering(monkeypatch, 4, code, told)
    assert training.sweep_peer(given(), "decoder", [16, 2, 4, 8]) == {2: 2, 4: 4}


def test_a_sweep_without_any_room_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 0, -9, "")
    with pytest.raises(SystemExit, match=r"no batch size among \[2, 4\]"):
        training.sweep_peer(given(), "decoder", [4, 2])


def test_another_failure_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 0, 1, "KeyError: 'labels'")
    with pytest.raises(SystemExit, match="KeyError"):
        training.sweep_peer(given(), "decoder", [4, 2])
