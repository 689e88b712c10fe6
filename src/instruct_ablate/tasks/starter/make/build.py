"""A recipe → the content of a task file, seeded by the task's name alone."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any

from instruct_ablate.tasks.starter.make.recipe import Pair, Recipe
from instruct_ablate.tasks.starter.make.text import Shot

SEED = 2023
INSTANCES = {"train": 80, "test": 100}
# A recipe that needs more draws than this has too few facts.
MOST_DRAWS = 50_000


def draw_instances(recipe: Recipe) -> list[Pair]:
    """Distinct instances, none of them an example; classification: every label within one of the others."""
    random = Random(f"{SEED}:{recipe.name}")
    wanted = _quota(recipe, random)
    seen = {shot.input for shot in (*recipe.text.positive, *recipe.text.negative)}
    pairs: list[Pair] = []
    for _ in range(MOST_DRAWS):
        text, output = recipe.draw(random)
        key = output if recipe.text.labels and isinstance(output, str) else ""
        if text in seen or not wanted[key]:
            continue
        seen.add(text)
        wanted[key] -= 1
        pairs.append((text, output))
        if not any(wanted.values()):
            random.shuffle(pairs)
            return pairs
    raise ValueError(f"{recipe.name}: not enough facts, still wanted after {MOST_DRAWS} draws: {wanted}")


def _quota(recipe: Recipe, random: Random) -> dict[str, int]:
    """How many instances of each label are wanted; one entry, "", where the task is generation."""
    count = INSTANCES[recipe.text.split]
    labels = list(recipe.text.labels or ("",))
    random.shuffle(labels)
    return {label: count // len(labels) + (i < count % len(labels)) for i, label in enumerate(labels)}


def build(recipe: Recipe) -> dict[str, Any]:
    """The task file's content, under Super-NaturalInstructions' keys and in their order."""
    return {
        "Contributors": ["The Instruct-Ablate authors"],
        "Source": ["original (generated from facts)"],
        "URL": [""],
        "Categories": [recipe.text.category],
        "Reasoning": [recipe.text.reasoning],
        "Definition": [recipe.text.definition],
        "Input_language": ["English"],
        "Output_language": ["English"],
        "Instruction_language": ["English"],
        "Domains": [recipe.text.domain],
        "Positive Examples": [_example(shot) for shot in recipe.text.positive],
        "Negative Examples": [_example(shot) for shot in recipe.text.negative],
        "Instances": [_instance(recipe.name, pair) for pair in draw_instances(recipe)],
        "Instance License": ["Apache 2.0"],
    }


def _example(shot: Shot) -> dict[str, str]:
    return {"input": shot.input, "output": shot.output, "explanation": shot.why}


def _instance(name: str, pair: Pair) -> dict[str, Any]:
    """An instance with an id in the manner of the original: task number, then a hash of the content."""
    text, output = pair
    digest = hashlib.sha256(f"{name}\n{text}".encode()).hexdigest()[:32]
    number = name.partition("_")[0]
    return {
        "id": f"{number}-{digest}",
        "input": text,
        "output": [output] if isinstance(output, str) else list(output),
    }
