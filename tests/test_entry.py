from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from instruct_ablate.entry import prepared
from instruct_ablate.errors import UserError
from tests.grid.conftest import ROOT, Train, train

__all__ = ["train"]


def test_one_cell_becomes_a_grid_of_one() -> None:
    assert prepared(["data_budget=2"]) == ["--multirun", "data_budget='2'", "hydra.sweeper.single=true"]
    assert prepared(["-m", "data_budget=0,2"]) == ["-m", "data_budget='0','2'"]
    assert prepared(["seed=1", "-m", "data_budget=0,2"]) == ["-m", "seed=1", "data_budget='0','2'"]


def test_what_only_shows_is_left_to_hydra() -> None:
    assert prepared(["--cfg", "job", "seed=1"]) == ["--cfg", "job", "seed=1"]
    assert prepared(["--help"]) == ["--help"]


def test_louder_and_quieter_are_hydras_settings() -> None:
    assert prepared(["-v", "seed=1", "-m"]) == ["-m", "seed=1", "hydra.verbose=[instruct_ablate]"]
    assert "hydra.job_logging.root.level=WARNING" in prepared(["--quiet"])


def test_several_values_need_m() -> None:
    with pytest.raises(UserError, match="add -m"):
        prepared(["instruction=original,simplified"])


def test_a_search_needs_its_extra_and_m(monkeypatch: pytest.MonkeyPatch) -> None:
    word = "hydra/sweeper=optuna"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs an extra: pip install 'instruct-ablate\[optuna\]'"):
        prepared(["-m", word])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: "there")
    assert prepared([word, "-m", "trainer.learning_rate=tag(log,interval(1e-5,1e-2))"])[:2] == ["-m", word]
    with pytest.raises(UserError, match="runs many cells: add -m"):
        prepared([word])


MISTAKES = [
    (("instrction=original",), "did you mean 'instruction'"),
    (("instruction=simplifid",), "did you mean 'simplified'"),
    (("-m", "instruction=simplifid,original"), "did you mean 'simplified'"),
    (("-m", "seed=0,x"), "'x'"),
    (("trainer.epochs=many",), "trainer.epochs"),
    (("experiment=kung_peng_definition",), "did you mean 'kung_peng_definitions'"),
    (("hydra/launcher=nonsense",), "hydra/launcher"),
    (("seed=",), "seed"),
    (("seed=[1",), "seed"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES)
def test_mistakes_are_one_message_before_anything_loads(
    train: Train, words: tuple[str, ...], said: str
) -> None:
    run = train(*words)
    assert run.returncode == 2, run.stdout + run.stderr
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.startswith("error")


def test_a_misspelt_key_in_an_experiment_file_is_refused(train: Train, tmp_path: object) -> None:
    run = train("hydra.sweeper.params.instrction=a", "-m")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_help_explains_the_groups(train: Train) -> None:
    run = train("--help")
    assert run.returncode == 0
    for word in (
        "what of the instruction is altered",
        "instruction: ",
        "kung_peng_definitions",
        "-m experiment=NAME",
    ):
        assert word in run.stdout


def test_the_configuration_can_be_shown(train: Train) -> None:
    run = train("--cfg", "job", "data_budget=2")
    assert run.returncode == 0
    assert "instances_per_task: 2" in run.stdout


def test_help_whose_reader_leaves_is_no_fault(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()  # before a word of it is written
    assert process.stderr is not None
    assert (process.wait(timeout=120), process.stderr.read()) == (0, b"")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "tiny_llama"], "--model: groups and keys are written without hyphens: model=VALUE"),
        (["--trainer.epochs=3"], "written without hyphens: trainer.epochs=VALUE"),
        (["model", "tiny_llama"], "'model' is neither an option nor KEY=VALUE"),
        (["-m", "seed=0,1", "simplified"], "'simplified' is neither an option nor KEY=VALUE"),
    ],
)
def test_words_that_are_no_override_are_told_how_to_be_written(words: list[str], told: str) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        prepared(words)
