"""`instruct-ablate dashboard`: whose workspace it is, and when it is saved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from omegaconf import OmegaConf

from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.report.dashboards import workspace
from instruct_ablate.schema import Config, LoggerConfig
from tests.report.cells import make_cell
from tests.report.studies import write_study


@dataclass
class Workspace:
    """Stands in for W&B's own."""

    name: str
    project: str
    entity: str
    measures: list[str]
    saved: list[str] = field(default_factory=list)
    url: str = "https://wandb.example/s"

    def save(self) -> None:
        SAVED.append(self)


SAVED: list[Workspace] = []


@pytest.fixture(autouse=True)
def build(monkeypatch: pytest.MonkeyPatch) -> None:
    SAVED.clear()

    def built(study: str, project: str, entity: str, measures: Any) -> Workspace:
        return Workspace(study, project, entity, list(measures))

    monkeypatch.setattr(workspace, "build_workspace", built)


def study(folder: Path, entity: str | None = None) -> Path:
    cell = make_cell(50.0)
    write_study(folder / "s", [cell])
    logger = LoggerConfig("wandb", project="mine", entity=entity)
    OmegaConf.save(OmegaConf.structured(Config(logger=logger)), folder / "s" / cell.name / "config.yaml")
    return folder / "s"


def dashboard(*words: object) -> Result:
    return CliRunner().invoke(group, ["dashboard", *map(str, words)])


@pytest.mark.parametrize(
    ("words", "logged", "owner"),
    [((), None, ""), ((), "team", "team"), (("--entity", "me"), "team", "me")],
)
def test_show_prints_and_saves_nothing(
    tmp_path: Path, words: tuple[str, ...], logged: str | None, owner: str
):
    result = dashboard(study(tmp_path, logged), "--show", *words)
    shown = json.loads(result.output)
    assert (shown["name"], shown["project"], shown["entity"]) == ("s", "mine", owner)
    assert "exact_match" in shown["measures"]
    assert not SAVED


def test_with_a_key_it_is_saved_and_its_address_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    result = dashboard(study(tmp_path, "team"))
    assert result.output == "https://wandb.example/s\n"
    assert [one.entity for one in SAVED] == ["team"]


def test_without_an_entity_the_keys_owner_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setattr("wandb.Api", lambda: type("Api", (), {"default_entity": "owner"}))
    dashboard(study(tmp_path))
    assert [one.entity for one in SAVED] == ["owner"]


def test_without_a_key_nothing_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    result = dashboard(study(tmp_path))
    assert isinstance(result.exception, UserError)
    assert not SAVED
