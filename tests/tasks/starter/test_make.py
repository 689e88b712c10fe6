"""Making the collection: the same bytes again, stale files removed, too few facts refused, texts read."""

from pathlib import Path
from random import Random

import pytest

from instruct_ablate.tasks.starter import ROOT
from instruct_ablate.tasks.starter.make.build import build, draw_instances
from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.grammar import third_person
from instruct_ablate.tasks.starter.make.recipe import Recipe
from instruct_ablate.tasks.starter.make.recipes import DRAWS, MODULES, RECIPES
from instruct_ablate.tasks.starter.make.text import read_text
from instruct_ablate.tasks.starter.make.write import write_collection


def _contents(root: Path) -> dict[str, bytes]:
    folders = (root / "tasks", root / "splits")
    return {
        str(p.relative_to(root)): p.read_bytes()
        for folder in folders
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_regeneration_is_byte_identical(tmp_path):
    write_collection(RECIPES, tmp_path)
    assert _contents(tmp_path) == _contents(ROOT)


def test_stale_task_files_are_removed(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "starter999_old.json").write_text("{}")
    write_collection(RECIPES[:1], tmp_path)
    assert [path.stem for path in (tmp_path / "tasks").iterdir()] == [RECIPES[0].name]


def test_one_task_does_not_depend_on_the_others():
    assert build(RECIPES[7]) == build(RECIPES[7])
    assert draw_instances(RECIPES[3]) == draw_instances(
        Recipe(RECIPES[3].name, RECIPES[3].text, RECIPES[3].draw)
    )


def test_too_few_facts_are_told():
    poor = Recipe("starter001_poor", RECIPES[0].text, lambda random: ("the only input", "the only output"))
    with pytest.raises(ValueError, match="starter001_poor: not enough facts"):
        draw_instances(poor)


def test_every_text_has_a_draw_and_every_draw_a_text():
    texts = Path(rows.__code__.co_filename).parents[1] / "texts"
    assert sorted(path.stem for path in texts.glob("*.txt")) == sorted(DRAWS)
    assert sum(len(module.DRAWS) for module in MODULES) == len(DRAWS)


def test_text_of_a_task():
    text = read_text("starter014_would_recommend")
    assert text.labels == ("Yes", "No")
    assert text.split == "train"
    assert text.positive[0].output == "Yes"
    assert text.negative[0].why.endswith("the answer should be Yes.")
    assert read_text("starter001_weekday_after").labels is None


def test_rows_of_a_table():
    assert ("France", "Paris", "Europe") in rows("countries")
    assert {len(row) for row in rows("countries")} == {3}


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_draws_give_text_and_output(name):
    text, output = DRAWS[name](Random(0))
    assert text.strip() == text
    assert output


@pytest.mark.parametrize(
    ("verb", "after_she"),
    [("walk", "walks"), ("pass", "passes"), ("wash", "washes"), ("watch", "watches"), ("mix", "mixes"),
     ("go", "goes"), ("carry", "carries"), ("play", "plays")],
)  # fmt: skip
def test_verbs_in_the_third_person(verb, after_she):
    assert third_person(verb) == after_she


def test_a_collection_is_rewritten_in_place(tmp_path):
    for _ in range(2):
        write_collection(RECIPES[:2], tmp_path / "new" / "folder")
    assert len(list((tmp_path / "new" / "folder").rglob("*.json"))) == 2
    listed = [
        name
        for split in ("train", "test")
        for name in (tmp_path / f"new/folder/splits/default/{split}_tasks.txt").read_text().split()
    ]
    assert sorted(listed) == sorted(recipe.name for recipe in RECIPES[:2])
