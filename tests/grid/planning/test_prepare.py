"""Preparing a sweep: what is read, fetched and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.grid.planning.prepare import prepare, verify
from instruct_ablate.schema import ModelConfig, TasksConfig
from tests.standins import make_config


@pytest.mark.parametrize(("name", "kind"), [("tiny_llama", "decoder-only"), ("tiny_t5", "encoder-decoder")])
def test_tasks_and_model_are_ready_afterwards(tmp_path: Path, name: str, kind: str) -> None:
    config = make_config(tmp_path, model=ModelConfig(name, source="random"))
    tasks, model = prepare(config)
    assert tasks.startswith("tasks starter: ")
    assert tasks.endswith("test tasks")
    assert model.startswith(f"model {name}: ")
    assert model.endswith(f"million weights, {kind}, ready")
    assert list((tmp_path / "cache" / "models").iterdir())


def test_a_baseline_needs_nothing(tmp_path: Path) -> None:
    config = make_config(tmp_path, model=ModelConfig("majority", source="baseline"))
    assert list(prepare(config))[1] == "model majority: a baseline, nothing to fetch"
    assert not (tmp_path / "cache" / "models").exists()


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        list(prepare(make_config(tmp_path, model=ModelConfig("mine", path=str(tmp_path / "none")))))
    with pytest.raises(UserError):
        list(prepare(make_config(tmp_path, tasks=TasksConfig("startr"))))


def test_every_prepared_folder_is_verified_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        "tokens/a",
        "tasks/b",
        "models/c",
        "tasks/seen",
        "tasks/own",
        "tokens/.d",
        "models/e.damaged-1",
        "x/f",
        "examples/g",
        "frozen/model/05-h",
        "frozen/model/.bucket-05.lock",
        "frozen/model/06-i.damaged-1",
    ]
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    looked: list[str] = []

    def damage(folder: Path, whole: bool) -> str | None:
        looked.append(folder.relative_to(tmp_path).as_posix())
        return "cut short" if folder.name == "b" and whole else None

    monkeypatch.setattr("instruct_ablate.grid.planning.prepare.damage", damage)
    first, last = verify(tmp_path)
    assert looked == ["examples/g", "frozen/model/05-h", "models/c", "tasks/b", "tokens/a"]
    assert "b is damaged (cut short): put aside as" in first
    assert last == f"4 prepared folders of {tmp_path} are whole"
    assert not (tmp_path / "tasks" / "b").exists()
