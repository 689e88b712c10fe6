"""Templates by name and by dotted path."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt import template as template_module
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.template import TEMPLATES, Rendered, find_template, rendered, template
from instruct_ablate.tasks.task import Instance
from tests.left_out import left_out
from tests.prompt.words import WordTokens

TOLD = Instruction("t", "Sort the words.", (), ())
ASKED = Instance("1", "one two three", ("x",))


def test_the_built_in_ones_are_there() -> None:
    assert {"tk_instruct", "alpaca", "chat", "plain"} <= set(TEMPLATES)


def test_unknown_template_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"prompt.template 'alpacca'; did you mean 'alpaca'"):
        find_template("alpacca")


def test_a_registered_function_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instruct_ablate.prompt.template.TEMPLATES", dict(TEMPLATES))

    @template
    def mine(instruction: Instruction, instance: Instance, room: Room) -> str:
        return instance.input

    assert find_template("mine") is mine


def test_dotted_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_template_file.py").write_text(
        "from instruct_ablate.prompt.template import template\n\n\n@template\n"
        "def loud(instruction, instance, room):\n    return instance.input.upper()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("instruct_ablate.prompt.template.TEMPLATES", dict(TEMPLATES))
    made = rendered(find_template("my_template_file.loud"), TOLD, ASKED, Room(WordTokens(), 100))
    assert made == Rendered("ONE TWO THREE")


def test_text_that_does_not_fit_is_cut_for_the_user() -> None:
    made = rendered(lambda told, asked, room: asked.input, TOLD, ASKED, Room(WordTokens(), 2))
    assert made == Rendered("one two", truncated=True)


def test_what_a_template_says_is_taken_as_it_is() -> None:
    assert Rendered("a") == Rendered("a", truncated=False, dropped_examples=0)
    own = Rendered("much too long for the room", dropped_examples=3)
    assert rendered(lambda told, asked, room: own, TOLD, ASKED, Room(WordTokens(), 2)) is own
    assert rendered(lambda told, asked, room: "a b", TOLD, ASKED, Room(WordTokens(), 2)) == Rendered("a b")


def test_a_plain_name_that_is_none_of_ours_is_no_module() -> None:
    with pytest.raises(UserError, match=r"unknown prompt.template 'sys'.*tk_instruct"):
        find_template("sys")


def test_a_file_that_is_loaded_again_takes_only_its_own_templates_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_module, "TEMPLATES", dict(TEMPLATES))
    own = lambda instruction, instance, room: ""  # noqa: E731
    own.__module__ = "a_file_of_mine"
    template_module.TEMPLATES["of_this_test_alone"] = own
    template_module._forget("a_file_of_mine")
    assert template_module.TEMPLATES == TEMPLATES


def test_what_is_left_out() -> None:
    assert left_out(Rendered) == {"truncated": False, "dropped_examples": 0}


def test_what_a_template_returns_is_a_text() -> None:
    def forgetful(instruction: Instruction, instance: Instance, room: Room) -> str:
        return None  # type: ignore[return-value]

    with pytest.raises(
        UserError, match=r"prompt.template: forgetful must return a text or a Rendered, not None"
    ):
        rendered(forgetful, TOLD, ASKED, Room(WordTokens(), 2))


def test_what_has_no_name_of_its_own_is_no_template() -> None:
    """Before: AttributeError, '__name__'."""
    before = dict(TEMPLATES)
    with pytest.raises(
        UserError, match=r"prompt\.template: an object of type partial has no name of its own.*`def`"
    ):
        template(partial(lambda instruction, instance, room, end: instance.input + end, end="!"))
    assert before == TEMPLATES
