"""Words of any script, for ROUGE: rouge-score's tokenizer knows a-z and 0-9 alone.

A text is cut into runs of letters, marks and digits (Unicode's), and where a script writes no spaces between words
(Chinese, Japanese, Thai, Lao, Khmer, Burmese) into single characters. The multilingual track of Tk-Instruct takes a
multilingual model's tokenizer, which an offline machine cannot install. Which tasks are cut so, `tasks/languages`
says.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from instruct_ablate.plural import counted, have
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.tasks.languages import is_other_script

# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han with its extensions.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def segments(text: str) -> tuple[str, ...]:
    """Cut a text into words, or characters where words are not set apart; case and width do not matter."""
    found: list[str] = []
    run = ""
    for letter in unicodedata.normalize("NFKC", text).casefold():
        inside = unicodedata.category(letter)[0] in "LMN"
        single = inside and _UNSPACED.match(letter) is not None
        if run and (single or not inside):
            found.append(run)
            run = ""
        if single:
            found.append(letter)
        elif inside:
            run += letter
    return (*found, run) if run else tuple(found)


def word_notes(prompts: Iterable[Prompt]) -> Iterator[str]:
    """Say which tasks are cut by Unicode's words, and where rouge-score's words find nothing in a reference."""
    given = tuple(prompts)
    rules = {prompt.task: prompt.word_rule for prompt in given}
    others = [task for task, rule in rules.items() if rule == "unicode"]
    if others:
        named = ", ".join((*others[:3], *(["..."] if others[3:] else [])))
        yield (
            f"ROUGE of {len(others)} of {counted(len(rules), 'task')} ({named}) is of Unicode words without "
            "stems, of characters "
            "where a script has no spaces: they are in other letters than Latin ones"
        )
    lost = sum(p.word_rule == "latin" and any(map(is_other_script, p.references)) for p in given)
    if lost:
        yield (
            f"{counted(lost, 'instance')} of tasks in Latin letters {have(lost)} a reference in "
            "other letters: its ROUGE is near 0"
        )
