"""Which learning rate each setting of a study is best at, by what its cells scored on held-out training tasks.

Test scores choose nothing: only cells that chose their weights so (`trainer.select`) take part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.rates import RATE, trained_rate
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.limits import exactly
from instruct_ablate.metrics import find_measure
from instruct_ablate.plural import counted
from instruct_ablate.report.rows.trials import without_clashes
from instruct_ablate.rounding import first_best


@dataclass(frozen=True)
class Search:
    """A setting at several rates, and the mean held-out score at each, over the seeds that every rate has."""

    settings: tuple[Setting, ...]  # by their rate
    scores: tuple[float, ...]
    seeds: int
    measure: str

    @property
    def best(self) -> int:
        """The place of the chosen rate; of equal ones the smaller rate's."""
        sign = 1 if find_measure(self.measure).metric.higher_is_better else -1
        return first_best([sign * score for score in self.scores])


def searches(cells: Iterable[CellRecord]) -> list[Search]:
    """Group the done cells that differ in nothing but rate and seed; what has one rate alone is no search."""
    groups: dict[tuple[Setting, str], dict[Setting, dict[int, float]]] = {}
    for cell in without_clashes(cells):
        if cell.selected is not None and RATE in cell.setting:
            alike = cell.setting.changed(**{RATE: None}), cell.selected.measure
            groups.setdefault(alike, {}).setdefault(cell.setting, {})[cell.seed] = cell.selected.score
    return [
        made
        for (_, measure), by_rate in groups.items()
        if len(by_rate) > 1
        for made in _search(by_rate, measure)
    ]


def _search(by_rate: dict[Setting, dict[int, float]], measure: str) -> Iterator[Search]:
    settings = sorted(by_rate, key=lambda setting: trained_rate(setting) or 0.0)
    # Over the seeds that every rate has, or a rate would be chosen for the luck of its seeds.
    seeds = set.intersection(*(set(scores) for scores in by_rate.values()))
    if seeds:
        means = tuple(fmean(by_rate[one][seed] for seed in seeds) for one in settings)
        yield Search(tuple(settings), means, len(seeds), measure)


def chosen_lines(cells: Iterable[CellRecord]) -> list[str]:
    """Say which rate was chosen of each search, and how the chosen ones are compared."""
    found = searches(cells)
    legend = Legend(setting for one in found for setting in one.settings)
    return [*(_line(one, legend) for one in found), *_comparisons(found)]


def _line(search: Search, legend: Legend) -> str:
    chosen = search.settings[search.best]
    name = legend.place(chosen, RATE, always=("method",))
    at = [f"{score:.2f} at {_rate(one)}" for one, score in zip(search.settings, search.scores, strict=True)]
    edge = search.best in (0, len(at) - 1)
    return (
        f"{name}: {_rate(chosen)} of {counted(len(at), 'rate')}, by {search.measure} on held-out training tasks over "
        f"{counted(search.seeds, 'seed')} ({', '.join(at)})"
        + ("; it is the last of those tried: search further on that side" if edge else "")
    )


def _rate(setting: Setting) -> str:
    """Write the configured rate, and the one trained at where that is another."""
    given, trained = setting.text(RATE), trained_rate(setting)
    if trained is None or setting.get(RATE) == trained:
        return given
    return f"{given} (trained at {exactly(trained)})"


def _comparisons(found: list[Search]) -> Iterator[str]:
    """Write the claim that compares two methods, each at its own rate, where nothing else differs."""
    for one, other in combinations(found, 2):
        left, right = (search.settings[search.best] for search in (one, other))
        if _without_method(left) == _without_method(right) and one.measure == other.measure:
            claim = f"{_side(left)} exceeds {_side(right)} on {one.measure}"
            yield f'each at its own: instruct-ablate report STUDY --hypothesis "{claim}"'


def _side(setting: Setting) -> str:
    return f"method={setting.text('method')},{RATE}={setting.text(RATE)}"


def _without_method(setting: Setting) -> object:
    kept = [pair for pair in setting.values if pair[0] != RATE and pair[0].partition(".")[0] != "method"]
    return kept, setting.revisions
