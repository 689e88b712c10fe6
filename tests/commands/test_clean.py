from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import ScoreBlock
from instruct_ablate.cell.state.store import missing_record, write_record
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.study import read_study
from tests.standins import make_config, make_scores, replace_inputs


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One done cell that still has 3 MB of checkpoints and a record that was put aside."""
    replace_inputs(monkeypatch)
    identity = identify(make_config(tmp_path))
    cell = tmp_path / identity.name
    (cell / "checkpoints").mkdir(parents=True)
    (cell / "checkpoints" / "step-00000005.ckpt").write_bytes(b"x" * 3_000_000)
    (cell / "record.corrupt-1.json").write_text("{" * 2_000_000)
    block = ScoreBlock("original", "p.jsonl", make_scores())
    write_record(cell, replace(missing_record(identity), state="done", blocks=(block,)))
    return tmp_path


def clean(*words: str) -> Result:
    return CliRunner().invoke(group, ["clean", *words])


def test_it_says_what_would_go_and_touches_nothing(study: Path) -> None:
    told = clean(str(study))
    assert told.exit_code == 0
    (line, last) = told.output.splitlines()
    assert line.startswith("      3.00 MB  checkpoints of a done cell: ")
    assert last == "3.00 MB could be freed: add --yes"
    assert list(study.glob("*/checkpoints/*"))


def test_it_frees_what_it_was_told_to(study: Path) -> None:
    assert clean(str(study), "--yes").output.endswith("freed 3.00 MB\n")
    assert not list(study.glob("*/checkpoints"))
    assert list(study.glob("*/record.json"))
    assert clean(str(study), "--yes").output == "nothing to free\n"


def test_records_put_aside_go_only_on_request(study: Path) -> None:
    told = clean(str(study), "--quarantined", "--yes").output
    assert "quarantined record" in told
    assert told.endswith("freed 5.00 MB\n")


def test_no_such_study(tmp_path: Path) -> None:
    (tmp_path / "ablation").mkdir()
    result = clean(str(tmp_path / "ablatoin"))
    assert isinstance(result.exception, UserError)
    assert "did you mean" in str(result.exception)


def test_a_removed_cell_is_forgotten_and_one_that_is_there_is_not(study: Path) -> None:
    there, gone = (identify(make_config(study, seed=seed)) for seed in (0, 1))
    declare(study, [there, gone], make_config(study))
    assert {cell.state for cell in read_study(study).cells} == {"done", "missing"}
    assert clean(str(study), "--forget", gone.name).output == f"forgotten: {gone.name}\n"
    assert [cell.name for cell in read_study(study).cells] == [there.name]
    for name, told in ((there.name, "is still there"), (gone.name, "unknown cell of")):
        refused = clean(str(study), "--forget", name)
        assert isinstance(refused.exception, UserError) or refused.exit_code != 0
        assert told in str(refused.exception) + refused.output
