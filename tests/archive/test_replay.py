"""A replay gives the archived tables byte for byte, and says where a score does not follow from its predictions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.archive.pack import pack
from instruct_ablate.cell.after.rescore import rescore_study
from instruct_ablate.cell.state.record.predictions import read_predictions, to_line
from instruct_ablate.cell.state.record.record import SCORING
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.stated import state
from instruct_ablate.metrics import Selection
from instruct_ablate.prompt.prompt import Likelihood
from tests.report.cells import make_cell
from tests.report.studies import write_study

CLAIM = "simplified equals original on exact_match within 5 points"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells = [
        make_cell(50.0, seed=seed, instruction=name) for name in ("original", "simplified") for seed in (0, 1)
    ]
    folder = write_study(tmp_path_factory.mktemp("multirun") / "s", cells, (CLAIM,))
    state(folder, (CLAIM,), "original", ())
    rescore_study(folder)
    return folder


def replay(*words: str) -> Result:
    return CliRunner().invoke(group, ["replay", *words])


def test_the_same_tables_and_no_code(study: Path, tmp_path: Path) -> None:
    archived = CliRunner().invoke(group, ["archive", str(study), str(tmp_path / "a.tar.zst")])
    assert archived.exit_code == 0, archived.output
    assert "4 cells" in archived.output
    result = replay(str(tmp_path / "a.tar.zst"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 0, result.output
    assert "tables: 16 of 16 the same, byte for byte" in result.output
    assert "scores: those of 4 cells follow from their predictions" in result.output
    assert CLAIM in (tmp_path / "r" / "report" / "verdicts.txt").read_text()


def test_a_score_that_its_predictions_do_not_give(study: Path, tmp_path: Path) -> None:
    name = make_cell(50.0).name
    path = study / name / "predictions" / "original.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"prediction": "positive"', '"prediction": "negative"', 1))
    try:
        pack(study, tmp_path / "a.zip")
    finally:
        path.write_text(text)
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"), "--commands", "show")
    assert result.exit_code == 1
    assert f"do not: {name}\n" in result.output


def test_a_score_by_earlier_rules_is_told_as_one(study: Path, tmp_path: Path) -> None:
    """Before: of an archive from before a rule changed it was said that its scores do not follow."""
    folder = Path(shutil.copytree(study, tmp_path / "multirun" / "s"))
    path = folder / make_cell(50.0).name
    record = read_record(path)
    assert record is not None
    block = record.blocks[0]
    overall = block.scores.overall
    other = replace(overall, values=tuple((name, 7.0) for name, _ in overall.values))
    before = replace(block, scores=replace(block.scores, overall=other), scoring=SCORING - 1)
    write_record(path, replace(record, blocks=(before, *record.blocks[1:])))
    pack(folder, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1
    assert (
        f"do not: {record.name} (they were made by version {SCORING - 1} of the scoring rules, and are held against "
        f"version {SCORING})" in result.output
    )


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    assert isinstance(replay(str(tmp_path / "none.zip")).exception, UserError)
    assert isinstance(replay(str(tmp_path / "none.zip"), "--limit", "nan").exception, UserError)
    wrong = replay(str(tmp_path / "none.zip"), "--extensions", str(tmp_path / "none.py"))
    assert "is not a Python file" in str(wrong.exception)


def test_likelihoods_of_references_are_archived_and_replayed(tmp_path: Path) -> None:
    """What only the model could say lies with the predictions, so a replay needs no model."""
    cells = [make_cell(50.0, seed=seed) for seed in (0, 1)]
    folder = write_study(tmp_path / "s", cells)
    for cell in cells:
        path = folder / cell.name / "predictions" / "original.jsonl"
        rows = read_predictions(path)
        told = [replace(row, likelihoods=(Likelihood(-1.0 - at, 2, 8),)) for at, row in enumerate(rows)]
        path.write_text("".join(f"{to_line(row)}\n" for row in told))
    rescore_study(folder, Selection(("reference_log_likelihood",)))
    pack(folder, tmp_path / "a.zip")
    result = replay(str(tmp_path / "a.zip"), "--output", str(tmp_path / "r"))
    assert result.exit_code == 0, result.output
    assert "byte for byte" in result.output
    assert "scores: those of 2 cells follow from their predictions" in result.output
    table = (tmp_path / "r" / "report" / "main.csv").read_text()
    assert "-1.25" in table, table


def packed_with(study: Path, folder: Path, edits: dict[str, tuple[str, str]]) -> Path:
    """Pack a study whose report an earlier version wrote in other words, or with other numbers."""
    from instruct_ablate.archive import pack as module
    from instruct_ablate.report.report import write_report

    def edited(study: Path, report: Path) -> object:
        made = write_report(study, report)
        for name, (now, then) in edits.items():
            text = (report / name).read_text()
            assert now in text
            (report / name).write_text(text.replace(now, then))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "write_report", edited)
        pack(study, folder / "a.zip")
    return folder / "a.zip"


def test_other_words_around_the_same_numbers_are_no_difference(study: Path, tmp_path: Path) -> None:
    """Before: every archive of an earlier version was said to differ, for a caption's wording."""
    archive = packed_with(
        study,
        tmp_path,
        {
            "main.tex": ("scores by trained on", "results by what was trained on"),
            "main.csv": ("50.00", "50.0"),
        },
    )
    result = replay(str(archive), "--output", str(tmp_path / "r"))
    assert result.exit_code == 0, result.output
    assert "tables: 14 of 16 the same, byte for byte" in result.output
    for name in ("main.tex", "main.csv"):
        assert f"  the same numbers, in other words: {name}\n" in result.output
    assert "differs" not in result.output


def test_other_numbers_are_a_difference_wherever_they_stand(study: Path, tmp_path: Path) -> None:
    archive = packed_with(
        study,
        tmp_path,
        {
            "main.csv": ("original,50.00", "original,50.01"),
            "main.tex": ("over 2 seeds", "over 3 seeds"),
            "verdicts.txt": ("uninformative: simplified", "supported: simplified"),
        },
    )
    result = replay(str(archive), "--output", str(tmp_path / "r"))
    assert result.exit_code == 1
    assert "  differs: main.csv\n" in result.output
    assert (
        "  differs: main.tex (its rows are the same; a number or an answer around them is not)\n"
        in result.output
    )
    assert "  differs: verdicts.txt\n" in result.output
    assert "tables: 13 of 16 the same" in result.output
