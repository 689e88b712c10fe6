"""Provenance: which cells, code, data and machines the numbers of a report come from."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from instruct_ablate.cell.state.legend import Legend, heading
from instruct_ablate.cell.state.record import CellRecord, Environment
from instruct_ablate.report.tables import Table


def provenance(cells: Iterable[CellRecord]) -> list[dict[str, Any]]:
    """Return, per cell, what leads from a number back to how it was made."""
    return [_origin(cell) for cell in cells]


def _origin(cell: CellRecord) -> dict[str, Any]:
    environment = dataclasses.asdict(cell.environment) if cell.environment else {}
    if environment:
        environment["versions"] = dict(environment["versions"])
    return {
        "cell": cell.name,
        "identity": cell.identity,
        "state": cell.state,
        "setting": dict(cell.setting.values),
        "revisions": dict(cell.setting.revisions),
        "seed": cell.seed,
        "data_hash": cell.data_hash,
        "started": cell.started,
        "finished": cell.finished,
        "environment": environment,
        "cost": dataclasses.asdict(cell.cost),
        "notes": list(cell.notes),
        "failure": cell.failure.reason if cell.failure else None,
    }


def to_json(cells: Iterable[CellRecord]) -> str:
    """Write the provenance as JSON."""
    return json.dumps(provenance(cells), indent=1, ensure_ascii=False)


def made_with(cells: Sequence[CellRecord]) -> str:
    """Say in one line with which code, data and machines a study was made."""
    environments = [cell.environment for cell in cells if cell.environment]
    commits = sorted({_short(environment.commit) for environment in environments})
    hosts = sorted({environment.host for environment in environments})
    data = sorted({cell.data_hash[:10] for cell in cells if cell.data_hash})
    precision = sorted({environment.precision for environment in environments} - {"none"})
    parts = {"commit": commits, "data": data, "host": hosts, "precision": precision}
    return "; ".join(f"{name} {', '.join(values)}" for name, values in parts.items() if values)


_HASH = re.compile(r"[0-9a-f]{12,64}")


def _short(commit: str | None) -> str:
    head, mark, changes = (commit or "unknown").partition("+")
    return (head[:10] if _HASH.fullmatch(head) else head) + mark + changes


SHORT = 12  # letters of a hash that a person reads
MADE = ("identity", "data", "commit", "host", "command", "device", "precision", "versions")


def cell_table(cells: Sequence[CellRecord], brief: bool = False) -> Table:
    """List the cells, by the names that tables give their rows: where every number comes from.

    `brief` shortens hashes to what a person can tell apart.
    """
    legend = Legend(cell.setting for cell in cells)
    keys = legend.columns("model", "data_budget", "instruction")
    lines = tuple(
        (*_place(cell, legend, keys), *_made(cell, SHORT if brief else 64), _told(cell)) for cell in cells
    )
    headings = ("cell", *map(heading, keys), "seed", "tested on", "state", *MADE, "notes or failure")
    return Table("Cells", headings, lines, len(headings))


def _place(cell: CellRecord, legend: Legend, keys: Sequence[str]) -> tuple[str, ...]:
    tested = ", ".join(blocks[0].instruction for blocks in cell.tests) or "-"
    tested += f" under {len(cell.tests[0])} templates" if cell.several_templates else ""
    seed = "-" if cell.setting.untuned else str(cell.seed)
    shown = [cell.setting.model if key == "model" else legend.text(cell.setting, key) for key in keys]
    return cell.name, *shown, seed, tested, cell.state


def _made(cell: CellRecord, letters: int) -> tuple[str, ...]:
    made = cell.environment
    own = (cell.identity[:letters], cell.data_hash[:letters] or "-")
    if made is None:
        return (*own, *["-"] * 6)
    versions = ", ".join((f"Python {made.python}", *(f"{name} {version}" for name, version in made.versions)))
    commit = _commit(made) if letters > SHORT else _short(_commit(made))
    return (*own, commit, made.host, made.command, made.device, made.precision, versions)


def _commit(made: Environment) -> str:
    """Return the commit; "+changes" at its end says that the checkout held more than that."""
    return made.commit or "not from a checkout"


def _told(cell: CellRecord) -> str:
    return cell.failure.reason if cell.failure else "; ".join(cell.notes)
