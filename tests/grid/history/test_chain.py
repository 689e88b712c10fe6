"""Chains of lines: added behind the last one that can be read, and newer or edited ones are said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from instruct_ablate.grid.history.chain import Chain, Entry, _hash
from tests.left_out import left_out


@dataclass(frozen=True, slots=True)
class Note(Entry):
    text: str


NOTES = Chain("notes.jsonl", Note, "note")


def test_entries_carry_the_hash_of_the_line_before(tmp_path: Path) -> None:
    one, two = NOTES.add(tmp_path, Note("one")), NOTES.add(tmp_path, Note("two"))
    assert (one.before, two.before) == ("", one.hash)
    assert NOTES.read(tmp_path) == ((one, two), ())
    assert one.date.endswith(" UTC")


def test_an_entry_goes_behind_a_damaged_line(tmp_path: Path) -> None:
    one = NOTES.add(tmp_path, Note("one"))
    with (tmp_path / NOTES.file).open("a") as file:
        file.write("{broken")
    two = NOTES.add(tmp_path, Note("two"))
    assert NOTES.read(tmp_path) == ((one, two), ("notes.jsonl, line 2: it is no note",))


def test_a_newer_version_is_named(tmp_path: Path) -> None:
    replace(NOTES, version=7).add(tmp_path, Note("later"))
    entries, faults = NOTES.read(tmp_path)
    assert entries == ()
    assert faults == ("notes.jsonl, line 1: written by a newer version (format 7)",)


def test_a_line_that_is_taken_out_shows(tmp_path: Path) -> None:
    for text in ("one", "two"):
        NOTES.add(tmp_path, Note(text))
    path = tmp_path / NOTES.file
    path.write_text(path.read_text().splitlines()[1] + "\n")
    entries, (fault,) = NOTES.read(tmp_path)
    assert entries == ()
    assert "not the one that it was added to" in fault


def test_a_line_that_other_letters_stand_in_has_the_hash_that_it_always_had(tmp_path: Path) -> None:
    entry = replace(Note("é 实"), time=1.0)
    assert _hash(entry) == "32816e6270fbbb51403019362f852253f005ee7087c7c7bb0bb6a85a341ab6f1"
    assert _hash(replace(entry, hash="other")) == _hash(entry)


def test_letters_of_any_script_are_written_as_they_are(tmp_path: Path) -> None:
    one = NOTES.add(tmp_path, Note("é 实验"))
    assert "é 实验" in (tmp_path / NOTES.file).read_text(encoding="utf-8")
    assert NOTES.read(tmp_path) == ((one,), ())


def test_what_is_left_out() -> None:
    assert left_out(Entry) == {"time": 0.0, "version": 1}
    assert left_out(Chain) == {"version": 1}
