"""Cause and effect (test): pairs of events of which one brings about the other."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Pair, Recipe, Shot

CATEGORY = "Cause Effect Classification"

# cause | effect; each effect goes with its own cause only.
EVENTS = rows("events")


def _event(random: Random) -> tuple[str, str]:
    cause, effect = random.choice(EVENTS)
    return cause, effect


def which_is_cause(random: Random) -> Pair:
    """Two events, A and B, of which one is the cause of the other."""
    cause, effect = _event(random)
    name, label = random.choice(NAMES), random.choice(("A", "B"))
    first, second = (cause, effect) if label == "A" else (effect, cause)
    return f"A: {first.format(n=name)} B: {second.format(n=name)}", label


def likely_effect(random: Random) -> Pair:
    """A cause, its effect and the effect of another cause."""
    cause, effect = _event(random)
    other = _event(random)[1]
    while other == effect:
        other = _event(random)[1]
    name, label = random.choice(NAMES), random.choice(("first", "second"))
    one, two = (effect, other) if label == "first" else (other, effect)
    return f"Event: {cause.format(n=name)} First: {one.format(n=name)} Second: {two.format(n=name)}", label


RECIPES = (
    Recipe(
        "starter103_which_is_the_cause",
        CATEGORY,
        "Commonsense",
        "You are given two events, marked A and B. One of the events made the other one happen. Find the cause, that "
        "is, the event which came first and led to the other. Write A if event A is the cause, and B if event B is "
        "the cause.",
        ("A", "B"),
        which_is_cause,
        (
            Shot(
                "A: Leo slipped on the ice. B: Leo broke his arm.",
                "A",
                "Slipping on the ice led to the broken arm, so A is the cause.",
            ),
            Shot(
                "A: The dog of Mia barked. B: Somebody rang at the door of Mia.",
                "B",
                "The dog barked because somebody rang, so B is the cause.",
            ),
        ),
        (
            Shot(
                "A: Eva pushed the swing. B: The swing moved.",
                "B",
                "The swing moved because Eva pushed it, so the answer should be A.",
            ),
            Shot(
                "A: Karl was wet to the skin. B: Karl was caught in heavy rain.",
                "A",
                "The rain made Karl wet, so the answer should be B.",
            ),
        ),
        "Causal Reasoning",
        "test",
    ),
    Recipe(
        "starter104_more_likely_effect",
        CATEGORY,
        "Commonsense",
        "Read an event and two things that may have happened after it. Only one of them is a natural result of the "
        'event. Answer "first" if the first one is the likely effect, and "second" if the second one is. Do not '
        "write anything else.",
        ("first", "second"),
        likely_effect,
        (
            Shot(
                "Event: Leo turned on the heating. First: The room of Leo got warm. Second: The hair of Leo got wet.",
                "first",
                "Heating makes a room warm; it does not make hair wet.",
            ),
            Shot(
                "Event: Mia pulled the plug. First: The phone of Mia rang. Second: The bath water of Mia ran out.",
                "second",
                "When the plug is pulled, the water leaves the bath.",
            ),
        ),
        (
            Shot(
                "Event: Karl cut an onion. First: The eyes of Karl watered. Second: The shoes of Karl were too small.",
                "second",
                "Onions make the eyes water and have nothing to do with shoes, so the answer should be first.",
            ),
            Shot(
                "Event: Eva blew out the candle. First: Eva learned French. Second: The room of Eva became dark.",
                "first",
                "Without the candle it is dark, so the answer should be second.",
            ),
        ),
        "Causal Reasoning",
        "test",
    ),
)
