"""Identity of a cell: a hash of all that changes its result, and of nothing else.

What does not count is listed in one place, `counting.py`. A key that is not listed counts, so that a new key can never
make two different cells one; one that came later is left out at the value that does what was done before (NEUTRAL).
`precision: auto` counts as `auto`: the machine that plans a grid is often not the one that runs it; the record says
which precision was used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from instruct_ablate.baselines import shown_as
from instruct_ablate.cell.state.canonical import (
    canonical_blocks,
    drawn_at_test,
    effective,
    is_baseline,
    is_untuned,
    shown_at_test,
)
from instruct_ablate.cell.state.counting import but_neutral, counting
from instruct_ablate.cell.state.folder_name import folder_name
from instruct_ablate.cell.state.record.record import CHANNEL, CHOOSING, FORMAT, PREDICTION, TRAINING
from instruct_ablate.cell.state.setting.data_name import data_name
from instruct_ablate.cell.state.setting.keys import ORDER
from instruct_ablate.cell.state.setting.setting import Names, Setting, setting_from
from instruct_ablate.cell.state.setting.unordered import in_order
from instruct_ablate.configuration.extensions import code_of, load_extensions, registers_only
from instruct_ablate.configuration.parts import OncePerParts
from instruct_ablate.configuration.typed_values import tree
from instruct_ablate.disk.score_curve import USUAL
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.label import canonical, label, versions
from instruct_ablate.instruction.label import counted as as_counted
from instruct_ablate.instruction.variant import FIELDS
from instruct_ablate.metrics.registry import KEY
from instruct_ablate.prompt.template import TEMPLATES, find_template
from instruct_ablate.prompt.template_set import content, every_template, rendering_of, template_label
from instruct_ablate.schema import Config, InstructionConfig, ModelConfig, TasksConfig
from instruct_ablate.tasks.general import general_name, general_tasks
from instruct_ablate.tasks.sampling.order import USUAL_ORDER

Found = TypeVar("Found")
PARTS = 3  # of tasks.root that a setting has
CODE = 1  # stays 1: TRAINING and PREDICTION are raised in its place, and scoring does not count


@dataclass(frozen=True)
class Identity:
    """A cell's hash, its folder's name, its place in the grid and what was hashed.

    `order` is that of the tasks it is trained on; empty where nothing is trained, or where an earlier version, which
    did not count it, has hashed the cell.
    """

    hash: str
    name: str
    setting: Setting
    seed: int
    data_hash: str
    counted: dict[str, Any]
    order: str = ""

    def to_json(self) -> str:
        """Write what was hashed, for people who ask why two cells differ; the order of tasks in any case."""
        told = {"identity": self.hash, "counted": self.counted, **({ORDER: self.order} if self.order else {})}
        return json.dumps(told, indent=1, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Data:
    """What counts of a data set: the hash of its content and, for cells that are trained, the order of its tasks."""

    content: str
    order: str = USUAL_ORDER


@dataclass(frozen=True)
class _Alike:
    """The identity of a cell, for those that differ from it in nothing but their seed; whether they do by that."""

    identity: Identity
    by_seed: bool


class Contents:
    """What data sets and checkpoints hold, looked at once for all cells that are planned at one moment.

    It lives no longer than that: the next time the files may be others.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Any] = {}
        self.alike = OncePerParts[_Alike]("seed")

    def data(self, config: Config) -> Data:
        """Return the content hash and the order of the tasks."""
        return self._once("data", config.tasks, config.cache, lambda: _data(config))

    def general(self, config: Config) -> str | None:
        """Return the content hash of the tasks by which general ability is held; None where it is not asked for."""
        tasks = general_tasks(config.evaluation.general)
        if tasks is None:
            return None
        return self._once("general", tasks, config.cache, lambda: _general_hash(config))

    def checkpoint(self, config: Config) -> str:
        """Return the fingerprint of the weights."""
        return self._once("checkpoint", config.model, config.cache, lambda: weights_fingerprint(config))

    def _once(
        self, kind: str, part: TasksConfig | ModelConfig, cache: str, find: Callable[[], Found]
    ) -> Found:
        key = kind, repr((part, cache))
        if key not in self._found:
            self._found[key] = find()
        found: Found = self._found[key]
        return found


def identify(config: Config, contents: Contents | None = None) -> Identity:
    """Return the identity of the cell that `config` asks for; `contents` are shared by the cells of one plan."""
    shared = contents or Contents()
    alike = shared.alike.get(config, lambda first: _alike(first, shared))
    if not alike.by_seed or alike.identity.seed == config.seed:
        return alike.identity
    counted = {**alike.identity.counted, "seed": config.seed}
    own, setting = digest(counted), alike.identity.setting
    name = folder_name(setting, config.seed, own)
    return replace(alike.identity, hash=own, name=name, seed=config.seed, counted=counted)


def _alike(config: Config, contents: Contents) -> _Alike:
    identity = _identity(config, contents)  # first: it loads the extensions that labels may name
    other = effective(replace(config, seed=config.seed + 1)).seed
    return _Alike(identity, other == config.seed + 1)


def _identity(config: Config, contents: Contents) -> Identity:
    code, shaped = load_extensions(config.extensions), effective(config)
    untuned, baseline = is_untuned(shaped), is_baseline(shaped)
    data = contents.data(shaped)
    counted = {
        "format": FORMAT,
        "code": CODE,
        # A version of what a cell does not do stays 1: raising it must make no other cell of that one.
        "training": 1 if untuned else TRAINING,
        "prediction": 1 if baseline else PREDICTION,
        "channel": CHANNEL if shaped.evaluation.decoding == "channel" else 1,
        "data": data.content,
        "checkpoint": shaped.model.name if baseline else contents.checkpoint(shaped),
        "instruction": None if untuned else as_counted(shaped.instruction),
        "tested": canonical_blocks(shaped),
        "instruction.versions": versions([*([] if untuned else [shaped.instruction]), *_tested(shaped)]),
        "extensions": [
            content
            for content, file in zip(code, config.extensions, strict=True)
            if not registers_only(file, KEY)
        ],
        "own_code": code_of(functions(shaped, untuned), config.extensions),
        "templates": content(shaped.prompt),
        "general": contents.general(shaped),
        **counting(tree(shaped)),
        "prompt.template": template_label(shaped.prompt.template),
        "prompt.training_template": template_label(shaped.prompt.training_template),
        **_choosing(shaped),
        ORDER: USUAL_ORDER if untuned else data.order,
    }
    counted = but_neutral(without_metrics(counted))
    setting = setting_from(counted, _names(shaped))
    own = digest(counted)
    name = folder_name(setting, shaped.seed, own)
    order = "" if untuned else data.order
    return Identity(own, name, setting, shaped.seed, counted["data"], counted, order)


def _choosing(config: Config) -> dict[str, Any]:
    """Return how, when and on how much the weights are chosen, where they are: then it changes the result."""
    if config.trainer.select == "last":
        return {}
    given = vars(config.evaluation)
    points = {name: given[name] for name in ("every_steps", "every_epochs")}
    points["at_instances"] = config.evaluation.at_instances or USUAL
    points["at"] = sorted({float(share) for share in config.evaluation.at})
    return {"choosing": CHOOSING, **{f"evaluation.{name}": value for name, value in points.items()}}


def regardless_of_order(counted: Mapping[str, Any]) -> str:
    """Return a hash that cells share which differ in nothing but the order of lists that need none (and in metrics)."""
    return digest(without_metrics(in_order(counted)))


def without_metrics(counted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is hashed: metrics count for scoring alone, and stand there as before there were any."""
    return {**counted, KEY: []}


def digest(counted: Mapping[str, Any]) -> str:
    """Return the hash of what counts."""
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def _tested(config: Config) -> list[InstructionConfig]:
    return [shown for _, shown in shown_at_test(config)]


def functions(config: Config, untuned: bool) -> list[Callable[..., Any]]:
    """Return the functions that make a cell's instructions and prompts."""
    shown = [canonical(one) for one in (*([] if untuned else [config.instruction]), *_tested(config))]
    variants = [find(slot, vars(one)[slot]).function for one in shown for slot in FIELDS]
    named = [name for name in every_template(config.prompt) if name in TEMPLATES or "." in name]
    return [*variants, *(find_template(name) for name in named if rendering_of(name) is None)]


def _names(config: Config) -> Names:
    """Return the readable names of what a cell was asked for."""
    return Names(
        tasks=data_name(config.tasks.name or None, config.tasks.reader),
        model=shown_as(config.model.name, config.model.tries),
        instruction=label(config.instruction),
        num_positive=config.instruction.num_positive,
        tested=tuple(name for name, _ in shown_at_test(config)),
        tuned=config.model.tuned,
        general=general_name(config.evaluation.general),
        drawn=drawn_at_test(config),
        source=_end_of(config.tasks.root),
    )


def _end_of(root: str | None) -> str:
    """Return as much of a path or hub id as may tell it from others, and no more: it is written into records."""
    return "/".join([part for part in (root or "").split("/") if part][-PARTS:])


def _data(config: Config) -> Data:
    """Return what counts of the tasks."""
    from instruct_ablate.tasks.collection import read_tasks

    read = read_tasks(config.tasks, Path(config.cache))
    return Data(read.content_hash, read.order)


def _general_hash(config: Config) -> str:
    """Return the content hash of the tasks by which general ability is held."""
    from instruct_ablate.tasks.general import read_general

    return read_general(config.evaluation.general, Path(config.cache)).content_hash


def weights_fingerprint(config: Config) -> str:
    """Return the fingerprint of a cell's weights, as they lie on disk now."""
    from instruct_ablate.model.loading.fingerprint import checkpoint_fingerprint

    return checkpoint_fingerprint(config.model, Path(config.cache))
