"""How cells were computed: precision, device, processor, threads, versions, scoring, where these are not all alike.

None of them counts in an identity (`trainer.precision=auto` counts as auto): a row can be a mean over, and a difference
be taken between, cells of two precisions. Which is as it must be, for grids run where there is room; but it is said.
A precision that the configuration gives does count: it is a key like others, and nothing is said of it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from instruct_ablate.cell.state.record.record import CellRecord, Environment, scored_with
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.disk.score_curve import FILE, read_points, scored_by_text
from instruct_ablate.grid.study import Study
from instruct_ablate.plural import counted, named

PRECISION, ON = "precision", " on "
OWN = "instruct-ablate"
NAMED = 3  # so many cells of a way that others have not are named
ADVICE = (
    "numbers of different precision, processor or versions differ as those of different seeds do, or more: give "
    "trainer.precision=fp32 or bf16 in place of auto, which counts in a cell's identity, and run all in one place"
)


RESCORE = (
    "scores by other rules, or by a metric of one's own that was edited since, are other numbers: instruct-ablate "
    "rescore STUDY (with --extensions FILE for one's own) scores all cells alike"
)


def with_model(cells: Iterable[CellRecord]) -> Iterator[tuple[CellRecord, Environment]]:
    """Yield the done cells for which a model was asked here, with what it ran on."""
    for cell in cells:
        made = cell.environment
        if cell.state == "done" and made is not None and made.device != "none":
            yield cell, made


def _kind(made: Environment) -> str:
    return made.device.partition(":")[0]  # which of several equal GPUs does not matter


def _versions(made: Environment) -> str:
    # Those of this package that change numbers are among the keys of an identity.
    return " ".join("-".join(one) for one in made.versions if one[0] != OWN)


def _tails(made: Environment) -> str:
    """Return in whose company the last answers of a batch were written: no early record's in that of others.

    Empty where no batches could have it, by the engine or the model: both are keys of the cell, and told as such.
    """
    if made.device == "none" or made.tails == 1:
        return ""
    return f"{made.tails} batches' together" if made.tails else "apart"


# What `compare` holds two studies against each other by, too; empty: of a record from before it was noted.
ASPECTS: dict[str, Callable[[Environment], str]] = {
    PRECISION: lambda made: made.precision,
    "device": _kind,
    "processor": lambda made: made.processor,
    "threads": lambda made: str(made.threads or ""),
    "last answers of a test's batches": _tails,
    "package versions": _versions,
}


def way(cell: CellRecord) -> str:
    """Return precision and device of a done cell; empty where no model was asked here."""
    return next((f"{made.precision}{ON}{_kind(made)}" for _, made in with_model([cell])), "")


def _by_machine(setting: Setting) -> bool:
    """Whether the machine chose the precision, which then does not count."""
    return setting.get("trainer.precision") in (None, "auto")


def ways_sentence(rows: Iterable[tuple[Setting, Sequence[str]]]) -> str:
    """Say for a caption that rows beside each other were computed in several ways (`way`); empty where it was one."""
    every = [(setting, one) for setting, ways in rows for one in ways]
    devices = {one.rpartition(ON)[2] for _, one in every}
    if len(devices) < 2 and len({one for setting, one in every if _by_machine(setting)}) < 2:
        return ""
    return f"Not all computed alike: {' and '.join(sorted({one for _, one in every}))}"


def apart_lines(cells: Iterable[CellRecord]) -> tuple[str, ...]:
    """Return a line for each aspect in which the done cells of a study are not alike, and what to do; else nothing."""
    every = tuple(cells)
    made = tuple(with_model(every))
    chosen = tuple(one for one in made if _by_machine(one[0].setting))
    lines = [
        f"{name}: {told}"
        for name, of in ASPECTS.items()
        if (told := _told((cell.name, of(env)) for cell, env in (chosen if name == PRECISION else made)))
    ]
    scored = _scoring_lines([cell for cell in every if cell.state == "done"])
    return (*lines, *([ADVICE] if lines else []), *scored, *([RESCORE] if scored else []))


def apart_in(study: Study) -> tuple[str, ...]:
    """Return `apart_lines` of a study's cells, and how their scores while training were made."""
    return (*apart_lines(study.cells), *_point_lines(study))


def scored_by(cell: CellRecord) -> dict[str, str]:
    """Return what a cell's scores were made by, as `scored_with` says it of each of its blocks."""
    found: dict[str, set[str]] = {}
    for block in cell.every_block:
        for name, value in scored_with(block.scoring, block.metrics):
            found.setdefault(name, set()).add(value)
    return {name: " and ".join(sorted(values)) for name, values in found.items()}


def scored_sentence(rows: Iterable[Sequence[tuple[str, str]]]) -> str:
    """Say for a caption what is not the same of the scoring of rows (`scored_by` of their cells); empty for nothing."""
    found: dict[str, set[str]] = {}
    for name, value in (pair for row in rows for pair in row):
        found.setdefault(name, set()).add(value)
    apart = [name for name, values in found.items() if len(values) > 1]
    return f"Not all scored alike: {' and '.join(apart)} (instruct-ablate rescore)" if apart else ""


def _point_lines(study: Study) -> list[str]:
    """Say by what scores while training were made, where not all were made alike, or as their cells' scores are."""
    found, others = [], False
    for cell in study.cells:
        points = read_points(study.folder / cell.name / FILE) if cell.state == "done" else ()
        if points:
            found.append((cell.name, scored_by_text(points)))
            own = scored_by(cell)
            others |= any(
                (not one.scored and own) or any(own.get(name, value) != value for name, value in one.scored)
                for one in points
            )
    told = _told(found) or (f"{found[0][1]} ({counted(len(found), 'cell')})" if others else "")
    return [f"scores while training, which cannot be made again: {told}"] if told else []


def _scoring_lines(cells: Sequence[CellRecord]) -> list[str]:
    """Return a line for each part of scoring that is not the same for all cells."""
    found: dict[str, list[tuple[str, str]]] = {}
    for cell in cells:
        for name, value in scored_by(cell).items():
            found.setdefault(name, []).append((cell.name, value))
    return [f"{name}: {told}" for name, own in found.items() if (told := _told(own))]


def _told(made: Iterable[tuple[str, str]]) -> str:
    """Count the cells by what they have, the most first, and name those of the others; empty where all are alike."""
    found: dict[str, list[str]] = {}
    for cell, own in made:
        if own:  # an early record does not know
            found.setdefault(own, []).append(cell)
    first, *others = sorted(found.items(), key=lambda one: (-len(one[1]), one[0])) or [("", [])]
    if not others:
        return ""
    told = [
        f"{value} ({counted(len(names), 'cell')}: {named(sorted(names), NAMED)})" for value, names in others
    ]
    return "; ".join((f"{first[0]} ({counted(len(first[1]), 'cell')})", *told))
