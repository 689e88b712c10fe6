"""Contrasts: the pairs of trials in a study that a claim is about, one for each model, budget and so on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from instruct_ablate.cell.state.setting.counterpart import UNTUNED, kind
from instruct_ablate.cell.state.setting.keys import GROUPS
from instruct_ablate.cell.state.setting.setting import Setting, Value, write, write_exactly
from instruct_ablate.hypotheses import Clause
from instruct_ablate.report.rows.trials import Trial, Trials
from instruct_ablate.report.statistics.paired import Side


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two sides and the place they share; `seedless`: the right side has no seeds of its own.

    `claimed` are the keys that the claim itself gives, which no place needs to name.
    `swapped`: what the claim has on its left has no seeds; left and right have changed places.
    """

    place: Trial
    opposite: Trial  # whose seeds the right side has
    left: Side
    right: Side
    seedless: bool
    claimed: tuple[str, ...]
    swapped: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """A side that is an instruction variant."""

    label: str


@dataclass(frozen=True, slots=True)
class Untrained:
    """A side that is the model before training."""


@dataclass(frozen=True, slots=True)
class Values:
    """A side that is one or several values of a setting."""

    pairs: tuple[tuple[str, Value], ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Name the keys."""
        return tuple(key for key, _ in self.pairs)


Meaning = Variant | Untrained | Values


class UnmatchedError(Exception):
    """A side that no cell is on; says what there is."""


def contrasts(trials: Trials, clause: Clause, reference: str) -> tuple[Contrast, ...]:
    """Find every pair of trials that a clause speaks of; `UnmatchedError` where a side is on no cell.

    Whichever side is named first: where nothing stands against the left one (a baseline has no untuned model), the
    right one is asked for what stands against it. An instruction variant is of what the other side names, which is
    not asked for one: it would stand against its own tests.
    """
    settings = tuple({trial.setting: None for trial in trials.scores})
    sides = meanings(clause, settings, {trial.tested for trial in trials.scores})
    swapped = _without_seeds(sides[0], settings) and not _without_seeds(sides[1], settings)
    ways = (swapped,) if any(isinstance(side, Variant) for side in sides) else (swapped, not swapped)
    either = (_pairs(trials, clause, reference, sides, way) for way in ways)
    return next(filter(None, either), ())


def _pairs(
    trials: Trials, clause: Clause, reference: str, sides: tuple[Meaning, Meaning], swapped: bool
) -> tuple[Contrast, ...]:
    """Return what stands against each trial of the left side, or with `swapped` of the right one."""
    left, right = reversed(sides) if swapped else sides
    claimed = (*_claimed(left), *_claimed(right))
    found = []
    for trial in trials.scores:
        if not _plays(trial, left, clause, reference):
            continue
        for other in _opposites(trial, right, clause, (trials, reference)):
            if other == trial:
                continue
            ours, theirs = trials.scores[trial], trials.scores[other]
            seedless = trials.stands_for_all(other) and not set(ours) <= set(theirs)
            found.append(Contrast(trial, other, ours, theirs, seedless, claimed, swapped))
    return tuple(found)


def _claimed(side: Meaning) -> tuple[str, ...]:
    if isinstance(side, Variant):
        return ("instruction",)
    return tuple(key for key in side.keys if key != "model") if isinstance(side, Values) else ()


def _without_seeds(side: Meaning, settings: Iterable[Setting]) -> bool:
    if isinstance(side, Values):
        return all(setting.untuned for setting in settings if _has(setting, side))
    return isinstance(side, Untrained)


def _has(setting: Setting, side: Values) -> bool:
    return all(key in setting and setting.get(key) == value for key, value in side.pairs)


def _plays(trial: Trial, side: Meaning, clause: Clause, reference: str) -> bool:
    """Whether a trial is what the left side names."""
    setting = trial.setting
    if isinstance(side, Values):
        return _has(setting, side)
    if isinstance(side, Untrained):
        return kind(setting) == UNTUNED
    if setting.untuned:
        return clause.where == "test" and trial.tested == side.label
    if clause.where == "test":
        return setting.instruction == reference and trial.tested == side.label
    tested = reference if clause.where == "training" else side.label
    return setting.instruction == side.label and trial.tested == tested


def _opposites(trial: Trial, side: Meaning, clause: Clause, study: tuple[Trials, str]) -> Iterator[Trial]:
    """Yield the trials on the right side that differ from `trial` in what the clause names alone."""
    trials, reference = study
    if isinstance(side, Values):
        yield from trials.others(trial, dict(side.pairs), reference)
        return
    if isinstance(side, Untrained):
        other = trials.untuned(trial, reference)
    elif clause.where == "test":
        other = trials.test(trial, side.label)
    else:
        tested = trial.tested if clause.where == "training" else side.label
        other = trials.variant(trial, side.label, tested)
    if other is not None:
        yield other


def meanings(clause: Clause, settings: Iterable[Setting], tested: set[str]) -> tuple[Meaning, Meaning]:
    """Return what both sides of a clause mean in a study; a bare value is one of the key that both have."""
    every = tuple(settings)
    if not every:
        raise UnmatchedError("nothing is done yet")
    left, right = (_readings(side, every, tested) for side in (clause.left, clause.right))
    for one in left:
        for other in right:
            if _together(one, other):
                _check_single(clause.left, one, left, every)
                _check_single(clause.right, other, right, every)
                return one, other
    raise UnmatchedError(
        f"{clause.left!r} ({_of(left)}) and {clause.right!r} ({_of(right)}) are not values of the same key"
    )


def _check_single(
    side: str, meaning: Meaning, readings: Iterable[Meaning], settings: Iterable[Setting]
) -> None:
    """Refuse a bare value that is two values of the key it is taken for."""
    if not isinstance(meaning, Values):
        return
    of_key = [one.pairs[0] for one in readings if isinstance(one, Values) and one.keys == meaning.keys]
    if len(of_key) > 1:
        key = of_key[0][0]
        there = {setting.get(key): None for setting in settings if key in setting}
        values = [value for _, value in of_key]
        raise UnmatchedError(f"{side!r} may be any of {_told_apart(values, there, key)}")


def _together(one: Meaning, other: Meaning) -> bool:
    """Whether two readings can be held against each other: variants, values of the same keys, or what is a model."""
    if isinstance(one, Values) and isinstance(other, Values):
        return set(one.keys) == set(other.keys) or "model" in (*one.keys, *other.keys)
    if isinstance(one, Variant) or isinstance(other, Variant):
        values = next((side for side in (one, other) if isinstance(side, Values)), None)
        return values is None or values.keys == ("model",)
    return True


def _of(sides: Iterable[Meaning]) -> str:
    keys = [", ".join(side.keys) if isinstance(side, Values) else "instruction" for side in sides]
    return " or ".join(dict.fromkeys(keys))


def _readings(side: str, settings: tuple[Setting, ...], tested: set[str]) -> list[Meaning]:
    """Return what one side may mean, the likeliest first; `UnmatchedError` where no cell is on it."""
    if "=" in side:
        return [Values(tuple(_pair(part, settings) for part in side.split(",")))]
    if side == "untuned":
        if not any(kind(setting) == UNTUNED for setting in settings):
            raise UnmatchedError("no untuned model is done")
        return [Untrained()]
    found: list[Meaning] = []
    if side in tested or any(setting.instruction == side for setting in settings):
        found.append(Variant(side))
    pairs = {
        (key, value): None
        for setting in settings
        for key, value in setting.values
        if key not in ("instruction", "evaluation.instructions") and matches(side, value, key)
    }
    found += [Values((pair,)) for pair in sorted(pairs, key=lambda pair: (pair[0] != "model", pair[0]))]
    if not found:
        raise UnmatchedError(f"no done cell is {side!r}; there is {_there(settings, tested)}")
    return found


def _pair(text: str, settings: Iterable[Setting]) -> tuple[str, Value]:
    """Read `key=value` as a value that some cell has."""
    typed, _, given = (part.strip() for part in text.partition("="))
    key = GROUPS.get(typed, typed)  # a claim may name a key as the command line does: prompt.template
    there = {setting.get(key): None for setting in settings if key in setting}
    if not there:
        known = sorted({key for setting in settings for key in setting.keys})
        near = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]] or known
        raise UnmatchedError(f"no done cell has {typed!r}; keys are {', '.join(near)}")
    found = [value for value in there if _names(given, value, key)]
    if len(found) > 1:
        raise UnmatchedError(f"{key}={given} may be any of {_told_apart(found, there, key)}")
    if found:
        return key, found[0]
    raise UnmatchedError(f"no done cell has {key}={given}; there is {', '.join(_texts(there, key))}")


def _names(given: str, value: Value, key: str) -> bool:
    return matches(given, value, key) or given in _spellings(value, key)


def _spellings(value: Value, key: str) -> tuple[str, ...]:
    """Return how a value may be written behind its key: as tables do, as a configuration does, null also as YAML."""
    return (write(value, key), write_exactly(value), *(("~",) if value is None else ()))


def _told_apart(found: Iterable[Value], there: Iterable[Value], key: str) -> str:
    """Name values that share a text, and how to write each so that it is no other value of its key."""
    every = list(there)
    told = []
    for value in found:
        own = (
            text
            for text in reversed(_spellings(value, key))
            if sum(_names(text, other, key) for other in every) == 1
        )
        told.append(f"{write_exactly(value)} (write {key}={next(own, write_exactly(value))})")
    return " or ".join(told)


def matches(given: str, value: Value, key: str = "") -> bool:
    """Whether a text is how a person writes a key's value: 1e-4 and 0.0001 are one, and so are `all` and its number."""
    if given in (write(value, key), write(value)):
        return True
    # To Python True is a number, and equals 1.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return float(given) == float(value)
    except ValueError:
        return False


def _there(settings: tuple[Setting, ...], tested: set[str]) -> str:
    """Name the values that differ among the cells, by key."""
    values: Mapping[str, dict[Value, None]] = {
        key: {setting.get(key): None for setting in settings if key in setting}
        for key in dict.fromkeys(key for setting in settings for key in setting.keys)
    }
    variants = sorted({setting.instruction for setting in settings if setting.instruction} | tested)
    parts = [f"instruction: {', '.join(variants)}"] if variants else []
    for key, there in values.items():
        if key not in ("instruction", "evaluation.instructions") and (
            len(there) > 1 or key in ("model", "method")
        ):
            parts.append(f"{key}: {', '.join(_texts(there, key))}")
    return "; ".join(parts)


def _texts(values: Iterable[Value], key: str) -> list[str]:
    numbers = (int, float)
    by_size = sorted(
        values, key=lambda one: (float(one) if isinstance(one, numbers) else math.inf, write(one, key))
    )
    return [write(value, key) for value in by_size]
