"""All recipes of the collection, in the order of their numbers."""

from instruct_ablate.tasks.starter.make import cause, dialogue, inference, opinion, sentiment
from instruct_ablate.tasks.starter.make.recipe import Recipe

MODULES = (sentiment, inference, cause, dialogue, opinion)
RECIPES: tuple[Recipe, ...] = tuple(
    sorted((recipe for module in MODULES for recipe in module.RECIPES), key=lambda recipe: recipe.name)
)
