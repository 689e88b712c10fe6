"""Instance ids: unique texts within a task, whatever the data hold; made here for every reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from instruct_ablate.tasks.intake.text import NotTextError, Oddities, text_of


def id_text(value: object) -> str | None:
    """Return an id as text: 7 and 7.0 are "7"; None where there is none, or none that could be named."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers with a gap in it comes as floats
    try:
        text = text_of(value, Counter())
    except NotTextError:
        return None
    return text if text is not None and text.strip() else None


def unique_ids(
    given: Sequence[tuple[int, object]], prefix: str, oddities: Oddities, expected: bool = True
) -> tuple[str, ...]:
    """Return one id for each of `given` (place in the source, own id or nothing), no two alike.

    The first row that has an id keeps it. One without is named `prefix-place`, one whose id another row has
    gets a number. `expected` False: the source has no ids, which is nothing to note.
    """
    own = [id_text(value) for _, value in given]
    names = _Names(frozenset(text for text in own if text is not None))
    for (place, value), text in zip(given, own, strict=True):
        if text is None:
            oddities["instance without id numbered"] += expected
            names.add_made(f"{prefix}-{place}")
        elif names.add_own(text):
            oddities["instance id taken as text"] += text != value
        else:
            oddities["repeated instance id numbered"] += 1
            names.add_made(text)
    return tuple(names.given)


class _Names:
    """Ids as they are given out; those that rows bring themselves are never made for another row."""

    def __init__(self, reserved: frozenset[str]) -> None:
        self.given: dict[str, None] = {}
        self._reserved = reserved
        self._numbers: Counter[str] = Counter()

    def add_own(self, name: str) -> bool:
        """Give a row its own id, unless another has it already."""
        if name in self.given:
            return False
        self.given[name] = None
        return True

    def add_made(self, stem: str) -> None:
        """Give a row the stem, or the stem with the lowest number that is free."""
        name = stem
        while name in self.given or name in self._reserved:
            self._numbers[stem] += 1
            name = f"{stem}#{self._numbers[stem] + 1}"
        self.given[name] = None
