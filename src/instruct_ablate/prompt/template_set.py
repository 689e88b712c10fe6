"""Sets of templates: several renderings of the same parts, under which one and the same cell is tested.

`prompt.template` names a template; a set, shipped or a YAML file; one rendering of a set (`set_12/bars`); or several of
these, joined by "+". A cell is trained once, under the first of its templates unless `prompt.training_template` says
otherwise (another template too, under which nothing is tested), and tested under all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

from instruct_ablate.errors import UserError, in_a_line, unknown
from instruct_ablate.instruction.context import hashed
from instruct_ablate.prompt.rendering import Rendering, make_rendering
from instruct_ablate.prompt.template import TEMPLATES, Template, configured_template
from instruct_ablate.schema import JOINED_BY, PromptConfig

FIRST, DRAWN = "first", "drawn"
ENDINGS = (".yaml", ".yml")


@cache
def shipped_sets() -> dict[str, tuple[Rendering, ...]]:
    """Return the sets of the package by name."""
    folder = files("instruct_ablate.prompt") / "sets"
    found = sorted((one.name, one.read_text(encoding="utf-8")) for one in folder.iterdir())
    return {name.removesuffix(".yaml"): _parsed(text, name) for name, text in found if name.endswith(".yaml")}


def read_set(name: str) -> tuple[Rendering, ...] | None:
    """Return the renderings of a set, by its name or from the user's file; None where it is no set's name."""
    if name in shipped_sets():
        return shipped_sets()[name]
    if not name.endswith(ENDINGS):
        return None
    if not Path(name).is_file():
        raise UserError(f"prompt.template: {name!r} is no file here ({Path.cwd()}).")
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"prompt.template: {name!r} cannot be read as text ({in_a_line(error)}).") from error
    return _parsed(text, name)


def _parsed(text: str, where: str) -> tuple[Rendering, ...]:
    try:
        given = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{where} is no YAML: {in_a_line(error, 300)}") from error
    if not isinstance(given, list) or not given:
        raise UserError(
            f"{where}: a set of templates is a list of renderings, each with name, input, output."
        )
    made = tuple(make_rendering(one, where) for one in given)
    names = [one.name for one in made]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{where}: two renderings are called {double[0]}.")
    return made


def template_names(config: PromptConfig) -> tuple[str, ...]:
    """Name the templates that a cell is tested under, the first of them first."""
    names = [name for part in config.template.split(JOINED_BY) for name in _members(part)]
    called = [template_label(name) for name in names]
    if double := sorted({name for name in called if called.count(name) > 1}):
        raise UserError(f"prompt.template={config.template}: {double[0]} stands in it twice.")
    return tuple(names)


def _members(part: str) -> list[str]:
    own = read_set(part)
    return [part] if own is None else [f"{part}/{one.name}" for one in own]


def rendering_of(name: str) -> Rendering | None:
    """Return the rendering that SET/NAME names; None for a template that is a function."""
    part, _, own = name.rpartition("/")
    found = read_set(part) if part else None
    if found is None:
        return None
    by_name = {one.name: one for one in found}
    if own not in by_name:
        raise unknown(f"rendering of {part}:", own, by_name)
    return by_name[own]


def template_label(template: str) -> str:
    """Return how tables and identities call a template: of the user's file its name without folder and ending."""
    return JOINED_BY.join(map(_without_path, template.split(JOINED_BY)))


def _without_path(part: str) -> str:
    for ending in ENDINGS:
        file, found, own = part.partition(f"{ending}/")
        if found or part.endswith(ending):
            return Path(file).name.removesuffix(ending) + (f"/{own}" if found else "")
    return part


def content(config: PromptConfig) -> str | None:
    """Return the hash of the renderings' texts; None where there are none: functions count by name and extension."""
    found = [rendering for name in every_template(config) if (rendering := rendering_of(name)) is not None]
    texts = json.dumps([asdict(one) for one in found], sort_keys=True)
    return hashlib.sha256(texts.encode()).hexdigest() if found else None


def single_template(config: PromptConfig) -> Template:
    """Return the one template that a configuration names."""
    if (rendering := rendering_of(config.template)) is None:
        if config.template not in TEMPLATES and "." not in config.template:
            raise unknown("prompt.template", config.template, (*TEMPLATES, *shipped_sets()))
        return configured_template(config)
    return configured_template(config) if config.add_task_name else rendering


def under_each(config: PromptConfig) -> tuple[PromptConfig, ...]:
    """Return the configuration under each of its templates alone."""
    return tuple(replace(config, template=name, training_template=FIRST) for name in template_names(config))


def trained_under(config: PromptConfig) -> tuple[PromptConfig, ...]:
    """Return the configuration under each template that training examples are shown under."""
    every, asked = under_each(config), config.training_template
    if asked == DRAWN:
        return every
    by_name = {FIRST: every[0], **{template_label(one.template): one for one in every}}
    return (by_name.get(template_label(asked)) or _trained_alone(config, by_name),)


def _trained_alone(config: PromptConfig, others: Iterable[str]) -> PromptConfig:
    """Return the configuration under a training template that no test is under."""
    asked = config.training_template
    if JOINED_BY in asked or read_set(asked) is not None:
        raise UserError(
            f"prompt.training_template={asked} names several templates. Give one of them, such as "
            f"{_members(asked.split(JOINED_BY)[0])[0]}; `drawn` draws among those of prompt.template."
        )
    alone = replace(config, template=asked, training_template=FIRST)
    if rendering_of(asked) is None and asked not in TEMPLATES and "." not in asked:
        raise unknown("prompt.training_template", asked, dict.fromkeys((FIRST, DRAWN, *others, *TEMPLATES)))
    return alone


def every_template(config: PromptConfig) -> tuple[str, ...]:
    """Name the templates of the tests, then that of training where no test is under it."""
    tested, trained = template_names(config), [one.template for one in trained_under(config)]
    return tuple(dict.fromkeys((*tested, *trained)))


def training_template(config: PromptConfig, seed: int) -> Callable[[str, str], Template]:
    """Return which template each training instance, given by task and id, is shown under.

    Drawn ones hang on seed, task and instance alone: an example looks the same in every budget that has it.
    """
    found = [single_template(one) for one in trained_under(config)]

    def chosen(task: str, instance: str) -> Template:
        return found[hashed(seed, "template", task, instance) % len(found) if len(found) > 1 else 0]

    return chosen


def check_templates(config: PromptConfig) -> None:
    """Refuse templates that are not there, and a training template that is none of them."""
    for one in (*under_each(config), *trained_under(config)):
        single_template(one)
