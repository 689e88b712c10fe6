"""The catalogue: every built-in variant is registered on import of this module, and found by name here."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.configuration.extensions import load_function
from instruct_ablate.errors import unknown
from instruct_ablate.instruction import content, definitions, delusive, examples, noise, sentences
from instruct_ablate.instruction.variant import FIELDS, VARIANTS, Slot, Variant

MODULES = (definitions, noise, content, delusive, examples, sentences)


def names(slot: Slot) -> tuple[str, ...]:
    """Return the names of all registered variants of the definition or of the examples."""
    return tuple(VARIANTS[slot])


def find(slot: Slot, name: str) -> Variant:
    """Return the variant of that name, or the user's own function by its dotted path."""
    if name in VARIANTS[slot]:
        return VARIANTS[slot][name]
    if "." not in name:
        raise unknown(f"variant of instruction.{slot}", name, names(slot))
    function = load_function(name, f"instruction.{slot}")
    registered = (known for known in VARIANTS[slot].values() if known.function is function)
    return replace(next(registered, Variant(name, slot, function, (FIELDS[slot],))), name=name)
