"""Levels beside lines over budgets: models before training, baselines, and the uniform guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.cell.state.setting.trained_on import trained_on
from instruct_ablate.report.rows.seed_means import Row


def levels(rows: Sequence[Row], measure: str) -> Iterator[tuple[str, float]]:
    """Yield name and value of what is drawn as a level: models before training, baselines, the uniform guess."""
    untuned = [row for row in rows if row.setting.untuned and row.mean(measure) is not None]
    legend = Legend(row.setting for row in untuned)
    models = {row.setting.model for row in untuned if not row.setting.baseline}
    tests = {row.tested for row in untuned if not row.setting.baseline}
    for row in untuned:
        setting, mean = row.setting, row.mean(measure)
        assert mean is not None
        if not setting.baseline:
            name = trained_on(setting).strip("()")
            first = (setting.model, name) if len(models) > 1 and name != setting.model else (name,)
        elif setting.model != "uniform_guess" or measure != "exact_match":
            first = (setting.model.replace("_", " "),)
        else:
            continue
        place = legend.place(setting, "model", "instruction")
        tested = f"tested on {row.tested}" if len(tests) > 1 and not setting.baseline else ""
        yield ", ".join(filter(None, (*first, place, tested))), mean.value
    if measure == "exact_match":
        yield from _guesses(rows)


def _guesses(rows: Sequence[Row]) -> Iterator[tuple[str, float]]:
    """Yield the uniform guess, that of each test set where there are several that differ."""
    known: dict[Setting, float] = {}
    for row in rows:
        if (guess := row.mean("uniform_guess")) is not None:
            known.setdefault(row.setting, guess.value)
    if len({round(value, 9) for value in known.values()}) < 2:
        yield from (("uniform guess", value) for value in list(known.values())[:1])
        return
    legend = Legend(known)
    told: dict[str, float] = {}
    for setting, value in known.items():
        of = legend.place(setting, *(key for key in setting.keys if not key.startswith("tasks")))
        told.setdefault(", ".join(filter(None, ("uniform guess", of))), value)
    yield from told.items()
