"""How lines of figures look: a variant has one colour in all figures of a report and on its page.

Colours are Okabe & Ito's (2008), which colour-blind readers can tell apart; markers and dashes differ too, so that a
figure also reads in black and white.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instruct_ablate.cell.state.setting.setting import Setting

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = "osD^vPX*"
DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True, slots=True)
class Style:
    """One line's colour, marker and dash, as places in the lists above."""

    colour: str
    marker: str
    dash: str


class Styles:
    """The colours of a report's variants; where there is one variant alone, of its settings."""

    def __init__(self, settings: Iterable[Setting]) -> None:
        trained = [setting for setting in settings if not setting.untuned]
        self._variants = tuple(dict.fromkeys(setting.instruction for setting in trained))
        self._settings = tuple(dict.fromkeys(setting.changed(data_budget=0) for setting in trained))

    def styles(self, lines: Sequence[Setting]) -> tuple[Style, ...]:
        """Return a style for every line; lines of one colour differ in marker and dash."""
        met: dict[int, int] = {}
        found = []
        for setting in lines:
            colour = self._place(setting)
            number = colour if len(self._variants) < 2 else met.get(colour, 0) * 3 + colour
            met[colour] = met.get(colour, 0) + 1
            found.append(
                Style(
                    COLOURS[colour % len(COLOURS)],
                    MARKERS[number % len(MARKERS)],
                    DASHES[number % len(DASHES)],
                )
            )
        return tuple(found)

    def _place(self, setting: Setting) -> int:
        if len(self._variants) > 1:
            return self._variants.index(setting.instruction) if setting.instruction in self._variants else 0
        alike = setting.changed(data_budget=0)
        return self._settings.index(alike) if alike in self._settings else 0
