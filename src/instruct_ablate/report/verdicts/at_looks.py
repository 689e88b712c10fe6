"""Verdicts at looks: a study that stops when it is decided, judged on the seeds that each look has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.cell.state.setting.counterpart import within
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.looks import Decision, Look, decision_of, look_lines, size
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.hypotheses import Hypothesis, parse_hypothesis
from instruct_ablate.metrics import Score, Scores
from instruct_ablate.report.rows.single_scores import SingleScores
from instruct_ablate.report.rows.trials import Trials
from instruct_ablate.report.statistics import looks as tests
from instruct_ablate.report.verdicts.contrasts import UnmatchedError, contrasts
from instruct_ablate.report.verdicts.verdicts import Verdict, judge

_NOTHING = Score("", 0, ())


class StudyJudge:
    """Answers the hypotheses of a sweep that is looked at while it runs."""

    def check(self, planned: Sequence[Identity], hypotheses: Sequence[str], reference: str) -> None:
        """Refuse hypotheses that the planned cells can not answer."""
        trials = planned_trials(planned)
        for text in hypotheses:
            check_sides(parse_hypothesis(text), trials, reference, "until=decided")

    def lacking(
        self, folder: Path, planned: Sequence[Identity], hypotheses: Sequence[str], reference: str
    ) -> list[str]:
        """Say why hypotheses have no cells to compare, among those planned and those that the study has."""
        left = _lacking(planned_trials(planned), hypotheses, reference)
        if not left or not folder.exists():
            return list(left.values())
        whole = {cell.identity: cell for cell in map(_unrun, planned)}
        whole = {cell.identity: _as_if_done(cell) for cell in read_study(folder).cells} | whole
        return list(_lacking(Trials(whole.values()), list(left), reference).values())

    def decide(self, folder: Path, look: Look) -> tuple[Decision, ...]:
        """Answer a look's hypotheses from the cells that it has."""
        verdicts = judge_at(read_study(folder), look, [parse_hypothesis(text) for text in look.hypotheses])
        return tuple(Decision(one.hypothesis.text, one.answer, one.settled) for one in verdicts)


def planned_trials(planned: Sequence[Identity]) -> Trials:
    """Return planned cells as if they were done, to find out what will stand against what."""
    return Trials([_unrun(identity) for identity in planned])


def _unrun(identity: Identity) -> CellRecord:
    return _as_if_done(CellRecord(identity.hash, identity.name, identity.setting, identity.seed, "missing"))


def _as_if_done(cell: CellRecord) -> CellRecord:
    """Return a cell of any state as if it were done, with nothing in its scores."""
    if cell.state == "done":
        return cell
    scores = Scores(_NOTHING, _NOTHING, (), (), ())
    blocks = tuple(ScoreBlock(label, "", scores) for label in cell.setting.tests)
    return replace(cell, state="done", blocks=blocks)


def _lacking(trials: Trials, hypotheses: Sequence[str], reference: str) -> dict[str, str]:
    """Say of each hypothesis without cells on one of its sides why."""
    found = {}
    for text in hypotheses:
        try:
            check_sides(parse_hypothesis(text), trials, reference, "")
        except UserError as fault:
            found[text] = f"{str(fault).removeprefix(': ')}."
    return found


def check_sides(hypothesis: Hypothesis, trials: Trials, reference: str, asker: str) -> tuple[int, ...]:
    """Return at how many places of a planned grid each clause is tried; `UserError` where one is at none."""
    places = []
    for clause in hypothesis.clauses:
        try:
            places.append(len(contrasts(trials, clause, reference)))
        except UnmatchedError as fault:
            why = str(fault).replace("done", "planned")
            raise UserError(f"{asker}: {hypothesis.text!r}: {why}") from fault
        if not places[-1]:
            raise UserError(f"{asker}: {hypothesis.text!r}: no two cells of the grid are its two sides")
    return tuple(places)


def judge_at(study: Study, look: Look, hypotheses: Sequence[Hypothesis]) -> tuple[Verdict, ...]:
    """Answer hypotheses on what a look has, by tests that hold over all looks."""
    cells = [
        cell
        for cell in study.cells
        # Seeds that were run after a look are none of it, whatever they say: its tests are of those that it had.
        if look.has(cell.identity) and within(cell.setting, cell.seed, look.seeds, look.done)
    ]
    scores = SingleScores(cells, study.folder)
    return judge(cells, hypotheses, look.reference, scores, tests.Looks(len(look.seeds)))


def judge_all(
    study: Study, hypotheses: Sequence[Hypothesis], scores: SingleScores | None = None
) -> tuple[Verdict, ...]:
    """Answer every hypothesis: at the look that settled it, else at the last one; without looks on all cells.

    `scores` are those of all cells, where somebody has read them already.
    """
    by_look: dict[Look | None, list[Hypothesis]] = {}
    for hypothesis in hypotheses:
        by_look.setdefault(study.looks.deciding(hypothesis.text), []).append(hypothesis)
    found: dict[str, Verdict] = {}
    for look, own in by_look.items():
        if look is None:
            scores = scores or SingleScores(study.cells, study.folder)
            judged = judge(study.cells, own, study.reference, scores)
            judged = tuple(replace(one, looked=_unplanned(study)) for one in judged)
        else:
            judged = tuple(_looked(one, look, study) for one in judge_at(study, look, own))
        found |= {one.hypothesis.text: one for one in judged}
    return tuple(found[hypothesis.text] for hypothesis in hypotheses)


def looks_of(study: Study) -> Iterator[str]:
    """Yield a line a look of a study, and what was saved as things stand now."""
    return look_lines(study.looks, [cell.identity for cell in study.cells if cell.state == "done"])


def _unplanned(study: Study) -> str:
    """Say that a study stopped for the sake of others."""
    if not study.looks.taken:
        return ""
    return (
        "the study was looked at while it ran, and not for this: p-values and intervals are those of a study that "
        f"planned no more than what is there ({size(study.looks.taken[-1])})"
    )


def _looked(verdict: Verdict, look: Look, study: Study) -> Verdict:
    """Say at which look a verdict was reached, and where the records of now say otherwise."""
    recorded = decision_of(look, verdict.hypothesis.text)
    number = study.looks.taken.index(look) + 1
    last = look.done == len(look.seeds)
    settled = recorded is not None and recorded.settled
    word = "decided" if verdict.answer in ("supported", "refuted") else "left open"
    state = f"{word} at" if settled else "open after"
    why = "" if word == "decided" or not settled or last else ", for no further seed was likely to decide it"
    holds = "p-values and intervals hold over all looks" + (
        "; the study stopped early" if _stopped(study) else ""
    )
    if settled and not last and any(one.comparison.seeds_from != "none" for one in verdict.findings):
        holds += "; all planned seeds might have said otherwise"
    said = f"{state} look {number} ({size(look)}){why}: {holds}"
    if recorded is not None and recorded.answer != verdict.answer:
        said += f"; the look said {recorded.answer}, and the records are no longer what they were"
    return replace(verdict, looked=said)


def _stopped(study: Study) -> bool:
    last = study.looks.taken[-1]
    return last.settled and last.done < len(last.seeds)
