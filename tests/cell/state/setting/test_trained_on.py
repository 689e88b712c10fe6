from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.trained_on import answers_by_itself, budget_text, trained_on
from tests.report.cells import place


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"instruction": "delusive"}, "delusive"),
        ({"data_budget": 0}, "(untuned)"),
        ({"data_budget": 0, "model": "uniform_guess"}, "(uniform_guess)"),
        ({"data_budget": 0, "model": "api", "method": "imported"}, "(api)"),
    ],
)
def test_what_was_trained_on(changes, text):
    setting = place(**changes)
    assert trained_on(setting) == text
    assert budget_text(setting) == ("8" if "data_budget" not in changes else "-")


def test_what_others_have_tuned_is_not_called_untuned():
    assert trained_on(replace(place(data_budget=0), tuned=True)) == "(as it is)"


def test_what_means_nothing_to_a_setting_is_a_dash():
    guess = place(model="majority", data_budget=0)
    api = place(model="api", data_budget=0, method="imported")
    legend = Legend([place(), guess, api])
    texts = {key: [legend.text(one, key) for one in (place(), guess, api)] for key in ("model", "method")}
    assert texts == {"model": ["tiny", "-", "api"], "method": ["full", "-", "-"]}
    assert [legend.text(one, "data_budget") for one in (place(), guess, api)] == ["8", "-", "-"]
    assert [legend.text(one, "prompt") for one in (place(), guess, api)] == ["tk_instruct", "-", "-"]
    assert [answers_by_itself(one) for one in (place(), guess, api)] == [False, True, True]
