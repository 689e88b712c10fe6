from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.shortage import in_one, shortage_notes, told_shortages
from instruct_ablate.schema import InstructionConfig
from tests.conftest import make_task

TWO = make_task("two")
THREE = replace(make_task("three"), positive_examples=(*TWO.positive_examples, TWO.positive_examples[0]))
BARE = make_task("bare", positive_examples=(), negative_examples=())
PLAIN = InstructionConfig()


def notes(*tasks: object, **asked: object) -> list[str]:
    return shortage_notes(tasks, replace(PLAIN, **asked), Context(0, tasks), "training")  # type: ignore[arg-type]


def test_tasks_with_fewer_examples_than_others_are_named_with_what_they_show() -> None:
    assert notes(TWO, THREE, num_positive=3) == [
        "instruction.num_positive=3: 1 of 2 training tasks has fewer positive examples: two (2 of 3)"
    ]
    assert notes(TWO, THREE) == []
    (line,) = notes(TWO, BARE, num_positive=3)
    assert line.endswith("2 of 2 training tasks have fewer positive examples: two (2 of 3), bare (0 of 3)")


def test_negative_examples_and_explanations_are_counted_likewise() -> None:
    assert notes(TWO, BARE, num_negative=2, num_positive=0) == [
        "instruction.num_negative=2: 1 of 2 training tasks has fewer negative examples: bare (0 of 2)"
    ]
    poor = replace(
        TWO,
        name="poor",
        positive_examples=(TWO.positive_examples[0], replace(TWO.positive_examples[1], explanation="")),
    )
    assert notes(TWO, poor, explanations=True) == [
        "instruction.explanations=True: 1 of 2 training tasks has fewer explanations: poor (1 of 2)"
    ]


def test_what_a_variant_drops_is_no_shortage_and_collections_without_examples_are_none() -> None:
    assert notes(TWO, THREE, num_positive=3, examples="empty") == []
    assert notes(TWO, explanations=True, examples="delusive") == []
    assert notes(BARE) == []
    assert notes(BARE, replace(TWO, prompted=True), num_positive=3) == []
    assert notes(THREE, replace(TWO, instances=()), num_positive=3) == []


def test_many_tasks_are_counted() -> None:
    tasks = [make_task(f"task{number}") for number in range(9)]
    (line,) = notes(*tasks, num_positive=4)
    assert "9 of 9 training tasks" in line
    assert line.endswith("task4 (2 of 4) and 4 more")


@pytest.mark.parametrize(
    "asked", [{"num_positive": 3}, {"num_negative": 5}, {"num_negative": 5, "explanations": True}]
)
def test_what_is_said_is_found_again_among_a_records_notes(asked: dict[str, object]) -> None:
    said = notes(*(make_task(f"task{number}") for number in range(1200)), TWO, BARE, **asked)
    assert said
    met = [f"test, original: {line}" for line in said]
    assert [*told_shortages(["instruction=delusive: something", *met, "training: 3 of 4"])] == said


def test_what_differs_in_tasks_alone_is_one_sentence() -> None:
    def line(
        short: int, every: int, named: str, side: str = "training", asked: str = "num_positive=3"
    ) -> str:
        return f"instruction.{asked}: {short} of {every:,} {side} tasks have fewer positive examples: {named}"

    drawn = [line(2, 5, "a (2 of 3), b (2 of 3)"), line(3, 5, "c (2 of 3)"), line(400, 1000, "d (2 of 3)")]
    apart = [line(2, 5, "a (2 of 3)", side="test"), line(2, 5, "a (2 of 4)", asked="num_positive=4")]
    assert [*in_one([drawn[0], apart[0], *drawn, *apart])] == [
        "instruction.num_positive=3: 2 of 5 to 3 of 5 training tasks have fewer positive examples; which ones, the "
        "notes of each cell's record say",
        *apart,
    ]
    (same,) = in_one([drawn[0], line(2, 5, "e (2 of 3)")])
    assert same.startswith("instruction.num_positive=3: 2 of 5 training tasks have fewer")
    assert [*told_shortages([line(2, 5, "x").replace("of 5", f"of {'5' * 5000}")])] == []
