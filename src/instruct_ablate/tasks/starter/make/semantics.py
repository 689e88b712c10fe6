"""Meaning of words: opposites, synonyms, the odd one out, kinds of things."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

OPPOSITES = rows("opposites")
SYNONYMS = rows("synonyms")
KINDS = {kind: tuple(things.split(";")) for kind, things in rows("kinds")}
ASKED = (
    "What is the opposite of {}?",
    "opposite of {}",
    "Not {}, but the opposite:",
    "Find the opposite: {}",
)
SEEN = (
    "{}",
    "What is this: {}?",
    "I can see this in the picture: {}",
    "They talked about this: {}",
    "The word is {}.",
)


def opposite(random: Random) -> Pair:
    """The opposite of a word; all that the table knows are right."""
    word = random.choice([word for row in OPPOSITES for word in row])
    right = tuple(b if a == word else a for a, b in OPPOSITES if word in (a, b))
    return random.choice(ASKED).format(word), right


def word_pair(random: Random) -> Pair:
    """Two words that mean the same or the opposite."""
    label, table = random.choice((("synonyms", SYNONYMS), ("antonyms", OPPOSITES)))
    pair = list(random.choice(table))
    random.shuffle(pair)
    return f"{pair[0]} - {pair[1]}", label


def odd_one_out(random: Random) -> Pair:
    """Four words, three of one kind and one of another."""
    kind, other = random.sample(list(KINDS), 2)
    odd = random.choice(KINDS[other])
    words = [*random.sample(KINDS[kind], 3), odd]
    random.shuffle(words)
    return ", ".join(words), odd


def kind_of_thing(random: Random) -> Pair:
    """The kind of a thing."""
    label = random.choice(list(KINDS))
    return random.choice(SEEN).format(random.choice(KINDS[label])), label


DRAWS: dict[str, Draw] = {
    "starter025_opposite_of_word": opposite,
    "starter026_synonyms_or_antonyms": word_pair,
    "starter027_odd_one_out": odd_one_out,
    "starter028_kind_of_thing": kind_of_thing,
}
