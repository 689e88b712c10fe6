from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from instruct_ablate.cell.state.stored_config import describe, stored_config, stored_texts
from instruct_ablate.errors import UserError
from instruct_ablate.grid.composing.composer import compose_config


def test_it_is_data_and_nothing_in_it_is_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "key")
    (tmp_path / "config.yaml").write_text("logger: {project: '${oc.env:SECRET}'}\nextensions: [a.py, 3]\n")
    assert stored_config(tmp_path)["logger"] == {"project": "${oc.env:SECRET}"}
    assert stored_texts(tmp_path, "extensions") == ["a.py"]
    assert stored_texts(tmp_path, "logger", "project", "x") == []


def test_imported_cells_have_none(tmp_path: Path) -> None:
    assert stored_config(tmp_path) == {}


@pytest.mark.parametrize(
    "text", ["[", "- 1", "", "!!python/object/apply:os.system [touch proof]", "[" * 5000, "a: \udcff"]
)
def test_what_is_none_is_told(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"config\.yaml"):
        stored_config(tmp_path)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_plain_file_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.yaml"
    (tmp_path / "out.yaml").write_text("a: 1")
    {"pipe": os.mkfifo, "link": lambda x: x.symlink_to("out.yaml"), "folder": Path.mkdir}[kind](path)
    with pytest.raises(UserError, match="cannot be read"):
        stored_config(tmp_path)


def test_it_is_the_text_that_the_typed_configuration_has(tmp_path: Path) -> None:
    config = compose_config(["model=tiny_llama", "data_budget.tasks=3"])
    config.study, config.extensions = "it's ${here}: #1", ["a: b", "no", "1"]
    describe(tmp_path, config, SimpleNamespace(to_json=lambda: "{}"))  # type: ignore[arg-type]
    assert (tmp_path / "config.yaml").read_text() == OmegaConf.to_yaml(OmegaConf.structured(config))
