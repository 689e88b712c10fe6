"""One of something is told in the singular."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.plural import are, counted, have, named, sentence, were
from instruct_ablate.report import report
from tests.report.cells import make_cell
from tests.report.studies import write_study

NOUNS = (
    "answers|batches|cells|columns|comparisons|definitions|examples|faults|files|figures|folders|instances|jobs|labels|"
    "layers|lines|models|places|points|predictions|prompts|rates|rows|seeds|settings|steps|studies|tables|tasks|tests|"
    "tokens|units|variants|words"
)
ONE_OF_MANY = re.compile(rf"(?<![\w.,=:/+-])1 (?:[a-z]+ )?(?:{NOUNS})\b[^\n]*")
WRITTEN = (".md", ".html", ".tex", ".txt")


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 cells"), (1, "1 cell"), (2, "2 cells"), (1200, "1,200 cells")]
)
def test_a_number_with_its_noun(number: int, told: str):
    assert counted(number, "cell") == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("one seed's draw, as it is", "One seed's draw, as it is."),
        ("contamination: x.y has seen it", "Contamination: x.y has seen it."),
        ("data_budget.total=9 came to 8", "data_budget.total=9 came to 8."),
        ("instruction.num_positive: 3 of 4 tasks", "instruction.num_positive: 3 of 4 tasks."),
        ("data_budget=8 came to 4", "data_budget=8 came to 4."),
        ("Not all alike", "Not all alike."),
        ("a", "A."),
    ],
)
def test_a_sentence_begins_with_a_capital_and_a_key_stays_as_it_is(line: str, told: str):
    assert sentence(line) == told


def test_the_verb_is_that_of_the_number():
    assert [(are(n), have(n), were(n)) for n in (0, 1, 2)] == [
        ("are", "have", "were"),
        ("is", "has", "was"),
        ("are", "have", "were"),
    ]


def test_a_study_of_one_cell_with_one_prediction_is_told_in_the_singular(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """ "1 cells", "1 instances" and the like stood in lines, captions and pages."""
    monkeypatch.setattr(report, "draw_figures", lambda *_: ())  # they take nearly all of the time
    cell = make_cell(50.0, data_budget=1)
    folder = write_study(tmp_path / "one", [cell], count=1)
    archive = tmp_path / "one.tar.gz"
    commands = [
        ["status", folder],
        ["rescore", folder],
        ["report", folder, "--checklist"],
        ["show", folder / cell.name],
        ["show", folder / cell.name, "--wrong"],
        ["compare", folder, folder],
        ["archive", folder, archive],
        ["replay", archive, "--output", tmp_path / "again"],
    ]
    said = {}
    for words in commands:
        done = CliRunner().invoke(group, list(map(str, words)))
        assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit), words
        said[" ".join(map(str, words))] = done.output
    files = [path for path in folder.rglob("*") if path.suffix in WRITTEN]
    assert files
    said |= {str(path.relative_to(folder)): path.read_text() for path in files}
    found = {where: ONE_OF_MANY.findall(text) for where, text in said.items()}
    assert {where: lines for where, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("names", "told"),
    [("", ""), ("a", "a"), ("ab", "a, b"), ("abc", "a, b and 1 more"), ("abcde", "a, b and 3 more")],
)
def test_the_first_of_many_names(names: str, told: str):
    assert named([*names], 2) == told
