"""An archive holds what a study's numbers rest on, and is the same bytes each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.archive import pack as packing
from instruct_ablate.archive.forms import opened_members
from instruct_ablate.archive.manifest import MANIFEST
from instruct_ablate.archive.pack import pack
from instruct_ablate.cell.after.rescore import rescore_study
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.stated import state
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study


@pytest.fixture(autouse=True)
def _plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report of one file: how reports are written is tested elsewhere."""

    class Report:
        def __init__(self, folder: Path) -> None:
            self.folder = folder

    def write(study: Path, folder: Path) -> Report:
        folder.mkdir(parents=True)
        (folder / "main.csv").write_text("a,b\n")
        return Report(folder)

    monkeypatch.setattr(packing, "write_report", write)


@pytest.mark.parametrize("form", [".tar.zst", ".tar.gz", ".zip"])
def test_the_same_study_gives_the_same_bytes(tmp_path: Path, form: str) -> None:
    study = small_study(tmp_path / "s")
    state(study, ("a claim",), "original", ())
    rescore_study(study)
    one, other = tmp_path / f"one{form}", tmp_path / f"other{form}"
    packed = pack(study, one)
    pack(study, other)
    assert one.read_bytes() == other.read_bytes()
    with opened_members(one) as members:
        names = [name for name, _, _ in members]
    assert names[0] == MANIFEST
    assert len(names) == packed.files + 1
    assert packed.lacking == ()
    assert {"versions.lock", "study/s/study.json", "study/s/stated.jsonl", "report/main.csv"} <= set(names)
    assert sum(name.endswith("predictions/original.jsonl") for name in names) == 5


def test_what_is_gone_is_named_and_a_link_is_not_followed(tmp_path: Path) -> None:
    cell = make_cell(50.0)
    study = write_study(tmp_path / "s", [cell])
    path = study / cell.name / cell.blocks[0].predictions
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert pack(study, tmp_path / "a.zip").lacking == (f"study/s/{cell.name}/predictions/original.jsonl",)


def test_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = write_study(tmp_path / "s", [make_cell(50.0)])
    with pytest.raises(UserError, match=r"ends in one of .tar.zst, .tar.gz, .zip"):
        pack(study, tmp_path / "a.rar")
    with pytest.raises(UserError, match="no study at"):
        pack(tmp_path / "none", tmp_path / "a.zip")
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        pack(study, tmp_path / "a.zip")
    known = packing.read_study(study)
    running = replace(known, cells=tuple(replace(cell, state="running") for cell in known.cells))
    monkeypatch.setattr(packing, "read_study", lambda folder: running)
    with pytest.raises(UserError, match="is running"):
        pack(study, tmp_path / "b.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "s"]
