"""`plan --decide` as users type it: where variances come from, what is proposed, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.grid import probe as probing
from instruct_ablate.grid.estimate import Speed
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.decide import claims
from instruct_ablate.report.differences import measured_designs
from tests.report.cells import make_cell, make_scores
from tests.report.studies import small_study, write_study

CLAIM = "hypotheses=['simplified equals original on rougeL within 20']"
EXCEEDS = "hypotheses=['simplified exceeds original on rougeL by 1']"
SPEED = {("tiny_llama", "full"): Speed(1000, 1.0, 100, 1.0, 2.0, 1)}


@pytest.fixture(autouse=True)
def _probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "probe", lambda cells, steps: SPEED)


def plan(folder: Path, *words: str) -> Result:
    grid = ("model=tiny_llama", "instruction=original,simplified", "data_budget=2", "logger=none", "--brief")
    here = (f"output={folder}", f"cache={folder / 'cache'}", "tasks.test_tasks=2", "tasks.test_instances=5")
    return CliRunner().invoke(group, ["plan", *grid, *here, *words], env={"COLUMNS": "160"})


def test_variances_of_an_earlier_study_of_the_claim(tmp_path: Path):
    pilot = small_study(tmp_path / "pilot")
    shown = plan(tmp_path, "seed=0,1", CLAIM, "--probe", "5", "--decide", "--from", str(pilot))
    assert shown.exit_code == 0, shown.output
    assert f"means of 2 comparisons of the claim itself in {pilot}" in shown.output
    assert "if the two are equal, Holm's correction for 1 place;" in shown.output
    assert "as asked: 2 seeds × 2 test tasks of 5 instances: 0:00:" in shown.output
    assert "proposed: " in shown.output
    assert "type: seed=0,1" in shown.output
    assert "\n    10: 0:00:" in shown.output


def test_a_comparison_that_two_studies_have_is_one(tmp_path: Path):
    """Before: a copy, or an archive unpacked beside its study, counted for as many comparisons again."""
    pilot = small_study(tmp_path / "pilot")
    copy = shutil.copytree(pilot, tmp_path / "copy")
    words = (CLAIM, "--probe", "5", "--decide", "--from", str(pilot), "--from", str(copy))
    assert f"means of 2 comparisons of the claim itself in {pilot}, {copy}" in plan(tmp_path, *words).output
    once = measured_designs([read_study(pilot)])
    assert measured_designs([read_study(pilot), read_study(copy)]) == once != []


def test_without_an_earlier_study_the_assumption_is_said(tmp_path: Path):
    shown = plan(tmp_path, "seed=0,1", CLAIM, "--probe", "5", "--decide")
    assert "ASSUMED, measured nowhere; run a pilot of 3 seeds" in shown.output


def test_comparisons_that_could_not_move_measure_nothing(tmp_path: Path):
    cells = [make_cell(0.0, seed=s, instruction=i) for s in (0, 1) for i in ("original", "simplified")]
    scores = make_scores(0.0, rouge=0.0)
    cells = [replace(c, blocks=tuple(replace(b, scores=scores) for b in c.blocks)) for c in cells]
    pilot = write_study(tmp_path / "pilot", cells)
    words = (CLAIM, "--probe", "5", "--decide", "--from", str(pilot))
    assert "ASSUMED, measured nowhere" in plan(tmp_path, *words).output


def test_another_claim_takes_the_variances_of_its_metric(tmp_path: Path):
    pilot = small_study(tmp_path / "pilot")
    claim = "hypotheses=['delusive exceeds original on rougeL by 1']"
    words = ("instruction=original,delusive", claim, "--probe", "5", "--decide", "--from", str(pilot))
    shown = plan(tmp_path, *words)
    assert "comparisons to the reference on rougeL, for none is of the claim itself" in shown.output
    assert "if the truth lies 2 points beyond" in shown.output


@pytest.mark.parametrize(
    ("claim", "truth", "stated"),
    [(CLAIM, 12, "if the two lie 12 points apart"), (EXCEEDS, 5, "if the truth lies 5 points beyond")],
)
def test_the_truth_that_power_is_for_can_be_stated(tmp_path: Path, claim: str, truth: int, stated: str):
    assert stated in plan(tmp_path, claim, "--probe", "5", "--decide", "--truth", str(truth)).output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--decide", "--probe", "5"), "the grid states no hypothesis"),
        (("--decide", CLAIM), "add --probe 20 for its speed"),
        (
            ("--decide", "--probe", "5", CLAIM.replace("simplified", "delusive")),
            "no planned cell is 'delusive'",
        ),
        (("--from", "x"), "--from goes with --decide"),
        (("--truth", "1"), "--truth goes with --decide"),
        (("--decide", "--probe", "5", CLAIM, "--truth", "20"), "from 0 to below its margin of 20"),
        (("--decide", "--probe", "5", CLAIM, "--truth", "nan"), "from 0 to below its margin of 20"),
        (("--decide", "--probe", "5", CLAIM, "--truth=-1"), "from 0 to below its margin of 20"),
        (("--decide", "--probe", "5", EXCEEDS, "--truth", "0"), "points above 0, beyond its bound"),
        (("--decide", CLAIM, "data_budget=0"), "the grid trains nothing"),
    ],
)
def test_what_cannot_be_decided_is_refused(tmp_path: Path, words: tuple[str, ...], fault: str):
    shown = plan(tmp_path, *words)
    assert shown.exit_code != 0
    assert fault in shown.output + str(shown.exception)


def test_a_metric_in_another_unit_is_not_planned_for():
    claim = "simplified equals original on reference_log_likelihood within 0.1"
    with pytest.raises(UserError, match="is in nats/token, and studies are planned for metrics in percent"):
        claims((claim,), "original", [], [])
