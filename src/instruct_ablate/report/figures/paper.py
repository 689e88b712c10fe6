"""What a paper prints: the widths of its figures, captions that stand alone, and which numbers are bold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from instruct_ablate.cell.state.setting.trained_on import trained_on
from instruct_ablate.plural import named, sentence
from instruct_ablate.report.rows.repetitions import NAMED
from instruct_ablate.report.rows.seed_means import Mean, Row
from instruct_ablate.report.rows.trials import UNEVEN
from instruct_ablate.report.tables.terminal_table import Places, listed, numbers_said, spread_said, warnings
from instruct_ablate.rounding import exceeds

CM = 1 / 2.54  # inches


@dataclass(frozen=True, slots=True)
class Paper:
    """The widths of a style in inches, one column's and the text's, and the size of letters in its figures."""

    column: float = 5.2
    text: float = 5.2
    font: float = 9.0

    @property
    def two_columns(self) -> bool:
        """Whether a figure or table may stand in a column or over both."""
        return self.column < self.text


SCREEN = Paper()
PAPERS = {
    # acl-org.github.io/ACLPUB/formatting.html: columns 7.7 cm wide, 0.6 cm between them
    "acl": Paper(7.7 * CM, 16.0 * CM, 8.0),
    # neurips_2025.sty and its instructions, 2: "a rectangle 5.5 inches (33 picas) wide"
    "neurips": Paper(5.5, 5.5, 9.0),
}


def best(means: Sequence[Mean | None], higher: bool) -> frozenset[int]:
    """Return the places of the best mean and of those that cannot be told from it; none where that would be all."""
    known = [place for place, mean in enumerate(means) if mean is not None]
    if not known:
        return frozenset()
    spans = {place: _span(mean) for place, mean in enumerate(means) if mean is not None}
    sign = 1 if higher else -1
    values = {place: sign * mean.value for place, mean in enumerate(means) if mean is not None}
    top = max(values.values())
    # Means that rounding alone sets apart are all the best.
    firsts = [spans[place] for place in known if not exceeds(top, values[place])]
    near = frozenset(place for place in known if any(_overlap(spans[place], first) for first in firsts))
    return near if len(near) < len(known) else frozenset()


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return not exceeds(one[0], other[1]) and not exceeds(other[0], one[1])


def _span(mean: Mean) -> tuple[float, float]:
    """Return the 95 % interval of a mean over seeds; a single seed's is its value."""
    if mean.deviation is None or mean.seeds < 2:
        return mean.value, mean.value
    half = -float(stdtrit(mean.seeds - 1, 0.025)) * mean.deviation / math.sqrt(mean.seeds)
    return mean.value - half, mean.value + half


def bold_rule(among: str) -> str:
    """Say what bold means, for a caption."""
    return (
        f"Bold: the best of a {among} and all whose 95 % interval over seeds (Student's t; one seed counts as its "
        "value) overlaps that of the best; nothing is bold where that is all."
    )


def main_caption(name: str, rows: Sequence[Row], shown: Sequence[str]) -> str:
    """Say of the main table what a reader of a paper needs: what differs, what the numbers are, what all rows share."""
    places = Places(rows)
    return " ".join(
        (
            f"{name}: scores by {listed(places.headings)}; {'; '.join(numbers_said(rows, shown))}.",
            *_sentences(rows),
            bold_rule("column"),
            f"All rows: {places.shared_by(' ')}.",
        )
    )


def groups_caption(rows: Sequence[Row]) -> str:
    """Say of the tables by category and by task what their numbers are, and what holds of the main table's rows too."""
    told = f"a column a variant; of a cell the mean over instances; {spread_said(rows)}."
    every = dict.fromkeys(f"{trained_on(row.setting)} tested on {row.tested}" for row in rows if row.uneven)
    uneven = [f"Left out, for they are {UNEVEN}: {named(list(every), NAMED)}."] if every else []
    return " ".join((told, *uneven, *_sentences(rows), bold_rule("line")))


def _sentences(rows: Sequence[Row]) -> list[str]:
    return [sentence(line) for line in warnings(rows)]
