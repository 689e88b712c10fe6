"""Sorting texts and things: topics of messages, tone and register, groups of animals."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

TOPICS = {topic: tuple(lines.split(";")) for topic, lines in rows("topics")}
STYLES = {style: tuple(lines.split(";")) for style, lines in rows("styles")}
ANIMALS = {group: tuple(names.split(";")) for group, names in rows("animals")}
SOURCES = ("{x}.", "{n} writes: {x}.", "From the newspaper: {x}.", '"{x}", said {n}.')
SIGHTS = ("{x}", "{n} took a photo of this animal: {x}", "Animal: {x}", "What kind of animal is this? {x}")


def topic(random: Random) -> Pair:
    """The topic of a message."""
    label = random.choice(list(TOPICS))
    return random.choice(SOURCES).format(x=random.choice(TOPICS[label]), n=random.choice(NAMES)), label


def politeness(random: Random) -> Pair:
    """Polite or rude words to somebody."""
    label = random.choice(("polite", "rude"))
    return random.choice(STYLES[label]).format(n=random.choice(NAMES)), label


def register(random: Random) -> Pair:
    """A formal or an informal message."""
    label = random.choice(("formal", "informal"))
    return random.choice(STYLES[label]).format(n=random.choice(NAMES)), label


def animal_group(random: Random) -> Pair:
    """The group that an animal belongs to."""
    label = random.choice(list(ANIMALS))
    return random.choice(SIGHTS).format(x=random.choice(ANIMALS[label]), n=random.choice(NAMES)), label


DRAWS: dict[str, Draw] = {
    "starter040_topic_of_message": topic,
    "starter041_polite_or_rude": politeness,
    "starter042_formal_or_informal": register,
    "starter043_group_of_animal": animal_group,
}
