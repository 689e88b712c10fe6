"""Contamination: said once for a study, by model and collection."""

from __future__ import annotations

from instruct_ablate.cell.state.counting import counting
from instruct_ablate.cell.state.setting.contamination import parts_of, readers_tested, seen, seen_line
from instruct_ablate.cell.state.setting.setting import Axes, Setting, plain_value, setting_of_axes


def setting(model: str, reader: str = "natural_instructions") -> Setting:
    return Setting((("model", model), ("tasks.reader", reader)))


def test_a_line_names_models_and_collections() -> None:
    given = [setting(name) for name in ("flan_t5_base", "t5_xl_lm_adapt", "qwen3_0_6b_base", "flan_t5_base")]
    assert [seen(one) for one in given] == ["yes", "no", "?", "yes"]
    assert seen_line(given) == (
        "contamination: flan_t5_base has probably seen Super-NI; "
        "qwen3_0_6b_base may have seen Super-NI (docs/models.md)"
    )


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert seen(setting("tiny_llama")) == "-"
    assert seen_line([setting("t5_xl_lm_adapt"), setting("flan_t5_base", "starter")]) is None


def test_a_model_by_hub_id_is_the_preset_of_that_id() -> None:
    """Settings have the last part of a hub id or folder alone."""
    assert seen(setting("flan-t5-base")) == "yes"


def test_of_a_mixture_the_parts_that_are_tested_count() -> None:
    parts = plain_value({
        "ni": {"tasks.reader": "natural_instructions", "tasks.test_tasks": 2},
        "own": {"tasks.reader": "hf_dataset", "tasks.definition": "x"},
        "t0": {"tasks.reader": "p3"},
    })  # fmt: skip

    def mixed(model: str, *tested: str) -> Setting:
        values = (("model", model), ("tasks.parts", parts), ("tasks.reader", "mixture"))
        return Setting((*values, ("tasks.test_parts", tested)) if tested else values)

    assert [seen(mixed(name)) for name in ("t0_3b", "tk_instruct_3b", "olmo2_1b", "t5_xl_lm_adapt", "x")] == [
        "yes", "yes", "?", "no", "-",
    ]  # fmt: skip
    assert seen(mixed("tk_instruct_3b", "t0")) == "no"
    assert seen(mixed("tk_instruct_3b", "own")) == "-"
    assert seen_line([mixed("flan_t5_base", "ni", "t0")]) == (
        "contamination: flan_t5_base has probably seen Super-NI; flan_t5_base has probably seen P3 (docs/models.md)"
    )


def test_a_mixture_that_was_composed_says_its_parts() -> None:
    """The texts of parts are read as a cell's setting has them."""
    parts = {
        "a": {"reader": "natural_instructions", "root": "x"},
        "my-part_2": {"reader": "starter"},
        "own": {"reader": "my_module.read"},
    }
    counted = counting({"tasks": {"reader": "mixture", "parts": parts}})
    values = (("tasks.parts", plain_value(counted["tasks.parts"])), ("tasks.reader", "mixture"))
    assert readers_tested(Setting(values)) == ("natural_instructions", "starter", "my_module.read")
    assert [name for name, _ in parts_of(Setting(values))] == list(parts)


def test_imported_predictions_are_of_the_tasks_that_their_name_says() -> None:
    axes = Axes("natural_instructions", "original", 2, 0, None, "tk_instruct_3b", "imported", "", "", 0)
    assert seen(setting_of_axes(axes)) == "yes"
