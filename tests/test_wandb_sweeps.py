"""Sweeps by W&B's agents: the file that docs/wandb.md shows is one, and its commands are ours."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import yaml

from instruct_ablate.grid.composer import compose_config
from instruct_ablate.metrics.measures import measure_names

PAGE = Path(__file__).parents[1] / "docs" / "wandb.md"
OWN = ("${env}", "${interpreter}", "${program}")


def test_every_command_of_the_documented_sweep_composes() -> None:
    (text,) = re.findall(r"```yaml\n(program: .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    sweep = yaml.safe_load(text)
    assert (PAGE.parents[1] / sweep["program"]).is_file()
    *words, arguments = sweep["command"]
    assert tuple(words[:3]) == OWN
    assert arguments == "${args_no_hyphens}", "Hydra's words have no hyphens"
    values = [[(key, one) for one in given["values"]] for key, given in sweep["parameters"].items()]
    for chosen in itertools.product(*values):
        config = compose_config([*words[3:], *(f"{key}={value}" for key, value in chosen)])
        assert (config.logger.name, config.study) == ("wandb", "agents")
        tested = config.evaluation.instructions[0]
        place, _, measure = sweep["metric"]["name"].rpartition("/")
        assert (place, measure in measure_names()) == (f"eval/{tested}", True)
