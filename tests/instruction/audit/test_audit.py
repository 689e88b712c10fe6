"""The audit's findings, page and command."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.audit.audit import audit, run_audit, write_audit
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import VARIANTS, variant
from instruct_ablate.schema import Config, DataConfig, InstructionConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Example, Task
from tests.conftest import make_task

TASKS = (
    make_task(),
    make_task("task2_far", categories=("Other",), definition="Say <script>alert(1)</script>."),
)


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's variant that changes a field it must not."""
    monkeypatch.setitem(VARIANTS, "definition", dict(VARIANTS["definition"]))

    @variant("definition")
    def leaky(task: Task, context: Context) -> Task:
        return replace(task, definition="", categories=("Changed",))


def collection(monkeypatch: pytest.MonkeyPatch, tasks: tuple[Task, ...] = TASKS) -> None:
    module = ModuleType("instruct_ablate.tasks.collection")
    read = SimpleNamespace(train=tasks[:1], validation=(), test=tasks[1:])
    module.read_tasks = lambda config, cache: read  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "instruct_ablate.tasks.collection", module)


def test_before_and_after_of_every_task() -> None:
    found = audit(TASKS, InstructionConfig("simplified", "delusive"), Context(0, TASKS))
    assert [f.task for f in found] == [t.name for t in TASKS]
    assert found[0].before.definition == TASKS[0].definition
    assert found[0].after.definition == "Label: positive. Label: negative."
    assert [e.output for e in found[0].after.positive_examples] == ["negative", "positive"]
    assert not any(f.violations or f.notes for f in found)


def test_violations_and_notes(leaky: None) -> None:
    assert audit(TASKS, InstructionConfig("leaky"), Context(0))[0].violations == (
        "definition=leaky: changes categories",
    )
    unchanged = audit(TASKS, InstructionConfig("no_input_content"), Context(0))[0]
    assert "unchanged" in unchanged.notes[0]
    assert not audit(TASKS, InstructionConfig(), Context(0))[0].notes


def test_a_task_that_cannot_support_the_variant_is_a_violation() -> None:
    lone = make_task(
        label_space=("a",), positive_examples=(Example("q", "a"),), negative_examples=(), count=0
    )
    assert "can be made" in " ".join(
        audit([lone], InstructionConfig(examples="delusive"), Context(0))[0].violations
    )


def test_unknown_variant() -> None:
    with pytest.raises(UserError, match="did you mean"):
        audit(TASKS, InstructionConfig("simplifed"), Context(0))


def test_page_is_escaped_and_json_complete(tmp_path: Path) -> None:
    found = audit(TASKS, InstructionConfig("shuffled"), Context(0))
    page, data = write_audit(found, "shuffled", tmp_path / "new")
    text = page.read_text()
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert all(task.name in text for task in TASKS)
    body = json.loads(data.read_text())
    assert (body["tasks"], body["violating"], len(body["findings"])) == (2, 0, 2)
    assert body["findings"][0]["before"]["definition"] == TASKS[0].definition


def test_tasks_held_out_are_audited_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = TasksConfig("starter", include=["starter00*", "starter1*"], validation=2)
    run_audit(Config(tasks=tasks, cache=str(tmp_path)), tmp_path)
    read = read_tasks(tasks, tmp_path)
    assert (
        f"of {len(read.train) + 2} training tasks held out: {read.validation[0].name}"
        in capsys.readouterr().out
    )
    body = json.loads((tmp_path / "audit-original.json").read_text())
    assert {task.name for task in read.validation} <= {one["task"] for one in body["findings"]}


def test_command_tells_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], leaky: None
) -> None:
    collection(monkeypatch)
    config = Config(tasks=TasksConfig(reader="any"), instruction=InstructionConfig(examples="delusive"))
    assert run_audit(config, tmp_path) == 0
    assert (tmp_path / "audit-delusive.html").is_file()
    assert "delusive: 2 tasks, 0 break a promise" in capsys.readouterr().out
    assert run_audit(replace(config, instruction=InstructionConfig("leaky")), tmp_path) == 1
    assert "task1_sentiment: definition=leaky: changes categories" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("examples", "share", "said"), [("delusive", 0.5, 1), ("delusive", 1.0, 0), ("original", 0.5, 0)]
)
def test_a_share_that_training_does_not_alter_is_said(
    examples: str,
    share: float,
    said: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    collection(monkeypatch)
    instruction, data = InstructionConfig(examples=examples), DataConfig(altered_share=share)
    run_audit(Config(tasks=TasksConfig(reader="any"), instruction=instruction, data=data), tmp_path)
    assert capsys.readouterr().out.count("data.altered_share=0.5: so many of the training examples") == said


def test_labels_that_exact_match_takes_for_one_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    signs = make_task("signs", label_space=("-1", "0", "1"))
    collection(monkeypatch, (make_task(), signs))
    config = Config(tasks=TasksConfig(reader="any"), instruction=InstructionConfig("simplified"))
    assert run_audit(config, tmp_path) == 0
    said = capsys.readouterr().out
    assert "signs: exact match takes '-1' and '1' for one; strict_exact_match tells them apart" in said
    assert "1 have labels that exact match takes for one" in said
    (page,), (data,) = tmp_path.glob("*.html"), tmp_path.glob("*.json")
    assert "exact match takes &#39;-1&#39; and &#39;1&#39; for one" in page.read_text()
    body = json.loads(data.read_text())
    assert (body["merging"], body["unchanged"]) == (1, 0)
    assert [bool(finding["merges"]) for finding in body["findings"]] == [False, True]


def test_what_is_left_is_said_and_the_emptied_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    emptied = (
        make_task(f"task{n}_x", definition="Your task is to sort it.", label_space=None) for n in range(4)
    )
    collection(monkeypatch, (make_task(definition="Given a film, sort it."), *emptied))
    config = Config(instruction=InstructionConfig("no_action_content"), tasks=TasksConfig("starter"), seed=0)
    run_audit(config, tmp_path)
    said = capsys.readouterr().out
    assert (
        "5 definitions are shortened, to 10% of their words; 4 to nothing (task0_x, task1_x, task2_x, ...)"
        in said
    )
    assert "what is left of each" in said


def test_a_task_that_is_trained_on_and_tested_says_which_of_its_findings_is_which(tmp_path: Path) -> None:
    """Both sides have other tasks to borrow a definition from: the page and the file had two texts for one name."""
    (tmp_path / "mine").mkdir()
    for split in ("train", "test"):
        rows = [{"text": f"{split} {n}", "label": ("yes", "no")[n % 2]} for n in range(6)]
        (tmp_path / "mine" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    own = {
        "reader": "hf_dataset",
        "root": str(tmp_path / "mine"),
        "train_split": "train",
        "test_split": "test",
        "definition": "Yes or no?",
        "columns": {"input": "text", "output": "label"},
    }
    tasks = TasksConfig("mixture", parts={"own": own, "starter": {"reader": "starter"}})
    config = Config(tasks=tasks, instruction=InstructionConfig("misleading"), cache=str(tmp_path / "cache"))
    run_audit(config, tmp_path / "audit")
    found = [
        one
        for one in json.loads((tmp_path / "audit" / "audit-misleading.json").read_text())["findings"]
        if one["task"] == "mine"
    ]
    assert [one["side"] for one in found] == ["training", "test"]
    assert found[0]["after"]["definition"] != found[1]["after"]["definition"]
    page = (tmp_path / "audit" / "audit-misleading.html").read_text()
    assert all(f'mine <span class="kind">{side}, ' in page for side in ("training", "test"))
