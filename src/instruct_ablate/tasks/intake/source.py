"""What a reader of a task collection gives: files to watch and tasks to parse, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Parsed:
    """One task as parsed; `languages` are input, output and instruction languages, each a tuple of names."""

    task: Task
    test: bool
    languages: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a task could not be read: one message that names the file and the key."""

    message: str


class MendedError(Exception):
    """A parse found files damaged and has had them downloaded again: the collection is to be opened anew."""


@dataclass(frozen=True, slots=True)
class Source:
    """A collection found but not yet parsed.

    The content of `files`, with `key` (what else the parsed tasks depend on), decides whether it is parsed anew.
    """

    name: str
    files: tuple[Path, ...]
    parse: Callable[[], Iterator[Parsed | Fault]]
    key: str = ""
    notes: tuple[str, ...] = ()
