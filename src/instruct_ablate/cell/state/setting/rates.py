"""The learning rates that settings were trained at, for whoever tells people of them."""

from __future__ import annotations

from collections.abc import Iterable

from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.configuration.learning_rate import effective_rate_text, scaled_rate

RATE, FACTOR = "trainer.learning_rate", "method.learning_rate_factor"


def trained_rate(setting: Setting) -> float | None:
    """Return the rate that a setting's optimiser got; None where nothing was trained here, or no rate is known."""
    given = _given(setting)
    return None if given is None else scaled_rate(*given)


def rate_line(settings: Iterable[Setting]) -> str | None:
    """Say at which rates each method was trained; None where every rate is the one that was configured."""
    known = [(setting.text("method"), given) for setting in settings if (given := _given(setting))]
    if all(scaled_rate(*given) == given[0] for _, given in known):
        return None
    by_method: dict[str, dict[str, float]] = {}
    for method, given in known:
        by_method.setdefault(method, {})[effective_rate_text(*given)] = scaled_rate(*given)
    told = (
        f"{method} {', '.join(sorted(rates, key=rates.__getitem__))}"
        for method, rates in sorted(by_method.items())
    )
    return f"learning rates as trained: {'; '.join(told)} ({RATE} x {FACTOR})"


def _given(setting: Setting) -> tuple[float, str, float] | None:
    """Return the configured rate, the method and its factor."""
    rate, factor = setting.get(RATE), setting.get(FACTOR)
    if setting.untuned or not isinstance(rate, int | float):
        return None
    return float(rate), setting.text("method"), float(factor) if isinstance(factor, int | float) else 1.0
