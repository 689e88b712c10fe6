"""A remembered hash is never that of another content."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from instruct_ablate.disk import file_hash
from instruct_ablate.disk.file_hash import SETTLED, hash_again, mark, settled, sha256_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(b"one")
    return path


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr(file_hash.time, "time", lambda: now + seconds)


def test_a_young_file_is_not_remembered(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hash_again(file, None) == (sha256_of(file), None)
    later(monkeypatch, SETTLED - 1)
    assert not settled(mark(file))
    later(monkeypatch, SETTLED + 1)
    assert hash_again(file, None) == (sha256_of(file), mark(file))


def test_a_file_from_the_future_is_not_remembered(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, 2 * SETTLED)
    os.utime(file, (time.time() + 100,) * 2)
    assert not settled(mark(file))


def test_a_file_that_is_not_there_is_as_it_was(tmp_path: Path) -> None:
    assert mark(tmp_path / "none") is None
    assert settled(None)


def test_a_known_file_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, SETTLED + 1)
    seen = mark(file)
    assert seen is not None
    assert hash_again(file, ("as remembered", seen)) == ("as remembered", seen)


def test_same_size_and_same_times_are_not_the_same_content(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `cp -p`, `rsync -t` and an editor on a coarse clock leave behind."""
    later(monkeypatch, SETTLED + 1)
    content, seen = hash_again(file, None)
    assert seen is not None
    state = file.stat()
    time.sleep(0.02)  # the system notes changes in ticks
    file.write_bytes(b"two")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert hash_again(file, (content, seen)) == (sha256_of(file), mark(file))
    assert sha256_of(file) != content


def test_another_file_of_the_same_name_is_another(file: Path, tmp_path: Path) -> None:
    before, other = mark(file), tmp_path / "other"
    other.write_bytes(b"two")
    other.replace(file)
    assert before is not None
    assert mark(file) != before
    assert mark(file)[3] != before[3]  # type: ignore[index]


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, SETTLED + 1)

    def slow(path: Path) -> str:
        path.write_bytes(b"longer")
        return "half of each"

    monkeypatch.setattr(file_hash, "sha256_of", slow)
    assert hash_again(file, None) == ("half of each", None)
