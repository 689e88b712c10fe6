"""Rounds: seeds breadth-first, a look after each from the second on, stopped and started again without a trace."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.record.record import CellRecord, Failure, ScoreBlock
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.looks import LOOKS, Decision, Look, read_looks
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.grid.rounds import rounds_of, run_rounds, wanted
from instruct_ablate.schema import BudgetConfig, InstructionConfig
from tests.standins import make_config, make_scores, replace_inputs

CLAIM = "simplified equals original on exact_match within 2"


class Judge:
    """Settles after so many seeds."""

    def __init__(self, after: int, refuses: str = "") -> None:
        self.after, self.refuses, self.asked = after, refuses, list[int]()

    def check(self, planned: Sequence[Identity], hypotheses: Sequence[str], reference: str) -> None:
        if self.refuses:
            raise UserError(self.refuses)

    def lacking(
        self, folder: Path, planned: Sequence[Identity], texts: Sequence[str], reference: str
    ) -> list[str]:
        return []

    def decide(self, folder: Path, look: Look) -> tuple[Decision, ...]:
        self.asked.append(look.done)
        settled = look.done >= self.after
        return (Decision(CLAIM, "supported" if settled else "undecided", settled),)


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def grid(folder: Path, seeds: Sequence[int] = range(5), **changes: Any) -> list[Cell]:
    """Two variants under every seed, and the untuned model."""
    base = make_config(folder, until="decided", hypotheses=[CLAIM], **changes)
    configs = [
        replace(base, seed=seed, instruction=InstructionConfig(definition=definition))
        for seed in seeds
        for definition in ("original", "simplified")
    ]
    configs.append(replace(base, data_budget=BudgetConfig(0)))
    return [Cell((), config, identify(config)) for config in configs]


class Run:
    """Does cells; those of a seed that is broken it leaves."""

    def __init__(self, broken: int | None = None) -> None:
        self.broken, self.rounds = broken, list[list[int]]()

    def __call__(self, cells: Sequence[Cell]) -> None:
        self.rounds.append(
            sorted({cell.identity.seed for cell in cells if not cell.identity.setting.untuned})
        )
        for cell in cells:
            one, failed = cell.identity, cell.identity.seed == self.broken
            cell.folder.mkdir(parents=True, exist_ok=True)
            block = ScoreBlock("original", "predictions/original.jsonl", make_scores())
            record = CellRecord(one.hash, one.name, one.setting, one.seed, "done", (block,))
            if failed:
                record = replace(record, state="failed", blocks=(), failure=Failure("it broke", ""))
            write_record(cell.folder, record)
            written = read_record(cell.folder, one.hash)
            assert written is not None, "a record that is read as none says nothing of its state"
            assert (written.state == "failed") == failed


def test_the_first_round_has_two_seeds_and_all_that_has_none(tmp_path: Path) -> None:
    rounds = rounds_of(grid(tmp_path, seeds=(3, 0, 64, 1, 2)), Judge(9))
    assert rounds.plan.seeds == (0, 1, 2, 3, 64)
    assert [len(own) for own in rounds.rounds] == [5, 2, 2, 2]
    assert sum(cell.identity.setting.untuned for cell in rounds.rounds[0]) == 1
    assert {cell.identity.seed for cell in rounds.rounds[3]} == {64}


def test_untrained_cells_that_a_seed_draws_are_run_with_their_seed(tmp_path: Path) -> None:
    """Before: all of them ran in the first round, and a look of two seeds was judged on five of theirs."""
    cells = grid(tmp_path)
    config = cells[-1].config
    shown = replace(config.evaluation, instructions=["random_labels"])
    drawn = [replace(config, seed=seed, evaluation=shown) for seed in (0, 1, 2, 3, 4, 9)]
    rounds = rounds_of([*cells[:-1], *(Cell((), one, identify(one)) for one in drawn)], Judge(9))
    seeds = [[c.identity.seed for c in own if c.identity.setting.untuned] for own in rounds.rounds]
    assert seeds == [[0, 1, 9], [2], [3], [4]], "one of a seed that nothing is trained under waits for none"


@pytest.mark.parametrize(("after", "looks", "cells"), [(2, [2], 5), (4, [2, 3, 4], 9), (9, [2, 3, 4, 5], 11)])
def test_it_stops_where_all_is_decided_or_the_grid_is_spent(
    tmp_path: Path, after: int, looks: list[int], cells: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    judge, run = Judge(after), Run()
    taken = run_rounds(rounds_of(grid(tmp_path), judge), judge, run)
    assert (judge.asked, len(taken)) == (looks, cells)
    assert run.rounds == [[0, 1], [2], [3], [4]][: len(looks)]
    recorded = read_looks(tmp_path / "ablation").taken
    assert [(look.done, look.cells) for look in recorded][-1] == (looks[-1], cells)
    said = "the whole grid was run" if cells == 11 else f"{11 - cells} of 11 cells saved"
    assert said in caplog.text


def test_a_sweep_started_again_goes_on_at_the_same_look(tmp_path: Path) -> None:
    whole, cells = Judge(4), grid(tmp_path / "whole")
    run_rounds(rounds_of(cells, whole), whole, Run())
    first, cells = Judge(4), grid(tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        run_rounds(rounds_of(cells, first), first, _killed_at(3))
    again = Judge(4)
    taken = run_rounds(rounds_of(cells, again), again, Run())
    assert (first.asked, again.asked, len(taken)) == ([2], [3, 4], 9)
    decisions = [
        [(look.done, look.decisions) for look in read_looks(tmp_path / name / "ablation").taken]
        for name in ("whole", "killed")
    ]
    assert decisions[0] == decisions[1]
    third = Judge(2)  # what was recorded stands, whatever would be found now
    assert len(run_rounds(rounds_of(cells, third), third, Run())) == 9
    assert third.asked == []


def _killed_at(seed: int) -> Run:
    class Killed(Run):
        def __call__(self, cells: Sequence[Cell]) -> None:
            if any(cell.identity.seed == seed - 1 for cell in cells):
                raise KeyboardInterrupt
            super().__call__(cells)

    return Killed()


class InTurn(Judge):
    """Settles one hypothesis at two seeds and not at three, another one at three."""

    def decide(self, folder: Path, look: Look) -> tuple[Decision, ...]:
        self.asked.append(look.done)
        first = Decision(look.hypotheses[0], "supported" if look.done == 2 else "undecided", look.done == 2)
        return first, Decision(look.hypotheses[1], "refuted" if look.done > 2 else "undecided", look.done > 2)


def test_what_an_earlier_look_has_settled_keeps_no_study_going(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    other = CLAIM.replace("2", "9")
    cells = grid(tmp_path)
    cells = [replace(cell, config=replace(cell.config, hypotheses=[CLAIM, other])) for cell in cells]
    judge = InTurn(9)
    assert len(run_rounds(rounds_of(cells, judge), judge, Run())) == 7
    looks = read_looks(tmp_path / "ablation")
    assert [look.settled for look in looks.taken] == [False, True]
    assert looks.taken[1].decisions == (Decision(CLAIM, "supported", True), Decision(other, "refuted", True))
    assert looks.deciding(CLAIM) == looks.taken[0], "the report goes by the look that settled it"
    assert f"look at 3 of 5 seeds, 7 of 11 cells: supported since look 1: {CLAIM}" in caplog.text
    assert "4 of 11 cells saved (36 %)" in caplog.text
    permuted = [replace(cell, config=replace(cell.config, hypotheses=[other, CLAIM])) for cell in cells]
    again = InTurn(9)
    assert len(run_rounds(rounds_of(permuted, again), again, Run())) == 7, "their order is no other plan"
    assert again.asked == []


def test_what_a_stopped_study_has_by_now_is_not_called_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cells = grid(tmp_path)
    Run()([cell for cell in cells if cell.identity.seed != 4])  # by an earlier command
    judge = Judge(2)
    assert len(run_rounds(rounds_of(cells, judge), judge, Run())) == 5
    assert "2 of 11 cells saved (18 %), 4 done beyond what it took" in caplog.text


def test_two_sweeps_at_one_look_record_it_once(tmp_path: Path) -> None:
    cells = grid(tmp_path)

    class Slow(Judge):
        """Another sweep takes the look while this one judges."""

        def decide(self, folder: Path, look: Look) -> tuple[Decision, ...]:
            other = Judge(2)
            run_rounds(rounds_of(cells, other), other, Run())
            return super().decide(folder, look)

    judge = Slow(9)
    run_rounds(rounds_of(cells, judge), judge, Run())
    assert [look.done for look in read_looks(tmp_path / "ablation").taken] == [2]


def test_no_look_without_all_cells_of_its_round(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge(9)
    taken = run_rounds(rounds_of(grid(tmp_path), judge), judge, Run(broken=2))
    assert (judge.asked, len(taken)) == ([2], 7)
    assert "no look was taken: 2 of 7 cells" in caplog.text
    assert len((tmp_path / "ablation" / LOOKS).read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("seeds", "changes", "why"),
    [
        (range(4), {}, "needs at least 5 seeds a setting, 4 given"),
        (range(41), {}, "at most 40 seeds a setting, 41 given"),
        (range(5), {"hypotheses": []}, "needs hypotheses"),
        (range(5), {"detach": True}, "leave out detach=true"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(
    tmp_path: Path, seeds: Sequence[int], changes: dict[str, Any], why: str
) -> None:
    cells = grid(tmp_path, seeds)
    cells = [replace(cell, config=replace(cell.config, **changes)) for cell in cells]
    with pytest.raises(UserError, match=why) as refused:
        rounds_of(cells, Judge(2))
    assert "\n" not in str(refused.value)


def test_seeds_studies_and_claims_are_the_same_for_all(tmp_path: Path) -> None:
    cells = grid(tmp_path, range(6))
    with pytest.raises(UserError, match="the same seeds for every setting"):
        rounds_of(cells[1:], Judge(2))
    other = replace(cells[0], config=replace(cells[0].config, study="other"))
    with pytest.raises(UserError, match="one study a sweep"):
        rounds_of([*cells[1:], other], Judge(2))
    other = replace(cells[0], config=replace(cells[0].config, hypotheses=[]))
    with pytest.raises(UserError, match="the same for all cells"):
        rounds_of([*cells[1:], other], Judge(2))
    with pytest.raises(UserError, match="no such side"):
        rounds_of(cells, Judge(2, refuses="no such side"))


def test_several_processes_of_a_cell_take_no_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = grid(tmp_path)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="leave out torchrun"):
        rounds_of(cells, Judge(2))


def test_the_plan_is_frozen_from_the_first_look_on(tmp_path: Path) -> None:
    judge = Judge(9)
    run_rounds(rounds_of(grid(tmp_path), judge), judge, Run(broken=2))
    assert rounds_of(grid(tmp_path)[::-1], judge).plan.plan == rounds_of(grid(tmp_path), judge).plan.plan
    with pytest.raises(UserError, match="its seeds were 0,1,2,3,4"):
        rounds_of(grid(tmp_path, range(8)), judge)


def test_until_is_one_value_and_done_by_default(tmp_path: Path) -> None:
    cells = grid(tmp_path)
    assert wanted(cells)
    assert not wanted([])
    plain = replace(cells[0], config=replace(cells[0].config, until="done"))
    assert not wanted([plain])
    with pytest.raises(UserError, match="one value for all cells"):
        wanted([plain, *cells])
    assert identify(plain.config).hash == cells[0].identity.hash


def test_a_hypothesis_on_what_no_trained_cell_is_scored_by_is_refused_before_any_begins(
    tmp_path: Path,
) -> None:
    claim = "simplified is lower than original on reference_log_likelihood_per_byte by 0.1"
    cells = [
        Cell(cell.overrides, replace(cell.config, hypotheses=[CLAIM, claim]), cell.identity)
        for cell in grid(tmp_path)
    ]
    with pytest.raises(
        UserError, match=r"no trained cell .* is scored by reference_log_lik.*evaluation\.metrics"
    ):
        rounds_of(cells, Judge(9))
    assert not (tmp_path / "ablation" / LOOKS).exists()
    asked = [replace(c.config.evaluation, metrics=["reference_log_likelihood"]) for c in cells]
    brought = [replace(c, config=replace(c.config, evaluation=e)) for c, e in zip(cells, asked, strict=True)]
    assert len(rounds_of(brought, Judge(9)).rounds) == 4
