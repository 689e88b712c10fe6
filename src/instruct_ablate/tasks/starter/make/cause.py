"""Cause and effect (test): pairs of events of which one brings about the other."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

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


DRAWS: dict[str, Draw] = {
    "starter103_which_is_the_cause": which_is_cause,
    "starter104_more_likely_effect": likely_effect,
}
