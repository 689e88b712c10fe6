"""Arithmetic: small stories with sums, even and odd, true and false equations, number words."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

THINGS = "apples;books;stamps;coins;marbles;pencils;postcards;eggs;tickets;buttons".split(";")  # noqa: SIM905
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
STORIES = {kind: tuple(stories.split(";")) for kind, stories in rows("stories")}


def in_words(number: int) -> str:
    """A number below one thousand in English words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")
    rest = f" and {in_words(number % 100)}" if number % 100 else ""
    return f"{ONES[number // 100]} hundred{rest}"


def story_sum(random: Random) -> Pair:
    """Somebody gets more of a thing, or gives some away; how many are there now?"""
    name, thing = random.choice(NAMES), random.choice(THINGS)
    first, second = random.randrange(5, 20), random.randrange(2, 5)
    kind = random.choice(("more", "fewer"))
    result = first + second if kind == "more" else first - second
    return random.choice(STORIES[kind]).format(n=name, t=thing, a=first, b=second), str(result)


def even_or_odd(random: Random) -> Pair:
    """Whether the number in a sentence is even."""
    number = random.randrange(3, 200)
    text = random.choice(STORIES["count"]).format(n=random.choice(NAMES), t=random.choice(THINGS), a=number)
    return text, "odd" if number % 2 else "even"


def equation(random: Random) -> Pair:
    """An equation, right or off by a little."""
    sign, label = random.choice("+-x"), random.choice(("True", "False"))
    a, b = random.randrange(2, 13), random.randrange(2, 13)
    a, b = max(a, b), min(a, b)
    result = {"+": a + b, "-": a - b, "x": a * b}[sign]
    shown = result if label == "True" else result + random.choice((1, 2, 3))
    return random.choice(("{} {} {} = {}", "Is it right that {} {} {} = {}?")).format(
        a, sign, b, shown
    ), label


def more(random: Random) -> Pair:
    """Two people with unlike numbers of a thing, marked A and B; who has more?"""
    first, second = random.sample(range(2, 60), 2)
    one, two = random.sample(NAMES, 2)
    thing = random.choice(THINGS)
    return f"A: {one} has {first} {thing}. B: {two} has {second} {thing}.", "A" if first > second else "B"


def digits(random: Random) -> Pair:
    """A number in words, to be written in digits."""
    number = random.choice((random.randrange(11, 100), random.randrange(101, 1000)))
    text = random.choice(STORIES["words"]).format(n=random.choice(NAMES), a=in_words(number))
    return text, str(number)


DRAWS: dict[str, Draw] = {
    "starter006_story_sum": story_sum,
    "starter007_even_or_odd": even_or_odd,
    "starter008_equation_true_or_false": equation,
    "starter009_who_has_more": more,
    "starter010_number_words_to_digits": digits,
}
