"""Spelling and sound: misspelt words, alphabetical order, rhymes."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair
from instruct_ablate.tasks.starter.make.semantics import KINDS

SPELLINGS = rows("spellings")  # right | a common misspelling
RHYMES = tuple(tuple(row[0].split(";")) for row in rows("rhymes"))  # words that rhyme with each other
RHYME_FRAMES = ("Do {} and {} rhyme?", "{} / {}", "Does {} rhyme with {}?")
SORTED_FRAMES = ("{}", "Words: {}", "Which of these comes first: {}?")


def spelt_right(random: Random) -> Pair:
    """A word, spelt right or in a way often seen."""
    right, wrong = random.choice(SPELLINGS)
    label = random.choice(("correct", "misspelled"))
    return f"The word is: {right if label == 'correct' else wrong}", label


def alphabetical_first(random: Random) -> Pair:
    """Three words; the first of them in a dictionary is wanted."""
    words = random.sample([word for things in KINDS.values() for word in things], 3)
    return random.choice(SORTED_FRAMES).format(", ".join(words)), min(words)


def rhyme(random: Random) -> Pair:
    """Two words that rhyme or do not."""
    label = random.choice(("Yes", "No"))
    family, other = random.sample(RHYMES, 2)
    pair = random.sample(family, 2) if label == "Yes" else [random.choice(family), random.choice(other)]
    return random.choice(RHYME_FRAMES).format(*pair), label


DRAWS: dict[str, Draw] = {
    "starter029_spelled_correctly": spelt_right,
    "starter030_first_in_dictionary": alphabetical_first,
    "starter031_do_they_rhyme": rhyme,
}
