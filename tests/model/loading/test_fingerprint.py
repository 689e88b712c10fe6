from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from instruct_ablate.disk import file_hash
from instruct_ablate.model.loading import fingerprint
from instruct_ablate.model.loading.fingerprint import checkpoint_fingerprint
from instruct_ablate.model.loading.location import Facts
from instruct_ablate.schema import ModelConfig


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instruct_ablate.disk.file_hash.SETTLED", -10)  # as if written long ago


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("words")
    return folder


def of(folder: Path, cache: Path) -> str:
    return checkpoint_fingerprint(ModelConfig(name="mine", path=str(folder)), cache)


def test_a_folder_is_its_content_not_its_place(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    os.utime(copy / "config.json", (1, 1))
    assert of(folder, tmp_path) == of(copy, tmp_path)
    assert of(folder, tmp_path).startswith("sha256:")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_every_file_that_counts_changes_it(folder: Path, tmp_path: Path, name: str) -> None:
    before = of(folder, tmp_path)
    (folder / name).write_text("changed")
    assert of(folder, tmp_path) != before


def test_the_readme_does_not(folder: Path, tmp_path: Path) -> None:
    before = of(folder, tmp_path)
    (folder / "README.md").write_text("other words")
    assert of(folder, tmp_path) == before


def test_a_file_is_read_again_only_when_it_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, read = of(folder, tmp_path), []
    whole = file_hash.sha256_of
    monkeypatch.setattr(file_hash, "sha256_of", lambda path: read.append(path.name) or whole(path))
    assert of(folder, tmp_path) == before
    assert read == []
    state = (folder / "model.safetensors").stat()
    time.sleep(0.02)  # the system notes changes in ticks
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")  # of the same size, and of the same time
    os.utime(folder / "model.safetensors", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert of(folder, tmp_path) != before
    assert read == ["model.safetensors"]


def test_a_file_just_written_is_read_each_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of a file system may be too coarse to tell the next change."""
    monkeypatch.setattr("instruct_ablate.disk.file_hash.SETTLED", 100)
    tick = time.time_ns()
    monkeypatch.setattr("instruct_ablate.disk.file_hash.mark", lambda path: (7, tick, tick, 1))
    before = of(folder, tmp_path)
    assert of(folder, tmp_path) == before
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")
    monkeypatch.setattr("instruct_ablate.disk.file_hash.SETTLED", -10)
    assert of(folder, tmp_path) != before


@pytest.mark.parametrize(
    "memory",
    ["", "[]", '{"config.json": 1}', '{"config.json": ["x", "y", 2]}', '{"config.json": ["x", [1, 2]]}'],
)
def test_a_broken_memory_is_made_anew(folder: Path, tmp_path: Path, memory: str) -> None:
    before = of(folder, tmp_path)
    (file,) = (tmp_path / "fingerprints").iterdir()
    file.write_text(memory)
    assert of(folder, tmp_path) == before


def test_built_in_ones_need_no_file(tmp_path: Path) -> None:
    sources = {"smollm2_135m": "wheel", "tiny_llama": "random", "tiny_t5": "random", "majority": "baseline"}
    found = {checkpoint_fingerprint(ModelConfig(name=n, source=s), tmp_path) for n, s in sources.items()}
    assert len(found) == 4
    assert not list(tmp_path.iterdir())


def test_a_hub_model_is_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ModelConfig(name="x", path="some/model")
    monkeypatch.setattr(fingerprint, "facts", lambda _: Facts("decoder-only", "abc"))
    assert checkpoint_fingerprint(config, tmp_path) == "some/model@abc"
    monkeypatch.setattr(fingerprint, "facts", lambda _: Facts("decoder-only"))
    assert checkpoint_fingerprint(config, tmp_path) == "some/model@main"
