"""The model card of an exported cell: what was trained on what, its scores, its licences, and the command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.cell.state.setting.contamination import collections_of
from instruct_ablate.cell.state.setting.legend import SHARE
from instruct_ablate.cell.state.setting.rates import rate_line
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.configuration.presets import data_licence, licence_of
from instruct_ablate.limits import exactly
from instruct_ablate.metrics import find_measure
from instruct_ablate.plural import sentence
from instruct_ablate.report.documents.checklist import UNKNOWN
from instruct_ablate.report.rows.columns import shown_measures
from instruct_ablate.report.statistics.variance.components import mean_squares
from instruct_ablate.report.statistics.variance.error import USUAL, error_of
from instruct_ablate.terminal import shown

# With FOLDER as the model, what gives a cell of the exported weights that no table takes for an untuned model.
TAKEN_BACK = "model.tuned=true data_budget=0"


@dataclass(frozen=True, slots=True)
class Folder:
    """What a card says of the folder that it lies in."""

    title: str
    auto_class: str  # ForCausalLM, ForSeq2SeqLM
    adapter: bool = False
    base: str = ""  # hub id of what was trained; empty where it is none
    licence: str = ""


def model_card(record: CellRecord, folder: Folder) -> str:
    """Write the card as Markdown."""
    head: dict[str, Any] = {
        **({"base_model": folder.base} if folder.base else {}),
        **({"license": folder.licence} if folder.licence else {}),
        "library_name": "peft" if folder.adapter else "transformers",
        "tags": ["instruct-ablate"],
    }
    return "\n".join([*_front(head), f"# {_plain(folder.title)}", "", *_body(record, folder)]) + "\n"


def _front(head: dict[str, Any]) -> list[str]:
    import yaml

    return ["---", yaml.safe_dump(head, sort_keys=False).strip(), "---"]


def _body(record: CellRecord, folder: Folder) -> Iterator[str]:
    setting, made = record.setting, record.environment
    kind = "An adapter (LoRA) on" if folder.adapter else "The weights of"
    total = setting.get("data_budget.total")
    budget = f"{setting.text('data_budget')} instances per task" if total is None else f"{total} examples"
    yield (
        f"{kind} `{_plain(setting.model)}` after instruction tuning in an ablation grid of Instruct-Ablate: trained on "
        f"`{_plain(setting.instruction)}` instructions{_share(setting)}, {_plain(budget)} of "
        f"`{_plain(setting.text('tasks'))}`, seed {record.seed}."
    )
    if (chosen := record.selected) is not None:
        yield (
            f"\nThe weights are those after step {chosen.step} of {chosen.steps}, which scored best by "
            f"`{_plain(chosen.measure)}` on held-out training tasks ({chosen.score:.2f})."
        )
    if rate := rate_line([setting]):
        yield f"\n{sentence(rate)}"
    yield "\n## Scores\n"
    level = f"{100 - 100 * USUAL:.0f} %"
    yield f"Percent, means over test tasks with their {level} intervals over tasks; of this one seed.\n"
    yield from _scores(record)
    yield "\n## Use\n"
    yield "```python\n" + _use(folder) + "\n```\n"
    yield (
        "Prompts were written by the template "
        f"`{_plain(setting.text('prompt'))}`. `instruct-ablate train model=FOLDER {TAKEN_BACK}` with the same tasks, "
        "prompt and evaluation gives the scores above."
    )
    yield "\n## Licence\n"
    data = _plain("; ".join(data_licence(*one) for one in dict.fromkeys(collections_of(setting))))
    base = licence_of(setting.model) or UNKNOWN
    yield f"Of these weights: {folder.licence or UNKNOWN}. Of the data: {data}. The base model's ({base}) holds too."
    yield "\n## How it was made\n"
    if made is not None:
        yield f"```\n{_plain(made.command)}\n```\n"
        told = ", ".join(f"{name} {version}" for name, version in made.versions)
        yield f"Commit {made.commit or UNKNOWN}; {made.device}, {made.precision}; Python {made.python}, {told}.\n"
    yield f"Cell `{_plain(record.name)}`, identity `{record.identity}`, data `{record.data_hash or UNKNOWN}`.\n"
    yield "| key | value |\n|---|---|"
    yield from (f"| `{key}` | {_plain(setting.text(key))} |" for key in setting.keys)
    yield from (f"| `{_plain(key)}` (content) | {_plain(content)} |" for key, content in setting.revisions)


def _share(setting: Setting) -> str:
    """Say which share of the examples was altered, where that is not all of them."""
    share = setting.get(SHARE)
    if not isinstance(share, float) or share == 1:
        return ""
    return f" in a share of {exactly(share)} of the examples, on the originals in the others"


def _scores(record: CellRecord) -> Iterator[str]:
    yield "| tested on | measure | score | interval | tasks |\n|---|---|---|---|---|"
    for block in record.blocks:
        for name in shown_measures([record]):
            score = find_measure(name).value(block.scores)
            if score is not None:
                low, high, tasks = interval(block, name)
                told = "-" if low is None else f"{low:.1f} to {high:.1f}"
                yield f"| {_plain(record.test_name(block))} | {name} | {score:.1f} | {told} | {tasks} |"


def interval(block: ScoreBlock, measure: str) -> tuple[float | None, float | None, int]:
    """Return the interval of a mean over test tasks and their number; none of a single task, or of equal ones."""
    values = [find_measure(measure).task_value(task) for task in block.scores.tasks]
    present = [value for value in values if value is not None]
    if len(present) < 2:
        return None, None, len(present)
    squares = mean_squares(np.array([present]))
    half, mean = float(error_of(squares).half_width(USUAL)), float(squares.mean)
    if not half > 0:  # tasks that all score the same say nothing of others
        return None, None, len(present)
    return mean - half, mean + half, len(present)


def _use(folder: Folder) -> str:
    kind = f"{'AutoPeftModel' if folder.adapter else 'AutoModel'}{folder.auto_class}"
    library = "peft" if folder.adapter else "transformers"
    return (
        f"from {library} import {kind}\nfrom transformers import AutoTokenizer\n\n"
        f'model = {kind}.from_pretrained("FOLDER")\ntokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    )


def _plain(text: str) -> str:
    """Write a text of a study so that it is neither markup nor a cell's end."""
    one = " ".join(shown(str(text)).split())
    return one.replace("`", "'").replace("|", "\\|").replace("<", "&lt;")
