"""Answerability (test): a portrait of a person in facts, and a question that it answers or leaves open."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import MEN, WOMEN
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

# sentence on a trait | question for it | values (`;`)
TRAITS = rows("traits")


def answerable(random: Random) -> Pair:
    """Three told traits of a person and a question for one of them, or for one that was not told."""
    name = random.choice((*WOMEN, *MEN))
    pronoun = "She" if name in WOMEN else "He"
    traits = random.sample(TRAITS, 4)
    told = traits[:3]
    label = random.choice(("answerable", "unanswerable"))
    asked = random.choice(told) if label == "answerable" else traits[3]
    sentences = [trait[0].format(p=pronoun, v=random.choice(trait[2].split(";"))) for trait in told]
    sentences[0] = name + sentences[0].removeprefix(pronoun)
    return f"Passage: {' '.join(sentences)} Question: {asked[1].format(n=name)}", label


DRAWS: dict[str, Draw] = {"starter109_question_answerable": answerable}
