"""Keys of a command line that nothing of its grid reads, told before the first cell: results would seem to have them.

Most are found without a list: a key whose other values leave every trained cell the one it is (`identify`) is read by
none. A grid may give a key that some of its cells do not read; models that are not trained are not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from instruct_ablate.cell.state.canonical import is_untuned
from instruct_ablate.cell.state.counting import DOES_NOT_COUNT
from instruct_ablate.cell.state.identity import Contents, identify
from instruct_ablate.configuration.composition import keys
from instruct_ablate.configuration.parts import OncePerParts
from instruct_ablate.disk.score_curve import asks_for_points
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.written import cuts, writes
from instruct_ablate.grid.composing.composer import at_key, put_at
from instruct_ablate.grid.composing.overrides import split
from instruct_ablate.limits import shown
from instruct_ablate.schema import MISSING, Config, ModelConfig

GROUPS = ("instruction", "data_budget", "method", "prompt", "data", "evaluation", "trainer")
ALWAYS = (  # read wherever something is trained, or in tables
    "method.name",
    "prompt.template",
    "evaluation.general",
    "evaluation.metrics",
)
# Keys that count in an identity wherever they stand, or never: under which values they are read.
READ: dict[str, tuple[Callable[[Config], bool], str]] = {
    "data.group_size": (lambda config: config.data.grouping == "task", "data.grouping=task"),
    "trainer.epochs": (lambda config: config.trainer.max_steps is None, "trainer.max_steps=null"),
    # Classification alone is cut, and answers to it are written under greedy decoding alone.
    "evaluation.cut_wrong_answers": (cuts, "classification under evaluation=greedy"),
    "evaluation.stop": (writes, "evaluation=greedy"),
    "evaluation.answer_slack": (writes, "evaluation=greedy"),
    "evaluation.at_instances": (lambda config: asks_for_points(config.evaluation), "evaluation.at"),
    "prompt.end_of_source": (lambda config: _may_encode(config.model), "an encoder-decoder"),
}
# By whom the others are read, where their group alone says so.
READERS = {
    "method": "method=lora",
    "instruction.rate": "a variant with a rate, such as instruction=deleted",
    "instruction.correct": "instruction=partly_correct",
    "instruction.annotation": "a variant by content, such as instruction=no_input_content",
    "instruction.corpus": "instruction=ood_inputs",
    "data.altered_share": "a variant that alters something",
    "data_budget.instances_per_task": "data_budget.total=null",
}


def unread(configs: Sequence[Config], arguments: Sequence[str], contents: Contents) -> list[str]:
    """Say which keys of `arguments` no trained cell of the grid reads, and what would."""
    trained = [config for config in configs if not is_untuned(config)]
    given = dict.fromkeys(split(line)[1] for line in arguments)
    return [
        _told(key, trained) for key in given if trained and _asked(key) and _is_unread(key, trained, contents)
    ]


def _asked(key: str) -> bool:
    """Whether a key is one of those whose value can be seen in results; what stands within a mapping has no default."""
    of_group = "." in key and key.partition(".")[0] in GROUPS and key in keys()
    return of_group and (key in READ or key not in DOES_NOT_COUNT) and key not in ALWAYS


def _is_unread(key: str, trained: Sequence[Config], contents: Contents) -> bool:
    once = OncePerParts[bool]("seed")
    if key in READ:
        reads, _ = READ[key]
        return not any(once.get(config, reads) for config in trained)
    return not any(once.get(config, lambda one: _matters(key, one, contents)) for config in trained)


def _matters(key: str, config: Config, contents: Contents) -> bool:
    """Whether a cell would be another one with another value at the key; null claims nothing that could mislead."""
    value = at_key(config, key)
    if value is None:
        return True
    try:
        other = put_at(config, key, _other(value, at_key(Config(), key)))
        return identify(other, contents).hash != identify(config, contents).hash
    except UserError:  # no such value: somebody has looked at it
        return True


def _other(value: Any, default: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, "another"]
    return default if default not in (value, None, MISSING) else f"{value}_another"


def _may_encode(model: ModelConfig) -> bool:
    """Whether a model may have an encoder; what cannot be looked at is told by its own check."""
    from instruct_ablate.model.loading.location import check_checkpoint

    try:
        return check_checkpoint(model) == "encoder-decoder"
    except UserError:
        return True


def _told(key: str, trained: Sequence[Config]) -> str:
    values = dict.fromkeys(shown(at_key(config, key)) for config in trained)
    reader = READ[key][1] if key in READ else READERS.get(key, READERS.get(key.partition(".")[0], ""))
    needed = f"; {reader} does" if reader else ""
    return f"{key}={','.join(values)} changes nothing here: no trained cell reads it{needed}. Leave it out."
