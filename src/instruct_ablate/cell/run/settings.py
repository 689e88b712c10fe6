"""What the keys of a cell itself may be: names of folders, the seed, what a sweep does with cells."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from instruct_ablate.cell.run.reuse import REUSE
from instruct_ablate.cell.run.stopping import HOURS
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.label import parse
from instruct_ablate.limits import (
    Limit,
    any_value,
    check_limits,
    one_of,
    path,
    path_fault,
    shown,
    text,
    texts,
    whole,
)
from instruct_ablate.schema import Config, InstructionConfig

RETRIES = ("failed", "none")
UNTIL = ("done", "decided")


def _study() -> Limit:
    def fault(key: str, value: Any) -> str | None:
        why = path_fault(value)
        if why is None and ("/" in value or value in (".", "..")):
            why = "must be the name of one folder below output: leave out `/` and `..`"
        return None if why is None else f"{key}={shown(value)} {why}"

    return Limit(fault)


LIMITS = {
    "seed": whole(0, 2**32 - 1),
    "study": _study(),
    "output": path(),
    "cache": path(),
    "retry": one_of(RETRIES),
    "reuse": one_of(REUSE),
    "until": one_of(UNTIL),
    "fail_fast": any_value(),
    "raise_faults": any_value(),
    "detach": any_value(),
    "with_untuned": any_value(),
    "keep_checkpoints": any_value(),
    "cell_timeout": HOURS,
    "extensions": texts(),
    "hypotheses": texts(),
    "reference": text(),
}


def check_names(config: Config) -> None:
    """Refuse names that lead out of `output`, and what no sweep does."""
    check_limits("", config, LIMITS)


def check_reference(reference: str, instruction: InstructionConfig) -> None:
    """Refuse a reference that no variant is called by."""
    try:
        parse(reference, instruction)
    except UserError as fault:
        raise UserError(f"reference: {fault}") from fault


def check_folder(key: str, place: str) -> None:
    """Refuse a place that holds no folder; one that is not there yet is made."""
    try:
        Path(place).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        no_folder = isinstance(error, FileExistsError | NotADirectoryError)
        why = "a file stands where a folder is needed" if no_folder else error.strerror
        raise UserError(f"cannot write {place}: {why}; choose another {key}=PATH") from error


def check_place(key: str, place: str) -> None:
    """Refuse what `check_folder` refuses, and leave no folder that was not there."""
    made = [path for path in (Path(place), *Path(place).parents) if not os.path.lexists(path)]
    try:
        check_folder(key, place)
    finally:
        with contextlib.suppress(OSError):
            # The deepest first, and none that somebody has written to in the meantime: only empty ones can be removed.
            for path in made:
                path.rmdir()
