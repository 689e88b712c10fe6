"""What can happen to a file, by name, each taking its path; and what has such files."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


def nothing(path: Path) -> None:
    """What most damages come with."""


@dataclass(frozen=True)
class Subject:
    """What is damaged: made in a folder, with stand-ins for what is not there; its files; and what uses it.

    `use` says *healed*, *refused: why* or *wrong: why*. `also` happens beside the damage of a file.
    """

    replace: Callable[[pytest.MonkeyPatch], None]
    make: Callable[[Path], None]
    files: Callable[[Path], Iterator[str]]
    use: Callable[[Path], str]
    also: Callable[[Path], None] = nothing


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(path.name).randbytes(max(path.stat().st_size, 64)))


def flipped(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def removed(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("in it")


def link(path: Path) -> None:
    """To a file of somebody else, which must stay as it is."""
    precious = path.parent / "precious"
    shutil.copyfile(path, precious)
    path.unlink()
    path.symlink_to(precious.absolute())


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def read_only(path: Path) -> None:
    path.chmod(0o444)


def foreign(path: Path) -> None:
    """Of another user, who lets nobody read it."""
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 0, 0)


DAMAGES: dict[str, Callable[[Path], None]] = {
    one.__name__: one
    for one in (truncated, emptied, garbage, flipped, removed, folder, link, pipe, read_only, foreign)
}
