"""First names of women and of men: the names decide the pronoun."""

from instruct_ablate.tasks.starter.make.facts import rows

_NAMES = {kind: tuple(names.split(";")) for kind, names in rows("people")}
WOMEN, MEN = _NAMES["women"], _NAMES["men"]
NAMES = tuple(sorted((*WOMEN, *MEN)))
