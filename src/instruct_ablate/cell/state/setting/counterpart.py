"""The counterpart of a setting: the one that is equal to it in every other key.

What follows from the key that is changed is stated here, and in FOLLOWING. A setting of another kind (an untuned
model, a baseline, predictions made elsewhere) is equal where it has all that such a setting reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from instruct_ablate.cell.state.canonical import DRAWN, READS_INSTRUCTION
from instruct_ablate.cell.state.setting.keys import of_untuned
from instruct_ablate.cell.state.setting.legend import FOLLOWING, SHARE
from instruct_ablate.cell.state.setting.setting import Setting, Value
from instruct_ablate.instruction.catalogue import names
from instruct_ablate.instruction.variant import VARIANTS

TRAINED, UNTUNED, BASELINE, ELSEWHERE = range(4)  # from those that read most keys to those that read fewest
# The tests of a cell change none of its scores; a counterpart need not have them all.
FREE = ("evaluation.instructions",)
NUMBER = "instruction.num_positive"
CODE = "extensions"  # the revision of all code of one's own
TEMPLATES = ("prompt", "prompt.training_template")


class Among:
    """Settings to look for counterparts among, indexed by what must be equal."""

    def __init__(self, settings: Iterable[Setting]) -> None:
        self._by_kind: dict[int, list[Setting]] = {}
        for setting in dict.fromkeys(settings):
            self._by_kind.setdefault(kind(setting), []).append(setting)
        self._index: dict[tuple[tuple[int, int], tuple[str, ...]], dict[object, list[Setting]]] = {}

    def equal(self, target: Setting, kinds: tuple[int, int], keys: tuple[str, ...]) -> tuple[Setting, ...]:
        """Return the settings of the second kind equal to one of the first in all but `keys` and what follows."""
        if (kinds, keys) not in self._index:
            places = self._index.setdefault((kinds, keys), {})
            for setting in self._by_kind.get(kinds[1], []):
                places.setdefault(place(setting, kinds, keys), []).append(setting)
        return tuple(self._index[kinds, keys].get(place(target, kinds, keys), []))


def closest(setting: Setting, found: Sequence[Setting]) -> Setting | None:
    """Choose among settings that are all counterparts the one altered and tested alike; None where that is not one."""
    share = setting.get(SHARE)
    found = [other for other in found if other.get(SHARE) == share] or found
    if len(found) < 2:
        return found[0] if found else None
    same = [other for other in found if other.tests == setting.tests]
    same = same or [other for other in found if _own_tests(other) == _own_tests(setting)]
    return same[0] if len(same) == 1 else None


def alike(setting: Setting, among: Among) -> tuple[Setting, ...]:
    """Return the settings that differ at most in what they are tested with, this one among them."""
    own = kind(setting)
    found = among.equal(setting, (own, own), ())
    return tuple(one for one in found if own >= BASELINE or _same_code(one, setting))


def counterparts(setting: Setting, among: Among, **changed: Value) -> tuple[Setting, ...]:
    """Return all settings that are equal to this one but for `changed`; several where keys follow from it."""
    target, keys = setting.changed(**changed), tuple(sorted(changed))
    for kinds in _kinds(setting, kind(target), keys):
        equal = among.equal(target, kinds, keys)
        found = tuple(one for one in equal if one != setting and _has(one, target, changed))
        if max(kinds) < BASELINE:  # a baseline runs no code of the user's
            same = tuple(one for one in found if _same_code(one, setting))
            found = same or tuple(one for one in found if _code_alike(one, setting))
        if found := tuple(one for one in found if SHARE in changed or _altered_alike(one, setting)):
            return found
    return ()


def _same_code(one: Setting, other: Setting) -> bool:
    return one.revision(CODE) == other.revision(CODE)


def _code_alike(one: Setting, other: Setting) -> bool:
    """Whether two settings differ in no more files of code than one names that the other does not.

    A variant or template that is named by its dotted path brings its file: against a built-in one that is what is
    changed, and no further difference. Under the same names other files are edited ones.
    """
    files, names = ([of(setting) for setting in (one, other)] for of in (_files, _own_names))
    return all(
        len(files[here] - files[there]) <= len(names[here] - names[there]) for here, there in ((0, 1), (1, 0))
    )


def _files(setting: Setting) -> frozenset[str]:
    """Return the hashes of one's own files whose code a setting's cells run."""
    return frozenset(setting.revision(CODE).split("+")) - {""}


def _own_names(setting: Setting) -> frozenset[str]:
    """Return the dotted paths of variants and templates that a setting is trained or tested with."""
    labels = [part for label in (setting.get("instruction"), *setting.tests) for part in _parts(str(label))]
    templates = [name for key in TEMPLATES for name in str(setting.get(key) or "").split("+")]
    names = (name.partition("(")[0] for name in (*labels, *templates))
    return frozenset(name for name in names if "." in name)


def _altered_alike(one: Setting, other: Setting) -> bool:
    """Whether two settings alter the same share of the examples, as far as both alter any."""
    return one.get(SHARE) == other.get(SHARE) or not (_alters(one) and _alters(other))


def _alters(setting: Setting) -> bool:
    """Whether training shows anything but the originals; examples of which there are none are not altered."""
    if setting.untuned:
        return False
    definition, examples = _parts(str(setting.get("instruction")))
    return definition != "original" or (examples != "original" and setting.get(NUMBER) != 0)


def _kinds(setting: Setting, target: int, keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Tell which kinds a counterpart can be of: another one only where that is what is changed.

    Of predictions made elsewhere no more is known than the tasks: a baseline, which reads nothing else, or an untuned
    model stands against them, as they do against it.
    """
    own = kind(setting)
    if "data_budget" in keys:
        yield own, target
    elif "model" not in keys:
        yield own, own
    else:
        yield from ((own, other) for other in range(own, ELSEWHERE + 1))
        if setting.imported:
            yield ELSEWHERE, BASELINE
        if own == ELSEWHERE:
            yield ELSEWHERE, UNTUNED


def _has(other: Setting, target: Setting, changed: Iterable[str]) -> bool:
    """Whether a setting has the changed values; a variant may have several names."""
    keys = set(changed)
    if "instruction" in keys and not other.untuned:
        if shape(other) != shape(target):
            return False
        keys -= {"instruction", NUMBER}
    return all(other.get(key) == target.get(key) for key in keys)


def kind(setting: Setting) -> int:
    """Tell what answered: a trained model, an untuned one, a baseline, or one elsewhere."""
    if not setting.untuned:
        return TRAINED
    return ELSEWHERE if setting.imported else BASELINE if setting.baseline else UNTUNED


def drawn(setting: Setting, tested: str) -> bool:
    """Whether the seed draws what an untuned model is shown in a test, or what a baseline answers.

    The cells of one seed are one draw then, and no more; a record of an earlier version says by its labels alone.
    """
    if setting.baseline and setting.model not in READS_INSTRUCTION:
        return setting.model in DRAWN
    _, examples = _parts(tested)
    known = VARIANTS["examples"].get(examples.partition("(")[0])
    return tested in setting.drawn or (setting.get(NUMBER) != 0 and known is not None and known.chance)


def within(setting: Setting, seed: int, seeds: Sequence[int], done: int) -> bool:
    """Whether a cell is among the first `done` of a plan's seeds; what none of them draws is so from the beginning."""
    if seed in seeds[:done]:
        return True
    return setting.untuned and (seed not in seeds or not any(drawn(setting, one) for one in setting.tests))


def place(setting: Setting, kinds: tuple[int, int], without: Sequence[str] = ()) -> object:
    """Return what must be equal: all that both kinds read, less some keys and what follows from them."""
    level = max(kinds)
    if level == ELSEWHERE and "data_budget" in without:
        level = UNTUNED  # of one model, trained and asked elsewhere: all that is known of it is its own
    heads = tuple(head for key in without for head in FOLLOWING.get(key, ()))
    varied = level == TRAINED  # the variant and its examples, whatever they are called
    free = {*without, *FREE, *(("instruction", NUMBER) if varied else ())}
    known = kinds[0] != kinds[1] and bool(setting.revision("tasks"))  # which says what is tested of the tasks
    values = tuple(
        (key, value)
        for key, value in setting.values
        if key not in free
        and not (heads and key.startswith(heads))
        and (kinds[0] == kinds[1] or _read(key, level))
        and not (level == ELSEWHERE and known and key != "tasks")
    )
    revisions = tuple(
        pair
        for pair in setting.revisions
        if pair[0] not in (*without, CODE) and (level < BASELINE or pair[0] == "tasks")
    )
    return values, revisions, shape(setting) if varied and "instruction" not in without else None


def _read(key: str, level: int) -> bool:
    """Whether settings of a kind have the key, and those of the kinds before it too."""
    if level == UNTUNED:
        return of_untuned(key) and key not in ("data_budget", "instruction")
    if key == "tasks" or key.startswith("tasks."):
        # The order of training tasks, and what is held out or left out of them, is no baseline's.
        return of_untuned(key)
    return level == BASELINE and key in (NUMBER, "evaluation.metrics")


def _own_tests(setting: Setting) -> frozenset[str]:
    """Return the test instructions, the training variant's own as "same"."""
    return frozenset("same" if label == setting.instruction else label for label in setting.tests)


def shape(setting: Setting) -> tuple[str, str, Value]:
    """Return a variant by its parts: definition, examples, and how many; without examples each way is the same."""
    definition, examples = _parts(str(setting.get("instruction")))
    number = setting.get(NUMBER)
    return (definition, "empty", 0) if examples == "empty" or number == 0 else (definition, examples, number)


@cache
def _parts(label: str) -> tuple[str, str]:
    """Take a label apart without loading anybody's code."""
    plain = {"no_definition": ("empty", "original"), "no_examples": ("original", "empty")}
    if label in plain:
        return plain[label]
    if "+" in label:
        definition, _, examples = label.partition("+")
        return definition, examples
    name = label.partition("(")[0]
    alone = name != "original" and name not in names("definition") and name in names("examples")
    return ("original", label) if alone else (label, "original")
