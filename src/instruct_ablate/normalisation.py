"""How texts are compared: the two rules, each in one place for whoever scores, derives labels or decodes.

This file imports nothing of the package: tasks, decoding and metrics all stand below it.
"""

from __future__ import annotations

import string
from functools import lru_cache

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@lru_cache(maxsize=2**16)
def normalised(text: str) -> str:
    """Lower-case, strip ASCII punctuation and extra white space (Tk-Instruct's rule: SQuAD's, articles kept).

    "+", "-" and "" are equal under it.
    """
    return " ".join(text.lower().translate(_PUNCTUATION).split())


def strict(text: str) -> str:
    """Take off white space at the ends: the rule of Kung & Peng's format analysis and guess."""
    return text.strip()
