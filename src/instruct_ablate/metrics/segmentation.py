"""Words of text outside Latin letters, for ROUGE: rouge-score's tokenizer knows a-z and 0-9 alone.

The rule: a reference most of whose letters are not Latin is cut, like what is compared with it, into runs of letters,
marks and digits (Unicode's), and where a script writes no spaces between words (Chinese, Japanese, Thai, Lao, Khmer,
Burmese) into single characters. The multilingual track of Tk-Instruct takes a multilingual model's tokenizer, which
an offline machine cannot install. All other references are cut as ever.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han with its extensions.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@lru_cache(maxsize=2**15)
def is_other_script(text: str) -> bool:
    """Whether most of a text's letters are not Latin."""
    if text.isascii():
        return False
    letters = [letter for letter in text if letter.isalpha()]
    other = sum(not unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    return 2 * other > len(letters)


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
