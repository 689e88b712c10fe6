"""The language of a text, by `py3langid`: a fixed model without chance, so the same text is always of one language."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from instruct_ablate.errors import UserError, meant

PACKAGE = "py3langid"
HOW = "pip install 'instruct-ablate[languages]'"


@cache
def _identifier() -> Any:
    """Return an identifier of our own: what others set in the library's shared one changes no score."""
    try:
        from py3langid import langid
    except ImportError as error:
        raise UserError(
            f"a constraint asks for a language, and {PACKAGE}, which tells languages, is not installed: {HOW}."
        ) from error
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)


def check_languages(codes: tuple[str, ...]) -> None:
    """Refuse to begin without the library, or with a language that it does not know."""
    if codes:
        known = _identifier().labels
        if strange := [code for code in codes if code not in known]:
            raise UserError(f"constraint language: unknown {strange[0]!r}{meant(strange[0], sorted(known))}")


@lru_cache(maxsize=2**14)
def language_of(text: str) -> str:
    """Return the code of a text's language; empty where it has no letters."""
    if not any(map(str.isalpha, text)):
        return ""
    return str(_identifier().classify(text.lower())[0])
