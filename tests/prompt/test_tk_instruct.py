"""Tk-Instruct's template against the source texts that its own encoder made."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.settings import check_prompt
from instruct_ablate.prompt.tk_instruct import tk_instruct
from instruct_ablate.schema import InstructionConfig, PromptConfig
from instruct_ablate.tasks.task import Example, Instance, Task
from tests.prompt.words import WordTokens

CACHED = Path(__file__).resolve().parents[2] / ".cache" / "models" / "smollm2_135m"


@dataclass
class PretrainedTokens:
    """The tokenizer that the golden cases were counted with."""

    tokenizer: Any

    def count(self, text: str) -> int:
        return len(self.tokenizer(text)["input_ids"])

    def clip(self, text: str, limit: int) -> str:
        return str(self.tokenizer.decode(self.tokenizer(text)["input_ids"][:limit], skip_special_tokens=True))

    def chat(self, text: str) -> str:
        return text


@pytest.fixture(scope="module")
def golden(shared: Path) -> list[dict[str, Any]]:
    lines = (shared / "golden" / "tk_instruct_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def smollm2() -> PretrainedTokens:
    folder = Path(os.environ.get("INSTRUCT_ABLATE_SMOLLM2", CACHED))
    if not (folder / "tokenizer.json").is_file():
        pytest.skip(f"no SmolLM2 tokenizer in {folder} (set INSTRUCT_ABLATE_SMOLLM2)")
    from transformers import AutoTokenizer

    return PretrainedTokens(AutoTokenizer.from_pretrained(folder))


def source_of(case: dict[str, Any], tokens: Any, limit: int | None = None) -> str:
    settings = case["settings"]
    examples = {
        key: tuple(
            Example(e["input"], e["output"], e.get("explanation", "")) for e in case[f"{key}_examples"]
        )
        for key in ("positive", "negative")
    }
    task = Task(
        case["task"],
        case["definition"][0],
        (Instance(case["instance_id"], case["input"], tuple(case["output"])),),
        examples["positive"],
        examples["negative"],
    )
    config = InstructionConfig(
        definition="original" if settings["add_task_definition"] else "empty",
        num_positive=settings["num_pos_examples"],
        num_negative=settings["num_neg_examples"],
        explanations=settings["add_explanation"],
    )
    prompt = PromptConfig("tk_instruct", limit or settings["max_source_length"])
    return build_prompts([task], config, prompt, tokens, Context(0))[0].source


def test_golden_prompts_byte_for_byte(golden: list[dict[str, Any]], smollm2: PretrainedTokens) -> None:
    wrong = [case["instance_id"] for case in golden if source_of(case, smollm2) != case["expected_source"]]
    assert len(golden) == 400
    assert not wrong


def test_golden_prompts_that_fit_need_no_tokenizer(golden: list[dict[str, Any]]) -> None:
    whole = [case for case in golden if case["settings"]["max_source_length"] == 1024]
    same = [case for case in whole if source_of(case, WordTokens(), limit=10**6) == case["expected_source"]]
    assert len(same) > 0.7 * len(whole)  # the others lost examples to the limit in the reference
    short = [case for case in whole if case["source_tokens_smollm2"] < 200]
    assert short
    assert all(case in same for case in short if case["settings"]["num_pos_examples"] == 0)


INSTANCE = Instance("1", "one two three", ("yes",))


def ask(instruction: Instruction, limit: int = 10**6, instance: Instance = INSTANCE) -> Any:
    return tk_instruct(instruction, instance, Room(WordTokens(), limit))


def test_full_stops_only_where_punctuation_is_missing() -> None:
    told = Instruction("t", "Say yes!", (Example("a", "b", "c"),), (Example("d.", "e?"),))
    assert ask(told).text == (
        "Definition: Say yes!\n\n"
        " Positive Example 1 -\nInput: a.\n Output: b.\n Explanation: c.\n\n"
        " Negative Example 1 -\nInput: d.\n Output: e?\n\n"
        "Now complete the following example -\nInput: one two three.\nOutput: "
    )


def test_parts_that_a_variant_leaves_out_have_no_line() -> None:
    examples = (Example("a", "b"),)
    assert ask(Instruction("t", "", examples, (), ("output",))).text.startswith(
        " Positive Example 1 -\n Output: b.\n\nNow"
    )
    assert ask(Instruction("t", "", examples, (), ("input",))).text.startswith(
        " Positive Example 1 -\nInput: a.\n\nNow"
    )


def test_an_output_that_is_blank_in_the_data_is_written_as_the_reference_does() -> None:
    assert " Output: .\n" in ask(Instruction("t", "", (Example("a", ""),), ())).text


def test_examples_stop_at_the_first_that_does_not_fit() -> None:
    long = Example("word " * 200, "b")
    short = Example("a", "b")
    made = ask(Instruction("t", "Do it.", (short, long, short), (short, long)), limit=60)
    assert "Positive Example 1" in made.text
    assert "Positive Example 2" not in made.text
    assert "Negative Example 1" in made.text
    assert made.dropped_examples == 3
    assert not made.truncated


def test_what_does_not_fit_without_examples_is_cut_at_the_end() -> None:
    made = ask(Instruction("t", "Do it.", (), ()), limit=10, instance=Instance("1", "word " * 50, ("b",)))
    assert made.truncated
    assert len(made.text.split()) == 10


def test_the_tasks_name_comes_first_where_it_is_asked_for() -> None:
    task = Task("task7_yes", "Do it.", (INSTANCE,), (Example("a", "b"),))
    usual, named = (
        build_prompts(
            [task],
            InstructionConfig(),
            PromptConfig("tk_instruct", add_task_name=name),
            WordTokens(),
            Context(0),
        )[0].source
        for name in (False, True)
    )
    assert named == f"task7_yes. {usual}"
    with pytest.raises(UserError, match=r"add_task_name=true is of prompt=tk_instruct: plain has no place"):
        check_prompt(PromptConfig("plain", add_task_name=True))
    check_prompt(PromptConfig("tk_instruct", add_task_name=True))
