"""The published annotation laid over definitions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.disk.file_hash import sha256_of
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.content_kinds.annotation import PUBLISHED, annotation_of
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.label import versions
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks.intake.pinned_file import PinnedFile
from instruct_ablate.tasks.task import TaskCollection
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
    annotation = annotation_of(written(tmp_path / "a.json", {"d": [*SEGMENTS, "spelling"]}), "")
    segments = annotation.segments(make_task("spelling", definition=definition))
    assert segments
    assert [segment.text for segment in segments] == expected
    assert [set(segment.kinds) for segment in segments] == [{"input"}, {"action", "output"}, {"details"}]


def test_another_definition_is_not_annotated(tmp_path: Path) -> None:
    annotation = annotation_of(written(tmp_path / "a.json", {"d": [*SEGMENTS, "spelling"]}), "")
    assert annotation.segments(make_task("spelling", definition="Sort all of these numbers, please.")) is None
    assert annotation.segments(make_task("sorting", definition="You see a word")) is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    first = annotation_of(written(path, {"d": [*SEGMENTS, "one"]}), "")
    assert "one" in first.tasks
    assert "another" in annotation_of(written(path, {"d": [*SEGMENTS, "another"]}), "").tasks


@pytest.mark.parametrize(
    "entries", [[], {"d": ["no pairs", "t"]}, {"d": "text"}, {"d": [["a", None], "t"]}, {"d": []}]
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, entries: object) -> None:
    with pytest.raises(UserError, match=r"instruction\.annotation=.*Yin et al"):
        annotation_of(written(tmp_path / "a.json", entries), "")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        annotation_of(str(tmp_path / "none.json"), "")


def test_the_published_one_is_downloaded_and_counts_as_a_file_with_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"d": [*SEGMENTS, "spelling"]})
    (tmp_path / "there.json").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    there = PinnedFile("a.json", "theirs", (tmp_path / "there.json").as_uri(), digest, "a.key")
    monkeypatch.setitem(PUBLISHED, "yin_2023", there)
    config = InstructionConfig("no_label_list", annotation="yin_2023")
    assert f"annotation {digest}" in versions([config])  # known before it is there
    assert not (tmp_path / "downloads").exists()
    assert versions([config]) == versions([replace(config, annotation=str(tmp_path / "there.json"))])
    collection = TaskCollection("mine", (), (make_task("spelling"),), "hash")
    context = Context.of(replace(Config(), cache=str(tmp_path)), collection, "test").under(config)
    task = make_task("spelling", definition="You see `` a word '' and you spell it (aloud). Mind the pace.")
    after = find("definition", "no_input_content").function(task, context).definition
    assert after == "you spell it (aloud). Mind the pace."
    assert (tmp_path / "downloads" / "a.json").is_file()


def test_the_shared_copy_is_the_published_one(shared: Path) -> None:
    copy = shared / "yin" / "content_type_annotation.json"
    if not copy.is_file():
        pytest.skip("no annotation there")
    assert sha256_of(copy) == PUBLISHED["yin_2023"].sha256


def test_every_kind_that_the_annotation_writes_is_known(tmp_path: Path) -> None:
    written_as = {
        "Input content": "input", "Action content": "action", "Output content": "output", "Label list": "label_list",
        "Label description": "label_definition", "Additional input details": "details",
        "Additional output details": "details", "Input mention": None,
    }  # fmt: skip
    for name, kind in written_as.items():
        annotation = annotation_of(
            written(tmp_path / "a.json", {"d": [["Go on.", f"Segment, {name}"], "t"]}), ""
        )
        (segment,) = annotation.segments(make_task("t", definition="Go on.")) or ()
        assert segment.kinds == ({kind} if kind else set()), name


def test_a_segment_without_letters_at_the_end_is_none(tmp_path: Path) -> None:
    entry = [["Go on.", "Input content"], ["", "Action content"], ["t", "Label list"], "t"]
    for given in ([*entry[:2], "t"], [entry[0], entry[1], entry[1], "t"]):
        annotation = annotation_of(written(tmp_path / "a.json", {"d": given}), "")
        segments = annotation.segments(make_task("t", definition="Go on.")) or ()
        assert [(one.text, set(one.kinds)) for one in segments] == [("Go on.", {"input"})]


@pytest.mark.parametrize("segment", [["a", "b", "c"], ["a"], {"a": 1, "b": 2}, "ab"])
def test_a_segment_is_a_pair_of_texts(tmp_path: Path, segment: object) -> None:
    with pytest.raises(UserError, match="t: a segment is no pair of a text and its kinds"):
        annotation_of(written(tmp_path / "a.json", {"d": [segment, "t"]}), "")
