"""Contamination: said once for a study, by model and collection."""

from __future__ import annotations

from instruct_ablate.cell.state.contamination import seen, seen_line
from instruct_ablate.cell.state.setting import Setting


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
