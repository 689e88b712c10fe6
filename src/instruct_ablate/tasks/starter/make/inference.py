"""Textual entailment (test): what follows from a scene, what cannot be, what is left open; converses."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

# premise | entailment | contradiction | neutral; within the last three, `;` parts alternatives.
SCENES = rows("scenes")
# sentence with two people | its converse, true of the same people.
CONVERSES = rows("converses")
LABELS = ("entailment", "contradiction", "neutral")


def relation(random: Random) -> Pair:
    """A premise and a hypothesis that follows from it, cannot be true with it, or is left open."""
    premise, *columns = random.choice(SCENES)
    label = random.choice(LABELS)
    hypothesis = random.choice(columns[LABELS.index(label)].split(";"))
    name = random.choice(NAMES)
    return f"Premise: {premise.format(n=name)} Hypothesis: {hypothesis.format(n=name)}", label


def converse(random: Random) -> Pair:
    """Two sentences on two people; the second is the first seen from the other side, or its reverse."""
    sides = list(random.choice(CONVERSES))
    random.shuffle(sides)
    a, b = random.sample(NAMES, 2)
    label = random.choice(("Yes", "No"))
    second = sides[1].format(a=a, b=b) if label == "Yes" else sides[1].format(a=b, b=a)
    return f"Sentence 1: {sides[0].format(a=a, b=b)} Sentence 2: {second}", label


DRAWS: dict[str, Draw] = {
    "starter101_premise_hypothesis": relation,
    "starter102_sentence_implies_other": converse,
}
