"""`instruct-ablate replay FILE`: an archived study's tables made again from its predictions."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from instruct_ablate.plural import counted
from instruct_ablate.terminal import echo

if TYPE_CHECKING:
    from instruct_ablate.archive.replay import Replayed


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("replay"), show_default=True,
    help="Folder that is made and unpacked into.",
)  # fmt: skip
@click.option("--extensions", multiple=True, help="A Python file of yours with metrics; may be repeated.")
@click.option("--trust", is_flag=True, help="Run the code that the archived study names.")
@click.option("--limit", default=8.0, show_default=True, help="GiB that are unpacked at most.")
@click.option(
    "--commands", type=click.Choice(["show", "run"]),
    help="Print the stored commands, or run them: train the study again, below OUTPUT.",
)  # fmt: skip
def command(
    file: Path,
    output: Path,
    extensions: tuple[str, ...],
    trust: bool,
    limit: float,
    commands: str | None,
) -> None:
    """Score an archived study again, and write its report again. FILE is unpacked; what is not the same is told.

    No code in the archive is run. Exit status 1 where a table, a score, a setting or a predictions file differs, or a
    finished cell, or a metric of your own, cannot be held against its predictions and what was hashed.

    instruct-ablate replay ablation.tar.gz --output replayed
    """
    from instruct_ablate.archive.replay import replay
    from instruct_ablate.errors import UserError
    from instruct_ablate.metrics import Selection

    if not 0 < limit < float("inf"):
        raise UserError(f"--limit {limit}: give a number of GiB above zero.")
    replayed = replay(file, output, Selection((), extensions), trust, int(limit * 2**30))
    for line in _lines(replayed):
        echo(line)
    status = 0 if replayed.same else 1
    if commands is not None:
        status = max(status, _again(replayed.study, output, trust, commands == "run"))
    sys.exit(status)


def _lines(replayed: Replayed) -> list[str]:
    """Say what is the same and what is not."""
    every = replayed.tables + len(replayed.other_tables) + len(replayed.reworded)
    lines = [f"tables: {replayed.tables} of {every} the same, byte for byte"]
    lines += [f"  the same numbers, in other words: {name}" for name in replayed.reworded]
    around = dict.fromkeys(
        replayed.around, " (its rows are the same; a number or an answer around them is not)"
    )
    lines += [f"  differs: {name}{around.get(name, '')}" for name in replayed.other_tables]
    lines.append(f"scores: those of {_of(replayed.scored, replayed.cells)} follow from their predictions")
    lines += [f"  do not: {name}" for name in replayed.unequal]
    lines += [
        f"  changed after they were scored, before they were archived: {name}" for name in replayed.edited
    ]
    lines += [f"  not scored again: {why}" for why in replayed.unscored]
    lines += [
        f"  not scored again: {name} of {counted(cells, 'cell')}, whose code is not here: give its file by "
        "--extensions, or let what the study names run by --trust"
        for name, cells in replayed.unknown
    ]
    lines.append(f"settings: those of {_of(replayed.placed, replayed.cells)} are the ones that were hashed")
    lines += [f"  is not: {why}" for why in replayed.misplaced]
    if replayed.unhashed:
        lines.append(
            f"  not held, for nothing is hashed of imported predictions: {', '.join(replayed.unhashed)}"
        )
    if replayed.other_figures:
        lines.append(
            f"figures and page: {len(replayed.other_figures)} differ (they hang on library versions)"
        )
    return [*lines, f"study: {replayed.study}", f"report: {replayed.report}"]


def _of(number: int, cells: int) -> str:
    """Count cells, and among how many where these are more: "4 cells", "3 of 4 cells"."""
    return counted(number, "cell") if number >= cells else f"{number:,} of {counted(cells, 'cell')}"


def _again(study: Path, output: Path, trust: bool, run: bool) -> int:
    """Print the stored commands, or run them."""
    from instruct_ablate.archive.retrain import run_again
    from instruct_ablate.grid.declaration import read_declaration

    commands = read_declaration(study).commands
    if run:
        return run_again(commands, output / "retrained", study.name, trust)
    for one in commands:
        echo(f"command: {shlex.join(shlex.split(one)) if one.isprintable() else ascii(one)}")
    return 0
