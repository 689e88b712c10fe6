"""Measures: what a number measures, conversion of units, sizes of animals."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

UNITS = tuple((large, small, int(factor)) for large, small, factor in rows("units"))
MEASURED = {kind: tuple(sentences.split(";")) for kind, sentences in rows("measures")}
SIZES = tuple(row[0] for row in rows("sizes"))  # from small to large, each much larger than the one before
ASKED = ("How many {s}s are {k} {l}?", "{k} {l} = ? {s}s", "Change {k} {l} into {s}s.")


def quantity(random: Random) -> Pair:
    """What is measured in a sentence: length, weight, volume or time."""
    label = random.choice(list(MEASURED))
    return random.choice(MEASURED[label]).format(x=random.randrange(2, 40), n=random.choice(NAMES)), label


def converted(random: Random) -> Pair:
    """A few of a large unit in a smaller one."""
    large, small, factor = random.choice(UNITS)
    count = random.randrange(1, 11)
    unit = large if count == 1 else f"{large}s"
    return random.choice(ASKED).format(k=count, l=unit, s=small).replace("are 1 ", "are in 1 "), str(
        count * factor
    )


def larger_animal(random: Random) -> Pair:
    """Two animals, marked A and B; the larger one is wanted."""
    pair = random.sample(range(len(SIZES)), 2)
    first, second = (SIZES[i] for i in pair)
    return f"A: {first} B: {second}", "A" if pair[0] > pair[1] else "B"


DRAWS: dict[str, Draw] = {
    "starter032_what_is_measured": quantity,
    "starter033_convert_the_unit": converted,
    "starter034_larger_animal": larger_animal,
}
