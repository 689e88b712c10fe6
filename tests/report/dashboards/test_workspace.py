"""The W&B workspace: panels by variant and budget over the study's runs alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from omegaconf import OmegaConf

from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.report.dashboards.workspace import BY, build_workspace
from instruct_ablate.report.rows.columns import shown_measures
from instruct_ablate.schema import Config, LoggerConfig
from tests.report.cells import make_cell
from tests.report.studies import write_study
from tests.wandb_server import WandbServer


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    cell = make_cell(50.0)
    write_study(tmp_path / "s", [cell])
    config = Config(logger=LoggerConfig("wandb", entity="someone"))
    OmegaConf.save(OmegaConf.structured(config), tmp_path / "s" / cell.name / "config.yaml")
    return tmp_path / "s"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(UserError, match=r"instruct-ablate\[dashboard\]"):
        build_workspace("s", "p", "e")


def test_without_a_key_it_says_what_to_do(study: Path) -> None:
    pytest.importorskip("wandb_workspaces", reason="needs the dashboard extra")
    result = CliRunner().invoke(group, ["dashboard", str(study)])
    assert "wandb login" in str(result.exception)


def test_a_long_name_is_looked_for_as_w_and_b_has_it() -> None:
    """Before: the workspace of such a study was of no run at all."""
    pytest.importorskip("wandb_workspaces", reason="needs the dashboard extra")
    made = build_workspace(200 * "x", "p", "e")
    assert made.name == 118 * "x" + ": ablation"
    assert f"'{128 * 'x'}'" in str(made.runset_settings.filters)


def test_panels_by_variant_and_budget_over_the_studys_runs(study: Path) -> None:
    pytest.importorskip("wandb_workspaces", reason="needs the dashboard extra")
    result = CliRunner().invoke(group, ["dashboard", str(study), "--show"])
    shown = json.loads(result.output)
    assert (shown["entity"], shown["project"], shown["name"]) == ("someone", "instruct-ablate", "s: ablation")
    sections = {section["name"]: section["panels"] for section in shown["sections"]}
    for name, key in BY.items():
        panels = sections[f"Scores by {name}"]
        assert [panel["metrics"] for panel in panels] == [[metric] for metric in shown_measures(())]
        assert {panel["groupby"]["name"] for panel in panels} == {key}
    curves, costs = sections["Learning curves"], sections["Cost"]
    assert [panel["y"] for panel in curves] == [
        [f"train/{name}"] for name in ("loss", "learning_rate", "grad_norm", "tokens_per_second")
    ]
    assert {(panel["x"], panel["groupby"]["name"], panel["groupby_aggfunc"]) for panel in curves} == {
        ("Step", BY["variant"], "mean")
    }
    assert {(panel["groupby"]["name"], panel["groupby_aggfunc"]) for panel in costs} == {
        (BY["model"], "mean")
    }
    assert [panel["metrics"] for panel in costs] == [
        ["cost/train_seconds"], ["cost/evaluate_seconds"], ["cost/peak_memory"]
    ]  # fmt: skip
    opened = [section["name"] for section in shown["sections"] if section["is_open"]]
    assert opened[:1] == ["Scores by variant"]
    assert not {"Scores by budget", "Scores by model"} & set(opened)
    filters = str(shown["runset_settings"]["filters"])
    assert "Group" in filters
    assert "'s'" in filters


@pytest.mark.slow
def test_it_is_saved(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb_workspaces", reason="needs the dashboard extra")
    server = WandbServer()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(group, ["dashboard", str(study)])
    server.stop()
    assert result.exit_code == 0, (result.output, result.exception)
    (view,) = server.views
    assert (
        json.loads(view["spec"])["section"]["panelBankConfig"]["sections"][0]["name"] == "Scores by variant"
    )
    assert "/someone/instruct-ablate" in result.output
