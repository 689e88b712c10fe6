"""Geography: countries, their capitals and continents."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

COUNTRIES = rows("countries")
TRIPS = (
    "We spent our holidays in {c}.",
    "My uncle works in {c}.",
    "The parcel was sent from {c}.",
    "She grew up in {c}.",
    "They are planning a trip to {c}.",
)
CLAIMS = ("{a} is the capital of {c}.", "The capital of {c} is {a}.", "{a} is the capital city of {c}.")
ASKED = ("What is the capital of {c}?", "Which city is the capital of {c}?", "Name the capital of {c}.")


def capital(random: Random) -> Pair:
    """The capital of a country."""
    country, city, _ = random.choice(COUNTRIES)
    return random.choice(ASKED).format(c=country), city


def continent(random: Random) -> Pair:
    """The continent of the country in a sentence."""
    country, _, label = random.choice(COUNTRIES)
    return random.choice(TRIPS).format(c=country), label


def claim(random: Random) -> Pair:
    """A claim on a capital, right or with the capital of another country of the continent."""
    country, city, part = random.choice(COUNTRIES)
    label = random.choice(("True", "False"))
    others = [other for _, other, where in COUNTRIES if where == part and other != city]
    return random.choice(CLAIMS).format(
        a=city if label == "True" else random.choice(others), c=country
    ), label


DRAWS: dict[str, Draw] = {
    "starter015_capital_of_country": capital,
    "starter016_continent_of_country": continent,
    "starter017_capital_claim": claim,
}
