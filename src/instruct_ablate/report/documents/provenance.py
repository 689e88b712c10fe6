"""Provenance: which cells, code, data and machines the numbers of a report come from."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from instruct_ablate.cell.state.record.record import CellRecord, Environment
from instruct_ablate.cell.state.setting.legend import Legend, heading
from instruct_ablate.report.tables.tables import Table


def _origin(cell: CellRecord) -> dict[str, Any]:
    """Return what leads from a cell's numbers back to how they were made."""
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
        "environment": cell.environment,
        "cost": dataclasses.asdict(cell.cost),
        "notes": list(cell.notes),
        "failure": cell.failure.reason if cell.failure else None,
    }


def to_json(cells: Iterable[CellRecord]) -> str:
    """Write the provenance as JSON; what cells have in common, such as their environment, is written out once."""
    every, known = tuple(cells), dict[tuple[str, int], str]()
    origins = ",\n ".join(_object(cell, known) for cell in every)
    return f"[\n {origins}\n]" if origins else "[]"


def _object(cell: CellRecord, known: dict[tuple[str, int], str]) -> str:
    # By object and not by value: 1, 1.0 and true are equal, and written each in its own way.
    shared: dict[str, object] = {"setting": cell.setting, "revisions": cell.setting}
    shared["environment"] = cell.environment
    lines = []
    for name, value in _origin(cell).items():
        key = name, id(shared.get(name))
        text = known.get(key) if name in shared else None
        if text is None:
            text = _indented(_environment(cell.environment) if name == "environment" else value)
        if name in shared:
            known[key] = text
        lines.append(f'  "{name}": {text}')
    return "{\n" + ",\n".join(lines) + "\n }"


def _environment(made: Environment | None) -> dict[str, Any]:
    return {**dataclasses.asdict(made), "versions": dict(made.versions)} if made else {}


def _indented(value: Any) -> str:
    if not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, indent=1, ensure_ascii=False).replace("\n", "\n  ")


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
