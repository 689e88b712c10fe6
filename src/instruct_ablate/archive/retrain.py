"""Training an archived study again: its stored commands as words for our own entry, never for a shell."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.process.processes import after_program
from instruct_ablate.terminal import echo

_OWN = ("output", "study", "cache")  # where a run writes is said by whoever replays it
_MANY = ("-m", "--multirun")
_LOUD = ("-v", "--verbose", "-q", "--quiet")
_SINGLE = "hydra.sweeper.single=true"  # how a command without -m was stored once, -m put before it
# module.function, a Python file, a checkpoint's own code, and what another key or the environment puts together.
_CODE = re.compile(r"[^\W\d]\w*\.[^\W\d]\w*|\.py\b|trust_remote_code|\$")
_RUNS = ("extensions", "trust_remote_code")  # ends of keys that run code whatever their value looks like
# Not train.py: an installed package has none.
_ENTRY = "from instruct_ablate.entry import main; main()"


def command_words(command: str, output: Path, study: str, trust: bool = False) -> list[str]:
    """Return the words of a stored command, for a run that writes below `output`.

    Whatever is neither -m nor an override is refused, so are Hydra's own keys, and values that name code without
    `trust`.
    """
    try:
        words = after_program(command)
    except ValueError as error:
        raise UserError(f"a stored command cannot be read ({in_a_line(error)}): {command[:200]}") from error
    kept = ["-m"] if {*_MANY} & {*words} and _SINGLE not in words else []
    for word in words:
        key, given, value = word.partition("=")
        bare = key.lstrip("+")
        if word in (*_MANY, *_LOUD, _SINGLE) or (given and bare in _OWN):
            continue
        if (
            not given
            # Hydra's own keys name classes to make and folders to write to: an archive must not say which.
            or bare.startswith("hydra")
            or not re.fullmatch(r"\+{0,2}[\w./@-]+", key)
            or key[0] == "-"
        ):
            raise UserError(f"{word[:100]!r} of a stored command is not taken: run that command by hand.")
        if not trust and (bare.endswith(_RUNS) or _CODE.search(value)):
            raise UserError(
                f"{word[:100]!r} of a stored command may name code; --trust runs what the archive names."
            )
        kept.append(word)
    return [*kept, f"output={output}", f"study={study}"]


def run_again(commands: Sequence[str], output: Path, study: str, trust: bool = False) -> int:
    """Run stored commands one after another; all are read before the first one starts."""
    every = [command_words(command, output, study, trust) for command in commands]
    if not every:
        raise UserError("this archive has no stored commands to train by: its cells were imported.")
    status = 0
    for words in every:
        echo(f"train.py {shlex.join(words)}")
        sys.stdout.flush()
        ended = subprocess.run([sys.executable, "-c", _ENTRY, *words], check=False).returncode
        # A process that a signal ended has a status below zero, which is no success: as a shell writes it.
        status = max(status, ended if ended >= 0 else 128 - ended)
    return status
