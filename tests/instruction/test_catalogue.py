"""Every built-in variant: one field differs, it is documented, short, and the same everywhere."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.catalogue import find, names
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import Slot
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import Task
from tests.conftest import make_task

ALL: list[tuple[Slot, str]] = [
    (slot, name)
    for slot in ("definition", "examples")
    for name in names(slot)  # type: ignore[arg-type]
]
CONF = Path(__file__).resolve().parents[2] / "conf" / "instruction"


def others() -> tuple[Task, ...]:
    return (
        make_task("task7_near", definition="Say 'positive' if the customer is content."),
        make_task("task8_far", definition="Translate it.", categories=("Translation",)),
    )


@pytest.mark.parametrize(("slot", "name"), ALL)
def test_a_variant_changes_its_own_field_only(slot: Slot, name: str) -> None:
    task, variant = make_task(), find(slot, name)
    after = variant.function(task, Context(0, (task, *others())))
    differing = {f for f in Task.__dataclass_fields__ if getattr(task, f) != getattr(after, f)}
    assert differing <= set(variant.changes)
    assert len(differing) == (0 if name == "original" else 2 if name == "response_only" else len(differing))


@pytest.mark.parametrize(("slot", "name"), ALL)
def test_a_variant_is_short_documented_and_reproducible(slot: Slot, name: str) -> None:
    task, variant = make_task(), find(slot, name)
    assert variant.function.__doc__
    assert len(inspect.getsource(variant.function).splitlines()) < 25
    forward, backward = Context(1, (task, *others())), Context(1, (*others()[::-1], task))
    assert variant.function(task, forward) == variant.function(task, backward)


@pytest.mark.parametrize("name", ["shuffled", "deleted", "replaced", "inserted", "misspelled", "irrelevant"])
def test_random_variants_differ_between_seeds(name: str) -> None:
    made = {find("definition", name).function(make_task(), Context(seed)).definition for seed in range(8)}
    assert len(made) > 3


@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda file: file.stem)
def test_each_config_file_names_known_variants(file: Path) -> None:
    config = InstructionConfig(**yaml.safe_load(file.read_text()))
    find("definition", config.definition)
    find("examples", config.examples)


def test_a_plain_name_that_is_none_of_ours_is_no_module() -> None:
    for slot in ("definition", "examples"):
        with pytest.raises(UserError, match=f"unknown variant of instruction.{slot} 'sys'"):
            find(slot, "sys")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="cannot import module 'no_such_package'"):
        find("definition", "no_such_package.shout")


def test_a_function_by_its_path_changes_what_it_is_registered_for() -> None:
    path = "instruct_ablate.instruction.noise.shuffled"
    assert find("definition", path).parameter == find("definition", "shuffled").parameter
    named = find("definition", "instruct_ablate.instruction.definitions.response_only")
    assert named.changes == find("definition", "response_only").changes
    assert len(named.changes) == 2
