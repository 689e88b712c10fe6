"""Professions: who does what."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

JOBS = rows("jobs")  # name | what the person does
CLAIMS = ("A {j} {d}.", "{n} is a {j} and {d}.", "{n} {d}, as every {j} does.")
ASKED = ("{n} {d}. What is the job of {n}?", "Who {d}?", "Every day {n} {d}. Which job is this?")


def job_claim(random: Random) -> Pair:
    """A job with its own work or with that of another job."""
    (job, right), (_, wrong) = random.sample(JOBS, 2)
    label = random.choice(("Yes", "No"))
    name = random.choice(NAMES)
    return random.choice(CLAIMS).format(j=job, d=right if label == "Yes" else wrong, n=name), label


def job_of(random: Random) -> Pair:
    """The job of somebody who does this work."""
    job, deed = random.choice(JOBS)
    return random.choice(ASKED).format(d=deed, n=random.choice(NAMES)), job


DRAWS: dict[str, Draw] = {"starter038_job_and_work_match": job_claim, "starter039_name_the_job": job_of}
