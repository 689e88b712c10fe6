"""The registry, and users' own functions by dotted path or file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.configuration.extensions import load_extensions, load_function
from instruct_ablate.errors import UserError
from instruct_ablate.instruction import variant as variant_module
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import instruct
from instruct_ablate.instruction.variant import VARIANTS, Variant, variant
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import Task
from tests.conftest import make_task
from tests.left_out import left_out

SHOUT = """
from dataclasses import replace
from instruct_ablate.instruction.variant import variant

RUNS = []
RUNS.append(1)


@variant("definition")
def shout(task, context):
    return replace(task, definition=task.definition.upper())


@variant("examples")
def first_only_here(task, context):
    return replace(task, positive_examples=task.positive_examples[:1])
"""


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    for slot, known in VARIANTS.items():
        monkeypatch.setitem(VARIANTS, slot, dict(known))


def test_a_registered_function_is_found_by_its_name() -> None:
    @variant("definition", parameter="rate")
    def whispered(task: Task, context: Context) -> Task:
        return replace(task, definition=task.definition.lower())

    found = find("definition", "whispered")
    assert (found.function, found.changes, found.parameter) == (whispered, ("definition",), "rate")


def test_users_function_by_dotted_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_shouting.py").write_text(SHOUT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    made = instruct(make_task(), InstructionConfig(definition="my_shouting.shout"), Context(0))
    assert made.definition.startswith("READ THE REVIEW")
    assert find("definition", "my_shouting.shout").name == "my_shouting.shout"


def test_a_function_by_dotted_path_is_all_that_its_decorator_says() -> None:
    found = find("definition", "instruct_ablate.instruction.noise.deleted")
    assert (found.name, found.parameter) == ("instruct_ablate.instruction.noise.deleted", "rate")
    assert find("examples", "instruct_ablate.instruction.examples.outputs_only").shows == ("output",)


def test_extensions_register_and_run_once(tmp_path: Path) -> None:
    file = tmp_path / "my_extension_file.py"
    file.write_text(SHOUT)
    load_extensions([str(file)])
    load_extensions([str(file)])
    made = instruct(make_task(), InstructionConfig(examples="first_only_here"), Context(0))
    assert len(made.positive_examples) == 1
    assert load_function("my_extension_file.shout", "instruction.definition")(
        make_task(), Context(0)
    ).definition.isupper()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module.shout", r"cannot import module 'no_such_module'.*extensions"),
        ("json.no_such_function", "module 'json' has no function 'no_such_function'"),
        ("json.__name__", "has no function"),
    ],
)
def test_bad_dotted_paths_say_what_is_wrong(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find("definition", path)


def test_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"instruction.definition 'simplfied'.*did you mean 'simplified'"):
        find("definition", "simplfied")
    with pytest.raises(UserError, match="Allowed: delusive, delusive_mended, empty"):
        find("examples", "zzz")


def test_bad_extensions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a Python file"):
        load_extensions([str(tmp_path / "gone.py")])
    clash = tmp_path / "json.py"
    clash.write_text("")
    with pytest.raises(UserError, match="rename the file"):
        load_extensions([str(clash)])


def test_both_parts_of_an_example_are_shown_unless_told_otherwise() -> None:
    assert Variant("x", "examples", lambda task, context: task, ()).shows == ("input", "output")
    assert find("examples", "original").shows == ("input", "output")


def test_a_function_of_the_examples_may_change_the_right_ones_alone() -> None:
    @variant("examples")
    def silent(task: Task, context: Context) -> Task:
        return task

    found = find("examples", "silent")
    assert (found.slot, found.changes, found.parameter) == ("examples", ("positive_examples",), None)
    assert found.shows == ("input", "output")


def test_a_file_that_is_loaded_again_takes_only_its_own_variants_away() -> None:
    before = {slot: set(known) for slot, known in VARIANTS.items()}

    @variant("definition")
    def of_a_file(task: Task, context: Context) -> Task:
        return task

    of_a_file.__module__ = "a_file_of_mine"
    variant_module._forget("a_file_of_mine")
    assert {slot: set(known) for slot, known in VARIANTS.items()} == before


def test_what_is_left_out() -> None:
    assert left_out(Variant) == {"version": 1, "chance": False}


def test_what_a_variant_returns_is_a_task() -> None:
    """Before: a traceback out of dataclasses."""

    @variant("definition")
    def text_alone(task: Task, context: Context) -> Task:
        return "shout"  # type: ignore[return-value]

    with pytest.raises(
        UserError, match=r"instruction.definition=text_alone must return a Task .*, not str\."
    ):
        instruct(make_task(), InstructionConfig(definition="text_alone"), Context(0))


class Shouted:
    def __call__(self, task: Task, context: Context) -> Task:
        return replace(task, definition=task.definition.upper())


@pytest.mark.parametrize("change", [Shouted(), partial(lambda task, context, sign: task, sign="!")])
def test_what_has_no_name_of_its_own_is_given_one_or_told_to(
    change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: AttributeError, '__name__'."""
    monkeypatch.setattr(variant_module, "VARIANTS", {"definition": {}, "examples": {}})
    told = rf"definition: an object of type {type(change).__name__} has no name .*@variant\(\"definition\", "
    with pytest.raises(UserError, match=told):
        variant("definition")(change)
    assert variant("definition", "given")(change) is change
    assert [*variant_module.VARIANTS["definition"]] == ["given"]
