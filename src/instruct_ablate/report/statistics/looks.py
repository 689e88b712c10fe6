"""Looks: tests of a study that is looked at after its second seed and each further one, before all are there."""

from __future__ import annotations

from dataclasses import dataclass

from instruct_ablate.hypotheses import Clause
from instruct_ablate.report.statistics.comparison import Comparison
from instruct_ablate.report.statistics.outlook import Bound, Outlook, chances
from instruct_ablate.report.statistics.power import LEVEL
from instruct_ablate.report.statistics.spending import FIRST, look_level, sequential_p
from instruct_ablate.report.statistics.tried import Tried

WAITS = "claims on single tasks are judged with all seeds"


@dataclass(frozen=True, slots=True)
class Looks:
    """The seeds that a study plans for every setting, with a look after each from the second on."""

    planned: int

    def p_value(self, p: float, comparison: Comparison) -> float:
        """Return the p-value that holds over all looks; what has no seeds is the same at each of them."""
        return p if comparison.seeds_from == "none" else sequential_p(p, comparison.seeds, self.planned)

    def level(self, comparison: Comparison) -> float:
        """Return the one-sided level of this look alone: intervals at it hold over all looks."""
        if comparison.seeds_from == "none":
            return LEVEL
        return look_level(LEVEL, comparison.seeds, self.planned)

    def too_early(self, clause: Clause, comparison: Comparison) -> str:
        """Say why nothing can be decided yet; empty where it can."""
        if comparison.seeds_from == "none" or comparison.seeds >= self.planned:
            return ""
        if comparison.seeds < FIRST:
            return "one seed"
        return WAITS if clause.share is not None else ""

    def outlook(self, clause: Clause, one: Tried, comparison: Comparison, steps: tuple[int, int]) -> Outlook:
        """Return what the whole grid would say at this place; `steps` divide its levels as Holm does."""
        support, refute = (LEVEL / step for step in steps)
        bound = Bound(clause.verb, clause.margin, support, refute)
        supports, refutes = chances(
            bound, comparison.squares, one.pairing.floor, self.planned, comparison.terms.crossed
        )
        return Outlook(float(supports), float(refutes))
