"""Tasks on wording (test): analogies, keywords, questions out of statements, and mended grammar."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

# relation | pairs (`;`), each `left:right`
RELATIONS = tuple(tuple(tuple(pair.split(":")) for pair in row[1].split(";")) for row in rows("relations"))
_CAPITALS = tuple((country, capital) for country, capital, _ in rows("countries") if " " not in country)
# sentence with {k} for the things looked for | things (`;`)
LISTINGS = rows("listings")
# statement | question made of it
STATEMENTS = rows("statements")
# wrong sentence | right sentence
SLIPS = rows("slips")


def analogy(random: Random) -> Pair:
    """Three words of an analogy; the fourth is wanted."""
    pairs = random.choice((*RELATIONS, _CAPITALS))
    (a, b), (c, d) = random.sample(pairs, 2)
    return f"{a} : {b} :: {c} : ?", d


def keywords(random: Random) -> Pair:
    """A sentence with two things of one kind; both are wanted, in their order."""
    kind, frames, things = random.choice(LISTINGS)
    first, second = random.sample(things.split(";"), 2)
    sentence = random.choice(frames.split(";")).format(n=random.choice(NAMES), x=first, y=second)
    return f"Find: {kind}. Sentence: {sentence}", f"{first}, {second}"


def question(random: Random) -> Pair:
    """A statement on somebody, to be turned into a yes-no question."""
    statement, asked = random.choice(STATEMENTS)
    name = random.choice(NAMES)
    return statement.format(n=name), asked.format(n=name)


def mended(random: Random) -> Pair:
    """A sentence with one slip; the right sentence is wanted."""
    wrong, right = random.choice(SLIPS)
    name = random.choice(NAMES)
    return wrong.format(n=name), right.format(n=name)


DRAWS: dict[str, Draw] = {
    "starter111_word_analogy": analogy,
    "starter112_keywords_of_a_kind": keywords,
    "starter114_statement_to_question": question,
    "starter115_mend_the_sentence": mended,
}
