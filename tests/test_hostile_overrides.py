"""Overrides meant to break things, through the command: refused in one line before the start, or run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from instruct_ablate.cell.run import runner
from instruct_ablate.entry import main
from instruct_ablate.grid.checking import preflight
from tests.standins import replace_inputs, work

Said = Callable[..., tuple[int, str]]
REAL_CHECKS = preflight.cell_checks

REFUSED = [
    (("model=null",), "model=null"),
    (("tasks=",), "tasks="),
    (("~study",), "study=VALUE"),
    (("~trainer.epochs",), "trainer.epochs=VALUE"),
    (("~model",), "model"),
    (("cell_timeout=inf",), "cell_timeout=inf"),
    (("cell_timeout=nan",), "cell_timeout=nan"),
    (("cell_timeout=-1",), "cell_timeout=-1.0"),
    (("study=\0",), "study="),
    (("study=../x",), "study='../x'"),
    (("study=/tmp/x",), "study='/tmp/x'"),
    (("study=",), "study=''"),
    (("study=..",), "study='..'"),
    (("study=" + 300 * "x",), "255 bytes"),
    (("study='" + 100 * "实" + "'",), "255 bytes"),
    (("study=é",), "study='\"'\"'é'\"'\"'"),
    (("study=实验",), "quote the value"),
    (("study=it's",), '"it'),
    (("study=a=b",), "quote the value"),
    (("output=/proc/x",), "output"),
    (("output=/dev/null",), "output"),
    (("output='~nobody-of-this-name/x'",), "does not know"),
    (("cache=/dev/null",), "cache"),
    (("cache=" + 300 * "x",), "255 bytes"),
    (("evaluation.metrics=['']",), "evaluation.metrics"),
    (("evaluation.metrics=[a..b]",), "evaluation.metrics"),
    (("evaluation.metrics=[.]",), "evaluation.metrics"),
    (("tasks.reader=../x",), "tasks.reader"),
    (("tasks.reader=..",), "tasks.reader"),
    (("prompt.template=.x",), "prompt.template"),
    (("instruction.definition=..x",), "instruction"),
    (("hydra/launcher=fused", "hydra.launcher.cells=1"), "hydra.launcher.cells"),
    (("hydra/launcher=fused", "hydra.launcher.tokens=0"), "hydra.launcher.tokens"),
    (("hydra/launcher=local_pool", "hydra.launcher.n=abc"), "hydra.launcher.n"),
    (("hydra/launcher=local_pool", "hydra.launcher.cells=3"), "it is a key of hydra/launcher=fused."),
    (
        ("hydra/launcher=local_pool", "hydra.launcher.cels=3"),
        "chosen; did you mean 'hydra.launcher.cells', a key of hydra/launcher=fused? `python train.py hydra/launcher=",
    ),
    (
        ("hydra/launcher=local_pool", "hydra.launcher.colour=3"),
        "chosen. `python train.py hydra/launcher=NAME --cfg",
    ),
    (("hydra/launcher=local_pool", "hydra.launcher.n=0"), "hydra.launcher.n"),
    (("hydra/launcher=local_pool", "hydra.launcher.cells_per_process=-1"), "cells_per_process"),
    (("-m", "seed=range(0,1e9)"), "seed=range(0,1e9)"),
    (("-m", "seed=shuffle(range(0,1e9))"), "range(0,1e9)"),
    (("-m", "seed=range(0,5,0)"), "seed=range(0,5,0)"),
    (("-m", "seed=range(5,5)"), "no value"),
    (("-m", "seed=interval(0,5)"), "interval"),
    (("-m", "seed=range(0,1000)", "trainer.batch_size=range(1,1000)"), "100000 cells"),
    (("-m", "data_budget=range(-1,1)"), "data_budget"),
    (("study=${output}", "output=${study}"), "itself"),
    (("seed=${nothing}",), "nothing"),
    (("seed=[1",), "seed"),
    (("seed={a:1}",), "seed"),
    (("tasks.include=" + 3000 * "[" + 3000 * "]",), "tasks.include"),
    (("tasks.columns=3",), "tasks.columns"),
    (("trainer=null",), "trainer=null"),
    (("trainer.accelerator=gpuu",), "did you mean 'gpu'"),
    (("data.grouping=tsk",), "did you mean 'task'"),
    (("evaluation.instructions=[]",), "evaluation.instructions=[]"),
    (("evaluation.engine=vllm",), "vllm"),
    (("data_budget.tasks=0",), "data_budget.tasks=0"),
    (("trainer.learning_rate=inf",), "trainer.learning_rate=inf"),
    (("trainer.gradient_clip=nan",), "trainer.gradient_clip=nan"),
    (("prompt.max_source_length=0",), "prompt.max_source_length=0"),
    (("prompt.max_source_length=4000", "prompt.max_target_length=128"), "at most 4096"),
    (("logger.project=a/b",), "logger.project='a/b'"),
    (("logger.tags=['']",), "logger.tags"),
    (("logger.tags=[" + 65 * "x" + "]",), "at most 64"),
    (("model.path=some/folder",), "model=pretrained model.path="),
    (("model=./no/such/folder",), "no such folder"),
    (("-m", "method=full,lora", "method.rank=0"), "method.rank=0"),
    (("method=lora", "method.target_modules=[q_prj]"), "did you mean 'q_proj'"),
    (("method=lora", "method.layers=last:2"), "must be all, or top:N"),
    (("method=lora", "method.layers=top:3"), "Give top:1 to top:2, or all"),
    (("method=lora", "method.layers=top:1", "method.target_modules=[lm_head]"), "lm_head"),
    (("-m", "method=full,lora", "method.layers=top:1"), "method=full trains every weight"),
    (("model=tiny_t5", "method=prompt_weights"), "an encoder-decoder reads its prompt"),
    (("method=lora", "method.dora=true", "trainer.strategy=fsdp"), "method.dora=true"),
    (("tasks.categories=[Nothing]",), "Nothing"),
    (("hypotheses=[x]",), "hypothesis"),
    (("reference=nothing",), "reference"),
    (("seed=-1",), "seed=-1"),
    (("seed=1e30",), "seed"),
    (("seed=" + 30 * "9",), "seed="),
    (("extensions=[nowhere.py]",), "nowhere.py"),
    (("x",), "x"),
]
RUN = [
    ("experiment=null",),
    ("study='\\0'",),
    ("study='é'",),
    ('study="it\'s"',),
    ("study='a=b'",),
    ("study='实验 1'",),
    ("-m", "data_budget=range(1,3)"),
    ("~logger",),
]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run `train.py` in this process with a stand-in for the cell's work; return its status and message."""
    replace_inputs(monkeypatch)
    monkeypatch.setattr(preflight, "cell_checks", REAL_CHECKS)
    monkeypatch.setattr(runner, "_work", work)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        small = ["tasks.test_tasks=2", "tasks.test_instances=2", f"cache={tmp_path}/cache"]
        given = {word.partition("=")[0] for word in words}
        common = [
            word
            for word in ("logger=none", "model=tiny_llama", *small)
            if word.partition("=")[0] not in given
        ]
        monkeypatch.setattr(sys, "argv", ["train.py", *common, *words])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        return status, capsys.readouterr().err

    return run


@pytest.mark.parametrize(("words", "part"), REFUSED, ids=[" ".join(words)[:40] for words, _ in REFUSED])
def test_refused_in_one_line_before_the_start(
    said: Said, tmp_path: Path, words: tuple[str, ...], part: str
) -> None:
    status, told = said(*words)
    assert status == 2, told
    assert told.startswith("error: "), told
    assert told.count("\n") == 1
    assert "Traceback" not in told
    assert part in told
    assert len(told) < 1000
    assert not list(tmp_path.glob("multirun/**/record.json"))


@pytest.mark.parametrize("words", RUN, ids=" ".join)
def test_odd_but_right(said: Said, words: tuple[str, ...]) -> None:
    status, told = said(*words)
    assert (status, told) == (0, "")
