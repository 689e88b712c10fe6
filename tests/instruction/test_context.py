"""Chance that depends on names alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from instruct_ablate.instruction import context
from instruct_ablate.instruction.context import Context, hashed
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.left_out import left_out


def test_hash_is_the_same_on_every_machine() -> None:
    assert hashed("a", 1) == hashed("a", "1")
    assert hashed("a", "bc") != hashed("ab", "c")
    assert hashed(0, "task1", "delusive") == 9168041013887917674


def test_chance_depends_on_seed_name_and_purpose() -> None:
    task = make_task()
    draws = {
        Context(seed).random(make_task(name), purpose).random()
        for seed in (0, 1)
        for name in ("a", "b")
        for purpose in ("x", "y")
    }
    assert len(draws) == 8
    assert (
        Context(3).random(task, "x").random() == Context(3, (task,)).random(make_task(count=2), "x").random()
    )


def test_pick_does_not_depend_on_the_order_of_tasks() -> None:
    task, others = make_task("me"), [make_task(f"task{i}") for i in range(20)]
    context = Context(0)
    assert context.pick(task, others, "x") == context.pick(task, others[::-1], "x")
    assert len({Context(seed).pick(task, others, "x").name for seed in range(20)}) > 5


def test_whole_finds_the_unsampled_task() -> None:
    whole, sample = make_task(count=6), make_task(count=2)
    assert Context(0, (make_task("other"), whole)).whole(sample) is whole
    assert Context(0).whole(sample) is sample


def test_a_context_is_that_of_one_side_and_of_a_cell_s_seed() -> None:
    train, test = (make_task("a"),), (make_task("b"),)
    config = replace(Config(), seed=5)
    collection = TaskCollection("x", train, test, "", validation=(make_task("held"),))
    held = Context.of(Config(), collection, "validation").tasks
    assert [task.name for task in held] == [*(task.name for task in train), "held"]
    assert Context.of(config, collection, "train") == Context(5, train)
    assert Context.of(config, collection, "test") == Context(5, test)


def test_an_instruction_s_parameters_are_those_of_the_configuration() -> None:
    under = Context(5, rate=0.9).under(InstructionConfig(rate=0.1, correct=0.3, num_positive=4))
    assert under == Context(5, (), 0.1, 0.3, 4)
    assert Context(5) == Context(5).under(InstructionConfig())


def test_a_context_is_made_in_one_place() -> None:
    """Runs, checks and the audit take `Context.of`: with tasks of their own choice they would see other variants."""
    source = Path(context.__file__).parents[1]
    files = [file for file in source.rglob("*.py") if file.name != "context.py"]
    assert len(files) > 100
    assert [file.name for file in files if re.search(r"\bContext\(", file.read_text())] == []


def test_what_is_left_out() -> None:
    assert left_out(Context) == {"rate": 0.2, "correct": 0.5, "num_positive": 2, "cache": ".cache"}
