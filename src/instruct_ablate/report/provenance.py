"""Provenance: which cells, code, data and machines the numbers of a report come from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from instruct_ablate.cell.record import CellRecord


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
    commits = sorted({(environment.commit or "unknown")[:10] for environment in environments})
    hosts = sorted({environment.host for environment in environments})
    data = sorted({cell.data_hash[:10] for cell in cells if cell.data_hash})
    precision = sorted({environment.precision for environment in environments} - {"none"})
    parts = {"commit": commits, "data": data, "host": hosts, "precision": precision}
    return "; ".join(f"{name} {', '.join(values)}" for name, values in parts.items() if values)
