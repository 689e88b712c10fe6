"""The legend: columns are what differs; names with two contents show which; no two settings look the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.cell.state.legend import Legend, budget_text, heading, trained_on
from instruct_ablate.cell.state.setting import make_setting
from tests.report.cells import place


def test_columns_are_the_keys_that_differ():
    assert Legend([place(), place(lr=1e-2)]).keys == ("trainer.learning_rate",)
    assert Legend([place(), place(instruction="simplified", data_budget=2)]).keys == (
        "instruction",
        "data_budget",
    )
    assert Legend([place(), place(data_budget=0)]).keys == (), "the untuned model has no budget to differ in"
    assert Legend([]).keys == ()


def test_what_follows_from_a_name_is_not_said_again():
    files = {"reviews": "text", "other": "body"}
    settings = [place(tasks=name, **{"tasks.definition": text}) for name, text in files.items()]
    assert Legend(settings).keys == ("tasks",)
    further = place(tasks="other", **{"tasks.definition": "another one"})
    assert Legend([*settings, further]).keys == ("tasks", "tasks.definition")


def test_two_contents_of_one_name_show_their_revisions():
    one, other = place(revisions={"tasks": "3f2a" * 16}), place(revisions={"tasks": "3f2b" * 16})
    legend = Legend([one, other])
    assert [legend.text(setting, "tasks") for setting in (one, other)] == ["starter@3f2a", "starter@3f2b"]
    assert Legend([one]).text(one, "tasks") == "starter"
    close = place(revisions={"tasks": "3f2a0" + "0" * 59})
    assert Legend([one, close]).text(close, "tasks") == "starter@3f2a0"


def test_contents_without_a_name_have_a_column():
    one, other = place(revisions={"extensions": "ab" * 32}), place()
    legend = Legend([one, other])
    assert legend.keys == ("extensions",)
    assert (legend.text(one, "extensions"), legend.text(other, "extensions")) == ("@abab", "-")


def test_the_caption_says_what_is_the_same_and_no_default():
    shared = dict(
        Legend(
            [place(**{"trainer.batch_size": 7}), place(instruction="delusive", **{"trainer.batch_size": 7})]
        ).shared
    )
    assert shared["model"] == "tiny"
    assert shared["trainer.batch_size"] == "7"
    assert not {"instruction", "trainer.learning_rate"} & set(shared), (
        "one differs, one is the schema's default"
    )


def test_places_are_named_by_what_differs():
    one, other = place(lr=1e-2, data_budget=2), place(instruction="delusive")
    legend = Legend([one, other])
    assert legend.place(one) == "original, budget 2, trainer.learning_rate 0.01"
    assert legend.place(one, "instruction", always=("model",)) == "tiny, budget 2, trainer.learning_rate 0.01"


def test_untuned_reference_others_and_numbers_by_size():
    settings = [
        place(data_budget=0),
        place(data_budget=2),
        place(data_budget=2, instruction="delusive"),
        place(data_budget=10),
        place(data_budget=2, lr=1e-2),
        place(model="uniform_guess", data_budget=0),
    ]
    legend = Legend(settings)
    assert sorted([*settings[3:], *settings[:3]], key=legend.order) == settings
    first = sorted(settings, key=lambda one: legend.order(one, "delusive"))
    assert first.index(settings[2]) < first.index(settings[1])


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


def test_no_two_settings_look_the_same():
    settings = [
        place(),
        place(lr=1e-2),
        place(tested="delusive"),
        place(instruction="delusive", tested="delusive"),
        place(num_positive=0),
        place(tasks="reviews", revisions={"tasks": "ab" * 32}),
        place(tasks="reviews", revisions={"tasks": "cd" * 32}),
        place(**{"data_budget.tasks": 3}),
        make_setting({"model": "tiny"}, {}),
    ]
    legend = Legend(settings)
    assert len(
        {tuple(legend.text(one, key) for key in (*legend.keys, "instruction")) for one in settings}
    ) == len(settings)
    assert heading("instruction.num_positive") == "examples"
