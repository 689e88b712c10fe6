"""Examples drawn from training rows."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.sampling.drawn_examples import with_examples
from instruct_ablate.tasks.task import Example, Instance, Task
from tests.conftest import make_task

ROWS = tuple(Instance(f"r{n}", f"film {n}", ("good" if n < 8 else "bad",)) for n in range(10))
BARE = make_task("films", instances=ROWS, positive_examples=(), label_space=("good", "bad"))
TESTED = replace(BARE, instances=(Instance("t", "film 9", ("bad",)), Instance("u", "film 0", ("good",))))


def drawn(count: int, train: Task = BARE) -> tuple[Task, Task]:
    (trained,), (test,) = with_examples([train], [TESTED], count)
    return trained, test


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_examples_are_neither_trained_on_nor_tested(count: int) -> None:
    trained, test = drawn(count)
    assert trained.positive_examples == test.positive_examples
    shown = {example.input for example in trained.positive_examples}
    assert len(shown) == count
    assert not shown & {one.input for one in (*trained.instances, *test.instances)}
    assert len(trained.instances) == 10 - count
    assert test.instances == TESTED.instances
    answers = {one.input: one.references[0] for one in ROWS}
    assert all(example.output == answers[example.input] for example in trained.positive_examples)


def test_labels_take_turns_and_the_order_of_rows_is_nothing() -> None:
    trained, _ = drawn(2)
    assert {example.output for example in trained.positive_examples} == {"good", "bad"}
    turned, _ = drawn(2, replace(BARE, instances=ROWS[::-1]))
    assert turned.positive_examples == trained.positive_examples
    more, _ = drawn(3)
    assert more.positive_examples[:2] == trained.positive_examples


def test_rows_of_the_same_input_go_too() -> None:
    double = replace(BARE, instances=(*ROWS, *(replace(one, id=f"{one.id}b") for one in ROWS)))
    trained, _ = drawn(2, double)
    assert len(trained.instances) == 16


def test_what_is_tested_alone_has_no_rows_to_show() -> None:
    elsewhere = replace(TESTED, name="books")
    (trained,), (test, other) = with_examples([BARE], [TESTED, elsewhere], 2)
    assert other == elsewhere
    assert test.positive_examples == trained.positive_examples != ()


def test_a_task_with_examples_keeps_its_own() -> None:
    own = replace(BARE, positive_examples=(Example("a", "good"),))
    (trained,), (test,) = with_examples([own], [replace(TESTED, positive_examples=own.positive_examples)], 2)
    assert trained == own
    assert test.positive_examples == own.positive_examples


def test_a_task_of_prompts_or_that_tests_with_examples_of_its_own_gets_none() -> None:
    prompted = replace(BARE, name="p3", prompted=True)
    own = replace(TESTED, positive_examples=(Example("a", "good"),))
    (trained, kept), (test,) = with_examples([BARE, prompted], [own], 2)
    assert (kept, test) == (prompted, own)
    assert len(trained.positive_examples) == 2


def test_of_free_outputs_the_first_rows_by_hash_are_shown_whatever_they_say() -> None:
    free = replace(BARE, label_space=None)
    (trained,), _ = with_examples([free], [TESTED], 4)
    untested = [one for one in ROWS if one.input not in {"film 9", "film 0"}]
    ranked = sorted(untested, key=lambda one: sha256(f"{one.input}\0{one.references[0]}".encode()).digest())
    assert [one.input for one in trained.positive_examples] == [one.input for one in ranked[:4]]
    assert [one.output for one in trained.positive_examples] != ["good", "bad", "good", "good"], "no turns"


def test_too_few_rows_are_refused() -> None:
    for count in (8, 9):  # eight are not tested, and one must be left to train on
        with pytest.raises(UserError, match=f"tasks.examples={count}: films has 8 training rows"):
            drawn(count)


def write(folder: Path) -> dict[str, object]:
    folder.mkdir()
    for name, numbers in (("train", range(10)), ("test", range(20, 24))):
        rows = [f'{{"text": "film {n}", "label": "{"good" if n % 2 else "bad"}"}}' for n in numbers]
        (folder / f"{name}.jsonl").write_text("\n".join(rows))
    return {
        "reader": "hf_dataset",
        "root": str(folder),
        "train_split": "train",
        "test_split": "test",
        "columns": {"input": "text", "output": "label"},
        "definition": "Is it good?",
    }


def test_a_data_set_without_examples_gets_some(tmp_path: Path) -> None:
    given = write(tmp_path / "films")
    read = read_tasks(TasksConfig(**given, examples=2), tmp_path / "cache")  # type: ignore[arg-type]
    assert len(read.train[0].positive_examples) == 2
    assert len(read.train[0].instances) == 8
    assert read.test[0].positive_examples == read.train[0].positive_examples
    with pytest.raises(UserErrors, match=r"tasks\.examples=2: they are drawn from tasks\.train_split"):
        read_tasks(TasksConfig(**{**given, "train_split": None}, examples=2), tmp_path / "cache")  # type: ignore[arg-type]
    with pytest.raises(UserErrors, match=r"tasks\.examples is set"):
        read_tasks(TasksConfig(reader="starter", examples=2), tmp_path / "cache")
