"""`instruct-ablate import FILE`: predictions made elsewhere become an evaluated cell of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from instruct_ablate.completion import complete_override, config_dir
from instruct_ablate.terminal import echo


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("overrides", nargs=-1, shell_complete=complete_override)
@config_dir
@click.option("--model", required=True, help="The name that tables show.")
@click.option("--instruction", default="original", show_default=True, help="What the model was shown.")
@click.option(
    "--budget", "data_budget", default=0, show_default=True, help="Instances per training task; 0: untuned."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--partial", is_flag=True, help="Leave out instances that FILE does not have.")
@click.option("--own-references", is_flag=True, help="FILE brings the references of another release.")
@click.option("--column", "columns", multiple=True, help="Where FILE has something: prediction=answer.")
def command(
    file: Path,
    overrides: tuple[str, ...],
    partial: bool,
    own_references: bool,
    columns: tuple[str, ...],
    **shown: Any,
) -> None:
    """Make a cell of predictions made elsewhere. FILE holds JSON lines: task, instance id, prediction.

    OVERRIDES are those of train.py: tasks=natural_instructions tasks.root=PATH study=NAME

    instruct-ablate import answers.jsonl --model api study=ablation
    """
    from instruct_ablate.cell.after.import_predictions import (
        Matching,
        Source,
        import_predictions,
        write_imported,
    )
    from instruct_ablate.cell.run.evaluation import selected
    from instruct_ablate.cell.run.settings import check_names
    from instruct_ablate.configuration.extensions import load_extensions
    from instruct_ablate.grid.composing.composer import compose_config
    from instruct_ablate.grid.history.looks import check_unlooked
    from instruct_ablate.grid.planned_cell import study_folder
    from instruct_ablate.metrics import find_metric
    from instruct_ablate.tasks.collection import read_tasks

    config = compose_config(overrides)
    load_extensions(config.extensions)  # first: --instruction may name what they register
    source = Source(**shown, tasks_name=config.tasks.name)
    check_names(config)
    check_unlooked(study_folder(config))
    collection = read_tasks(config.tasks, Path(config.cache))
    matching = Matching(partial, own_references)
    imported = import_predictions(file, collection, matching, _columns(columns), selected(config))
    record = write_imported(imported, source, collection, study_folder(config))
    for note in (*imported.notes, *_unknown(source.instruction)):
        echo(note)
    overall = imported.scores.overall
    means = ((find_metric(name).heading, overall.get(name)) for name in ("exact_match", "rougeL"))
    told = (f"{heading} {mean:.2f}".replace("\n", " ") for heading, mean in means if mean is not None)
    echo(f"{record.name}: {', '.join(told)}")
    echo(f"{study_folder(config) / record.name}")


def _unknown(label: str) -> tuple[str, ...]:
    """Note a label that is no variant's here: it may be one of another tool's, or misspelt."""
    from instruct_ablate.errors import UserError
    from instruct_ablate.instruction.label import parse
    from instruct_ablate.schema import InstructionConfig

    try:
        parse(label, InstructionConfig())
    except UserError as error:
        told = str(error).partition(" Allowed:")[0]
        return (f"--instruction: {told} It stands in tables as a variant of its own",)
    return ()


def _columns(given: tuple[str, ...]) -> dict[str, str] | None:
    """Turn `prediction=answer` into a mapping."""
    from instruct_ablate.errors import UserError

    for text in given:
        if "=" not in text:
            raise UserError(f"--column {text}: write NAME=COLUMN, such as prediction=answer")
    return dict(text.split("=", 1) for text in given) or None
