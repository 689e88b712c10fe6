"""Predictions that were changed after they were scored: whoever reads them for people says so, whatever they score."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.archive.pack import pack
from instruct_ablate.cell.after.rescore import rescore_study
from instruct_ablate.cell.state.record.instance_scores import CHANGED, SCORES_OF, scored_rows
from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.command_line import group
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.report.as_json import report_fields
from instruct_ablate.report.closing import closing_lines
from instruct_ablate.report.frames import StudyFrames
from instruct_ablate.report.page.browser import browser_data
from instruct_ablate.report.page.sample import choose, every_block
from instruct_ablate.report.report import judge_study
from instruct_ablate.report.rows.across_cells import with_metrics_over_cells
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.view.prediction_index import PredictionIndex, Selection
from tests.report.cells import make_cell
from tests.report.studies import write_study

NAME = make_cell(50.0).name
FILE = "predictions/original.jsonl"
Logged = pytest.LogCaptureFixture


@pytest.fixture(params=["a prompt", "an answer"])
def edited(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two scored cells; a prompt of one, which no score hangs on, or an answer is edited."""
    folder = scored(tmp_path)
    path = folder / NAME / FILE
    field, other = ("prompt", "other") if request.param == "a prompt" else ("prediction", "negative")
    path.write_text(re.sub(rf'"{field}": "[^"]*"', f'"{field}": "{other}"', path.read_text(), count=1))
    return folder


def scored(tmp_path: Path) -> Path:
    folder = write_study(tmp_path / "multirun" / "s", [make_cell(50.0, seed=seed) for seed in (0, 1)])
    rescore_study(folder)
    return folder


def run(*words: object) -> str:
    return CliRunner().invoke(group, [*map(str, words)]).output


def shown(folder: Path, _: Logged) -> str:
    said = json.loads(run("show", folder / NAME, "--json"))
    assert said["rows"]
    assert "".join(f"{note}\n" for note in said["notes"]) in run("show", folder / NAME)
    return "".join(said["notes"])


def held_against_another(folder: Path, _: Logged) -> str:
    return run("show", "--diff", folder / make_cell(50.0, seed=1).name, folder / NAME, "--wrong")


def framed(folder: Path, logged: Logged) -> str:
    assert len(StudyFrames(folder).predictions())
    return logged.text


def over_seeds(folder: Path, logged: Logged) -> str:
    study: Study = replace(read_study(folder), columns=("consistency",))
    (row,) = with_metrics_over_cells(build_rows(study.cells), study)
    assert (row.mean("consistency") is None) == bool(logged.text)
    return logged.text


def on_a_page(folder: Path, _: Logged) -> str:
    study = read_study(folder)
    note = str(browser_data(folder, choose(study.cells))["note"])
    return note.replace("their predictions were changed after they were scored: ", f"{FILE} {CHANGED}: ")


def served(folder: Path, logged: Logged) -> str:
    index = PredictionIndex(folder, every_block(read_study(folder).cells), ("exact_match",))
    for _ in range(2):
        index.look(Selection())
    assert logged.text.count(CHANGED) <= 1, "once"
    return logged.text


def archived(folder: Path, _: Logged) -> str:
    return run("archive", folder, folder.parent / "a.zip")


def replayed(folder: Path, _: Logged) -> str:
    pack(folder, folder.parent / "a.zip")
    told = run("replay", folder.parent / "a.zip", "--output", folder.parent / "r").splitlines()
    said = "\n".join(line for line in told if "no identity.json" not in line)  # cells that were never run
    return said.replace("changed after they were scored, before they were archived:", CHANGED)


def reported(folder: Path, _: Logged) -> str:
    said = run("report", folder)
    assert report_fields(judge_study(folder))["changed"] == ([f"{NAME}/{FILE}"] if NAME in said else [])
    told = [line.strip() for line in said.splitlines() if SCORES_OF in line]
    written = (
        html.unescape((folder / "report" / name).read_text()) for name in ("index.html", "verdicts.txt")
    )
    assert all(line in text for text in written for line in told)
    return said_of(told)


def at_the_end_of_a_sweep(folder: Path, _: Logged) -> str:
    return said_of(line for line in closing_lines(judge_study(folder)) if SCORES_OF in line)


def compared(folder: Path, _: Logged) -> str:
    said = run("compare", folder, folder).splitlines()
    told = [line for line in said if SCORES_OF in line]
    assert told[:1] == told[1:]  # of each side
    return said_of(told)


def said_of(lines: Iterable[str]) -> str:
    return "".join(lines).replace(f"changed after being scored: {SCORES_OF}", CHANGED)


READERS = [
    reported,
    at_the_end_of_a_sweep,
    compared,
    shown,
    held_against_another,
    framed,
    over_seeds,
    on_a_page,
    served,
    archived,
    replayed,
]


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_says_so(reader: Callable[[Path, Logged], str], edited: Path, caplog: Logged) -> None:
    caplog.set_level(logging.WARNING)
    said = reader(edited, caplog)
    assert CHANGED in said
    assert NAME in said
    assert make_cell(50.0, seed=1).name not in said


@pytest.mark.parametrize("reader", READERS)
def test_none_says_so_of_what_is_as_it_was_scored(
    reader: Callable[[Path, Logged], str], tmp_path: Path, caplog: Logged
) -> None:
    caplog.set_level(logging.WARNING)
    assert CHANGED not in reader(scored(tmp_path), caplog)


def test_once_it_is_scored_as_it_is_its_record_says_so(edited: Path, caplog: Logged) -> None:
    index = PredictionIndex(edited, every_block(read_study(edited).cells), ("exact_match",))
    assert f"{NAME}: {FILE} was changed after it was scored" in run("rescore", edited)
    index.look(Selection())  # a page that is served meanwhile
    assert shown(edited, caplog) == caplog.text == ""
    record = read_record(edited / NAME)
    assert record is not None
    assert any("was changed after it was scored" in note for note in record.notes)


def test_an_early_record_cannot_tell(edited: Path) -> None:
    record = read_record(edited / NAME)
    assert record is not None
    rows, told = scored_rows(edited / NAME, replace(record.blocks[0], sha256=""))
    assert (rows, told) == (read_predictions(edited / NAME / FILE), "")
