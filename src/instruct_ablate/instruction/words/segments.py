"""Definitions cut into segments: sentences, and clauses before a new command or a new "you ...".

Every character of a definition is in one segment, so that what is left out is left out exactly.
"""

from __future__ import annotations

import re

# Verbs that a command of a task definition begins with.
VERBS = (
    r"(?:add|answer|arrange|ask|assign|calculate|categori[sz]e|change|check|choose|choosing|classify|combine|come up"
    r"|compare|complete|compose|compute|concatenate|conclude|construct|convert|copy|correct|count|craft|create|decide"
    r"|deduce|derive|describe|design|detect|determine|develop|discover|distinguish|edit|evaluate|explain|extract|fill"
    r"|figure|filter|find|form|formulate|gather|generate|give|guess|identify|imagine|indicate|infer|insert|interchange"
    r"|judge|label|list|make|mark|match|merge|modify|name|output|paraphrase|perform|pick|point|predict|print|produce"
    r"|provide|put|rank|rate|read|recogni[sz]e|remove|reorder|rephrase|replace|reply|respond|return|reverse|rewrite|say"
    r"|select|shorten|simplify|solve|sort|specify|split|state|substitute|suggest|summari[sz]e|swap|tell|transform"
    r"|translate|turn|use|verify|write)"
)
_YOU = (
    r"(?:you(?:'re|'ll)?|we)\b|the (?:task|goal|job) is"
    r"|your (?:task|job|goal|objective|aim|work|answer|response|output)s?\b"
)
_CUT = re.compile(
    r"(?<=[.!?;])['\"”’)\]]*(?:\s+|(?=[A-Z][a-z]))"
    r"|\s*\n+\s*(?![\s.,;:!?)]|['\"][\s.,;:!?)])"
    rf"|(?<=,)\s+(?=(?:then |so |but )?(?:{_YOU}|(?:please )?{VERBS}\b))"
    rf"|(?<=\band)\s+(?=(?:then )?(?:{_YOU}))"
)
_ABBREVIATED = re.compile(r"(?:\be\.g|\bi\.e|\betc|\bvs|\bDr|\bMrs?|(?:^|[\s(])[A-Za-z]|^\d+)\.$")
_OPENING = re.compile(
    r"(?:In|For) this (?:sub)?task,?|(?:And |Then )?At the (?:end|beginning|start),?"
    r"|In (?:other words|short|general),?",
    re.IGNORECASE,
)
# What cannot stand without the sentence before it.
_ORPHAN = re.compile(
    r"\W*(?:(?:otherwise|else|if not)\b|(?:that|which) (?:is|are|was|were|has|have|can|will)\b)",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\W*(?:also,? )?(?:if|when|in case|otherwise|for|unless|whenever)\b", re.IGNORECASE)


def segments(definition: str) -> list[str]:
    """Cut a definition; what is too short to stand alone, quoted or in brackets stays together."""
    made, start = [], 0
    for found in _CUT.finditer(definition):
        if _ends(definition[start : found.start()], definition[found.end() : found.end() + 1]):
            made.append(definition[start : found.end()])
            start = found.end()
    rest = definition[start:]
    if rest.strip() or not made:
        return [*made, rest]
    return [*made[:-1], made[-1] + rest]


def _ends(before: str, following: str) -> bool:
    """Tell whether a segment may end behind `before`."""
    text = before.strip()
    if len(text.split()) < 2 or _OPENING.fullmatch(text):
        return False
    # Cut inside of brackets or a quotation, what is left out would leave them open.
    if before.count("(") > before.count(")") or before.count('"') % 2:
        return False
    if _ABBREVIATED.search(text) and not (text.endswith("etc.") and following.isupper()):
        return False
    return not (text.endswith((",", " and")) and _CONDITION.match(text))


def joined(kept: list[tuple[bool, str]]) -> str:
    """Write the kept segments of (kept, text) pairs as sentences again, without the joints to those left out.

    A sentence that hangs on one that is left out ("Otherwise, ...") goes with it.
    """
    made: list[str] = []
    kept = _standing(kept)
    for at, (keep, text) in enumerate(kept):
        if not keep or not re.search(r"\w", text):
            continue
        part = text
        if at and not kept[at - 1][0]:
            part = re.sub(r"^\W*(?:(?:and|then|so|but)\b,? *)+", "", part, flags=re.IGNORECASE)
            part = part[:1].upper() + part[1:] if _closed(made) else part
        if at + 1 < len(kept) and not kept[at + 1][0]:
            part = re.sub(r"(?:[,;:]|,?\s+and)\s*$", ".", part.rstrip()) + " "
        made.append(part)
    return re.sub(r"[ \t]+", " ", "".join(made)).strip()


def _standing(kept: list[tuple[bool, str]]) -> list[tuple[bool, str]]:
    """Leave out what hangs on a segment that is left out."""
    standing: list[tuple[bool, str]] = []
    for keep, text in kept:
        hangs = bool(standing) and not standing[-1][0] and _ORPHAN.match(text)
        standing.append((keep and not hangs, text))
    return standing


def _closed(made: list[str]) -> bool:
    return not made or made[-1].rstrip().endswith((".", "!", "?", ":"))
