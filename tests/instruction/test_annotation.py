"""The published annotation laid over definitions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.annotation import annotation_of
from tests.conftest import make_task

SEGMENTS = [
    ["You see `` a word '' and", "Segment,Input content,Full instruction"],
    ["you spell it ( aloud ) .", "Segment,Input mention,Action content,Output content"],
    ["Mind the pace .", "Segment,Additional output details"],
]


def written(path: Path, entries: object) -> str:
    path.write_text(json.dumps(entries))
    return str(path)


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (
            "You see `` a word '' and you spell it (aloud). Mind the pace.",
            ["You see `` a word '' and ", "you spell it (aloud). ", "Mind the pace."],
        ),
        (  # other quotes, a full stop that the annotation lacks
            'You see "a word" and you spell it (aloud).". Mind the pace.',
            ['You see "a word" and ', 'you spell it (aloud).". ', "Mind the pace."],
        ),
    ],
)
def test_segments_are_found_by_their_letters(tmp_path: Path, definition: str, expected: list[str]) -> None:
    annotation = annotation_of(written(tmp_path / "a.json", {"d": [*SEGMENTS, "spelling"]}))
    segments = annotation.segments(make_task("spelling", definition=definition))
    assert segments
    assert [segment.text for segment in segments] == expected
    assert [set(segment.kinds) for segment in segments] == [{"input"}, {"action", "output"}, {"details"}]


def test_another_definition_is_not_annotated(tmp_path: Path) -> None:
    annotation = annotation_of(written(tmp_path / "a.json", {"d": [*SEGMENTS, "spelling"]}))
    assert annotation.segments(make_task("spelling", definition="Sort all of these numbers, please.")) is None
    assert annotation.segments(make_task("sorting", definition="You see a word")) is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    first = annotation_of(written(path, {"d": [*SEGMENTS, "one"]}))
    assert "one" in first.tasks
    assert "another" in annotation_of(written(path, {"d": [*SEGMENTS, "another"]})).tasks


@pytest.mark.parametrize(
    "entries", [[], {"d": ["no pairs", "t"]}, {"d": "text"}, {"d": [["a", None], "t"]}, {"d": []}]
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, entries: object) -> None:
    with pytest.raises(UserError, match=r"instruction\.annotation=.*Yin et al"):
        annotation_of(written(tmp_path / "a.json", entries))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        annotation_of(str(tmp_path / "none.json"))
