"""Two users of a group, for tests that root runs: processes forked into other rights, which say what they found."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.errors import UserError

ONE, OTHER, GROUP = 65534, 65531, 65530


@contextmanager
def group_folder(mode: int) -> Iterator[Path]:
    """A folder of the group; the temporary folders of pytest let nobody else through."""
    folder = Path(tempfile.mkdtemp(prefix="instruct-ablate-users-"))
    try:
        os.chown(folder, ONE, GROUP)
        folder.chmod(mode)
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass
class Running:
    """A process of a user, until it is waited for or killed."""

    pid: int
    _said: int

    def says(self) -> str:
        """Return what it says next; nothing where it has ended."""
        return os.read(self._said, 1 << 16).decode()

    def end(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._said)


def start(user: int, act: Callable[[Callable[[str], None]], str], umask: int = 0o002) -> Running:
    """Act as a user of the group; `act` may say something before it returns the last word.

    A `UserError` says "refused: " and its line, anything else "traceback: ".
    """
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.close(reading)
            os.setgroups([GROUP])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(umask)
            os.chdir("/tmp")
            _say(writing, act(lambda text: _say(writing, text)))
        except UserError as fault:
            _say(writing, f"refused: {fault}")
        except BaseException:
            _say(writing, f"traceback: {traceback.format_exc()}")
        finally:
            os._exit(0)
    os.close(writing)
    return Running(pid, reading)


def said(user: int, act: Callable[[], str]) -> str:
    """Act as a user to the end; return what was logged as a warning, and what it says."""
    told = _Said()
    root = logging.getLogger("instruct_ablate")
    root.addHandler(told)
    try:
        process = start(user, lambda say: "\n".join([act(), *told.lines]))
        text = process.says()
    finally:
        root.removeHandler(told)
    os.waitpid(process.pid, 0)
    return text


def _say(writing: int, text: str) -> None:
    os.write(writing, text.encode())


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
