"""Predictions that were made of the data in another row order: ids made of places name other rows then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.after.import_predictions import Imported, Matching, import_predictions
from instruct_ablate.cell.after.row_order import _by_beginning, _standing
from instruct_ablate.errors import UserError
from instruct_ablate.tasks.task import Instance, TaskCollection
from tests.conftest import make_task

ROWS = (
    Instance("a", "A good\n film.", ("positive",)),
    Instance("a#2", "A bad film.", ("negative",)),
    Instance("b", "So so.", ("negative",)),
)
DATA = TaskCollection("own", (), (replace(make_task(), instances=ROWS),), "hash")
SHOWN = "Say which. Example: {shown} Output: negative. Input: {text} Output:"


def given(tmp_path: Path, inputs: dict[str, str], shown: str = "Fine.", **options: bool) -> Imported:
    """Import answers of the label that is right for what the prompt holds, by id."""
    right = {" ".join(row.input.split()): row.references[0] for row in ROWS}
    path = tmp_path / "answers.jsonl"
    path.write_text(
        "".join(
            json.dumps(
                {
                    "task": DATA.test[0].name,
                    "instance_id": name,
                    "prompt": text and SHOWN.format(shown=shown, text=text),
                    "prediction": right.get(text, "neutral"),
                    "references": [right.get(text, "negative")],
                }
            )
            + "\n"
            for name, text in inputs.items()
        )
    )
    return import_predictions(path, DATA, Matching(**options))


def test_doubled_rows_in_another_order_are_not_scored_against_each_other(tmp_path: Path) -> None:
    """Before: both right answers were taken for wrong ones."""
    with pytest.raises(UserError) as caught:
        given(tmp_path, {"a": "A bad film.", "a#2": "A good film.", "b": "So so."})
    assert "2 instances whose prompt holds the input of another row of the task, and not its own:" in str(
        caught.value
    )
    assert "a, task1_sentiment a#2. Ids that were made of rows' places" in str(caught.value)


def test_so_are_rows_that_are_numbered_by_their_places_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 instances whose prompt"):
        given(tmp_path, {"a": "A bad film.", "a#2": "So so.", "b": "A good film."})


def test_a_part_in_another_order(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 instance whose prompt"):
        given(tmp_path, {"a#2": "A good film.", "b": "So so."}, partial=True)


def test_prompts_of_their_own_rows_are_taken(tmp_path: Path) -> None:
    found = given(tmp_path, {"b": "So so.", "a#2": "A bad film.", "a": "A good film."})
    assert [row.get("exact_match") for row in found.rows] == [1.0, 1.0, 1.0]
    assert "order" not in str(found.notes)


def test_inputs_that_were_cut_or_written_otherwise_are_no_other_rows(tmp_path: Path) -> None:
    cut = {"a": "A go", "a#2": "A b", "b": "So so."}
    assert len(given(tmp_path, cut).rows) == 3
    assert len(given(tmp_path, cut, shown="So so.").rows) == 3, "an example that is tested, too"


def test_a_word_of_its_own_input_or_of_the_definition_is_no_other_row(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """Before: a part of a file was refused where a row that it lacks has a word for its input."""
    words = (Instance("c", "good", ("positive",)), Instance("d", "which.", ("negative",)))
    film = replace(ROWS[0], input='A "good" film.')
    monkeypatch.setitem(
        globals(), "DATA", replace(DATA, test=(replace(DATA.test[0], instances=(film, *ROWS[2:], *words)),))
    )
    cut = {"a": 'A \\"good\\" film.', "b": "So so."}
    assert len(given(tmp_path, cut, partial=True).rows) == 2
    with pytest.raises(UserError, match="1 instance whose prompt"):
        given(tmp_path, {"b": "good"}, partial=True)


def test_thousands_of_inputs_are_looked_for_by_how_they_begin() -> None:
    """Each was tried in each prompt: minutes for some ten thousand rows whose prompts write inputs otherwise."""
    texts = ["ab", *(f"{number} is {'a film ' * 20}" for number in range(100, 300))]
    beginnings = _by_beginning(texts)
    assert sorted(beginnings) == [2, 64]
    assert {len(begun) for every in beginnings.values() for begun in every.values()} == {1}
    assert set(_standing(f"Say. {texts[7]} cab {texts[150]}"[:-1], beginnings)) == {texts[7], "ab"}


def test_rows_of_one_input_and_other_references_are_told_apart_by_no_prompt(
    tmp_path: Path, monkeypatch: Any
) -> None:
    again = replace(ROWS[1], input=ROWS[0].input)
    rows = replace(DATA.test[0], instances=(ROWS[0], again, ROWS[2]))
    monkeypatch.setitem(globals(), "DATA", replace(DATA, test=(rows,)))
    found = given(tmp_path, {"a": "A good film.", "a#2": "A good film.", "b": "So so."})
    assert "order alone, for no prompt of the file tells which is which: task1_sentiment a#2" in str(
        found.notes
    )


def test_without_prompts_or_with_references_of_their_own_there_is_nothing_to_swap(tmp_path: Path) -> None:
    found = given(tmp_path, dict.fromkeys(("a", "a#2", "b"), ""))
    assert len(found.rows) == 3
    assert (
        "1 row whose id the data repeat is told from the others by order alone, for no prompt of the file tells "
        "which is which: task1_sentiment a#2"
    ) in found.notes
    swapped = given(tmp_path, {"a": "A bad film.", "a#2": "A good film.", "b": "So so."}, own_references=True)
    assert [row.get("exact_match") for row in swapped.rows] == [1.0, 1.0, 1.0]
