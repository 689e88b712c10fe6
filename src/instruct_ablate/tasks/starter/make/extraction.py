"""Information extraction: the city, the price or the job in a sentence."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.places import COUNTRIES
from instruct_ablate.tasks.starter.make.professions import JOBS
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

PASSAGES = {kind: tuple(sentences.split(";")) for kind, sentences in rows("passages")}


def _found(random: Random, kind: str, value: str) -> Pair:
    return random.choice(PASSAGES[kind]).format(n=random.choice(NAMES), x=value), value


def city(random: Random) -> Pair:
    """The city in a sentence."""
    return _found(random, "city", random.choice([city for _, city, _ in COUNTRIES if city not in NAMES]))


def price(random: Random) -> Pair:
    """The price in a sentence."""
    return _found(random, "price", str(random.randrange(5, 300)))


def job(random: Random) -> Pair:
    """The job in a sentence."""
    return _found(random, "job", random.choice(JOBS)[0])


DRAWS: dict[str, Draw] = {
    "starter035_find_the_city": city,
    "starter036_find_the_price": price,
    "starter037_find_the_job": job,
}
