"""Draws requests and rules by a fixed seed; `python -m instruct_ablate.tasks.verifiable.make` writes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from instruct_ablate.constraints import Constraint, make, to_text
from instruct_ablate.disk.whole_files import write_whole
from instruct_ablate.tasks.verifiable import wordings

FILE = Path(__file__).parent / "prompts.json"
ALONE, IN_PAIRS, IN_TRIPLES = 6, 9, 10  # requests of a task with one, two and three rules
TURNS = len(wordings.FORMS)


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its rules in words, and as constraints."""

    input: str
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Requests with rules of the same kinds."""

    name: str
    category: str
    requests: tuple[Request, ...]


def groups() -> Iterator[Group]:
    """Yield the tasks: one rule of each kind, then two and three rules at once."""
    asked = iter(_asked())
    plan: list[tuple[tuple[str, ...], int]] = [((kind,), ALONE) for kind in wordings.CATEGORIES]
    plan += [(pair, IN_PAIRS) for pair in wordings.PAIRS] + [
        (triple, IN_TRIPLES) for triple in wordings.TRIPLES
    ]
    for number, (together, count) in enumerate(plan, 1):
        name = f"verifiable{number:02d}_{'_and_'.join(together)}"
        category = (wordings.CATEGORIES[together[0]], "Two rules", "Three rules")[len(together) - 1]
        rng = Random(name)
        made = tuple(_request(together, at, next(asked), rng) for at in range(count))
        yield Group(name, category, made)


def _asked() -> list[str]:
    """Return what is asked for, each once, forms and topics by turns."""
    pairs = [
        wordings.FORMS[(at + turn) % TURNS].format(topic=topic)
        for turn in range(TURNS)
        for at, topic in enumerate(wordings.TOPICS)
    ]
    Random("requests").shuffle(pairs)
    return pairs


def _request(together: Sequence[str], at: int, asked: str, rng: Random) -> Request:
    """Put rules behind what is asked for; a question takes its place where the answer is to be chosen."""
    if together == ("choice",):
        asked = wordings.QUESTIONS[at % len(wordings.QUESTIONS)]
    drawn = [_constraint(kind, at, asked, rng) for kind in together]
    rules = [_rule(one, at + place, rng) for place, one in enumerate(drawn)]
    return Request(" ".join((asked, *rules)), tuple(drawn))


def _constraint(kind: str, at: int, asked: str, rng: Random) -> Constraint:
    draw = _DRAWN.get(kind)
    if kind == "repeat_prompt":
        return make(kind, text=asked)
    return make(kind, **(draw(at, rng) if draw else {}))


def _rule(one: Constraint, at: int, rng: Random) -> str:
    values = dict(one.values)
    keys = (f"{one.kind} {values.get(name)}" for name in ("relation", "divider", "case", "mark"))
    spoken = next((wordings.RULES[key] for key in keys if key in wordings.RULES), None)
    forms = spoken or wordings.RULES[one.kind]
    return forms[at % len(forms)].format(**{name: _spoken(name, value) for name, value in values.items()})


def _spoken(name: str, value: Any) -> object:
    if name == "language":
        return wordings.LANGUAGES.get(value, value)
    if name == "options":
        return " / ".join(value)
    if name == "words" and isinstance(value, tuple):
        named = [f'"{word}"' for word in value]
        return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return value


Draw = Callable[[int, Random], dict[str, Any]]


def _compared(
    most: Sequence[int], least: Sequence[int], relations: Sequence[str] = ("at least", "less than")
) -> Draw:
    """Draw a relation by turns, and a number that suits it: of `least` for a lower bound, else of `most`."""

    def draw(at: int, rng: Random) -> dict[str, Any]:
        how = relations[at % len(relations)]
        return {"relation": how, "count": rng.choice(least if how == "at least" else most)}

    return draw


def _keyword_count(at: int, rng: Random) -> dict[str, Any]:
    how = ("at least", "exactly")[at % 2]
    return {"word": rng.choice(wordings.KEYWORDS), "relation": how, "count": rng.choice((2, 3, 4))}


def _letter_count(at: int, rng: Random) -> dict[str, Any]:
    how = ("at least", "less than")[at % 2]
    letter, counts = ("qvwzkj", (3, 4, 6)) if how == "at least" else ("aenost", (8, 12, 16))
    return {"letter": rng.choice(letter), "relation": how, "count": rng.choice(counts)}


def _paragraph_start(at: int, rng: Random) -> dict[str, Any]:
    count = 2 + at % 2
    return {"count": count, "place": rng.randint(1, count), "word": rng.choice(wordings.FIRST_WORDS)}


_DRAWN: dict[str, Draw] = {
    "words": _compared((20, 30, 50, 70), (25, 40, 60, 80)),
    "sentences": _compared((3, 4, 5), (3, 4, 5), ("at least", "less than", "exactly")),
    "paragraphs": lambda at, rng: {"count": rng.choice((2, 3)), "divider": ("***", "empty line")[at % 2]},
    "paragraph_start": _paragraph_start,
    "case": lambda at, rng: {"case": ("lower", "upper")[at % 2]},
    "capital_words": _compared((2, 3, 4), (2, 3, 4, 5)),
    "keywords": lambda at, rng: {"words": rng.sample(wordings.KEYWORDS, 2 + at % 2)},
    "forbidden": lambda at, rng: {"words": rng.sample(wordings.FORBIDDEN, 2 + at % 2)},
    "keyword_count": _keyword_count,
    "letter_count": _letter_count,
    "json": lambda at, rng: {"value": "object"},
    "items": lambda at, rng: {
        "mark": ("bullet", "number")[at % 2], "relation": "exactly", "count": rng.choice((2, 3, 4, 5)),
    },
    "sections": lambda at, rng: {"name": rng.choice(wordings.SECTIONS), "count": rng.choice((2, 3))},
    "highlights": lambda at, rng: {"count": rng.choice((2, 3))},
    "placeholders": lambda at, rng: {"count": rng.choice((2, 3, 4))},
    "postscript": lambda at, rng: {"marker": wordings.MARKERS[at % 2]},
    "start_phrase": lambda at, rng: {"phrase": rng.choice(wordings.STARTS)},
    "end_phrase": lambda at, rng: {"phrase": rng.choice(wordings.ENDS)},
    "choice": lambda at, rng: {"options": wordings.OPTIONS},
    "language": lambda at, rng: {"language": tuple(wordings.LANGUAGES)[at % len(wordings.LANGUAGES)]},
}  # fmt: skip


def content() -> str:
    """Return the file, one request a line."""
    tasks = []
    for group in groups():
        lines = [
            json.dumps(
                {
                    "id": f"{group.name.partition('_')[0]}-{number}",
                    "input": one.input,
                    "constraints": [json.loads(to_text(each)) for each in one.constraints],
                },
                ensure_ascii=False,
            )
            for number, one in enumerate(group.requests, 1)
        ]
        head = (
            f'{{"name": {json.dumps(group.name)}, "category": {json.dumps(group.category)}, "instances": [\n'
        )
        tasks.append(head + ",\n".join(lines) + "\n]}")
    return f'{{"definition": {json.dumps(wordings.DEFINITION)}, "tasks": [\n' + ",\n".join(tasks) + "\n]}\n"


if __name__ == "__main__":
    write_whole(FILE, content())
    sys.stdout.write(f"{sum(len(group.requests) for group in groups())} requests written to {FILE}\n")
