"""Counterparts: equal in every other key, or none at all."""

from __future__ import annotations

from typing import Any

import pytest

from instruct_ablate.cell.state.setting.counterpart import Among, alike, closest, counterparts, kind, shape
from instruct_ablate.cell.state.setting.keys import IMPORTED
from instruct_ablate.cell.state.setting.setting import Axes, Setting, setting_of_axes
from tests.report.cells import place


def pick(setting: Setting, *others: Setting, **changed: object) -> Setting | None:
    return closest(setting, counterparts(setting, Among(others), **changed))  # type: ignore[arg-type]


def test_a_variants_reference_has_all_else_alike():
    reference = place(num_positive=0)
    near = [place(num_positive=2), place(num_positive=0, lr=1e-2), place(num_positive=0, data_budget=2)]
    simplified = place(instruction="simplified", num_positive=0)
    assert pick(simplified, *near, instruction="original") is None, "never a near one"
    assert pick(simplified, *near, reference, instruction="original") == reference


def test_what_is_named_otherwise_and_is_the_same_is_found():
    number, word = place(num_positive=0), place(instruction="no_examples")
    assert shape(number) == shape(word) == ("original", "empty", 0)
    simplified = place(instruction="simplified", num_positive=0)
    assert pick(simplified, word, instruction="original") == word
    assert pick(place(instruction="simplified"), word, instruction="original") is None


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("simplified", ("simplified", "original", 2)),
        ("delusive", ("original", "delusive", 2)),
        ("no_definition", ("empty", "original", 2)),
        ("empty+delusive", ("empty", "delusive", 2)),
        ("deleted(0.3)", ("deleted(0.3)", "original", 2)),
        ("partly_correct(0.5)", ("original", "partly_correct(0.5)", 2)),
        ("my.module.variant", ("my.module.variant", "original", 2)),
    ],
)
def test_labels_are_taken_apart_without_loading_anything(label: str, parts: tuple[str, str, int]):
    assert shape(place(instruction=label)) == parts


def test_the_untuned_model_shares_what_it_reads():
    start = place(data_budget=0)
    others = [
        place(data_budget=0, num_positive=0),
        place(data_budget=0, decoding="rank"),
        place(data_budget=0, model="b"),
    ]
    trained = place(instruction="delusive", lr=1e-2, method="lora", data_budget=50)
    assert pick(trained, start, *others, data_budget=0) == start
    assert pick(trained, *others, data_budget=0) is None
    assert pick(trained, place(data_budget=0, revisions={"model": "b"}), data_budget=0) is None, (
        "other weights"
    )


def test_a_baseline_and_what_was_imported_share_the_tasks():
    guess = place(data_budget=0, model="uniform_guess")
    alpaca = place(data_budget=0, model="alpaca", method="imported")
    elsewhere = place(data_budget=0, model="alpaca", method="imported", tasks="other")
    trained = place(method="lora", decoding="rank")
    assert pick(trained, guess, alpaca, model="uniform_guess") == guess
    assert pick(trained, guess, alpaca, elsewhere, model="alpaca") == alpaca
    assert pick(trained, elsewhere, model="alpaca") is None


@pytest.mark.parametrize("key", ["tasks.order", "tasks.validation", "tasks.leave_out", "tasks.weights"])
def test_what_is_said_of_training_tasks_parts_no_baseline_and_no_import_from_a_trained_model(key: str):
    """Super-NaturalInstructions' training tasks stand in an order of their own, which no baseline has."""
    trained, tested = place(**{key: "a"}), place(**{key: "a", "tasks.test_tasks": 4})
    for other in (
        place(data_budget=0, model="uniform_guess"),
        place(data_budget=0, model="alpaca", method="imported"),
        place(data_budget=0),
    ):
        changed = {"data_budget": 0} if other.model == trained.model else {"model": other.model}
        assert pick(trained, other, **changed) == other
        assert pick(tested, other, **changed) is None


def test_what_was_imported_stands_against_its_own_models_untuned_answers():
    """Another model's were its untuned ones where that was imported too: the difference was one of two models."""

    def given(model: str, budget: int, examples: int = 2) -> Setting:
        axes = Axes("t", "original", examples, budget, None, model, IMPORTED, IMPORTED, IMPORTED, seed=0)
        return setting_of_axes(axes, "hash")

    trained, own, other, fewer = given("a", 4), given("a", 0), given("b", 0), given("a", 0, examples=1)
    assert pick(trained, trained, other, fewer, data_budget=0) is None
    assert pick(trained, trained, own, other, fewer, data_budget=0) == own
    assert pick(own, trained, own, other, data_budget=4) == trained
    assert pick(trained, trained, own, other, data_budget=0, model="b") == other


def test_of_imported_predictions_the_tasks_are_all_that_is_known():
    """Cells that ran here know how their tasks were chosen; what both answered is in the content."""

    def given(budget: int, content: str = "hash") -> Setting:
        axes = Axes("t", "original", 2, budget, None, "a", IMPORTED, IMPORTED, IMPORTED, seed=0)
        return setting_of_axes(axes, content)

    chosen = {"tasks": "t", "tasks.reader": "starter", "tasks.test_tasks": 3, "revisions": {"tasks": "hash"}}
    guess, untuned = (place(data_budget=0, model=name, **chosen) for name in ("uniform_guess", "tiny"))
    for budget in (0, 8):
        assert pick(given(budget), guess, untuned, model="uniform_guess") == guess
        assert pick(given(budget, "another"), guess, untuned, model="uniform_guess") is None
    assert pick(given(0), guess, untuned, model="tiny") == untuned
    assert pick(given(8), guess, untuned, model="tiny") is None, "one is trained, the other is not"
    assert pick(guess, given(0), model="a") == pick(untuned, given(0), model="a") == given(0)


def test_another_model_is_one_trained_alike_before_one_that_is_not():
    both = [place(model="b"), place(model="b", data_budget=0)]
    assert pick(place(), *both, model="b") == both[0]
    assert pick(place(), both[1], model="b") == both[1]


def test_keys_that_follow_from_the_changed_one_do_not_count():
    one = place(revisions={"model": "weights a", "tasks": "data a"})
    other = place(model="b", revisions={"model": "weights b", "tasks": "data a"})
    assert pick(one, other, model="b") == other
    full, ranks = place(), [place(method="lora", **{"method.rank": rank}) for rank in (2, 4)]
    assert pick(full, *ranks, method="lora") is None, "nobody can say which"
    assert counterparts(full, Among(ranks), method="lora") == tuple(ranks)
    assert pick(ranks[0], full, method="full") == full


def test_what_a_cell_is_tested_with_changes_none_of_its_scores():
    delusive = place(instruction="delusive", tested="original")
    wide = place(tested="delusive")
    assert pick(delusive, wide, instruction="original") == wide
    assert pick(delusive, place(), wide, instruction="original") == place(), "the one that is tested alike"


@pytest.mark.parametrize(
    ("label", "number", "parts"),
    [
        ("original", 2, ("original", "original", 2)),
        ("original", 0, ("original", "empty", 0)),
        ("original", 1, ("original", "original", 1)),
        ("no_examples", 2, ("original", "empty", 0)),
        ("no_definition", 0, ("empty", "empty", 0)),
        ("empty+empty", 5, ("empty", "empty", 0)),
        ("delusive", 0, ("original", "empty", 0)),
    ],
)
def test_without_examples_each_way_is_the_same(label: str, number: int, parts: tuple[str, str, int]):
    assert shape(place(instruction=label, num_positive=number)) == parts


def test_kinds_from_those_that_read_most_keys():
    settings = [
        place(),
        place(data_budget=0),
        place(data_budget=0, model="majority"),
        place(data_budget=0, model="alpaca", method="imported"),
    ]
    assert [kind(one) for one in settings] == [0, 1, 2, 3]


def test_settings_alike_but_for_their_tests():
    one, other = place(), place(tested="delusive")
    assert alike(one, Among([one, other, place(lr=1.0)])) == (one, other)
    assert alike(place(lr=2.0), Among([one, other])) == ()


def test_examples_are_part_of_the_variant_and_not_of_a_value():
    many, few = place(num_positive=2), place(num_positive=1)
    assert pick(many, few, **{"instruction.num_positive": 1}) == few
    assert pick(place(lr=1.0), few, **{"trainer.learning_rate": place().get("trainer.learning_rate")}) is None


def test_a_baseline_shares_the_number_of_examples_and_the_metrics():
    guesses = [place(model="majority", data_budget=0, num_positive=number) for number in (1, 2)]
    assert pick(place(num_positive=1), *guesses, model="majority") == guesses[0]
    assert pick(place(num_positive=3), *guesses, model="majority") is None
    alpaca = place(data_budget=0, model="alpaca", method="imported", num_positive=1)
    assert pick(place(num_positive=3), alpaca, model="alpaca") == alpaca, "who knows what was shown elsewhere"


def test_tasks_of_another_content_are_no_counterpart():
    guess = place(model="majority", data_budget=0, revisions={"tasks": "data b"})
    assert pick(place(revisions={"tasks": "data a"}), guess, model="majority") is None
    assert pick(place(revisions={"tasks": "data b", "model": "w"}), guess, model="majority") == guess


def test_of_several_the_one_with_the_same_tests_of_its_own():
    one = place(instruction="simplified")
    others = [place(tested="original"), place(tested="delusive")]
    assert pick(one, *others, instruction="original") == others[0], "each tested with its own"
    assert pick(one, others[1], place(tested="empty"), instruction="original") is None


def test_a_baseline_runs_no_code_of_the_users():
    guess = place(model="majority", data_budget=0, revisions={"tasks": "data"})
    assert pick(place(revisions={"tasks": "data", "extensions": "e"}), guess, model="majority") == guess
    untuned = place(data_budget=0, revisions={"extensions": "e"})
    assert pick(place(revisions={"extensions": "e"}), untuned, data_budget=0) == untuned
    assert pick(place(revisions={"extensions": "f"}), untuned, data_budget=0) is None


def own(label: str, code: str, **keys: Any) -> Setting:
    return place(instruction=label, revisions={"extensions": code}, **keys)


def test_a_variant_of_ones_own_by_its_path_stands_against_a_built_in_one_and_another_of_ones_own():
    """Its file is no difference beside the variant: "no done cells equal in all else" stood there."""
    shouted, whispered = own("mine.shouted", "e"), own("theirs.whispered", "f")
    assert pick(shouted, place(), instruction="original") == place()
    assert pick(place(), shouted, instruction="mine.shouted") == shouted
    assert pick(shouted, whispered, instruction="theirs.whispered") == whispered
    assert pick(own("mine.a+mine.b", "e"), own("mine.a", "e"), instruction="mine.a") == own("mine.a", "e")
    untuned = place(data_budget=0)
    assert pick(shouted, untuned, data_budget=0) == untuned


def test_code_that_no_name_explains_is_another_setting():
    """A file that was edited between two cells, or one that is loaded for all that it registers."""
    assert (
        pick(own("mine.shouted", "e"), place(revisions={"extensions": "f"}), instruction="original") is None
    )
    assert pick(own("mine.shouted", "e+f"), place(), instruction="original") is None
    assert pick(own("simplified", "e"), place(), instruction="original") is None
    assert (
        pick(own("mine.shouted", "e"), own("mine.shouted", "f", lr=1e-2), **{"trainer.learning_rate": 1e-2})
        is None
    )


def test_of_several_the_one_with_the_same_code():
    both, plain = place(revisions={"extensions": "e"}), place()
    assert pick(own("mine.shouted", "e"), plain, both, instruction="original") == both


def test_a_template_of_ones_own_stands_against_a_built_in_one():
    base = place(revisions={"extensions": "v"}).changed(prompt="plain")
    mine = place(revisions={"extensions": "v+t"}).changed(prompt="mine.question")
    assert pick(base, mine, prompt="mine.question") == mine
    assert pick(mine, base, prompt="plain") == base
    edited = place(revisions={"extensions": "w+t"}).changed(prompt="mine.question")
    assert pick(edited, base, prompt="plain") is None, "another file was edited, too"
