"""Users' mistakes through the command they type: one message that names file or key, status 2, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Run `train.py`, demand a refusal, return its message."""

    def run(*words: str) -> str:
        common = [f"output={tmp_path}/multirun", f"cache={tmp_path}/cache", "logger=none"]
        given = [sys.executable, "train.py", "model=tiny_llama", *common, *words]
        done = subprocess.run(
            given,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert not list((tmp_path / "multirun").glob("**/record.json"))
        return done.stderr

    return run


def write_p3(folder: Path, choices: list[str] | None, name: str = "super_glue_copa_best") -> Path:
    """Write one prompt set of two rows."""
    folder.mkdir(exist_ok=True)
    rows = [
        {
            "inputs_pretokenized": f"{i}?",
            "targets_pretokenized": "a",
            **({"answer_choices": choices} if choices else {}),
        }
        for i in range(2)
    ]
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


P3 = ("tasks=p3", "prompt=plain", "data_budget=0")


def test_rows_without_choices_cannot_be_ranked(refused: Refused, tmp_path: Path) -> None:
    said = refused(*P3, f"tasks.root={write_p3(tmp_path / 'p3', None)}", "evaluation=rank")
    assert "super_glue_copa_best" in said
    assert "answer_choices" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("prompt.template=tk_instrct",), "tk_instruct"),
        (("instruction=nonsense",), "instruction"),
        (("instruction.definition=simplifid",), "simplified"),
        (("model=nonsense",), "model"),
        (("modle=tiny_llama",), "did you mean 'model'"),
        (("data_budget.instances_per_task=-1",), "data_budget.instances_per_task=-1"),
        (("tasks=natural_instructions", "tasks.root=/nowhere"), "/nowhere"),
        (("tasks=p3", "tasks.root=./nowhere"), "nowhere"),
        (("model=pretrained", "model.path=./nowhere"), "nowhere"),
        (("evaluation.instructions=[delusiv]",), "delusiv"),
    ],
)
def test_named_before_training(refused: Refused, words: tuple[str, ...], told: str) -> None:
    assert told in refused(*words)


@pytest.mark.parametrize("decoding", ["rank", "constrained"])
def test_equal_labels(refused: Refused, tmp_path: Path, decoding: str) -> None:
    folder = write_p3(tmp_path / "p3", ["a", "A."])
    said = refused(*P3, f"tasks.root={folder}", f"evaluation={decoding}")
    assert "super_glue_copa_best" in said
    assert "equal" in said
