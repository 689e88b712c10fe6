"""Coreference (test): a woman and a man in a first sentence, a pronoun in a second one."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import MEN, WOMEN
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

# kind | sentences (`;`): meetings of two people, and what one of them did next
_LINES = {kind: tuple(lines.split(";")) for kind, lines in rows("meetings")}
# a sentence in which the meaning alone decides who the pronoun is | the person meant | the other person
CLUES = rows("clues")


def pronoun(random: Random) -> Pair:
    """Who is meant by "he" or "she"? One woman and one man are named, in any order."""
    woman, man = random.choice(WOMEN), random.choice(MEN)
    first, second = random.sample((woman, man), 2)
    asked = random.choice((woman, man))
    word = "She" if asked == woman else "He"
    meeting = random.choice(_LINES["meet"]).format(a=first, b=second)
    deed = random.choice(_LINES["deed"]).format(p=word)
    return f'{meeting} {deed} Who is meant by "{word}"?', asked


def clue(random: Random) -> Pair:
    """Does the pronoun mean this person? Both are of one sex, so only the meaning can tell."""
    names = random.choice((WOMEN, MEN))
    a, b = random.sample(names, 2)
    text, meant, other = random.choice(CLUES)
    word = "she" if names is WOMEN else "he"
    label = random.choice(("Yes", "No"))
    person = (meant if label == "Yes" else other).format(a=a, b=b)
    return f'{text.format(a=a, b=b, p=word)} Does "{word}" mean {person}?', label


DRAWS: dict[str, Draw] = {"starter110_pronoun_means_person": clue, "starter113_who_is_meant": pronoun}
