"""Styles: a variant keeps its colour, lines of one colour differ otherwise, and one variant alone has several."""

from __future__ import annotations

from instruct_ablate.report.figures.styles import COLOURS, DASHES, MARKERS, Style, Styles
from tests.report.cells import place

UNTUNED = place(data_budget=0)
VARIANTS = [place(instruction=name) for name in ("original", "simplified", "delusive")]


def test_variants_have_a_colour_each_in_the_order_they_come():
    styles = Styles([UNTUNED, *VARIANTS]).styles(VARIANTS)
    assert styles == tuple(Style(COLOURS[n], MARKERS[n], DASHES[n]) for n in range(3))


def test_a_variant_has_its_colour_whatever_is_drawn_beside_it():
    styles = Styles(VARIANTS)
    assert [one.colour for one in styles.styles(VARIANTS[::-1])] == [COLOURS[2], COLOURS[1], COLOURS[0]]
    assert styles.styles(VARIANTS[1:2])[0].colour == COLOURS[1]


def test_lines_of_one_variant_differ_in_marker_and_dash():
    lines = [place(model=model) for model in ("a", "b", "c", "d")]
    drawn = Styles([*lines, *VARIANTS]).styles(lines)
    assert {one.colour for one in drawn} == {COLOURS[0]}
    assert [(one.marker, one.dash) for one in drawn] == [("o", "-"), ("^", ":"), ("X", "-."), ("s", "--")]


def test_where_there_is_one_variant_its_settings_have_the_colours_and_budgets_do_not_count():
    small, large, lora = place(data_budget=2), place(data_budget=8), place(method="lora")
    drawn = Styles([UNTUNED, small, large, lora]).styles([small, lora, large])
    assert [one.colour for one in drawn] == [COLOURS[0], COLOURS[1], COLOURS[0]]
    assert [one.marker for one in drawn] == [MARKERS[0], MARKERS[1], MARKERS[0]]


def test_what_was_not_trained_has_the_first_colour():
    for settings in (VARIANTS, VARIANTS[:1], []):
        assert Styles(settings).styles([UNTUNED])[0] == Style(COLOURS[0], MARKERS[0], DASHES[0])


def test_more_variants_than_colours_begin_again():
    many = [place(instruction=f"v{number}") for number in range(len(COLOURS) + 2)]
    drawn = Styles(many).styles(many)
    assert drawn[-1].colour == COLOURS[1]
