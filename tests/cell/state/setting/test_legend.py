"""The legend: columns are what differs; names with two contents show which; no two settings look the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.setting.keys import GENERAL, IMPORTED
from instruct_ablate.cell.state.setting.legend import Legend, content, heading, is_default, rank
from instruct_ablate.cell.state.setting.setting import Setting, Value, make_setting, write
from instruct_ablate.schema import MethodConfig
from tests.report.cells import place
from tests.standins import make_config


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


def test_an_order_that_all_have_is_told_in_words_and_by_its_hash_where_it_tells_rows_apart() -> None:
    """Before: tasks.order=0a1b2c3d4e5f in every caption."""
    one, other = place(**{"tasks.order": "0a1b2c3d4e5f"}), place(**{"tasks.order": "ffffffffffff"})
    legend = Legend([one, replace(one, tuned=True)])
    assert dict(legend.shared)["tasks.order"] == "as read, not by name"
    assert "tasks.order" not in dict(Legend([place()]).shared)
    both = Legend([one, other])
    assert both.keys == ("tasks.order",)
    assert [both.text(setting, "tasks.order") for setting in (one, other)] == ["0a1b2c3d4e5f", "ffffffffffff"]


def test_two_contents_of_one_name_show_their_revisions():
    one, other = place(revisions={"tasks": "3f2a" * 16}), place(revisions={"tasks": "3f2b" * 16})
    legend = Legend([one, other])
    assert [legend.text(setting, "tasks") for setting in (one, other)] == ["starter@3f2a", "starter@3f2b"]
    assert Legend([one]).text(one, "tasks") == "starter"
    close = place(revisions={"tasks": "3f2a0" + "0" * 59})
    assert Legend([one, close]).text(close, "tasks") == "starter@3f2a0"


def test_equal_settings_are_written_each_in_its_own_way():
    settings = [place(lr=1), place(lr=1.0), place(data_budget=0), replace(place(data_budget=0), tuned=True)]
    legend = Legend(settings)
    for _ in range(2):
        assert [legend.text(one, "trainer.learning_rate") for one in settings[:2]] == ["1", "1.0"]
        assert [legend.text(one, "instruction") for one in settings[2:]] == ["(untuned)", "(as it is)"]


def test_contents_without_a_name_have_a_column():
    one, other = place(revisions={"extensions": "ab" * 32}), place()
    legend = Legend([one, other])
    assert legend.keys == ("extensions",)
    assert (legend.text(one, "extensions"), legend.text(other, "extensions")) == ("@abab", "-")


def test_code_that_baselines_and_imports_do_not_read_is_no_change():
    """Beside a template of one's own they had a column `extensions`, as if a file had been edited."""
    own = {"extensions": "ab" * 32}
    guess = place(model="uniform_guess", data_budget=0)
    api = place(model="api", data_budget=0, method=IMPORTED)
    cells = [place(revisions=own), place(data_budget=0, revisions=own)]
    assert "extensions" not in Legend([*cells, guess, api]).keys
    assert "extensions" in Legend([*cells, guess, api, place(seed=1, lr=1e-2)]).keys
    other = place(model="uniform_guess", data_budget=0, revisions=own)
    assert "extensions" in Legend([guess, other]).keys, "two baselines of different code are told apart"


def test_the_caption_names_the_parts_of_a_mixture_and_no_more():
    """Their whole configuration stood there, cut in its midst."""
    parts = (
        "own: {'tasks.reader': 'hf_dataset', 'tasks.definition': 'a: b'}",
        "st: {'tasks.reader': 'starter'}",
    )
    both = [place(**{"tasks.parts": parts}), place(instruction="delusive", **{"tasks.parts": parts})]
    assert dict(Legend(both).shared)["tasks.parts"] == "own, st"
    assert "tasks.parts" not in dict(Legend([place()]).shared)


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


def test_what_was_trained_elsewhere_is_named_apart_from_the_same_model_trained_here():
    settings = (
        place(),
        place(method="imported"),
        place(data_budget=0),
        place(data_budget=0, method="imported"),
    )
    legend = Legend(settings)
    assert legend.keys == ("method",)
    assert [legend.place(one, always=("instruction",)) for one in settings] == [
        "original, full", "original, imported", "(untuned)", "(tiny)",
    ]  # fmt: skip


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


def test_values_sort_none_numbers_texts():
    values = [None, False, True, 2, 10.5, "a", ("a", "b"), "b"]
    shuffled = [values[place] for place in (7, 3, 0, 6, 2, 5, 1, 4)]
    assert sorted(shuffled, key=rank) == values
    assert [rank(value)[0] for value in values] == [0, 1, 1, 1, 1, 2, 2, 2]
    assert rank(("a", "b")) == (2, 0.0, "a, b")
    assert rank(True) == (1, 1.0, "")


def test_headings_that_tables_know():
    keys = (
        "data_budget",
        "data_budget.tasks",
        "instruction",
        "instruction.num_positive",
        "evaluation.decoding",
    )
    assert [heading(key) for key in keys] == [
        "budget",
        "tasks trained on",
        "trained on",
        "examples",
        "decoding",
    ]
    assert heading("trainer.epochs") == "trainer.epochs"


@pytest.mark.parametrize(
    ("key", "value", "default"),
    [
        ("tasks.reader", "mine.py", True),
        ("evaluation.instructions", ("x",), True),
        ("trainer.batch_size", 8, True),
        ("trainer.batch_size", 9, False),
        ("trainer.max_steps", None, True),
        ("tasks.include", (), True),
        ("not.a.key", None, False),
    ],
)
def test_what_need_not_be_told(key, value, default):
    assert is_default(key, value) is default


def test_columns_stand_in_their_order_whatever_the_settings_bring_first():
    one = place()
    other = place(
        tasks="b", instruction="delusive", num_positive=1, data_budget=2, model="b", method="lora", prompt="alpaca",
        decoding="rank", lr=1.0, **{"data_budget.tasks": 3, "data.packing": False},
    )  # fmt: skip
    order = (
        "tasks", "instruction", "instruction.num_positive", "data_budget", "data_budget.tasks", "model", "method",
        "prompt", "evaluation.decoding", "trainer.learning_rate",
    )  # fmt: skip
    assert Legend([one, other]).keys == order
    assert Legend([one]).columns("model") == ("model",)
    assert Legend([one, other]).columns("model", "x")[:3] == ("model", "x", "tasks")


def test_a_name_that_is_no_hash_has_one():
    assert content(place(revisions={"tasks": "ab" * 8}), "tasks") == "ab" * 8
    for text in ("ab" * 7, "ab" * 33, "AB" * 8, "v1"):
        found = content(place(revisions={"tasks": text}), "tasks")
        assert (len(found), found == text) == (64, False)


def test_a_model_with_two_contents_shows_which_in_full_where_it_must():
    ends = ["a" * 62 + end for end in ("00", "01")]
    one, other = (place(revisions={"model": end}) for end in ends)
    assert [Legend([one, other]).text(each, "model") for each in (one, other)] == [
        f"tiny@{end}" for end in ends
    ]


def test_the_settings_that_what_follows_is_told_of():
    settings = [place(instruction=f"noisy({rate})", **{"instruction.rate": rate}) for rate in (0.1, 0.2)]
    assert Legend(settings).keys == ("instruction",)
    lora = [place(method="lora", **{"method.rank": rank}) for rank in (2, 4)]
    assert Legend(lora).keys == ("method.rank",)


def test_rows_are_ordered_by_what_people_look_for():
    settings = [
        place(tasks="a", model="b", data_budget=9),
        place(tasks="b", model="a", method="full", data_budget=9),
        place(tasks="b", model="a", method="full", data_budget=10, lr=1e-5),
        place(tasks="b", model="a", method="full", data_budget=9, lr=1e-2),
        place(tasks="b", model="a", method="lora", data_budget=1),
        place(tasks="b", model="b"),
    ]
    legend = Legend(settings)
    found = [settings.index(one) for one in sorted(settings, key=legend.order)]
    assert found == [0, 2, 1, 3, 4, 5]


def test_sets_of_templates_of_one_name_are_told_apart_where_their_texts_differ():
    one, other = (place(prompt="mine", revisions={"prompt": end * 16}) for end in ("0a1b", "0a2b"))
    legend = Legend([one, other])
    assert legend.keys == ("prompt",)
    assert [legend.text(each, "prompt") for each in (one, other)] == ["mine@0a1b", "mine@0a2b"]
    alone = Legend([one, place(model="majority", data_budget=0)])
    assert "prompt" not in alone.keys
    assert alone.text(one, "prompt") == "mine"


def test_a_key_left_out_at_its_neutral_value_differs_from_another_value():
    """Left out of the hash, it still is what the cell was run with: two cells must not look the same."""
    plain, other = (place(**{"tasks.reader": "starter", **more}) for more in ({}, {"trainer.dropout": 0.1}))
    legend = Legend([plain, other, place(data_budget=0, **{"tasks.reader": "starter"})])
    assert legend.keys == ("trainer.dropout",)
    assert [legend.text(setting, "trainer.dropout") for setting in (plain, other)] == ["0.0", "0.1"]


@pytest.mark.parametrize(
    "changes", [{"layers": "top:1"}, {"dora": True}, {"rank": 64}, {"target": "attention"}]
)
def test_what_adapters_are_like_is_said_beside_full_tuning(changes, tmp_path):
    """Keys left out at their neutral value: full tuning has no adapters, and so none of these values."""
    full, lora = (
        identify(make_config(tmp_path, method=method)).setting
        for method in (MethodConfig("full"), MethodConfig("lora", **changes))
    )
    legend, ((key, value),) = Legend([full, lora]), changes.items()
    assert (f"method.{key}", write(value)) in legend.shared
    other = identify(make_config(tmp_path, method=MethodConfig("lora"))).setting
    beside = Legend([full, lora, other])
    assert [beside.text(one, f"method.{key}") for one in (full, lora)] == ["-", write(value)]
    assert f"method.{key}" in beside.keys


@pytest.mark.parametrize("key", ["tasks", "model", "prompt"])
def test_a_name_whose_content_changed_within_a_study_has_a_column(key):
    """A task file edited between two runs, weights put in the place of others: rows would look the same."""
    one, other = place(revisions={key: "3f2a" * 16}), place(revisions={key: "3f2b" * 16})
    legend = Legend([one, other])
    assert legend.keys == (key,)
    name = one.get(key)
    assert [legend.text(each, key) for each in (one, other)] == [f"{name}@3f2a", f"{name}@3f2b"]
    assert legend.place(one) != legend.place(other)
    assert key not in dict(legend.shared), "nothing of it is the same in all"
    assert Legend([one]).keys == ()


def test_contents_are_told_apart_between_kinds_of_cells_too():
    """An untuned model has no key of training: its tasks may be others than those of the models trained on them."""
    untuned = place(data_budget=0, revisions={"tasks": "3f2a" * 16})
    trained = place(revisions={"tasks": "3f2b" * 16}, **{"tasks.validation": 2})
    legend = Legend([untuned, trained])
    assert legend.keys[:1] == ("tasks",)
    assert [legend.text(one, "tasks") for one in (untuned, trained)] == ["starter@3f2a", "starter@3f2b"]


def test_the_questions_of_general_ability_are_told_apart_behind_their_name():
    """Beside cells without them the name says it; a column of contents would be called as that of scores is."""
    asked, edited = (
        place(**{GENERAL: "everyday"}, revisions={"general": letter * 64}) for letter in ("a", "b")
    )
    without = place(**{GENERAL: ()})
    beside = Legend([asked, without])
    assert beside.keys == (GENERAL,)
    assert [beside.text(one, GENERAL) for one in (asked, without)] == ["everyday", "none"]
    changed = Legend([asked, edited, without])
    assert changed.keys == (GENERAL,)
    assert [changed.text(one, GENERAL) for one in (asked, edited)] == ["everyday@aaaa", "everyday@bbbb"]


def test_an_import_is_written_as_the_cells_of_the_same_tasks():
    """It has none of the keys that follow from the tasks' name, yet its content tells which tasks those are."""
    whole, part, other = ({"tasks": letter * 64} for letter in "abc")
    own = place(revisions=whole, **{"tasks.test_instances": 4})
    more = place(revisions=other, **{"tasks.test_instances": 9})
    values = {
        "tasks": "starter",
        "model": "api",
        "method": IMPORTED,
        "data_budget": 0,
        "instruction.num_positive": 2,
    }
    same, some = (make_setting(values, content) for content in (whole, part))
    beside = Legend([own, same])
    assert [beside.text(one, "tasks") for one in (own, same)] == ["starter", "starter"]
    beside = Legend([own, same, some])
    assert [beside.text(one, "tasks") for one in (own, same, some)] == [
        "starter@aaaa",
        "starter@aaaa",
        "starter@bbbb",
    ]
    beside = Legend([own, more, same])
    assert [beside.text(one, "tasks") for one in (own, more, same)] == ["starter"] * 3
    beside = Legend([own, some])
    assert [beside.text(one, "tasks") for one in (own, some)] == ["starter@aaaa", "starter@bbbb"]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (None, "none", ("prompt.system null", "prompt.system 'none'")),
        ("a, b", ("a", "b"), ("prompt.system 'a, b'", "prompt.system ['a', 'b']")),
        ("-", None, ("prompt.system '-'", "prompt.system none")),
        ("none", "some", ("prompt.system none", "prompt.system some")),
    ],
)
def test_two_values_never_share_a_text(one: Value, other: Value, told: tuple[str, str]) -> None:
    """Before: null and the word none were two rows that looked the same."""
    settings = [place(**{"prompt.system": value}) for value in (one, other)]
    legend = Legend(settings)
    assert tuple(map(legend.place, settings)) == told


def test_contents_of_one_name_are_told_apart_by_where_they_were_read_from() -> None:
    def of(revision: str, source: str, **more: object) -> Setting:
        return replace(make_setting({"tasks": "hf_dataset", **more}, {"tasks": revision}), source=source)

    def texts(*settings: Setting) -> list[str]:
        legend = Legend(settings)
        return [legend.text(one, "tasks") for one in settings]

    reviews, films = of("3f2a" * 16, "data/2024/reviews"), of("91ab" * 16, "data/2024/films")
    assert texts(reviews, films) == ["hf_dataset@3f2a (reviews)", "hf_dataset@91ab (films)"]
    assert texts(reviews) == ["hf_dataset"]
    assert Legend([reviews, films]).place(films) == "hf_dataset@91ab (films)"
    older = of("91ab" * 16, "data/2023/reviews")
    assert texts(reviews, older) == ["hf_dataset@3f2a (2024/reviews)", "hf_dataset@91ab (2023/reviews)"]
    # All rows of a content are called alike: an early record's, and one that was read from a copy of the data.
    early, copy = of("91ab" * 16, "", seed=1), of("91ab" * 16, "zoo/copy", seed=2)
    assert texts(reviews, films, early, copy)[1:] == ["hf_dataset@91ab (films)"] * 3
    assert texts(reviews, early) == ["hf_dataset@3f2a", "hf_dataset@91ab"], "one is not known"
    same = of("91ab" * 16, "data/2024/reviews")
    assert texts(reviews, same) == ["hf_dataset@3f2a", "hf_dataset@91ab"], "edited between the two"
    assert reviews == replace(reviews, source="elsewhere"), "where it lies does not count"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "all"),
        ({"tasks.train_include": ("a*",)}, "all that filters leave"),
        ({"tasks.categories": ("a",)}, "all that filters leave"),
        ({"tasks.leave_out": "own"}, "all that filters leave"),
        ({"tasks.parts": ("own: {'tasks.include': ['a*']}", "st: {}")}, "all that filters leave"),
        ({"tasks.parts": ("own: {'tasks.include': [], 'tasks.mixture': None}", "st: {}")}, "all"),
        ({"tasks.test_include": ("a*",)}, "all"),
        ({"tasks.train_include": ("a*",), "data_budget.tasks": 3}, "3"),
    ],
)
def test_captions_say_all_tasks_only_where_no_filter_leaves_some_out(changes, told):
    """Before: "tasks trained on=all" stood beside "tasks.train_include=a*"."""
    assert dict(Legend([place(**changes)]).shared)["data_budget.tasks"] == told
