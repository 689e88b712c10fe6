from __future__ import annotations

from instruct_ablate.cell.state.setting.rates import rate_line, trained_rate
from tests.report.cells import place

LORA = place(method="lora", **{"method.learning_rate_factor": 10.0})


def test_the_rate_of_a_setting_is_that_of_its_optimiser() -> None:
    assert trained_rate(LORA) == 2e-3
    assert trained_rate(place(**{"method.learning_rate_factor": 10.0})) == 2e-4  # full tuning has no factor
    assert trained_rate(place(method="lora")) == 2e-4  # a cell from before there was one
    assert trained_rate(place(data_budget=0)) is None


def test_rates_are_told_where_they_are_not_the_configured_ones() -> None:
    assert rate_line([place(), place(method="lora"), place(data_budget=0)]) is None
    told = rate_line([place(), LORA, place(lr=1e-5, method="lora", **{"method.learning_rate_factor": 10.0})])
    assert told == (
        "learning rates as trained: full 0.0002; lora 0.0001 (1e-05 x 10), 0.002 (0.0002 x 10) "
        "(trainer.learning_rate x method.learning_rate_factor)"
    )
