from __future__ import annotations

import sys

import pytest

from instruct_ablate.constraints import language, make
from instruct_ablate.errors import UserError

SENTENCES = {
    "de": "Die Katze schläft heute auf dem alten Stuhl in der Küche.",
    "en": "The cat sleeps on the old chair in the kitchen today.",
    "es": "El gato duerme hoy en la silla vieja de la cocina.",
    "fr": "Le chat dort aujourd'hui sur la vieille chaise de la cuisine.",
    "it": "Oggi il gatto dorme sulla vecchia sedia della cucina.",
    "ru": "Кошка сегодня спит на старом стуле в кухне.",
    "hi": "बिल्ली आज रसोई में पुरानी कुर्सी पर सो रही है।",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_of_its_language_in_any_case(code):
    pytest.importorskip("py3langid")
    text = SENTENCES[code]
    assert make("language", language=code).met_by(text)
    assert make("language", language=code).met_by(text.upper())
    assert not make("language", language="nl").met_by(text)


def test_what_has_no_letters_is_of_no_language():
    assert language.language_of("12 + 3 = 15 !") == ""
    assert not make("language", language="en").met_by("12 + 3 = 15 !")


def test_a_language_that_the_library_does_not_know():
    pytest.importorskip("py3langid")
    language.check_languages(("de", "en"))
    with pytest.raises(UserError, match="unknown 'xx'"):
        language.check_languages(("de", "xx"))


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch):
    language._identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid", None)
    language.check_languages(())
    with pytest.raises(
        UserError, match=r"^a constraint asks for .* pip install 'instruct-ablate\[languages\]'\.$"
    ):
        language.check_languages(("de",))
