"""Calendar and clock: days of the week, seasons, parts of the day, two ways to write the hour."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SEASONS = {
    "winter": ("December", "January", "February"),
    "spring": ("March", "April", "May"),
    "summer": ("June", "July", "August"),
    "autumn": ("September", "October", "November"),
}
# Part of the day: first and last hour, both included.
PARTS = {"morning": (6, 11), "afternoon": (12, 17), "evening": (18, 21), "night": (0, 5)}
# what happens | how it is said (`;`)
PLANS = {kind: tuple(phrases.split(";")) for kind, phrases in rows("plans")}
NUMBERS = ("one", "two", "three", "four", "five", "six")


def weekday_after(random: Random) -> Pair:
    """The day of the week some days later."""
    start, days = random.randrange(7), random.randrange(1, 7)
    span = f"{NUMBERS[days - 1]} day{'s' if days > 1 else ''}"
    text = random.choice(PLANS["after"]).format(d=DAYS[start], s=span, n=random.choice(NAMES))
    return text, DAYS[(start + days) % 7]


def season(random: Random) -> Pair:
    """The season of a month in the northern half of the world."""
    label = random.choice(list(SEASONS))
    month = random.choice(SEASONS[label])
    return random.choice(PLANS["month"]).format(m=month, n=random.choice(NAMES)), label


def weekend(random: Random) -> Pair:
    """Whether a plan falls on the weekend."""
    label = random.choice(("weekend", "weekday"))
    day = random.choice(DAYS[5:] if label == "weekend" else DAYS[:5])
    return random.choice(PLANS["day"]).format(d=day, n=random.choice(NAMES)), label


def part_of_day(random: Random) -> Pair:
    """The part of the day of a time on the 24-hour clock."""
    label = random.choice(list(PARTS))
    hour, minute = random.randint(*PARTS[label]), random.randrange(0, 60, 5)
    return random.choice(PLANS["time"]).format(t=f"{hour:02}:{minute:02}", n=random.choice(NAMES)), label


def twelve_hours(random: Random) -> Pair:
    """A time on the 24-hour clock in the 12-hour way."""
    hour, minute = random.randrange(24), random.randrange(0, 60, 5)
    text = random.choice(PLANS["time"]).format(t=f"{hour:02}:{minute:02}", n=random.choice(NAMES))
    return text, f"{hour % 12 or 12}:{minute:02} {'am' if hour < 12 else 'pm'}"


DRAWS: dict[str, Draw] = {
    "starter001_weekday_after": weekday_after,
    "starter002_season_of_month": season,
    "starter003_weekend_or_weekday": weekend,
    "starter004_part_of_day": part_of_day,
    "starter005_twelve_hour_clock": twelve_hours,
}
