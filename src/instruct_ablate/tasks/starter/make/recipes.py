"""All recipes of the collection: each task's text together with its draw, in the order of their numbers."""

from instruct_ablate.tasks.starter.make import (
    answerability,
    calendars,
    cause,
    coreference,
    dialogue,
    extraction,
    grammar,
    inference,
    measures,
    numbers,
    opinion,
    ordering,
    places,
    professions,
    semantics,
    sentiment,
    sorting,
    spelling,
    wording,
)
from instruct_ablate.tasks.starter.make.recipe import Draw, Recipe
from instruct_ablate.tasks.starter.make.text import read_text

MODULES = (
    answerability,
    calendars,
    cause,
    coreference,
    dialogue,
    extraction,
    grammar,
    inference,
    measures,
    numbers,
    opinion,
    ordering,
    places,
    professions,
    semantics,
    sentiment,
    sorting,
    spelling,
    wording,
)
DRAWS: dict[str, Draw] = {name: draw for module in MODULES for name, draw in module.DRAWS.items()}
RECIPES: tuple[Recipe, ...] = tuple(Recipe(name, read_text(name), DRAWS[name]) for name in sorted(DRAWS))
