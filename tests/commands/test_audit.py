from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.run.evaluation import prompts_at_test
from instruct_ablate.cell.run.stages import Words
from instruct_ablate.cell.run.training import prompts_in_training
from instruct_ablate.command_line import group
from instruct_ablate.commands.audit import _in_chat
from instruct_ablate.errors import UserError
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.instruction.audit.audit import run_audit
from instruct_ablate.instruction.catalogue import find, names
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.instruction.label import label
from instruct_ablate.instruction.variant import VARIANTS as REGISTER
from instruct_ablate.prompt.plain import write
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import BudgetConfig, Config, InstructionConfig, PromptConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Example, Instance, TaskCollection
from tests.conftest import make_task

VARIANTS = [
    *(InstructionConfig(name, num_negative=1) for name in names("definition")),
    *(InstructionConfig(examples=name, explanations=True) for name in names("examples")),
]


def test_it_writes_a_page_for_the_configured_variant(tmp_path: Path) -> None:
    words = ["audit", "instruction=delusive", "tasks.test_tasks=2", "--output", str(tmp_path)]
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "audit-delusive.html").exists()
    assert (tmp_path / "audit-delusive.json").exists()


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(group, ["audit", "instrction=delusive", "--output", str(tmp_path)])
    assert isinstance(result.exception, UserError)


def shown(finding: dict[str, Any], prompt: Prompt, inputs: dict[tuple[str, str], str]) -> str:
    """The prompt that the audit's text makes of an instance."""
    after = finding["after"]
    examples = (
        tuple(Example(**one) for one in after[f"{sign}_examples"]) for sign in ("positive", "negative")
    )
    instruction = Instruction(after["task"], after["definition"], *examples, tuple(after["shows"]))
    # The one variant of whole tasks that changes inputs makes all of them alike.
    own = finding["input_after"] if finding["input_before"] else inputs[prompt.task, prompt.instance_id]
    return "".join(write(instruction, Instance("", own, ())))


@pytest.mark.parametrize("instruction", VARIANTS, ids=label)
def test_the_audit_shows_what_a_run_s_prompts_hold(
    instruction: InstructionConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On both sides, of all starter tasks, at a budget that leaves few instances of each."""
    config = Config(
        TasksConfig("starter", test_instances=1),
        instruction=instruction,
        data_budget=BudgetConfig(2),
        prompt=PromptConfig("plain"),
        seed=3,
        cache=str(tmp_path / "cache"),
    )
    run_audit(config, tmp_path)
    (file,) = tmp_path.glob("*.json")
    findings = {finding["task"]: finding for finding in json.loads(file.read_text())["findings"]}
    collection = read_tasks(config.tasks, tmp_path)
    tasks = (*collection.train, *collection.test)
    inputs = {(task.name, instance.id): instance.input for task in tasks for instance in task.instances}
    in_training, _ = prompts_in_training(config, collection, Words())
    at_test = prompts_at_test(config, collection, instruction, Words())
    first = {prompt.task: prompt for prompt in reversed((*in_training, *at_test))}
    assert first.keys() == findings.keys() == {task.name for task in tasks}
    # Of examples drawn for each instance the audit shows those of a task's first one.
    if find("examples", instruction.examples).each is not None:
        heads = {task.name: task.instances[0].id for task in tasks}
        first = {name: prompt for name, prompt in first.items() if prompt.instance_id == heads[name]}
        assert first.keys() >= {task.name for task in collection.test}
    assert [n for n, p in first.items() if shown(findings[n], p, inputs) != p.source] == []


def test_one_instance_is_shown_under_each_template_of_a_set(tmp_path: Path) -> None:
    words = [
        "audit",
        "instruction=simplified",
        "prompt=set_12",
        "tasks.test_tasks=2",
        "--output",
        str(tmp_path),
    ]
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "audit-simplified.html").read_text()
    shown_under = json.loads((tmp_path / "audit-simplified.json").read_text())["renderings"]
    assert len(set(shown_under.values())) == len(shown_under) == 12
    assert "One test instance under each of 12 templates" in page
    assert "<h3>set_12/bars</h3>" in page
    assert shown_under["set_12/bars"].endswith(" || output:")


def test_what_a_chat_template_does_is_shown(tmp_path: Path) -> None:
    words = ("model=tiny_llama", "prompt=chat", "prompt.system='Be brief.'", f"cache={tmp_path}")
    config = compose_config(words)
    shown = dict(_in_chat(config)(TaskCollection("x", (), (make_task("a"),), "")))
    assert shown["chat"].startswith("<|system|>\nBe brief.")
    assert shown["chat"].endswith("<|assistant|>\n")
    assert "start token: <s>\nsystem text: in a turn of its own" in shown["what the chat template does"]


OWN = '''
from dataclasses import replace

from instruct_ablate.instruction.variant import variant


@variant("examples")
def {name}(task, context):
    """No example but the first."""
    return replace(task, positive_examples=task.positive_examples[:1])
'''


def test_a_variant_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(REGISTER, "examples", dict(REGISTER["examples"]))  # forgotten after the test
    Path("own_of_audit.py").write_text(OWN.format(name="first_alone"))
    words = [
        "audit",
        "extensions=[own_of_audit.py]",
        "instruction.examples=first_alone",
        "tasks.test_tasks=2",
    ]
    for more in ([], ["instruction.examples=original", "evaluation.instructions=[first_alone]"]):
        result = CliRunner().invoke(group, [*words, *more])
        assert result.exit_code == 0, (result.output, result.exception)
    assert "first_alone: " in CliRunner().invoke(group, words).output
