"""Answers that keep to constraints, put together by rule: the proof that a request can be met at all."""

from __future__ import annotations

import json
from typing import Any

from instruct_ablate.constraints import Constraint

FILLER = "mild blue dusk rests upon hills"  # no letter twice too often, no forbidden word, no capital
FOREIGN = {
    "en": "the cat sleeps on the old chair in the kitchen today",
    "de": "die Katze schläft heute ruhig auf dem alten Stuhl in der Küche",
    "fr": "le chat dort ce soir sur la vieille chaise de la cuisine",
    "es": "el gato duerme esta noche en la silla vieja de la cocina",
    "it": "il gatto dorme questa sera sulla vecchia sedia della cucina",
    "nl": "de kat slaapt vanavond rustig op de oude stoel in de keuken",
    "ru": "кошка сегодня спокойно спит на старом стуле в кухне",
}
FEW = ("at most", "less than")


def satisfying(constraints: tuple[Constraint, ...]) -> str:
    """Return an answer that keeps to all of them."""
    asked: dict[str, dict[str, Any]] = {one.kind: dict(one.values) for one in constraints}
    if "choice" in asked:
        return str(asked["choice"]["options"][0])
    base = FOREIGN[asked["language"]["language"]] if "language" in asked else FILLER
    words = _words(asked, base)
    if "json" in asked:
        return json.dumps({"text": words})
    body = _body(asked, words)
    if "two_answers" in asked:
        body = f"{body}\n******\n{body} {base}"
    text = "\n".join(filter(None, [*_before(asked), body, *_after(asked)]))
    if "case" in asked:
        text = text.upper() if asked["case"]["case"] == "upper" else text.lower()
    return f'"{text}"' if "quoted" in asked else text


def _words(asked: dict[str, dict[str, Any]], base: str) -> str:
    words = [*asked.get("keywords", {}).get("words", ())]
    for kind, key in (("keyword_count", "word"), ("letter_count", "letter")):
        if kind in asked and asked[kind]["relation"] not in FEW:
            words += [asked[kind][key]] * asked[kind]["count"]
    if "capital_words" in asked and asked["capital_words"]["relation"] not in FEW:
        words += ["DUSK"] * asked["capital_words"]["count"]
    if "highlights" in asked:
        words += ["*dusk*"] * asked["highlights"]["count"]
    if "placeholders" in asked:
        words += ["[dusk]"] * asked["placeholders"]["count"]
    number = asked.get("words", {"relation": "less than", "count": 0})
    while number["relation"] not in FEW and len(words) < number["count"]:
        words += base.split()
    return " ".join([base, *words] if len(words) < 9 or "language" in asked else words)


def _body(asked: dict[str, dict[str, Any]], words: str) -> str:
    if "sentences" in asked:
        wanted = asked["sentences"]
        number = 1 if wanted["relation"] in FEW else wanted["count"]
        return " ".join([f"{words}."] + [f"{words.split(maxsplit=1)[0]} {words.split()[1]}."] * (number - 1))
    if "items" in asked:
        marks = ("*",) * 99 if asked["items"]["mark"] == "bullet" else tuple(f"{n}." for n in range(1, 99))
        return "\n".join(f"{mark} {words}" for mark in marks[: asked["items"]["count"]])
    if "sections" in asked:
        wanted = asked["sections"]
        return "\n".join(f"{wanted['name']} {n}\n{words}" for n in range(1, wanted["count"] + 1))
    if "paragraphs" in asked:
        divider = "\n***\n" if asked["paragraphs"]["divider"] == "***" else "\n\n"
        return divider.join([words] * asked["paragraphs"]["count"])
    if "paragraph_start" in asked:
        wanted = asked["paragraph_start"]
        heads = [wanted["word"] + " " if n == wanted["place"] else "" for n in range(1, wanted["count"] + 1)]
        return "\n\n".join(f"{head}{words}" for head in heads)
    return words


def _before(asked: dict[str, dict[str, Any]]) -> list[str]:
    lines = [asked["repeat_prompt"]["text"]] if "repeat_prompt" in asked else []
    lines += [asked["start_phrase"]["phrase"]] if "start_phrase" in asked else []
    # Of a paragraph's first word the title is a part, where it stands above the first paragraph.
    first = asked.get("paragraph_start", {}).get("place") == 1
    return lines + (["<<dusk>>"] if "title" in asked and not first else [])


def _after(asked: dict[str, dict[str, Any]]) -> list[str]:
    first = asked.get("paragraph_start", {}).get("place") == 1
    lines = ["<<dusk>>"] if "title" in asked and first else []
    lines += [f"{asked['postscript']['marker']} dusk"] if "postscript" in asked else []
    return lines + ([asked["end_phrase"]["phrase"]] if "end_phrase" in asked else [])
