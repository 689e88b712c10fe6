"""Sentiment analysis: reviews put together from what was bought, what was said of it, and the verdict."""

from random import Random

from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

PRODUCTS = [
    "coffee machine",
    "backpack",
    "lamp",
    "kettle",
    "pair of headphones",
    "office chair",
    "rain jacket",
    "keyboard",
    "tent",
    "toaster",
    "vacuum cleaner",
    "suitcase",
    "blender",
    "desk fan",
    "water bottle",
    "phone case",
    "pillow",
    "bicycle lock",
    "umbrella",
    "camera",
]
GOOD = [
    "It works perfectly and looks great",
    "I use it every day and love it",
    "It is well made and easy to clean",
    "It did everything I hoped for",
    "The quality is excellent for the price",
    "I could not be happier with it",
    "It arrived early and in perfect shape",
    "My whole family enjoys it",
    "It feels solid and comfortable",
    "Setting it up was quick and simple",
]
BAD = [
    "It broke after two days",
    "It is badly made and feels cheap",
    "I regret buying it",
    "It never worked properly",
    "It arrived damaged and dirty",
    "The quality is terrible for the price",
    "I had to send it back",
    "It looks nothing like the picture",
    "It is uncomfortable and far too loud",
    "Nobody in my family wants to use it",
]
FLAT = [
    "It comes in a brown cardboard box",
    "It is available in three colours",
    "It was delivered on a Tuesday",
    "It weighs about one kilogram",
    "The manual is printed in four languages",
    "It is sold in most large shops",
    "The label is on the bottom",
    "It was made in 2021",
    "It is the same size as my old one",
    "It has two buttons on the side",
]
OPENINGS = [
    "I bought this {x} last month. {y}.",
    "{y}. This is what I can say about my {x}.",
    "Review of {a} {x}: {y}.",
    "My new {x} came a week ago. {y}.",
    "We ordered this {x} for our flat. {y}.",
    "About the {x}: {y}.",
]
FEELINGS = {
    "joy": "won first prize in the school race;hugged an old friend at the airport;got the job of a lifetime;"
    "danced all evening at the wedding;opened a wonderful birthday present;laughed until the tears came;"
    "heard that the baby was healthy;passed the final exam with top marks",
    "sadness": "cried after the old dog died;missed the friends left behind in another city;"
    "sat alone and wept at the funeral;said goodbye to a grandmother for the last time;"
    "felt lonely in the empty house;lost a treasured ring forever;mourned a dear uncle;"
    "was heartbroken when the friendship ended",
    "anger": "shouted at the driver who scratched the car;slammed the door after the quarrel;"
    "was furious that somebody had stolen the bicycle;yelled at the neighbours about the noise;"
    "hit the table with a fist after the insult;was outraged by the unfair decision;"
    "fumed about being cheated by the shop;glared at the man who pushed into the queue",
    "fear": "trembled when the lights went out in the cellar;hid under the bed during the storm;"
    "screamed at the sight of a huge spider;dared not move as the bear came closer;"
    "was terrified of falling from the high bridge;ran from the growling dog;"
    "panicked when the lift got stuck;lay awake, scared by steps in the attic",
}
EMOTION_FRAMES = [
    "{n} {x}.",
    "Yesterday {n} {x}.",
    "That evening {n} {x}.",
    "Everybody could see it: {n} {x}.",
    "It was in March that {n} {x}.",
]


def _say(random: Random, opinions: list[str]) -> str:
    product = random.choice(PRODUCTS)
    article = "an" if product[0] in "aeiou" else "a"
    return random.choice(OPENINGS).format(a=article, x=product, y=random.choice(opinions))


def polarity(random: Random) -> Pair:
    """A review that is positive or negative."""
    label = random.choice(("positive", "negative"))
    return _say(random, GOOD if label == "positive" else BAD), label


def three_way(random: Random) -> Pair:
    """A review that praises, complains, or only states facts."""
    label, opinions = random.choice((("Positive", GOOD), ("Negative", BAD), ("Neutral", FLAT)))
    return _say(random, opinions), label


def emotion(random: Random) -> Pair:
    """A sentence on somebody who feels one of four emotions."""
    label = random.choice(list(FEELINGS))
    name = random.choice(NAMES)
    deed = random.choice(FEELINGS[label].split(";"))
    return random.choice(EMOTION_FRAMES).format(n=name, x=deed), label


def recommend(random: Random) -> Pair:
    """A review in two sentences of one mind; would its author recommend the thing?"""
    label, opinions = random.choice((("Yes", GOOD), ("No", BAD)))
    first, second = random.sample(opinions, 2)
    return f"Product: {random.choice(PRODUCTS)}. Review: {first}. {second}.", label


DRAWS: dict[str, Draw] = {
    "starter011_review_polarity": polarity,
    "starter012_review_three_way": three_way,
    "starter013_emotion_of_person": emotion,
    "starter014_would_recommend": recommend,
}
