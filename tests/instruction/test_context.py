"""Chance that depends on names alone."""

from __future__ import annotations

from instruct_ablate.instruction.context import Context, hashed
from tests.conftest import make_task


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
