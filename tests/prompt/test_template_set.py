"""Sets of templates: what they hold, how they are named, what counts, and under which one is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.settings import check_prompt
from instruct_ablate.prompt.template import rendered
from instruct_ablate.prompt.template_set import (
    content,
    read_set,
    shipped_sets,
    single_template,
    template_label,
    template_names,
    trained_under,
    training_template,
    under_each,
)
from instruct_ablate.schema import PromptConfig
from instruct_ablate.tasks.task import Example, Instance
from tests.prompt.words import WordTokens

SET = PromptConfig("set_12")
OWN = (
    "- {name: a, input: 'In {input}', output: 'Out {output}'}\n"
    "- {name: b, input: 'in {input}', output: 'out {output}'}\n"
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(OWN)
    return tmp_path / "mine.yaml"


def test_the_dozen_shows_all_parts_in_twelve_ways() -> None:
    told = Instruction("t", "Sort the words.", (Example("b a", "a b", "by letter"),), (Example("c", "d"),))
    asked, room = Instance("1", "three four", ("four three",)), Room(WordTokens(), 1000)
    made = [rendered(single_template(one), told, asked, room).text for one in under_each(SET)]
    assert len(set(made)) == len(shipped_sets()["set_12"]) == 12
    for text in made:
        places = [text.index(part) for part in ("Sort the words.", "b a", "a b", "by letter", "three four")]
        assert places == sorted(places)
        assert not text.endswith(" ")


def test_names_of_templates() -> None:
    assert template_names(PromptConfig("plain")) == ("plain",)
    assert template_names(SET)[:2] == ("set_12/titled", "set_12/bare")
    assert template_names(PromptConfig("plain+set_12/bars")) == ("plain", "set_12/bars")
    assert [one.template for one in under_each(PromptConfig("plain+alpaca"))] == ["plain", "alpaca"]


def test_a_file_is_a_set_known_by_its_name(own: Path) -> None:
    config = PromptConfig(str(own))
    assert template_names(config) == (f"{own}/a", f"{own}/b")
    assert [template_label(name) for name in template_names(config)] == ["mine/a", "mine/b"]
    assert template_label(f"plain+{own}") == "plain+mine"
    check_prompt(config)
    assert read_set("plain") is None


def test_texts_count_and_places_do_not(own: Path, tmp_path: Path) -> None:
    before = content(PromptConfig(str(own)))
    (tmp_path / "elsewhere").mkdir()
    moved = own.rename(tmp_path / "elsewhere" / "mine.yaml")
    assert content(PromptConfig(str(moved))) == before
    moved.write_text(OWN.replace("Out", "Then"))
    assert content(PromptConfig(str(moved))) != before
    assert content(PromptConfig("plain+tk_instruct")) is None
    assert content(PromptConfig("set_12/bars")) not in (None, content(SET))


def test_the_first_is_trained_under_unless_another_is_named() -> None:
    assert [one.template for one in trained_under(SET)] == ["set_12/titled"]
    named = replace(SET, training_template="set_12/bars")
    assert [one.template for one in trained_under(named)] == ["set_12/bars"]
    assert {one.training_template for one in under_each(named)} == {"first"}


def test_drawn_ones_hang_on_seed_task_and_instance_alone() -> None:
    drawn = replace(SET, training_template="drawn")
    chosen, again, other = (training_template(drawn, seed) for seed in (0, 0, 1))
    places = [(f"task{i % 3}", str(i)) for i in range(200)]
    names = [chosen(*place).name for place in places]  # type: ignore[attr-defined]
    assert names == [again(*place).name for place in places]  # type: ignore[attr-defined]
    assert names != [other(*place).name for place in places]  # type: ignore[attr-defined]
    assert len(set(names)) == 12


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (PromptConfig("set_13"), "did you mean 'set_12'"),
        (PromptConfig("set_12/bar"), "did you mean 'bars'"),
        (PromptConfig("plain+plain"), "plain stands in it twice"),
        (PromptConfig("set_12+set_12/bars"), "set_12/bars stands in it twice"),
        (PromptConfig("nowhere.yaml"), "is no file here"),
        (PromptConfig("plain+"), "unknown prompt.template ''"),
        (replace(SET, training_template="last"), "unknown prompt.training_template 'last'"),
        (replace(SET, add_task_name=True), "has no place for it"),
    ],
)
def test_sets_that_are_not_there(config: PromptConfig, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_prompt(config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no YAML"),
        ("name: a", "is a list of renderings"),
        ("[]", "is a list of renderings"),
        (OWN.replace("name: b", "name: a"), "two renderings are called a"),
        ("[1]", "a rendering is a list of parts"),
    ],
)
def test_files_that_are_no_set(own: Path, text: str, said: str) -> None:
    own.write_text(text)
    with pytest.raises(UserError, match=said):
        check_prompt(PromptConfig(str(own)))
