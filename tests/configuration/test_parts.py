"""What follows from a configuration is worked out once for all of the same parts, and anew for others."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.configuration.parts import OncePerParts
from instruct_ablate.schema import Config, TrainerConfig


def test_only_other_parts_are_worked_out() -> None:
    asked: list[Config] = []
    known, config = OncePerParts[int]("seed"), Config(cache="cache")

    def find(given: Config) -> int:
        asked.append(given)
        return len(asked)

    assert [known.get(replace(config, seed=seed), find) for seed in range(3)] == [1, 1, 1]
    assert known.get(replace(config, study="other"), find) == 2
    assert known.get(replace(config, trainer=TrainerConfig()), find) == 3, "equal, but another one"
    assert known.get(replace(config, trainer=TrainerConfig(learning_rate=1.0)), find) == 4
    assert known.get(replace(config, seed=9), find) == 1
    assert known.get(replace(config, cell_timeout=1), find) == 5
    assert known.get(replace(config, cell_timeout=True), find) == 6, "1 and true are two values"
