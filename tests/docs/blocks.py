"""The code blocks of the README and the guide's pages, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")
_PROGRAMS = (".venv-ray/bin/python", "cat", "instruct-ablate", "make", "mkdir", "pip", "python", "tail")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line, by which a list names it."""
        return self.text.partition("\n")[0]

    @property
    def file(self) -> str | None:
        """The path that a block which is a file begins with."""
        found = _FILE.match(self.text)
        return found[1] if found else None

    @property
    def is_shell(self) -> bool:
        """Whether it is typed into a shell."""
        return self.language in ("", "bash") and self.first.split()[0] in _PROGRAMS

    @property
    def is_python(self) -> bool:
        """Whether it is typed into Python."""
        return self.language == "python" and self.file is None

    def commands(self) -> Iterator[str]:
        """Yield what it types, a command each, without comments; a document given to `cat` belongs to its command."""
        text = self.text.replace("\\\n", " ")
        for found in re.finditer(r"^.*<<'END'.*\n(?:.*\n)*?END$|^.+$", text, re.MULTILINE):
            command = found[0]
            yield command if "<<" in command else shlex.join(shlex.split(command, comments=True))


def pages() -> list[Path]:
    """Name the README and every page of the guide."""
    return [TOP / "README.md", *sorted(DOCS.rglob("*.md"))]


@cache
def blocks() -> tuple[Block, ...]:
    """Read every block of every page, in order."""
    return tuple(_read())


def _read() -> Iterator[Block]:
    for path in pages():
        text = path.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(path.relative_to(TOP).as_posix(), line, found[1], found[2])


def printed_commands() -> tuple[tuple[Block, str], ...]:
    """Every command of every shell block, with its block."""
    return tuple((block, command) for block in blocks() if block.is_shell for command in block.commands())
