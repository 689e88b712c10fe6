"""A study's own W&B run: the report's tables, verdicts and figures, in the group of its cells."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.mirror.settings import mirrored_name
from instruct_ablate.cell.mirror.wandb_run import open_run, resolved_mode
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.stored_config import CONFIG, stored_config
from instruct_ablate.errors import UserError
from instruct_ablate.report.tables.differences import difference_table
from instruct_ablate.report.tables.tables import Table, main_table
from instruct_ablate.report.verdicts.verdicts import lines
from instruct_ablate.schema import LoggerConfig

if TYPE_CHECKING:
    from instruct_ablate.report.report import Report


def mirrored(study: Path) -> LoggerConfig | None:
    """Return the logger of a study's cells where it is W&B; a cell whose configuration is unreadable is passed over."""
    for path in sorted(study.glob(f"*/{CONFIG}")):
        with contextlib.suppress(UserError):
            given = stored_config(path.parent).get("logger")
            if isinstance(given, Mapping) and given.get("name") == "wandb":
                return LoggerConfig(**{n: given[n] for n in LoggerConfig.__dataclass_fields__ if n in given})
    return None


def mirrored_logger(study: Path) -> LoggerConfig:
    """Return the logger of a study's cells; a study that W&B knows nothing of is refused."""
    logger = mirrored(study)
    if logger is None:
        raise UserError(f"no cell of {study} was logged to W&B: run the study with logger=wandb")
    return logger


def summary_id(project: str, study: str) -> str:
    """Return the id of a study's own run: always the same, so that a later report takes its place."""
    return hashlib.sha256(f"{project}/{study}/summary".encode()).hexdigest()[:16]


def log_summary(report: Report, logger: LoggerConfig) -> str:
    """Log a report as the study's own run, offline or online like its cells; return the run's id."""
    study, folder = report.study.name, report.folder
    for old in folder.glob("wandb/offline-run-*"):
        if not list(old.glob("*.synced")):
            shutil.rmtree(old)  # this one takes its place
    name = summary_id(logger.project, study)
    settings = {
        "id": name,
        "name": mirrored_name(study, ": report"),
        "project": logger.project,
        "entity": logger.entity,
        "group": mirrored_name(study),
        "job_type": "summary",
        "tags": list(logger.tags),
        "config": {
            "study": study,
            "reference": report.study.reference,
            "commands": list(report.study.commands),
        },
        "dir": folder,
    }
    run = open_run(settings, resolved_mode(logger), logger.timeout)
    states = [cell.state for cell in report.study.cells]
    run.summary.update({f"cells/{state}": states.count(state) for state in sorted(set(states))})
    run.log(_shown(report))
    run.finish(exit_code=0)
    return name


def _shown(report: Report) -> dict[str, Any]:
    """Return tables as W&B tables, figures as pictures that scale."""
    import wandb

    legend = Legend(cell.setting for cell in report.study.cells)
    shown: dict[str, Any] = {
        "main": _table(main_table(report.rows, report.study.reference, report.study.columns)),
        "differences": _table(difference_table(report.differences, legend)),
        "verdicts": wandb.Table(columns=["verdict"], data=[[line] for line in lines(report.verdicts)]),
    }
    for figure in sorted((report.folder / "figures").glob("*.svg")):
        shown[f"figures/{figure.stem}"] = wandb.Html(figure.read_text(encoding="utf-8"), inject=False)
    return shown


def _table(table: Table) -> Any:
    """Return a table of the report; columns of numbers as numbers where all of them are."""
    import wandb

    columns = [_numbers(column) for column in zip(*table.lines, strict=True)]
    return wandb.Table(columns=list(table.headings), data=[list(line) for line in zip(*columns, strict=True)])


def _numbers(column: Sequence[str]) -> Sequence[object]:
    try:
        return [None if text == "-" else float(text) for text in column]
    except ValueError:
        return column
