from __future__ import annotations

from typing import get_type_hints

from instruct_ablate.cell.state.canonical import effective
from instruct_ablate.cell.state.counting import DOES_NOT_COUNT, counting
from instruct_ablate.cell.state.setting.keys import NEUTRAL
from instruct_ablate.schema import (
    Config,
)

# The keys that were hashed when the first cells were identified. A key that is not among them must either not count or
# be left out at its neutral value: else it makes every cell a new one.
FIRST = {
    "tasks": "reader split language categories include test_tasks test_instances label_spaces train_split test_split "
    "columns definition labels",
    "data_budget": "instances_per_task tasks",
    "model": "kind tries",
    "method": "name rank alpha dropout target_modules",
    "prompt": "template max_source_length max_target_length",
    "data": "grouping group_size packing",
    "evaluation": "decoding metrics engine cut_wrong_answers",
    "trainer": "optimizer learning_rate schedule warmup_steps weight_decay batch_size epochs max_steps gradient_clip "
    "precision compile",
}


def test_every_later_key_is_neutral_or_does_not_count() -> None:
    import dataclasses

    first = {f"{group}.{name}" for group, names in FIRST.items() for name in names.split()} | {"seed"}
    flat = counting(dataclasses.asdict(effective(Config())))
    assert set(flat) - first <= NEUTRAL.keys(), (
        "give a new key a neutral value in NEUTRAL, or list it as not counting"
    )
    assert {key: flat[key] for key in flat.keys() & NEUTRAL.keys()} == {
        k: NEUTRAL[k] for k in flat.keys() & NEUTRAL.keys()
    }
    assert not DOES_NOT_COUNT & NEUTRAL.keys()
    assert get_type_hints(Config)  # the schema resolves
