"""`instruct-ablate show CELL`: prompts and predictions of a cell, or where two cells differ."""

from __future__ import annotations

from pathlib import Path

import click

from instruct_ablate.errors import UserError
from instruct_ablate.plural import counted
from instruct_ablate.terminal import echo, json_option, print_json


@click.command()
@click.argument("cells", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--diff", is_flag=True, help="With two cells: the instances that they answer otherwise.")
@click.option("--task", default="", help="One task alone.")
@click.option("--tested", default="", help="One test instruction alone, by its label.")
@click.option(
    "--wrong", is_flag=True, help="Only what exact match finds wrong; with --diff, of the second cell."
)
@click.option(
    "--limit",
    default=5,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many, spread over the tasks; 0: all.",
)
@json_option
def command(
    cells: tuple[Path, ...], diff: bool, task: str, tested: str, wrong: bool, limit: int, as_json: bool
) -> None:
    """Show what a cell was asked and answered. A cell is a folder such as multirun/STUDY/CELL.

    instruct-ablate show multirun/ablation/CELL --wrong --limit 10
    """
    from instruct_ablate.report.show import Selection, differing, lines, row_fields, select_rows, spread

    if len(cells) != (2 if diff else 1):
        raise UserError("show takes one cell, or --diff and two")
    *before, last = cells
    notes: list[str] = []
    sides = [select_rows(cell, Selection(task, tested), notes) for cell in before]
    rows = select_rows(last, Selection(task, tested, wrong and not diff), notes)
    if diff:
        rows = differing(sides[0], rows, wrong)
    chosen = spread(rows, limit)
    if as_json:
        print_json({"of": len(rows), "notes": notes, "rows": [row_fields(row) for row in chosen]})
        return
    for note in notes:
        echo(note, err=True)
    for row in chosen:
        for line in lines(row):
            echo(line)
    noun, more = (
        ("instance", " answered otherwise") if diff else ("wrong prediction" if wrong else "prediction", "")
    )
    echo(f"{len(chosen)} of {counted(len(rows), noun)}{more}")
