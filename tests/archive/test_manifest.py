"""A manifest is read as data: what it cannot be is a UserError."""

from __future__ import annotations

import json

import pytest

from instruct_ablate.archive.manifest import Entry, Manifest, manifest_text, parse_manifest
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
