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
from instruct_ablate.cell.state.record.record import GENERAL, GENERAL_FILE, Environment
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


def test_all_that_numbers_rest_on_is_packed_and_nothing_else(tmp_path: Path) -> None:
    made = make_cell(50.0)
    tests = replace(made.blocks[0], instances="scores/original.parquet")
    general = replace(
        tests, instruction=GENERAL, predictions=GENERAL_FILE, instances="scores/general.parquet"
    )
    cell = replace(made, blocks=(tests,), general=general)
    study = write_study(tmp_path / "s", [cell])
    of_study = {"study.json", "stated.jsonl", "looks.jsonl"}
    of_cell = {"config.yaml", "identity.json", "record.json", "training.jsonl", "scores_in_training.jsonl"}
    of_blocks = {name for block in (tests, general) for name in (block.predictions, block.instances)}
    there = of_study | {f"{cell.name}/{name}" for name in of_cell | of_blocks}
    for name in (*there, "summary.csv", f"{cell.name}/log.txt", f"{cell.name}/last.ckpt"):
        (study / name).parent.mkdir(exist_ok=True)
        if not (study / name).exists():
            (study / name).write_text(name)
    assert pack(study, tmp_path / "a.zip").lacking == ()
    with opened_members(tmp_path / "a.zip") as members:
        names = [name for name, _, _ in members if name.startswith("study/")]
    assert sorted(names) == sorted(f"study/s/{name}" for name in there)


def test_predictions_of_every_block_that_are_not_those_scored_are_named(tmp_path: Path) -> None:
    made = make_cell(50.0)
    tests = made.blocks[0]
    other = replace(tests, instruction="empty", predictions="predictions/empty.jsonl", sha256="f" * 64)
    gone = replace(tests, instruction="delusive", predictions="predictions/delusive.jsonl", sha256="f" * 64)
    general = replace(tests, instruction=GENERAL, predictions=GENERAL_FILE, sha256="f" * 64)
    cell = replace(made, blocks=(tests, other, gone), general=general)
    study = write_study(tmp_path / "s", [cell])
    (study / cell.name / GENERAL_FILE).write_text("{}\n")
    (study / cell.name / gone.predictions).unlink()
    packed = pack(study, tmp_path / "a.zip")
    assert [line.split()[1] for line in packed.changed] == [other.predictions, GENERAL_FILE]
    assert packed.lacking == (f"study/s/{cell.name}/{gone.predictions}",)


def test_what_changes_while_it_is_packed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make_cell(50.0)
    study = write_study(tmp_path / "s", [cell])
    path, write = study / cell.name / cell.blocks[0].predictions, packing.write_members

    def late(target: Path, form: str, members: object) -> None:
        path.write_text(path.read_text().replace('"positive"', '"negative"'))  # as long as before
        write(target, form, members)  # type: ignore[arg-type]

    monkeypatch.setattr(packing, "write_members", late)
    with pytest.raises(
        UserError, match=r"predictions/original.jsonl has changed while the archive was written"
    ):
        pack(study, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_versions_are_those_of_all_cells_in_order(tmp_path: Path) -> None:
    made = Environment("h", "train.py", None, "3.11.7", (("torch", "2.1"), ("numpy", "1.0")), "cpu", "fp32")
    other = replace(made, python="3.12.1", versions=(("torch", "2.2"), ("numpy", "1.0")))
    cells = [replace(make_cell(50.0, seed=seed), environment=one) for seed, one in enumerate((other, made))]
    pack(write_study(tmp_path / "s", cells), tmp_path / "a.zip")
    with opened_members(tmp_path / "a.zip") as members:
        lock = next(
            content.read(10_000).decode() for name, _, content in members if name == packing.MADE_WITH
        )
    head, *pins = lock.splitlines()
    assert head.startswith("# The cells ran with Python 3.11.7, 3.12.1;")
    assert pins == ["numpy==1.0", "torch==2.1", "torch==2.2"]
