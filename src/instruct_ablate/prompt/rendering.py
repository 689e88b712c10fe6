"""Renderings: templates that are data, one text for each part of a prompt, as a set of templates holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from instruct_ablate.errors import UserError, unknown
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import Pieces, shrink
from instruct_ablate.prompt.template import Rendered
from instruct_ablate.tasks.task import Example, Instance

PARTS = ("definition", "input", "output", "explanation")


@dataclass(frozen=True, slots=True)
class Rendering:
    """How each part is written; what a part's `{...}` stands for is put in, and a part that is empty is left out."""

    name: str
    input: str
    output: str  # ends in {output}: what stands before it is the cue that a prompt ends with
    definition: str = "{definition}"
    explanation: str = "Explanation: {explanation}"
    right: str = "Right example:"  # heads examples where wrong ones are shown too
    wrong: str = "Wrong example:"
    between_lines: str = "\n"  # of one example
    between_blocks: str = "\n\n"  # definition, examples, the instance

    def __call__(self, instruction: Instruction, instance: Instance, room: Room) -> Rendered:
        """Render definition, examples and input, then the output's cue; what has no room goes as in `plain`."""
        return shrink(self._write, instruction, instance, room)

    def _write(self, instruction: Instruction, instance: Instance) -> Pieces:
        head = self.right if instruction.negative_examples else ""
        shown = [self._block(head, one, instruction.shows) for one in instruction.positive_examples]
        shown += [self._block(self.wrong, one) for one in instruction.negative_examples]
        told = _fill(self.definition, instruction.definition)
        before = "".join(f"{block}{self.between_blocks}" for block in (told, *shown) if block)
        asked, cue = instance.input.strip(), self.output.removesuffix("{output}").rstrip(" ")
        if not asked:
            return before, "", cue
        start, _, end = self.input.partition("{input}")
        return before + start, asked, f"{end}{self.between_lines}{cue}"

    def _block(self, head: str, example: Example, shows: tuple[str, ...] = ("input", "output")) -> str:
        texts = [_fill(getattr(self, part), getattr(example, part)) for part in shows]
        lines = [head, *texts, _fill(self.explanation, example.explanation)]
        return self.between_lines.join(filter(None, lines))


def _fill(form: str, text: str) -> str:
    """Put a part's text where its form has the braces; nothing of an empty part."""
    start, _, rest = form.partition("{")
    return f"{start}{text.strip()}{rest.partition('}')[2]}" if text.strip() else ""


def make_rendering(given: object, where: str) -> Rendering:
    """Make a rendering of what a set's file holds; `UserError` says what is wrong with it."""
    known = [field.name for field in fields(Rendering)]
    if not isinstance(given, Mapping) or not all(isinstance(text, str) for text in given.values()):
        raise UserError(f"{where}: a rendering is a list of parts and their texts: {', '.join(known)}.")
    for key in given:
        if key not in known:
            raise unknown(f"part of a rendering in {where}:", str(key), known)
    for key in ("name", "input", "output"):
        if not given.get(key):
            raise UserError(f"{where}: a rendering needs {key}, and has {', '.join(given) or 'nothing'}.")
    made = Rendering(**given)
    _check(made, where)
    return made


def _check(made: Rendering, where: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", made.name):
        raise UserError(f"{where}: name {made.name!r}: take letters, digits, _ and -.")
    for part in PARTS:
        form: str = getattr(made, part)
        if form.count(f"{{{part}}}") != 1 or form.count("{") != 1 or form.count("}") != 1:
            raise UserError(
                f"{where}, {made.name}: {part}={form!r} must hold {{{part}}} once, and no other braces."
            )
    if not made.output.endswith("{output}") or not made.output.removesuffix("{output}").strip():
        raise UserError(
            f"{where}, {made.name}: output={made.output!r} must be a cue and {{output}} at its end: a prompt ends with "
            "what stands before it."
        )
