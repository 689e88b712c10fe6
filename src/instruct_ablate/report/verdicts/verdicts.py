"""Verdicts: what a study says of each hypothesis, and what would decide it where that is open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.counterpart import TRAINED, UNTUNED, kind
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.hypotheses import Clause, Hypothesis
from instruct_ablate.metrics import Scores
from instruct_ablate.report.rows.single_scores import SingleScores
from instruct_ablate.report.rows.trials import UNEVEN, Trial, Trials, one_repetition, without_seeds
from instruct_ablate.report.statistics.claim import Answer, Ruling, advice, rulings
from instruct_ablate.report.statistics.finding import Finding, finding_line
from instruct_ablate.report.statistics.looks import Looks
from instruct_ablate.report.statistics.paired import Pairing, one_for_all, pair, task_values
from instruct_ablate.report.statistics.tried import Tried
from instruct_ablate.report.verdicts.contrasts import Contrast, UnmatchedError, contrasts
from instruct_ablate.report.verdicts.sensitivity import UnderMetric, sensitivity_lines, under_metrics

UNMOVED = "the untuned model's score"
NOT_JUDGED = ": not judged, "  # behind a place, before why


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a hypothesis over all places it was tried at."""

    hypothesis: Hypothesis
    answer: Answer
    findings: tuple[Finding, ...]
    open: tuple[str, ...] = ()  # why a clause has no data: one for each that has none, in their order
    stated: str = ""  # when, and whether cells had begun by then
    looked: str = ""  # at which look it was reached, of a study that stops when it is decided
    metrics: tuple[tuple[UnderMetric, ...], ...] = ()  # by clause: what it comes to under every metric
    left_out: tuple[str, ...] = ()  # places that are not judged, or not whole, with why

    @property
    def settled(self) -> bool:
        """Whether further seeds of a plan with looks are too unlikely to change it; one refutation is enough."""
        if self.answer == "refuted":
            return any(one.answer == "refuted" and one.ruling.settled for one in self.findings)
        return all(one.ruling.settled for one in self.findings)


@dataclass(frozen=True, slots=True)
class Judged:
    """What verdicts are read off: a study's trials, its reference variant and its single scores."""

    trials: Trials
    reference: str
    scores: SingleScores
    looks: Looks | None = None  # where more are planned
    doubled: Trials | None = None  # the trials with those that clash among them, where there are any
    trains: bool = True  # a cell of it is trained, or is to be


def judge(
    cells: Sequence[CellRecord],
    hypotheses: Sequence[Hypothesis],
    reference: str,
    scores: SingleScores | None = None,
    looks: Looks | None = None,
) -> tuple[Verdict, ...]:
    """Answer every hypothesis from the cells that are done, with their single scores where these are at hand."""
    trials, legend = Trials(cells), Legend(cell.setting for cell in cells)
    doubled = Trials(cells, keep_clashes=True) if trials.clashes else None
    trains = any(kind(cell.setting) == TRAINED for cell in cells)
    study = Judged(trials, reference, scores or SingleScores(), looks, doubled, trains)
    chose = {cell.selected.metric for cell in cells if cell.selected is not None}
    verdicts = []
    for hypothesis in hypotheses:
        if not hypothesis.clauses:
            verdicts.append(Verdict(hypothesis, "no data", (), (hypothesis.fault,)))
            continue
        findings, reasons, left_out = [], [], list[str]()
        for clause in hypothesis.clauses:
            found, reason = _tried(clause, study, legend)
            findings.append(found)
            clashing = list(_clashing(clause, study, legend))
            reasons += ["; ".join(clashing) or reason] if reason else []
            left_out += clashing if found else []
        rule = partial(_ruled, study=study)
        metrics = tuple(under_metrics(clause, rule, chose) for clause in hypothesis.clauses)
        every = tuple(finding for part in findings for finding in part)
        beside = tuple(dict.fromkeys(left_out))
        answer = overall(findings)
        verdicts.append(Verdict(hypothesis, answer, every, tuple(reasons), metrics=metrics, left_out=beside))
    return tuple(verdicts)


def _nowhere(clause: Clause, trials: Trials) -> str:
    """Say why a clause has nothing to compare; a side that was trained on, but never tested on, is named."""
    none = f"no done cells of {clause.left} and {clause.right} that are equal in all else"
    for side in (clause.left, clause.right) if clause.where == "same" else ():
        of_it = [
            trial
            for trial in trials.scores
            if trial.setting.instruction == side and not trial.setting.untuned
        ]
        tested = sorted({trial.tested for trial in of_it})
        if tested and side not in tested:
            return (
                f"{none}: {side} was tested on {' and '.join(tested)}, never on {side} itself; a claim that ends with "
                "'at training' is of what was trained on, all tested on the reference"
            )
    return none


def _tried(clause: Clause, study: Judged, legend: Legend) -> tuple[tuple[Finding, ...], str]:
    """Try a clause wherever the study can; where it cannot, say why."""
    try:
        found = contrasts(study.trials, clause, study.reference)
    except UnmatchedError as error:
        return (), str(error)
    if not found:
        return (), _nowhere(clause, study.trials)
    ordered = sorted(found, key=lambda one: _order(one.place, legend, study.reference))
    findings = _findings(clause, ordered, study, legend)
    return findings, "" if findings else f"no task that both sides were tested on has {clause.metric}"


def _clashing(clause: Clause, study: Judged, legend: Legend) -> Iterator[str]:
    """Say which places a clause is not tried at, or without the untuned model beside it, for no mean is there."""
    trials = study.doubled
    if trials is None:
        return
    try:
        found = contrasts(trials, clause, study.reference)
    except UnmatchedError:
        return
    for one in found:
        sides = (one.place, one.opposite)
        double = [side for side in sides if side in trials.clashes]
        if double:
            yield f"{_place(one, legend)}{NOT_JUDGED}{_apart(double, trials)}"
        elif [kind(side.setting) for side in sides] == [TRAINED, TRAINED]:
            untuned = trials.untuned(one.place, study.reference)
            if untuned in trials.clashes:
                names = _apart([untuned], trials)
                yield f"{_place(one, legend)}: not held beside the untuned model, {names}"


def _apart(clashing: Sequence[Trial], trials: Trials) -> str:
    """Say which cells no mean can be of, and what to do: those of one seed, else those that are not tested alike."""
    twice = [side for side in clashing if side not in trials.uneven]
    names = " and ".join(dict.fromkeys(name for side in twice or clashing for name in trials.clashes[side]))
    if twice:
        return f"for {names} are the same setting with the same seed: move all but one of a seed out of the study"
    return f"for {names} are {UNEVEN}: move those that are tested otherwise out of the study"


def _ruled(clause: Clause, study: Judged) -> tuple[Ruling, ...]:
    """Rule on a clause wherever the study can."""
    try:
        found = contrasts(study.trials, clause, study.reference)
    except UnmatchedError:
        return ()
    tried = [one for each in found if (one := compared_at(clause, each, study)) is not None]
    return rulings(clause, tried, study.looks)


def _order(trial: Trial, legend: Legend, reference: str) -> tuple[object, ...]:
    return (*legend.order(trial.setting, reference), trial.tested)


def _findings(
    clause: Clause, found: Sequence[Contrast], study: Judged, legend: Legend
) -> tuple[Finding, ...]:
    tried = [
        (contrast, one) for contrast in found if (one := compared_at(clause, contrast, study)) is not None
    ]
    ruled = rulings(clause, [one for _, one in tried], study.looks)
    return tuple(
        Finding(
            clause,
            _place(contrast, legend),
            ruling,
            advice(clause, ruling),
            one.pairing.tasks,
            one.pairing.dropped,
            one.pairing.same,
        )
        for (contrast, one), ruling in zip(tried, ruled, strict=True)
    )


def compared_at(clause: Clause, contrast: Contrast, study: Judged) -> Tried | None:
    """Pair the sides of a contrast, with where they would stand had training changed nothing."""
    sides = (contrast.place, contrast.opposite)
    once = one_repetition(*((study.trials, side) for side in sides))
    pairing = pair(contrast.left, contrast.right, clause.metric, seedless=contrast.seedless, once=once)
    if pairing is None:
        return None
    pairing = study.trials.over_templates(pairing, sides, clause.metric)
    pairing = study.scores.added(pairing, sides, clause.metric)
    kinds = [kind(side.setting) for side in sides]
    # Two trained sides at its score were moved by nothing; where one is the untuned model, its score is what is asked.
    if kinds == [TRAINED, TRAINED]:
        pairing = _beside_untuned(pairing, contrast.place, clause.metric, study)
    return Tried(
        pairing.swapped() if contrast.swapped else pairing,
        contrast.opposite,
        seedless=all(map(without_seeds, sides)),
        untrained=study.trains
        and kinds == [UNTUNED, UNTUNED]
        and not any(side.setting.tuned for side in sides),
    )


def _beside_untuned(pairing: Pairing, trial: Trial, metric: str, study: Judged) -> Pairing:
    """Add the untuned model's score on these tasks to the levels that a side may stand at.

    One that shows examples drawn by the seed is held beside the trained cells of its seed, as in all tables.
    """
    trials = study.trials
    untuned = trials.untuned(trial, study.reference)
    if untuned is None:
        return pairing
    own = trials.scores[untuned]
    alone = one_for_all(own) if trials.stands_for_all(untuned) else None
    tasks = list(zip(pairing.tasks, pairing.instances, strict=True))
    by_seed = tuple(_over(own.get(seed, alone), metric, tasks) for seed in pairing.seeds)
    return replace(pairing, levels=(*pairing.levels, (UNMOVED, by_seed)))


def _over(scores: Scores | None, metric: str, tasks: Sequence[tuple[str, int]]) -> float:
    """Return the mean over these tasks; NaN where there are no scores, or none of some of them."""
    by_task = task_values(scores, metric) if scores else {}
    return fmean(by_task.get(task, math.nan) for task in tasks)


def _place(contrast: Contrast, legend: Legend) -> str:
    """Name a place by model, budget and all else that differs and is not in the claim."""
    setting, tested = contrast.place.setting, contrast.place.tested
    place = legend.place(setting, *contrast.claimed, always=("model", "data_budget"))
    return place if tested in (setting.instruction, "original") else f"{place}, tested on {tested}"


def overall(findings: Sequence[Sequence[Finding]]) -> Answer:
    """All clauses must hold wherever they could be seen to fail; one refutation anywhere refutes."""
    if any(not part for part in findings):
        return "no data"
    answers = [{finding.answer for finding in part} for part in findings]
    every = set().union(*answers)
    if "refuted" in every:
        return "refuted"
    if any(part == {"uninformative"} for part in answers):
        return "uninformative"
    # A place where nothing could move counts neither for nor against what the others say.
    return "supported" if every <= {"supported", "uninformative"} else "undecided"


MARKS = {"supported": "✓", "refuted": "✗", "undecided": "?", "uninformative": "~", "no data": "-"}


def lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield a line for every hypothesis and, indented, for every place it was tried at."""
    for verdict in verdicts:
        yield f"{MARKS[verdict.answer]} {verdict.answer}: {verdict.hypothesis.text}"
        yield from (f"    {line}" for line in details(verdict))


def details(verdict: Verdict) -> Iterator[str]:
    """Yield what stands under a verdict: when its hypothesis was stated, what is open, each place it was tried at."""
    if verdict.stated:
        yield verdict.stated
    if verdict.looked:
        yield verdict.looked
    yield from dict.fromkeys(verdict.open)
    yield from verdict.left_out
    yield from (finding_line(finding) for finding in verdict.findings)
    for rows in verdict.metrics:
        yield from sensitivity_lines(rows)
