"""What the guide's blocks come to: the steps that are run, in the order of the pages, and why others are not."""

from __future__ import annotations

import shlex
from functools import cache

from tests.docs.blocks import Block, blocks
from tests.docs.folder import SETUP, in_small
from tests.docs.not_run import NOT_RUN, SHOWN

Step = tuple[str, str]


def place(block: Block) -> str:
    return f"{block.page}:{block.line}"


def reason(command: str) -> str | None:
    """Why a command is not run; None for one that is."""
    return next((why for start, why in NOT_RUN.items() if command.startswith(start)), None)


def shown(block: Block) -> str | None:
    """The beginning by which the list names a block that is not typed."""
    return next((start for start in SHOWN if block.first.startswith(start)), None)


def step(command: str) -> Step:
    """Return how a command is run: small where it trains, with a cell that is there for CELL."""
    words = shlex.split(command)
    if words[:2] == ["python", "train.py"]:
        return "train", shlex.join(words[2:] if "--help" in words else in_small(words[2:]))
    if words[0] == "instruct-ablate" and words[1] in ("train", "plan", "audit"):
        return words[0], shlex.join([words[1], *in_small(words[2:])])
    if words[0] == "instruct-ablate":
        return words[0], shlex.join(words[1:])
    return "shell", command


@cache
def steps() -> tuple[Step, ...]:
    """All that is run, in the order of the pages; what makes the studies that they speak of comes first."""
    listed = [
        (kind, shlex.join(in_small(shlex.split(text))) if kind == "train" else text) for kind, text in SETUP
    ]
    for block in blocks():
        if block.is_shell:
            listed += [step(command) for command in block.commands() if reason(command) is None]
        elif block.is_python:
            listed.append(("python", block.text))
    return tuple(dict.fromkeys(listed))
