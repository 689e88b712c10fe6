"""W&B runs that are opened, without W&B: what each was given, and what it was told."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


class Run:
    """Stands in for a W&B run and notes what it is told."""

    def __init__(self, **given: Any) -> None:
        self.given = given
        self.summary: dict[str, Any] = {}
        self.logged: dict[str, Any] = {}
        self.artifacts: list[Any] = []
        self.exit_code: int | None = None

    def log(self, values: dict[str, Any]) -> None:
        self.logged |= values

    def log_artifact(self, artifact: Any) -> None:
        self.artifacts.append(artifact)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


def opened_by(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Every run that a module opens from now on."""
    opened: list[Run] = []

    def open_run(settings: dict[str, Any], mode: str, timeout: float) -> Run:
        opened.append(Run(mode=mode, **settings))
        return opened[-1]

    monkeypatch.setattr(module, "open_run", open_run)
    return opened
