"""Decide: which size of a planned grid would decide its hypotheses, by what earlier studies measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.errors import UserError
from instruct_ablate.grid.planning.estimate import Estimator
from instruct_ablate.grid.planning.plan import PlannedCell, clock
from instruct_ablate.grid.study import read_study
from instruct_ablate.hypotheses import Clause, parse_hypothesis
from instruct_ablate.metrics import find_measure
from instruct_ablate.plural import counted
from instruct_ablate.prompt.template_set import template_names
from instruct_ablate.report.rows.single_scores import SingleScores
from instruct_ablate.report.rows.trials import Trial, Trials
from instruct_ablate.report.statistics.allocation import INSTANCES, SEEDS, Need, Price, propose, weakest
from instruct_ablate.report.statistics.claim import aim_of
from instruct_ablate.report.statistics.finding import points
from instruct_ablate.report.statistics.paired import Pairing
from instruct_ablate.report.statistics.planned import Planned, planned_design
from instruct_ablate.report.statistics.power import Aim, Design, detectable, equal_margin
from instruct_ablate.report.statistics.tried import compare_all
from instruct_ablate.report.statistics.variance.components import Components
from instruct_ablate.report.statistics.variance.task_share import least_tasks
from instruct_ablate.report.tables.differences import differences, measures
from instruct_ablate.report.verdicts.at_looks import check_sides, planned_trials
from instruct_ablate.report.verdicts.contrasts import UnmatchedError, contrasts
from instruct_ablate.report.verdicts.verdicts import Judged, compared_at
from instruct_ablate.tasks.collection import everything, read_tasks

_PILOT = "run a pilot of 3 seeds and give it: plan ... --decide --from multirun/PILOT"
EVERY = 100_000  # instances of a test task: all of them


@dataclass(frozen=True, slots=True)
class Claimed:
    """A clause of a planned grid, with what it needs and where its variances come from."""

    text: str
    need: Need
    places: int
    source: str


def claims(
    hypotheses: Sequence[str],
    reference: str,
    planned: Sequence[Identity],
    earlier: Sequence[Path],
    truth: float | None = None,
) -> list[Claimed]:
    """Say what every clause needs; `UserError` for a grid without hypotheses or without a clause's sides.

    `truth` is what the power is stated for, in points, as `aim_of` takes it.
    """
    if not hypotheses:
        raise UserError(
            "--decide: the grid states no hypothesis; add one, as hypotheses=['A equals B on M within 2']"
        )
    trials = planned_trials(planned)
    studies = [read_study(folder) for folder in earlier]
    known = [Judged(Trials(s.cells), s.reference, SingleScores(s.cells, s.folder)) for s in studies]
    found = []
    for hypothesis in map(parse_hypothesis, hypotheses):
        for clause in hypothesis.clauses:
            _check_unit(clause, hypothesis.text)
            _check_truth(clause, hypothesis.text, truth)
        tried = check_sides(hypothesis, trials, reference, "--decide")
        for clause, places in zip(hypothesis.clauses, tried, strict=True):
            measured, kind = _once(_of_claim(clause, known)), "of the claim itself"
            if not measured:
                measured = _once(pair for s in studies for pair in _of_metric(clause, s.folder))
                kind = f"to the reference on {clause.metric}, for none is of the claim itself"
            found.append(
                _claimed(clause, hypothesis.text, places, measured, f"{kind} in {_names(earlier)}", truth)
            )
    return found


def _check_unit(clause: Clause, text: str) -> None:
    """Refuse what no variance is assumed for, and no truth beyond a bound is stated in."""
    measure = find_measure(clause.metric)
    if not measure.percent:
        raise UserError(
            f"--decide: {text!r}: {clause.metric} is in {measure.steps}, and studies are planned for metrics in percent"
        )


def _check_truth(clause: Clause, text: str, truth: float | None) -> None:
    """Refuse a truth under which the claim does not hold: nothing would show it."""
    if truth is None:
        return
    equal = clause.verb == "equals"
    if (
        not np.isfinite(truth)
        or truth < 0
        or (equal and truth >= clause.margin)
        or (not equal and truth == 0)
    ):
        allowed = f"from 0 to below its margin of {clause.margin:g}" if equal else "above 0, beyond its bound"
        raise UserError(f"--truth {truth:g}: {text!r} can be shown for a truth of points {allowed}")


Measured = tuple[Design, float]  # with the instances that a task had
Comparing = tuple[tuple[Trial, Trial, tuple[int, ...]], Measured]  # both sides and their seeds


def _once(found: Iterable[Comparing]) -> list[Measured]:
    """Return what was measured, once where several studies have the same cells (a copy, cells that were taken over)."""
    return [one for _, one in dict.fromkeys(found)]


def _of_claim(clause: Clause, studies: Sequence[Judged]) -> list[Comparing]:
    found: list[Comparing] = []
    for study in studies:
        try:
            pairs = contrasts(study.trials, clause, study.reference)
        except UnmatchedError:
            continue
        tried = [(pair, one) for pair in pairs if (one := compared_at(clause, pair, study)) is not None]
        for (pair, one), comparison in zip(tried, compare_all([one for _, one in tried]), strict=True):
            if one.uninformative is None:
                found += _usable((pair.place, pair.opposite), comparison.design, one.pairing)
    return found


def _of_metric(clause: Clause, folder: Path) -> list[Comparing]:
    study = read_study(folder)
    scores = SingleScores(study.cells, study.folder)
    every = differences(study.cells, study.reference, (clause.metric,), scores)
    own = [item for item in every if item.metric == clause.metric and measures(item)]
    return [
        one
        for item in own
        for one in _usable((item.trial, item.reference), item.comparison.design, item.pairing)
    ]


def _usable(sides: tuple[Trial, Trial], design: Design, pairing: Pairing) -> list[Comparing]:
    """Return what has measured all components: two seeds, two tasks."""
    if design.seeds < 2 or not design.known:
        return []
    # The harmonic mean, for the noise goes with 1 / instances.
    instances = len(pairing.instances) / sum(1 / count for count in pairing.instances)
    return [((*sides, pairing.seeds), (design, instances))]


def _claimed(
    clause: Clause,
    text: str,
    places: int,
    measured: Sequence[Measured],
    source: str,
    truth: float | None = None,
) -> Claimed:
    aim = None if clause.share is not None else aim_of(clause, places, truth)
    least = 2 if clause.share is None else least_tasks(clause.share)
    if not measured:
        # Of any size: `Need.at` brings it to the one that is asked for.
        assumed = planned_design(Planned(3, 12, 100), [])
        return Claimed(text, Need(aim, assumed, 100, least), places, f"ASSUMED, measured nowhere; {_PILOT}")
    parts = np.mean([(d.parts.seed, d.parts.unit, d.parts.rest, d.floor, n) for d, n in measured], axis=0)
    seed, unit, rest, floor, instances = map(float, parts)
    design = Design(Components(seed, unit, rest), 3, 12, floor)
    return Claimed(
        text,
        Need(aim, design, instances, least),
        places,
        f"means of {counted(len(measured), 'comparison')} {source}",
    )


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)


def price_of(cells: Sequence[PlannedCell], estimator: Estimator) -> Price:
    """Return what the planned settings cost by measured speeds, done cells included; unknown speeds are refused.

    What is predicted beside the tests, while training or of general ability, does not grow with them.
    """
    once = {one.cell.identity.setting: one for one in cells}
    price = Price(0.0, 0.0)
    for setting, one in once.items():
        seconds, each = one.estimate.seconds, estimator.testing(one.cell.config)
        if setting.baseline:
            continue
        if seconds is None or each is None:
            model = one.cell.config.model.name
            raise UserError(f"--decide: no cell of model={model} was measured; add --probe 20 for its speed")
        tested = each * len(setting.tests) * len(template_names(one.cell.config.prompt))
        fixed = seconds - tested * one.estimate.test_tasks * one.estimate.task_instances
        if setting.untuned:
            price = replace(price, once=price.once + fixed, instance_once=price.instance_once + tested)
        else:
            price = replace(price, seed=price.seed + fixed, instance=price.instance + tested)
    return price


def most_of(cells: Sequence[PlannedCell]) -> Planned:
    """Return the largest size there is data for: all test tasks, and the instances that half of them have."""
    config = cells[0].cell.config
    whole = everything(config.tasks, EVERY)
    sizes = sorted(len(task.instances) for task in read_tasks(whole, Path(config.cache)).test)
    return Planned(max(SEEDS), len(sizes), max(1, sizes[len(sizes) // 2]))


def decide_lines(found: Sequence[Claimed], price: Price, asked: Planned, most: Planned) -> Iterator[str]:
    """Yield the claims with their variances, the proposal, and what other numbers of instances would mean."""
    for one in found:
        yield _basis(one)
    needs = [one.need for one in found]
    yield f"as asked: {_size(asked)}: {_worth(needs, price, asked)}"
    best = propose(needs, price, most)
    if best is None:
        yield f"no size up to 20 seeds × {_size(most).partition(' × ')[2]} decides all of it with 80 % power"
        yield f"the largest has power {weakest(needs, most):.2f}: state wider margins, or test on more tasks"
        return
    seeds = ",".join(map(str, range(best.seeds)))
    yield f"proposed: {_size(best)}: {_worth(needs, price, best)}"
    yield f"type: seed={seeds} tasks.test_tasks={best.tasks} tasks.test_instances={best.instances}"
    yield "other numbers of instances a task, at these seeds and tasks:"
    numbers = sorted({*(n for n in INSTANCES if n <= min(most.instances, 200)), best.instances})
    for number in numbers:
        yield f"  {number:>4}: {_worth(needs, price, replace(best, instances=number))}"


def _basis(one: Claimed) -> str:
    parts, stated = one.need.design.parts, _stated(one.need.aim)
    spread = f"{parts.seed**0.5:.1f} between seeds, {parts.unit**0.5:.1f} between tasks"
    noise = f"{one.need.design.floor**0.5:.1f} of it from {one.need.instances:.0f} instances"
    return (
        f"{one.text}: if {stated}, Holm's correction for {counted(one.places, 'place')}; "
        f"deviations {spread} ({noise}), {parts.rest**0.5:.1f} in the rest: {one.source}"
    )


def _stated(aim: Aim | None) -> str:
    """Say for what truth the power is stated."""
    if aim is None:
        return "all of them lie within"
    if aim.verb == "equals":
        return f"the two lie {aim.truth:g} points apart" if aim.truth else "the two are equal"
    return f"the truth lies {abs(aim.truth) - aim.margin:g} points beyond"


def _size(size: Planned) -> str:
    tested = f"{counted(size.tasks, 'test task')} of {counted(size.instances, 'instance')}"
    return f"{counted(size.seeds, 'seed')} × {tested}"


def _worth(needs: Sequence[Need], price: Price, size: Planned) -> str:
    """Say what a size costs and shows, of the claim that has least power and the design that has the largest error."""
    if size.seeds < 2 or size.tasks < 2:
        return f"{clock(price.of(size))}; decides nothing: it takes two seeds and two tasks"
    design = max((need.at(size) for need in needs), key=lambda one: one.error)
    able = f"finds {points(detectable(design))}, equal within {points(equal_margin(design))}"
    return f"{clock(price.of(size))}, power {weakest(needs, size):.2f}, standard error {design.error:.2f}, {able}"
