"""Textual entailment (test): scenes with what follows, what cannot be and what is left open; converse relations."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Pair, Recipe, Shot

CATEGORY = "Textual Entailment"

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
    sides = random.choice(CONVERSES)
    random.shuffle(sides)
    a, b = random.sample(NAMES, 2)
    label = random.choice(("Yes", "No"))
    second = sides[1].format(a=a, b=b) if label == "Yes" else sides[1].format(a=b, b=a)
    return f"Sentence 1: {sides[0].format(a=a, b=b)} Sentence 2: {second}", label


RECIPES = (
    Recipe(
        "starter101_premise_hypothesis",
        CATEGORY,
        "Commonsense",
        "In this task, you are given a premise and a hypothesis. Decide how the two are related. Answer "
        '"entailment" if the hypothesis must be true when the premise is true, "contradiction" if it cannot be true '
        'when the premise is true, and "neutral" if the premise does not tell.',
        LABELS,
        relation,
        (
            Shot(
                "Premise: Leo ate a large pizza for lunch. Hypothesis: Leo ate something.",
                "entailment",
                "Whoever eats a pizza eats something, so the hypothesis follows.",
            ),
            Shot(
                "Premise: Leo ate a large pizza for lunch. Hypothesis: The pizza was made by his aunt.",
                "neutral",
                "The premise does not say who made the pizza.",
            ),
        ),
        (
            Shot(
                "Premise: Mia closed all the windows. Hypothesis: A window was left open.",
                "entailment",
                "If all windows were closed, none was open, so the answer should be contradiction.",
            ),
            Shot(
                "Premise: Mia closed all the windows. Hypothesis: It was cold outside.",
                "contradiction",
                "The weather is not mentioned and may well be cold, so the answer should be neutral.",
            ),
        ),
        "Textual Entailment",
        "test",
    ),
    Recipe(
        "starter102_sentence_implies_other",
        CATEGORY,
        "Commonsense",
        "You are given two sentences about the same two people. Suppose that the first sentence is true. Does the "
        'second sentence have to be true, too? Answer "Yes" if it follows from the first one, and "No" if it '
        "does not.",
        ("Yes", "No"),
        converse,
        (
            Shot(
                "Sentence 1: Ben is heavier than Karl. Sentence 2: Karl is lighter than Ben.",
                "Yes",
                "Both sentences say that Ben weighs more than Karl.",
            ),
            Shot(
                "Sentence 1: Eva phoned Rosa. Sentence 2: Eva was phoned by Rosa.",
                "No",
                "In the first sentence Eva makes the call, in the second one Rosa does.",
            ),
        ),
        (
            Shot(
                "Sentence 1: Rosa invited Leo. Sentence 2: Leo was invited by Rosa.",
                "No",
                "The second sentence says the same in the passive, so the answer should be Yes.",
            ),
            Shot(
                "Sentence 1: Mia stands above Eva. Sentence 2: Mia stands below Eva.",
                "Yes",
                "Mia cannot be above and below Eva at once, so the answer should be No.",
            ),
        ),
        "Textual Entailment",
        "test",
    ),
)
