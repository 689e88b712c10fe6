"""Contrasts: the right pairs for training, test, untuned, baseline and decoding claims."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.cell.state.setting.setting import write, write_exactly
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.rows.trials import Trials
from instruct_ablate.report.verdicts.contrasts import UnmatchedError, _pair, contrasts, matches
from instruct_ablate.report.verdicts.verdicts import judge
from instruct_ablate.tasks.sampling.budget import ALL
from tests.report.cells import make_cell, make_scores, place


def block_of(cell: CellRecord, label: str, exact: float) -> CellRecord:
    """Add a score block under another test instruction."""
    return replace(cell, blocks=(*cell.blocks, ScoreBlock(label, "p", make_scores(exact))))


def found(cells, text: str) -> list[tuple[int, float, float]]:
    (clause,) = parse_hypothesis(text).clauses
    try:
        result = sorted(
            contrasts(Trials(cells), clause, "original"), key=lambda contrast: contrast.place.setting.budget
        )
    except UnmatchedError:
        return []
    first = [
        (c.place.setting.budget, next(iter(c.left.values())), next(iter(c.right.values()))) for c in result
    ]
    return [
        (budget, a.tasks[0].score.get("exact_match"), b.tasks[0].score.get("exact_match"))
        for budget, a, b in first
    ]


def test_one_pair_a_budget():
    cells = [make_cell(10.0 * b, data_budget=b) for b in (2, 4)]
    cells += [make_cell(10.0 * b + 1, data_budget=b, instruction="simplified") for b in (2, 4)]
    pairs = found(cells, "simplified equals original on exact_match within 2")
    assert pairs == [(2, 21.0, 20.0), (4, 41.0, 40.0)]


def test_untuned_against_each_trained_setting():
    cells = [make_cell(5.0, data_budget=0), make_cell(60.0), make_cell(70.0, data_budget=20)]
    assert found(cells, "original exceeds untuned on exact_match by 5") == [(8, 60.0, 5.0), (20, 70.0, 5.0)]


def test_training_variants_are_tested_alike():
    original = block_of(make_cell(60.0), "delusive", 50.0)
    delusive = block_of(make_cell(58.0, tested="original", instruction="delusive"), "delusive", 52.0)
    pairs = found([original, delusive], "delusive equals original on exact_match within 2 at training")
    assert pairs == [(8, 58.0, 60.0)]


def test_test_variants_are_trained_alike():
    original = block_of(make_cell(60.0), "delusive", 50.0)
    delusive = block_of(make_cell(58.0, tested="original", instruction="delusive"), "delusive", 52.0)
    pairs = found([original, delusive], "delusive is lower than original on exact_match at test")
    assert pairs == [(8, 50.0, 60.0)]


def test_at_test_a_trained_model_stands_against_itself_not_the_untuned_one():
    untuned = block_of(make_cell(5.0, data_budget=0), "delusive", 4.0)
    trained = block_of(make_cell(60.0), "delusive", 50.0)
    pairs = found([untuned, trained], "delusive is lower than original on exact_match at test")
    assert pairs == [(0, 4.0, 5.0), (8, 50.0, 60.0)]


def pairs_of(cells, text: str) -> list[tuple[str, str, str, str]]:
    """The sides of every contrast: what each was trained with and tested on, left first."""
    (clause,) = parse_hypothesis(text).clauses
    made = []
    for one in contrasts(Trials(cells), clause, "original"):
        sides = (one.opposite, one.place) if one.swapped else (one.place, one.opposite)
        made.append(tuple(f"{s.setting.model} {s.setting.instruction}/{s.tested}" for s in sides))
    return sorted(made)


def test_untuned_models_are_no_variant_of_training_and_baselines_are_no_untuned_model():
    """A claim of variants is of what was trained, whatever else was tested on them, too."""
    untuned = block_of(make_cell(5.0, data_budget=0), "simplified", 4.0)
    guess = make_cell(33.0, model="uniform_guess", data_budget=0)
    cells = [untuned, guess, make_cell(60.0), make_cell(58.0, instruction="simplified")]
    trained = [("tiny simplified/simplified", "tiny original/original")]
    assert pairs_of(cells, "simplified equals original on exact_match within 2") == trained
    start = [("tiny original/original", "tiny /original")]
    assert pairs_of(cells, "original exceeds untuned on exact_match by 5") == start
    assert pairs_of(cells, "untuned is lower than uniform_guess on exact_match") == [
        ("tiny /original", "uniform_guess /original"),
        ("tiny /simplified", "uniform_guess /original"),  # a guess is the same under every test
    ]


def test_models_of_which_one_was_tested_untuned_too_keep_their_sides():
    cells = [make_cell(60.0, model=model) for model in ("small", "large")]
    untuned = [make_cell(5.0, model="small", data_budget=0)]
    (contrast,) = contrasts(
        Trials(cells + untuned),
        parse_hypothesis("small exceeds large on exact_match by 1").clauses[0],
        "original",
    )
    assert (contrast.place.setting.model, contrast.swapped, contrast.seedless) == ("small", False, False)


def test_a_name_that_a_model_has_is_the_models_and_several_keys_are_one_side():
    cells = [
        make_cell(60.0, model=model, method=method)
        for model in ("full", "lora")
        for method in ("full", "lora")
    ]
    pairs = pairs_of(cells, "lora exceeds full on exact_match by 1")
    assert pairs == [("lora original/original", "full original/original")] * 2
    rates = [make_cell(60.0, method=method, lr=lr) for method in ("full", "lora") for lr in (1e-5, 1e-4)]
    (clause,) = parse_hypothesis(
        "method=lora,trainer.learning_rate=1e-4 exceeds method=full,trainer.learning_rate=1e-5 on exact_match"
    ).clauses
    (one,) = contrasts(Trials(rates), clause, "original")
    told = [
        [side.setting.get(key) for key in ("method", "trainer.learning_rate")]
        for side in (one.place, one.opposite)
    ]
    assert told == [["lora", 1e-4], ["full", 1e-5]]
    (clause,) = parse_hypothesis(
        "method=lora,trainer.learning_rate=1e-4 exceeds method=full on exact_match"
    ).clauses
    with pytest.raises(UnmatchedError, match="not values of the same key"):
        contrasts(Trials(rates), clause, "original")


def test_a_baseline_is_a_side():
    cells = [make_cell(60.0), make_cell(33.0, model="uniform_guess", data_budget=0, prompt="plain")]
    assert found(cells, "original exceeds uniform_guess on exact_match by 0") == [(8, 60.0, 33.0)]


def test_imported_answers_are_a_side():
    cells = [make_cell(60.0), make_cell(33.0, model="alpaca_7b", data_budget=0, method="imported")]
    assert found(cells, "original exceeds alpaca_7b on exact_match by 0") == [(8, 60.0, 33.0)]
    assert found(cells, "original exceeds untuned on exact_match by 0") == []


@pytest.mark.parametrize(
    ("text", "other_way"),
    [
        (
            "untuned exceeds uniform_guess on exact_match",
            "uniform_guess is lower than untuned on exact_match",
        ),
        ("untuned exceeds alpaca on exact_match", "alpaca is lower than untuned on exact_match"),
        ("uniform_guess exceeds alpaca on exact_match", "alpaca is lower than uniform_guess on exact_match"),
    ],
)
def test_a_claim_has_the_same_pairs_whichever_side_is_named_first(text: str, other_way: str):
    cells = [
        make_cell(60.0, data_budget=0),
        make_cell(33.0, model="uniform_guess", data_budget=0),
        make_cell(20.0, model="alpaca", data_budget=0, method="imported"),
    ]

    pairs = [{scores for _, *both in found(cells, claim) for scores in both} for claim in (text, other_way)]
    assert len(pairs[0]) == 2
    assert pairs[0] == pairs[1]


@pytest.mark.parametrize("model", ["untuned", "alpaca", "tiny"])
def test_nothing_stands_against_its_own_tests_where_a_variant_names_no_other_cell(model: str):
    """Before: the untuned model on the originals was held against itself, and "original equals untuned" supported."""
    imported = {"model": "alpaca", "method": "imported"} if model == "alpaca" else {}
    one = block_of(make_cell(60.0, data_budget=0, **imported), "delusive", 4.0)
    for text in (f"original equals {model}", f"{model} equals original"):
        assert found([one], f"{text} on exact_match within 2 at test") == []


def test_a_trained_model_named_by_a_value_is_not_held_against_itself():
    both = block_of(make_cell(60.0), "delusive", 50.0)
    assert found([both], "tiny exceeds original on exact_match at test") == [(8, 50.0, 60.0)]


def test_a_baseline_is_not_the_untuned_model():
    cells = [make_cell(60.0), make_cell(33.0, model="uniform_guess", data_budget=0)]
    assert found(cells, "original exceeds untuned on exact_match by 0") == []


def test_decodings_are_sides():
    cells = [make_cell(60.0), make_cell(75.0, decoding="constrained")]
    assert found(cells, "constrained exceeds greedy on exact_match by 10") == [(8, 75.0, 60.0)]


def open_reasons(cells, text: str) -> str:
    (verdict,) = judge(cells, [parse_hypothesis(text)], "original")
    assert verdict.answer == "no data"
    return " ".join(verdict.open)


def test_any_key_can_be_a_side():
    cells = [make_cell(10.0, lr=1e-5), make_cell(30.0, lr=1e-4), make_cell(5.0, lr=1e-5, method="lora")]
    claim = "trainer.learning_rate=1e-4 exceeds trainer.learning_rate=0.00001 on exact_match"
    assert found(cells, claim) == [(8, 30.0, 10.0)]
    assert found(cells, "lora equals full on exact_match within 2") == [(8, 5.0, 10.0)]
    assert found(cells, "method=lora equals method=full on exact_match within 2") == [(8, 5.0, 10.0)]


def test_every_setting_of_the_left_side_meets_its_own_counterpart():
    cells = [make_cell(10.0 * b, lr=1e-5, data_budget=b) for b in (2, 4)]
    cells += [make_cell(10.0 * b + 1, lr=1e-4, data_budget=b) for b in (2, 4, 8)]
    claim = "trainer.learning_rate=1e-4 exceeds trainer.learning_rate=1e-5 on exact_match"
    assert found(cells, claim) == [(2, 21.0, 20.0), (4, 41.0, 40.0)]


def test_an_untuned_left_side_changes_places_and_keeps_its_sign():
    cells = [make_cell(5.0, data_budget=0)]
    cells += [make_cell(60.0, seed=seed) for seed in (0, 1)]
    (clause,) = parse_hypothesis("untuned is lower than original on exact_match by 5").clauses
    (contrast,) = contrasts(Trials(cells), clause, "original")
    assert contrast.swapped
    (verdict,) = judge(cells, [parse_hypothesis("untuned is lower than original on exact_match")], "original")
    assert verdict.findings[0].comparison.mean == -55.0


def test_a_variant_that_was_never_tested_on_is_named():
    trained = make_cell(30.0, instruction="delusive")
    cells = [make_cell(10.0), replace(trained, blocks=(replace(trained.blocks[0], instruction="original"),))]
    claim = "delusive equals original on exact_match within 2"
    assert (
        "delusive was tested on original, never on delusive itself; a claim that ends with 'at training'"
        in (open_reasons(cells, claim))
    )
    assert found(cells, f"{claim} at training") == [(8, 30.0, 10.0)]


def test_a_side_without_a_cell_says_so_and_what_there_is():
    cells = [make_cell(10.0, lr=1e-5), make_cell(30.0, lr=1e-4, instruction="simplified")]
    assert "no done cell is 'lora'; there is instruction: original, simplified" in open_reasons(
        cells, "lora equals full on exact_match within 2"
    )
    assert "no done cell has trainer.learning_rate=1e-2; there is 1e-05, 0.0001" in open_reasons(
        cells, "trainer.learning_rate=1e-2 exceeds trainer.learning_rate=1e-5 on exact_match"
    )
    assert "keys are trainer.learning_rate" in open_reasons(
        cells, "learning_rate=1e-5 exceeds learning_rate=1e-4 on exact_match"
    )
    assert "no untuned model is done" in open_reasons(cells, "original exceeds untuned on exact_match")
    assert "equal in all else" in open_reasons(cells, "simplified equals original on exact_match within 2")
    assert "not values of the same key" in open_reasons(cells, "simplified exceeds full on exact_match")


@pytest.mark.parametrize(
    ("given", "value", "equal"),
    [
        ("1e-4", 0.0001, True), ("0.0001", 1e-4, True), ("8", 8, True), ("8.0", 8, True), ("9", 8, False),
        ("x", 8, False), ("true", True, True), ("1", True, False), ("1.0", True, False), ("none", None, True),
        ("8", "8", True), ("8.0", "8", False), ("a, b", ("a", "b"), True), ("nan", 8, False),
    ],
)  # fmt: skip
def test_values_as_people_write_them(given, value, equal):
    assert matches(given, value) is equal


def contrast_of(cells, text: str):
    (clause,) = parse_hypothesis(text).clauses
    (contrast,) = contrasts(Trials(cells), clause, "original")
    return contrast


def test_the_untuned_side_has_no_seeds_of_its_own():
    cells = [make_cell(5.0, data_budget=0), *(make_cell(60.0, seed=seed) for seed in (0, 1))]
    untuned = contrast_of(cells, "original exceeds untuned on exact_match")
    assert (untuned.seedless, untuned.swapped, untuned.claimed) == (True, False, ("instruction",))
    assert not contrast_of(cells[:2], "original exceeds untuned on exact_match").seedless, "the same seed"
    pair = [make_cell(60.0, seed=1), make_cell(50.0, instruction="simplified")]
    assert not contrast_of(pair, "original exceeds simplified on exact_match").seedless, (
        "trained, of other seeds"
    )


def test_what_the_claim_names_is_noted():
    cells = [make_cell(60.0), make_cell(75.0, decoding="constrained")]
    assert (
        contrast_of(cells, "constrained exceeds greedy on exact_match").claimed
        == ("evaluation.decoding",) * 2
    )
    models = [make_cell(60.0), make_cell(75.0, model="large")]
    assert contrast_of(models, "large exceeds tiny on exact_match").claimed == (), (
        "a place names its model anyway"
    )


def test_several_values_at_once_are_a_side():
    cells = [make_cell(10.0), make_cell(30.0, lr=1e-4, method="lora"), make_cell(20.0, lr=1e-4)]
    claim = (
        "method=lora,trainer.learning_rate=1e-4 exceeds method=full,trainer.learning_rate=1e-4 on exact_match"
    )
    assert found(cells, claim) == [(8, 30.0, 20.0)]


@pytest.mark.parametrize(
    ("given", "value", "same"),
    [
        ("1e-4", 0.0001, True),
        ("8", 8, True),
        ("8.0", 8, True),
        ("9", 8, False),
        ("1", True, False),
        ("true", True, True),
        ("x", 8, False),
        ("x", "x", True),
        ("8", "8", True),
        ("8.0", "8", False),
    ],
)
def test_numbers_are_equal_however_written_and_texts_are_not(given: str, value: object, same: bool):
    assert matches(given, value) is same  # type: ignore[arg-type]


def test_what_there_is_names_what_differs_and_the_models():
    cells = [
        make_cell(10.0, data_budget=budget, instruction=name)
        for budget in (2, 4)
        for name in ("original", "ood")
    ]
    reason = open_reasons(cells, "mine equals original on exact_match within 2")
    assert "no done cell is 'mine'; there is instruction: ood, original; " in reason
    assert "data_budget: 2, 4" in reason
    assert "model: tiny" in reason
    assert "method: full" in reason
    assert "prompt" not in reason
    assert "evaluation.instructions" not in reason


def test_keys_as_the_command_line_has_them():
    cells = [make_cell(10.0), make_cell(30.0, method="lora"), make_cell(50.0, data_budget=20)]
    assert found(cells, "method.name=lora exceeds method.name=full on exact_match") == [(8, 30.0, 10.0)]
    budgets = "data_budget.instances_per_task=20 exceeds data_budget=8 on exact_match"
    assert found(cells, budgets) == [(20, 50.0, 10.0)]
    prompts = [make_cell(10.0, prompt="plain"), make_cell(30.0, prompt="alpaca")]
    claim = "prompt.template=alpaca exceeds prompt.template=plain on exact_match"
    assert found(prompts, claim) == [(8, 30.0, 10.0)]


def test_a_key_and_a_value_that_no_cell_has():
    cells = [make_cell(10.0, lr=1e-5), make_cell(30.0, lr=1e-4)]
    reason = open_reasons(cells, "learning_rate=1 exceeds trainer.learning_rate=1e-5 on exact_match")
    assert reason.endswith("no done cell has 'learning_rate'; keys are trainer.learning_rate")
    reason = open_reasons(cells, "trainer.learning_rate=1 exceeds trainer.learning_rate=1e-5 on exact_match")
    assert "no done cell has trainer.learning_rate=1; there is 1e-05, 0.0001" in reason


def test_sides_of_two_kinds_are_not_held_against_each_other():
    cells = [make_cell(10.0), make_cell(20.0, method="lora"), make_cell(5.0, decoding="rank")]
    reason = open_reasons(cells, "lora equals rank on exact_match within 2")
    assert "'lora' (method) and 'rank' (evaluation.decoding) are not values of the same key" in reason
    reason = open_reasons(cells, "original equals lora on exact_match within 2")
    assert "'original' (instruction) and 'lora' (method) are not values" in reason


def test_what_a_claim_gives_no_place_needs_to_name():
    cells = [make_cell(10.0), make_cell(20.0, method="lora"), make_cell(9.0, instruction="simplified")]
    assert contrast_of(cells, "lora equals full on exact_match within 2").claimed == ("method", "method")
    assert contrast_of(cells, "simplified equals original on exact_match within 2").claimed == (
        "instruction",
        "instruction",
    )
    cells.append(make_cell(5.0, data_budget=0))
    cells.pop(1)
    cells.pop(1)
    assert contrast_of(cells, "original exceeds untuned on exact_match").claimed == ("instruction",)
    two = [make_cell(10.0), make_cell(20.0, model="b")]
    assert contrast_of(two, "b exceeds tiny on exact_match").claimed == ()


def test_only_what_was_trained_on_other_seeds_is_seedless():
    trained = [make_cell(60.0, seed=seed) for seed in (0, 1)]
    one = contrast_of([*trained, make_cell(5.0, data_budget=0)], "original exceeds untuned on exact_match")
    assert (one.seedless, one.swapped) == (True, False)
    other = contrast_of(
        [*trained[:1], make_cell(5.0, data_budget=0)], "original exceeds untuned on exact_match"
    )
    assert other.seedless is False, "both have seed 0"
    pair = contrast_of([*trained, make_cell(1.0, instruction="ood")], "original exceeds ood on exact_match")
    assert pair.seedless is False


def test_without_any_done_cell_there_is_nothing():
    assert open_reasons([make_cell(None)], "a equals b on exact_match within 2").endswith(
        "nothing is done yet"
    )


def test_a_value_is_named_as_tables_write_it():
    settings = [make_cell(1.0, data_budget=ALL, **{"data_budget.tasks": None}).setting]
    assert _pair("data_budget=all", settings) == ("data_budget", ALL)
    assert _pair("data_budget=1000000000", settings) == ("data_budget", ALL)
    assert _pair("data_budget.tasks=all", settings) == ("data_budget.tasks", None)


@pytest.mark.parametrize("claim", ["all exceeds 8", "data_budget=all exceeds data_budget=8"])
def test_a_bare_value_is_named_so_too(claim: str) -> None:
    """Before: "no done cell is 'all'; there is data_budget: 8, all"."""
    cells = [make_cell(60.0 if budget == ALL else 40.0, data_budget=budget) for budget in (8, ALL)]
    (clause,) = parse_hypothesis(f"{claim} on exact_match by 5").clauses
    (found,) = contrasts(Trials(cells), clause, "original")
    assert (found.place.setting.budget, found.opposite.setting.budget) == (ALL, 8)


def test_a_text_that_two_values_have_is_neither() -> None:
    """Before: the first one was taken."""
    settings = [place(**{"prompt.system": value}) for value in (None, "none")]
    with pytest.raises(
        UnmatchedError, match=r"=none may be any of null \(write prompt.system=~\) or 'none' "
    ):
        _pair("prompt.system=none", settings)
    assert _pair("prompt.system=null", settings) == ("prompt.system", None)
    assert _pair("prompt.system='none'", settings) == ("prompt.system", "none")


@pytest.mark.parametrize(
    "there", [(None, "null"), (None, "none", "null"), (None, "~"), (None, "none"), (None, "null", "~")]
)
def test_each_value_can_be_written_as_the_refusal_says(there: tuple[str | None, ...]) -> None:
    """Before: `=null` may be any of null, 'null', however it was written."""
    settings = [place(**{"prompt.system": value}) for value in there]
    for value in there:
        for text in (write(value), "null", "none", "~"):
            try:
                key, found = _pair(f"prompt.system={text}", settings)
            except UnmatchedError as fault:
                said = dict(re.findall(r"(\S+) \(write (\S+?)\)", str(fault)))
                for name, spelling in said.items():
                    (own,) = [one for one in there if write_exactly(one) == name]
                    assert _pair(spelling, settings) == ("prompt.system", own)
            else:
                assert (key, [one for one in there if one == found]) == ("prompt.system", [found])


def test_a_bare_text_that_two_values_of_its_key_have_is_neither() -> None:
    """Before: the first one was taken."""
    cells = [
        make_cell(10.0 * n, **{"prompt.system": value}) for n, value in enumerate((None, "none", "brief"))
    ]
    reason = open_reasons(cells, "brief exceeds none on exact_match")
    assert (
        "'none' may be any of null (write prompt.system=~) or 'none' (write prompt.system='none')" in reason
    )
    claim = "prompt.system=brief exceeds prompt.system={} on exact_match"
    assert found(cells, claim.format("~")) == [(8, 20.0, 0.0)]
    assert found(cells, claim.format("'none'")) == [(8, 20.0, 10.0)]
