"""Logic: who is the tallest, directions after a turn, claims that follow from an order."""

from random import Random

from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

# comparative, superlative
SCALES = (("taller", "tallest"), ("older", "oldest"), ("faster", "fastest"), ("stronger", "strongest"))
POINTS = ("north", "east", "south", "west")
TURNS = {"right": 1, "left": -1, "around": 2}
WALKS = (
    "{n} walks {p} and turns {t}.",
    "{n} is facing {p} and then turns {t}.",
    "A car driven by {n} goes {p}. It turns {t}.",
)


def most(random: Random) -> Pair:
    """Two comparisons of three people; who comes out on top?"""
    top, middle, bottom = random.sample(NAMES, 3)
    more, best = random.choice(SCALES)
    facts = [f"{top} is {more} than {middle}.", f"{middle} is {more} than {bottom}."]
    random.shuffle(facts)
    return f"{' '.join(facts)} Who is the {best}?", top


def after_turn(random: Random) -> Pair:
    """The direction after one turn."""
    start, turn = random.randrange(4), random.choice(list(TURNS))
    text = random.choice(WALKS).format(n=random.choice(NAMES), p=POINTS[start], t=turn)
    return text, POINTS[(start + TURNS[turn]) % 4]


def order_claim(random: Random) -> Pair:
    """Two comparisons and a claim on the first and the last of three people."""
    top, middle, bottom = random.sample(NAMES, 3)
    more = random.choice(SCALES)[0]
    label = random.choice(("True", "False"))
    first, second = (top, bottom) if label == "True" else (bottom, top)
    facts = f"{top} is {more} than {middle}. {middle} is {more} than {bottom}."
    return f"{facts} Claim: {first} is {more} than {second}.", label


DRAWS: dict[str, Draw] = {
    "starter044_who_is_most": most,
    "starter045_direction_after_turn": after_turn,
    "starter046_claim_from_order": order_claim,
}
