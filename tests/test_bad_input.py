"""Users' mistakes through the command they type: one message that names file or key, status 2, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.entry import main
from instruct_ablate.model.loading.random_model import tiny_model
from tests.tasks.layout import write_collection

ROOT = Path(__file__).parents[1]
Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run `train.py` in this process, demand a refusal, return its message."""

    def run(*words: str) -> str:
        common = [f"output={tmp_path}/multirun", f"cache={tmp_path}/cache", "logger=none", "model=tiny_llama"]
        monkeypatch.setattr(sys, "argv", ["train.py", *common, *words])
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr().err
        assert stopped.value.code == 2, said
        assert "Traceback" not in said
        assert not list(tmp_path.glob("multirun/**/record.json")), "refused before anything ran"
        return said

    return run


def write_p3(folder: Path, choices: list[str] | None, name: str = "super_glue_copa_best") -> Path:
    """Write one prompt set of two rows."""
    folder.mkdir(exist_ok=True)
    row: dict[str, Any] = {"targets_pretokenized": "a", **({"answer_choices": choices} if choices else {})}
    rows = [{"inputs_pretokenized": f"{i}?", **row} for i in range(2)]
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


P3 = ("tasks=p3", "prompt=plain", "data_budget=0")


def natural(tmp_path: Path, **changes: Any) -> tuple[str, ...]:
    """Write a collection of one training and one test task, the latter changed; return the words for it."""
    root = write_collection(tmp_path / "ni", {"task1_one": {}}, {"task2_two": changes})
    return "tasks=natural_instructions", f"tasks.root={root}", "data_budget=1"


@pytest.mark.parametrize("evaluation", ["rank", "rank_normalized"])
def test_rows_without_choices_cannot_be_ranked(refused: Refused, tmp_path: Path, evaluation: str) -> None:
    said = refused(*P3, f"tasks.root={write_p3(tmp_path / 'p3', None)}", f"evaluation={evaluation}")
    assert "super_glue_copa_best" in said
    assert "answer_choices" in said


@pytest.mark.parametrize("decoding", ["rank", "constrained"])
def test_equal_labels(refused: Refused, tmp_path: Path, decoding: str) -> None:
    folder = write_p3(tmp_path / "p3", ["a", "A."])
    said = refused(*P3, f"tasks.root={folder}", f"evaluation={decoding}")
    assert "super_glue_copa_best" in said
    assert "exact match takes 'a' and 'A.' for one" in said


def test_a_label_that_becomes_no_token(refused: Refused, tmp_path: Path) -> None:
    folder = write_p3(tmp_path / "p3", ["a", ""])
    said = refused(*P3, f"tasks.root={folder}", "evaluation=rank")
    assert "super_glue_copa_best" in said
    assert "becomes no token" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("prompt.template=tk_instrct",), "did you mean 'tk_instruct'"),
        (("prompt=tk_instrct",), "did you mean 'tk_instruct'"),
        (("instruction=nonsense",), "instruction"),
        (("instruction.definition=simplifid",), "did you mean 'simplified'"),
        (("evaluation.instructions=[delusiv]",), "did you mean 'delusive'"),
        (("model=tiny_lama",), "did you mean 'tiny_llama'"),
        (("modle=tiny_llama",), "did you mean 'model'"),
        (("trainer.learning_rat=1",), "did you mean 'trainer.learning_rate'"),
        (("data_budget=-1",), "data_budget: '-1'"),
        (("-m", "data_budget=0,-1"), "data_budget: '-1'"),
        (("data_budget.instances_per_task=-1",), "data_budget.instances_per_task=-1"),
        (("tasks=natural_instructions", "tasks.root=/nowhere"), "/nowhere"),
        (("tasks=p3", "tasks.root=./nowhere"), "nowhere"),
        (("model=pretrained", "model.path=./nowhere"), "nowhere"),
    ],
)
def test_named_before_training(refused: Refused, words: tuple[str, ...], told: str) -> None:
    assert told in refused(*words)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Instances": ...}, "'Instances' is missing"),
        ({"Instances": []}, "'Instances' is missing or empty"),
        ({"Definition": ...}, "'Definition' is missing"),
        ({"Instances": [{"id": "i", "input": "q"}]}, "instance 1: 'output' is missing or null"),
    ],
)
def test_a_task_file_that_lacks_something(
    refused: Refused, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    said = refused(*natural(tmp_path, **changes))
    assert "task2_two.json" in said
    assert told in said


def test_a_task_file_that_is_missing_broken_or_no_file(refused: Refused, tmp_path: Path) -> None:
    words = natural(tmp_path)
    file = tmp_path / "ni" / "tasks" / "task2_two.json"
    file.write_text('{"Definition": ["x"], ')
    said = refused(*words)
    assert "task2_two.json: broken JSON at line 1" in said
    file.write_bytes(b"\xff\xfe{}")
    assert "task2_two.json: not UTF-8" in refused(*words)
    file.unlink()
    file.mkdir()
    assert "task2_two.json: cannot be read" in refused(*words)
    file.rmdir()
    said = refused(*words)
    assert "test_tasks.txt: task 'task2_two' has no file" in said


def test_an_unknown_task_in_a_split_list(refused: Refused, tmp_path: Path) -> None:
    words = natural(tmp_path)
    (tmp_path / "ni" / "splits" / "default" / "train_tasks.txt").write_text("task1_on\n")
    said = refused(*words)
    assert "train_tasks.txt: task 'task1_on'" in said
    assert "did you mean 'task1_one'" in said


@pytest.mark.parametrize("words", [("instruction=delusive",), ("evaluation.instructions=[same,delusive]",)])
def test_delusive_without_negatives_and_label_space(
    refused: Refused, tmp_path: Path, words: tuple[str, ...]
) -> None:
    free = [{"id": f"i{n}", "input": f"Say {n}.", "output": [f"It is {n} now."]} for n in range(8)]
    changes: dict[str, Any] = {"Negative Examples": [], "Instances": free, "Definition": ["Say it."]}
    said = refused(*natural(tmp_path, **changes), *words)
    assert "task2_two: instruction.examples=delusive" in said
    assert "neither negative examples nor a label space" in said
    assert "tasks.include" in said


def test_a_model_folder_that_cannot_be_used(refused: Refused, tmp_path: Path) -> None:
    made = Path(shutil.copytree(tiny_model("tiny_llama", tmp_path / "cache"), tmp_path / "mine"))
    words = ("model=pretrained", f"model.path={made}")
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))
    said = refused(*words)
    assert "would run code that comes with the checkpoint" in said
    assert "model.trust_remote_code=true" in said
    (made / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer.model"):
        (made / name).unlink(missing_ok=True)
    said = refused(*words)
    assert f"{made} holds no tokenizer" in said


def test_the_command_itself_refuses(tmp_path: Path) -> None:
    """The same through the real process: status and streams as a shell sees them."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "data_budget=-1", f"output={tmp_path}/multirun"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown choice for data_budget: '-1'")
    assert done.stderr.count("\n") == 1
