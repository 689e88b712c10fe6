"""What a cell trains on, prepared once: a further cell of the same examples neither renders, tokenises nor hashes them.

Kept are the number of examples, what was met in making them and the key of their tokens, under a hash of all that
they are made of: the tasks' content, the configuration but for what no prompt hangs on, the tokenizer, the
libraries' versions and this package's own files. Code of the user's may read what no hash knows of: with it, and
where each epoch shows examples otherwise, nothing is kept.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.counting import counting
from instruct_ablate.cell.state.identity import functions
from instruct_ablate.configuration.extensions import code_of, registers_only
from instruct_ablate.configuration.typed_values import tree
from instruct_ablate.data.draws import varies
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.examples import Examples
from instruct_ablate.data.store import TokenStore, stored_tokens, token_key
from instruct_ablate.disk.package_content import package_content
from instruct_ablate.disk.prepared import prepared_as
from instruct_ablate.disk.whole_files import put_aside
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.label import versions
from instruct_ablate.metrics.registry import KEY
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.prompt.template_set import content
from instruct_ablate.schema import Config
from instruct_ablate.tasks.store import task_content
from instruct_ablate.tasks.task import TaskCollection

FORMAT = 1
FOLDER, FILE = "examples", "examples.json"
# No training prompt hangs on these; whatever else of the configuration is another makes the examples anew.
SECTIONS = ("trainer.", "method.", "evaluation.", "model.")
KEYS = frozenset({"data.grouping", "data.group_size", "data.packing"})
LIBRARIES = ("transformers", "tokenizers", "jinja2", "numpy")
Notes = tuple[str, ...]
Make = Callable[[], tuple[Sequence[Prompt], Notes]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """How many examples of how many tasks, what was met, and under which key their tokens lie."""

    count: int
    tasks: int
    notes: Notes
    tokens: str


def training_data(
    config: Config, collection: TaskCollection, encoding: Encoding, make: Make
) -> tuple[Sequence[Prompt] | Examples, Notes]:
    """Return what is trained on and what was met: the prompts that `make` makes, or examples that were kept of them."""
    key = examples_key(config, collection, encoding)
    if key is None:
        return make()
    made: list[tuple[Sequence[Prompt], Notes]] = []

    def build(unfinished: Path) -> None:
        made.append(make())
        prompts, notes = made[0]
        kept = {
            "count": len(prompts),
            "tasks": task_count(prompts),
            "notes": notes,
            "tokens": token_key(prompts, encoding, config.prompt),
        }
        (unfinished / FILE).write_text(json.dumps(kept), encoding="utf-8")

    folder = Path(config.cache) / FOLDER / key[:32]
    try:
        kept = prepared_as(folder, build, _read)
    except UserError:  # a cache that others keep: nothing can be noted there
        return made[0] if made else make()

    def prompts() -> Sequence[Prompt]:
        return made.pop()[0] if made else _again(make, kept, folder, encoding, config)

    def tokens() -> TokenStore:
        store = stored_tokens(kept.tokens, kept.count, prompts, encoding, config.prompt, Path(config.cache))
        made.clear()  # nobody needs their text any more
        return store

    return Examples(kept.count, tokens, kept.tasks), kept.notes


def task_count(examples: Sequence[Prompt] | Examples) -> int:
    """Count the tasks that training examples are of."""
    return examples.tasks if isinstance(examples, Examples) else len({prompt.task for prompt in examples})


def examples_key(config: Config, collection: TaskCollection, encoding: Encoding) -> str | None:
    """Hash all that the training examples of a cell are made of; None where that cannot be known."""
    package, tokenizer = package_content(), _tokenizer(encoding)
    if package is None or tokenizer is None or varies(config.data) or _has_own_code(config):
        return None
    counted = counting(tree(config))
    parts = {
        "format": FORMAT,
        "package": package,
        "libraries": [platform.python_version(), *map(importlib.metadata.version, LIBRARIES)],
        "tokenizer": tokenizer,
        "tasks": [task_content(task) for task in collection.train],
        "instruction": tree(config.instruction),
        "files": versions([config.instruction]),
        "templates": content(config.prompt),
        **{key: value for key, value in counted.items() if key not in KEYS and not key.startswith(SECTIONS)},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _has_own_code(config: Config) -> bool:
    """Whether code of the user's takes part in prompts: what it reads besides, no hash knows of."""
    registered = [file for file in config.extensions if not registers_only(file, KEY)]
    return bool(registered or code_of(functions(config, untuned=False), config.extensions))


def _tokenizer(encoding: Encoding) -> Any:
    """Return what of a tokenizer decides over texts and ids; None for one that is Python code."""
    tokenizer: Any = encoding.tokenizer
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        return None
    traits = ("chat_template", "clean_up_tokenization_spaces", "all_special_ids", "special_tokens_map")
    own = {name: repr(getattr(tokenizer, name, None)) for name in traits}
    return {"ids": encoding.fingerprint(), "class": type(tokenizer).__name__, **own}


def _read(folder: Path) -> _Kept:
    """Read what was kept; what is not as `training_data` writes it is a `ValueError`, `KeyError` or `TypeError`."""
    told = json.loads((folder / FILE).read_text(encoding="utf-8"))
    kept = _Kept(told["count"], told["tasks"], tuple(told["notes"]), told["tokens"])
    if not (isinstance(kept.count, int) and isinstance(kept.tasks, int)) or not isinstance(kept.tokens, str):
        raise ValueError(f"{FILE} is not as it was written")
    return kept


def _again(make: Make, kept: _Kept, folder: Path, encoding: Encoding, config: Config) -> Sequence[Prompt]:
    """Make the prompts whose tokens are gone; others than were kept are never taken for them."""
    prompts, _ = make()
    if token_key(prompts, encoding, config.prompt) != kept.tokens:
        aside = put_aside(folder)
        raise RuntimeError(
            f"the examples kept in {folder} are others than this cell's: {aside.name}; run it again"
        )
    return prompts
