"""A manifest is read as data: what it cannot be is a UserError."""

from __future__ import annotations

import json

import pytest

from instruct_ablate.archive.manifest import (
    LONGEST,
    Entry,
    Manifest,
    check_member_name,
    manifest_text,
    parse_manifest,
)
from instruct_ablate.errors import UserError


def test_it_is_read_as_it_was_written() -> None:
    manifest = Manifest("s", (Entry("study/s/study.json", 3, "abc"),))
    assert parse_manifest(manifest_text(manifest).encode()) == manifest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (json.dumps({"archive": 99}), "newer version"),
        (json.dumps({"version": 99}), "cannot be read"),
        ("[]", "cannot be read"),
        ("[" * 9999, "cannot be read"),
        (json.dumps({"study": "s", "files": [{"name": "a", "size": "1", "sha256": ""}]}), "cannot be read"),
        (
            json.dumps({"study": "s", "files": [{"name": "../a", "size": 1, "sha256": ""}]}),
            "no name of a file",
        ),
    ],
)
def test_what_is_none(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_manifest(text.encode())


def read(study: str, *names: str) -> Manifest:
    return parse_manifest(manifest_text(Manifest(study, tuple(Entry(n, 1, "") for n in names))).encode())


def test_the_study_is_one_folder_and_no_file_is_named_twice() -> None:
    assert read("s", "a", "b").study == "s"
    assert LONGEST == 67_108_864
    for study, names in (("a/b", ("x", "y")), ("s", ("a", "a")), ("s", ("a", "A"))):
        with pytest.raises(UserError, match="names a file twice, or its study is called by a path"):
            read(study, *names)
    with pytest.raises(UserError, match="no name of a file"):
        read("..", "a")


@pytest.mark.parametrize("archive", [1, None, "99"])
def test_only_a_later_format_is_called_newer(archive: object) -> None:
    text = json.dumps({"study": "s", "files": [], "archive": archive})
    if archive == 1:
        assert parse_manifest(text.encode()) == Manifest("s", ())
        return
    with pytest.raises(UserError, match="cannot be read"):
        parse_manifest(text.encode())


def test_the_next_format_is_refused_by_its_number() -> None:
    with pytest.raises(UserError, match=r"written in format 2 by a newer version"):
        parse_manifest(json.dumps({"study": "s", "files": [], "archive": 2}).encode())


@pytest.mark.parametrize(
    "name", ["a", "a b", "a/b:c", 255 * "x", f"{255 * 'x'}/{255 * 'y'}", "é", "...", ".a"]
)
def test_names_of_files(name: str) -> None:
    check_member_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/a",
        "a//b",
        "a/",
        "a/./b",
        "a/../b",
        256 * "x",
        128 * "é",
        "a\\b",
        "C:a",
        "c:",
        "a\x1f",
        "a\n",
    ],
)
def test_names_of_no_file_inside(name: str) -> None:
    with pytest.raises(UserError, match="is no name of a file inside it"):
        check_member_name(name)
