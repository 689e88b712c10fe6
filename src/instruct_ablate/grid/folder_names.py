"""The readable names of cells' folders: what a cell changes of its choices' defaults stands in them.

Never what differs in the study: that moves when a grid grows. A cell is found by the hash at the end, so one that has
a folder already goes on there, whatever its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.canonical import effective
from instruct_ablate.cell.state.counting import counting
from instruct_ablate.cell.state.folder_name import folder_name
from instruct_ablate.cell.state.former import as_stored
from instruct_ablate.cell.state.setting.keys import GENERAL
from instruct_ablate.cell.state.setting.setting import Setting, plain_value, write
from instruct_ablate.cell.state.store import Records
from instruct_ablate.configuration.composition import WIDE, keys
from instruct_ablate.configuration.parts import OncePerParts
from instruct_ablate.configuration.typed_values import tree
from instruct_ablate.grid.composing.composer import Composer, group_of
from instruct_ablate.grid.composing.overrides import split
from instruct_ablate.grid.declaration import read_declaration
from instruct_ablate.grid.planned_cell import Cell, study_folder
from instruct_ablate.metrics.registry import KEY
from instruct_ablate.schema import Config
from instruct_ablate.tasks.general import general_name

CHOICES = ("prompt", "evaluation", "data", "trainer")  # groups whose choices have no other place in a name
TRAINING = ("data", "trainer")
METHOD = "method"
# In the name already, or too long for one: what a data set of one's own is made of goes by the name of its file.
UNMARKED = frozenset(
    {
        "data_budget.instances_per_task", "data_budget.total", "seed", "method.name", "tasks.reader", "tasks.columns",
        "tasks.definition", "tasks.labels", "tasks.label_spaces", "tasks.train_split", "tasks.test_split",
        KEY,  # a cell is the same whatever it is scored by
    }
)  # fmt: skip
LONGEST = 30  # characters of one mark


@dataclass(frozen=True)
class _There:
    """What a study has: its folders by the hash at their end, and names in use by those and by declared identities."""

    listed: Mapping[str, list[str]]
    names: Mapping[str, str]


def named(cells: Iterable[Cell], composer: Composer, records: Records | None = None) -> list[Cell]:
    """Return the cells with their folders' names: the ones they have, else ones that say what was changed."""
    every, records = list(cells), records or Records()
    there = {folder: _there(folder) for folder in {study_folder(cell.config) for cell in every}}
    told: dict[tuple[str, ...], OncePerParts[tuple[str, ...]]] = {}

    def marks_of(cell: Cell) -> tuple[str, ...]:
        """Tell what is marked once for all seeds: a mark never says which."""
        chosen = tuple(line for line in cell.overrides if group_of(line))
        known = told.setdefault(chosen, OncePerParts("seed"))
        return known.get(cell.config, lambda _: marks(composer, cell))

    return [_named(cell, marks_of, there[study_folder(cell.config)], records) for cell in every]


def _named(cell: Cell, marks_of: Callable[[Cell], tuple[str, ...]], there: _There, records: Records) -> Cell:
    study = study_folder(cell.config)
    identity = as_stored(study, cell.identity, records, there.listed)
    known = there.names.get(identity.hash) or there.names.get(identity.hash[:8])
    if known is not None and records.holds(study / known, identity.hash):
        return replace(cell, identity=replace(identity, name=known))
    name = folder_name(identity.setting, identity.seed, identity.hash, marks_of(cell))
    return replace(cell, identity=replace(identity, name=name))


def _there(study: Path) -> _There:
    """Look at a study once; a declared cell has the name of its folder, where it has one."""
    if not study.is_dir():
        return _There({}, {})
    listed: dict[str, list[str]] = {}
    for path in sorted(study.iterdir()):
        if path.name[-9:-8] == "-":
            listed.setdefault(path.name[-8:], []).append(path.name)
    folders = {short: own[-1] for short, own in listed.items()}
    declared = read_declaration(study).cells
    return _There(
        listed, folders | {cell.identity: folders.get(cell.identity[:8], cell.name) for cell in declared}
    )


def marks(composer: Composer, cell: Cell) -> tuple[str, ...]:
    """Return what a cell's name tells besides: choices other than the default, and values other than the choices'."""
    setting = cell.identity.setting
    # `model=pretrained` does not compose without its path, which is no mark: the model's name tells it
    chosen = tuple(line for line in cell.overrides if group_of(line) or split(line)[1] == "model.path")
    experiment = tuple(line for line in chosen if group_of(line) in WIDE)
    own = composer.choices(composer.deciding(chosen, (*CHOICES, METHOD)))
    usual = composer.choices(experiment)
    groups = () if setting.baseline else CHOICES
    named = [
        str(own[group]) for group in groups if own[group] != usual[group] and not _unread(group, setting)
    ]
    if not setting.untuned and own[METHOD] != setting.get(
        METHOD
    ):  # a choice that trains what another one does
        named.append(str(own[METHOD]))
    return (*named, *_changed(cell.config, composer.compose(chosen)))


def _unread(group: str, setting: Setting) -> bool:
    return setting.untuned and group in TRAINING


def _changed(config: Config, default: Config) -> Sequence[str]:
    values, usual = _read(config), _read(default)
    return [_mark(key, value) for key, value in values.items() if key not in UNMARKED and value != usual[key]]


def _read(config: Config) -> dict[str, Any]:
    """Return what a cell reads of its configuration, by key; the variant has its label."""
    shaped = effective(config)
    shown = ("num_positive", "num_negative", "explanations")
    values = counting(tree(shaped))
    values |= {f"instruction.{key}": vars(shaped.instruction)[key] for key in shown}
    values[GENERAL] = general_name(shaped.evaluation.general)
    return {**values, "evaluation.instructions": sorted(config.evaluation.instructions)}


def _mark(key: str, value: Any) -> str:
    """Write a key and its value, by the key's last part where no other key ends so."""
    leaf = key.rpartition(".")[2]
    name = leaf if sum(other.rpartition(".")[2] == leaf for other in keys()) == 1 else key
    return f"{name}_{write(plain_value(value)).replace(', ', '+')}"[: LONGEST + len(name)]
