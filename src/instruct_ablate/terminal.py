r"""The terminal: everything that the tool says passes here, so that no text of a study can steer the reader's screen.

Models write escape codes, and names of studies, tasks, models and hosts come from files of others. Such characters
are shown as what they are (`\x1b`), never obeyed.
"""

from __future__ import annotations

import codecs
import io
import json
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

# Control characters but line ends and tabs; marks and overrides of direction, which make a line read as another
# (Unicode Technical Report 36, 2.10); separators that some terminals take for line ends; halves of characters.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


UNBOUNDED = 10_000  # columns of what is no terminal


def shown(text: str) -> str:
    r"""Return text with every character that steers a terminal written as its escape, as in `\x1b[2J`."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def write_all_characters() -> None:
    """Let standard output and error take whatever is written: a character that has no code there is an escape.

    Log lines that no handler takes, as of a command without `-v`, are shown as all others.
    An encoding of ASCII alone comes of a locale that nobody set (`LC_ALL=C`); UTF-8 is written there, as click does.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            unset = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if unset else None, errors="backslashreplace")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Formatter("%(message)s"))


def echo(text: str, err: bool = False) -> None:
    """Print a line, on standard error where `err`."""
    click.echo(shown(text), err=err)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs: docs/json.md.")


def print_json(value: Any) -> None:
    """Print a value of lists, dicts and scalars as one JSON document, in ASCII; a number that is none is null."""
    click.echo(json.dumps(_finite(value), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def complain(text: str) -> None:
    """Write a user's mistakes to standard error, one or several lines."""
    echo(f"errors:\n{text}" if "\n" in text else f"error: {text}", err=True)


def has_width(console: Console) -> bool:
    """Whether a console is so wide and no wider: a terminal's is, and one that `COLUMNS` tells; a file's is not."""
    return console.is_terminal or "COLUMNS" in os.environ


def narrow_console(text: str) -> Console | None:
    """Return a console where the terminal, or `COLUMNS`, leaves a text's lines no room; what goes to a file has it."""
    console = make_console()
    longest = max(map(len, text.splitlines()), default=0)
    return console if has_width(console) and longest > console.width else None


def make_console(stderr: bool = False) -> Console:
    """Return a rich console; what it draws of tables and texts is shown as by `echo`, its own codes aside."""
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Guarded(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                # Control segments are rich's own: the cursor's moves of a table that is drawn again.
                yield segment if segment.control else Segment(shown(segment.text), segment.style)

    console = Guarded(stderr=stderr)
    if not (stderr or has_width(console)):
        console.width = UNBOUNDED  # a file or a pipe: names stay whole, to be searched for and copied
    return console


def set_verbosity(level: int) -> None:
    """Let our own log lines from `level` on reach standard error; those of libraries stay as they are."""
    own = logging.getLogger(__name__.partition(".")[0])
    own.setLevel(level)
    if not logging.getLogger().handlers and not own.handlers:
        own.addHandler(handler := logging.StreamHandler())
        handler.setFormatter(Formatter("%(message)s"))


@contextmanager
def each_line_once() -> Iterator[None]:
    """Let a log line reach each handler once: checks of cells that are alike but for their seed say the same."""
    own = logging.getLogger(__name__.partition(".")[0])
    # The last is where lines go of a command that has set up no logging, such as `plan`.
    handlers = (*logging.getLogger().handlers, *own.handlers, logging.lastResort)
    added = [(handler, _new_lines()) for handler in dict.fromkeys(handlers) if handler is not None]
    for handler, is_new in added:
        handler.addFilter(is_new)
    try:
        yield
    finally:
        for handler, is_new in added:
            handler.removeFilter(is_new)


def _new_lines() -> Callable[[logging.LogRecord], bool]:
    """Return a filter of log records that lets a line of a level pass once."""
    seen: set[tuple[int, str]] = set()

    def is_new(record: logging.LogRecord) -> bool:
        line = record.levelno, record.getMessage()
        known = line in seen
        seen.add(line)
        return not known

    return is_new


class Formatter(logging.Formatter):
    """The form of a log's lines on the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one or several lines."""
        return shown(super().format(record))
