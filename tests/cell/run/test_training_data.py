"""Examples kept for further cells: the same tokens and notes, and made anew where anything in them is another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from instruct_ablate.cell.run import training_data as kept
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.training import prompts_in_training
from instruct_ablate.cell.run.training_data import examples_key, training_data
from instruct_ablate.cell.state.record.record import Drawn
from instruct_ablate.configuration import extensions
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.examples import Examples
from instruct_ablate.data.store import token_store
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    DataConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Instance, Task, TaskCollection
from tests.conftest import make_task
from tests.standins import make_config

TASKS = (make_task("a"), make_task("b"))
COLLECTION = TaskCollection("mine", TASKS, (make_task("c"),), "hash")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    cache = tmp_path_factory.mktemp("cache")
    return load_checkpoint(ModelConfig("tiny_llama", source="random"), torch.float32, cache)


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the package that was edited seconds ago would have nothing kept."""
    monkeypatch.setattr(kept, "package_content", lambda: "the package")


def encoding_of(llama: Checkpoint) -> Encoding:
    return Encoding(llama.tokenizer, encoder_decoder=False)


def take(config: Config, llama: Checkpoint, collection: TaskCollection = COLLECTION) -> Any:
    """Take examples as a cell does."""
    make = partial(
        prompts_in_training, config, collection, TokenizerTokens.of(llama.tokenizer, config.prompt)
    )
    return training_data(config, collection, encoding_of(llama), make)


def never() -> tuple[Sequence[Prompt], tuple[str, ...]]:
    pytest.fail("made again")


def contents(examples: Examples) -> list[list[int]]:
    store = examples.open()
    return [part[i].tolist() for part in (store.sources, store.targets) for i in range(len(store))]


def plainly(config: Config, llama: Checkpoint, collection: TaskCollection, cache: Path) -> list[list[int]]:
    """Render and tokenise without anything kept."""
    tokens = TokenizerTokens.of(llama.tokenizer, config.prompt)
    prompts, _ = prompts_in_training(config, collection, tokens)
    store = token_store(prompts, encoding_of(llama), config.prompt, cache)
    return contents(Examples(len(prompts), lambda: store))


def test_a_further_cell_gets_the_same_and_makes_nothing(tmp_path: Path, llama: Checkpoint) -> None:
    config = make_config(tmp_path, data_budget=BudgetConfig(50))
    first, noted = take(config, llama)
    mapped = first.open()
    again, noted_again = training_data(config, COLLECTION, encoding_of(llama), never)
    assert len(again) == len(first) == 12
    assert any("have fewer" in note for note in noted)
    assert noted_again == noted
    assert np.array_equal(again.open().sources.ids, mapped.sources.ids)
    assert contents(again) == plainly(config, llama, COLLECTION, tmp_path / "other")


def shuffled(task: Task) -> Task:
    return replace(task, instances=task.instances[::-1])


def answered(task: Task) -> Task:
    first, *others = task.instances
    return replace(task, instances=(Instance(first.id, first.input, ("other",)), *others))


def doubled(task: Task) -> Task:
    first, second, *others = task.instances
    return replace(task, instances=(first, replace(second, id=first.id), *others))


OTHER_TASKS: dict[str, tuple[Task, ...]] = {
    "tasks in another order": TASKS[::-1],
    "rows in another order": (shuffled(TASKS[0]), TASKS[1]),
    "another reference": (answered(TASKS[0]), TASKS[1]),
    "an id twice": (doubled(TASKS[0]), TASKS[1]),
    "a definition": (replace(TASKS[0], definition="Other."), TASKS[1]),
    "an example": (replace(TASKS[0], positive_examples=TASKS[0].positive_examples[::-1]), TASKS[1]),
    "labels": (replace(TASKS[0], label_space=("negative", "positive")), TASKS[1]),
    "languages": (replace(TASKS[0], languages=("Hindi",)), TASKS[1]),
    "a task that variants may borrow from": (*TASKS, make_task("d")),
}


@pytest.mark.parametrize("name", OTHER_TASKS)
def test_other_tasks_are_other_examples(tmp_path: Path, llama: Checkpoint, name: str) -> None:
    config = make_config(tmp_path, data_budget=BudgetConfig(3))
    take(config, llama)
    other = replace(COLLECTION, train=OTHER_TASKS[name])
    assert other.content_hash == COLLECTION.content_hash, "nobody relies on what a reader says of itself"
    assert contents(take(config, llama, other)[0]) == plainly(config, llama, other, tmp_path / "other")
    assert examples_key(config, other, encoding_of(llama)) != examples_key(
        config, COLLECTION, encoding_of(llama)
    )


CHANGES: dict[str, dict[str, Any]] = {
    "seed": {"seed": 1},
    "budget": {"data_budget": BudgetConfig(4)},
    "tasks of the budget": {"data_budget": BudgetConfig(3, tasks=1)},
    "repetitions": {"data_budget": BudgetConfig(4, repeat=2)},
    "definition": {"instruction": InstructionConfig(definition="empty")},
    "a variant's parameter": {"instruction": InstructionConfig(definition="deleted", rate=0.5)},
    "examples": {"instruction": InstructionConfig(num_positive=1)},
    "template": {"prompt": PromptConfig("minimal")},
    "set of templates": {"prompt": PromptConfig("set_12/bars")},
    "source's limit": {"prompt": PromptConfig("tk_instruct", max_source_length=40)},
    "target's limit": {"prompt": PromptConfig("tk_instruct", max_target_length=1)},
    "end of source": {"prompt": PromptConfig("tk_instruct", end_of_source=False)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_configuration_is_other_examples(tmp_path: Path, llama: Checkpoint, name: str) -> None:
    config = make_config(tmp_path, data_budget=BudgetConfig(3))
    take(config, llama)
    other = replace(config, **CHANGES[name])
    keys = [examples_key(one, COLLECTION, encoding_of(llama)) for one in (config, other)]
    assert None not in keys
    assert keys[0] != keys[1]
    assert contents(take(other, llama)[0]) == plainly(other, llama, COLLECTION, tmp_path / "other")


def test_of_files_that_the_configuration_names_the_content_counts(tmp_path: Path, llama: Checkpoint) -> None:
    templates, corpus = tmp_path / "own.yaml", tmp_path / "corpus.txt"
    config = make_config(
        tmp_path,
        data_budget=BudgetConfig(3),
        prompt=PromptConfig(str(templates)),
        instruction=InstructionConfig(examples="ood_inputs", corpus=str(corpus)),
    )
    keys = []
    for cue, text in (("Answer", "One sentence."), ("Output", "One sentence."), ("Output", "Another one.")):
        templates.write_text(f"- {{name: own, input: '{{input}}', output: '{cue}: {{output}}'}}")
        corpus.write_text(f"{text}\n")
        keys.append(examples_key(config, COLLECTION, encoding_of(llama)))
    assert None not in keys
    assert len(set(keys)) == 3


def test_package_libraries_and_tokenizer_count(
    tmp_path: Path, llama: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, encoding = make_config(tmp_path), encoding_of(llama)
    keys = [examples_key(config, COLLECTION, encoding)]
    keys.append(examples_key(config, COLLECTION, replace(encoding, encoder_decoder=True)))
    keys.append(examples_key(config, COLLECTION, replace(encoding, end_of_target=5)))
    monkeypatch.setattr(llama.tokenizer, "chat_template", "{{ messages }}")
    keys.append(examples_key(config, COLLECTION, encoding))
    monkeypatch.undo()
    monkeypatch.setattr(kept, "package_content", lambda: "another")
    keys.append(examples_key(config, COLLECTION, encoding))
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"another {name}")
    keys.append(examples_key(config, COLLECTION, encoding))
    assert len(set(keys)) == len(keys)
    monkeypatch.setattr(kept, "package_content", lambda: None)
    assert examples_key(config, COLLECTION, encoding) is None, "its code changed while it ran"


def test_what_no_prompt_hangs_on_is_shared(tmp_path: Path, llama: Checkpoint) -> None:
    config, encoding = make_config(tmp_path), encoding_of(llama)
    others: dict[str, Any] = {
        "trainer": TrainerConfig(learning_rate=0.5, batch_size=3),
        "method": MethodConfig("lora"),
        "data": DataConfig(grouping="task", packing=False, num_workers=2),
        "study": "another",
        "model": replace(config.model, name="tiny_gpt2"),
    }
    key = examples_key(config, COLLECTION, encoding)
    for name, value in others.items():
        assert examples_key(replace(config, **{name: value}), COLLECTION, encoding) == key, name


def test_prompts_are_made_without_what_is_not_in_their_key(tmp_path: Path, llama: Checkpoint) -> None:
    class Unread:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"prompts hang on {name}, which does not count in their key")

    config = make_config(tmp_path)
    sections = {name.rstrip("."): Unread() for name in kept.SECTIONS}
    assert sections.keys() <= {field.name for field in fields(Config)}
    blind = replace(config, **sections)  # type: ignore[arg-type]
    tokens = TokenizerTokens.of(llama.tokenizer, config.prompt)
    made = prompts_in_training(blind, COLLECTION, tokens)
    assert made == prompts_in_training(config, COLLECTION, tokens)


OWN = """
from instruct_ablate.instruction.variant import variant
from instruct_ablate.metrics import metric
"""
VARIANT = '@variant("definition")\ndef loud(task, context):\n    return task\n'
METRIC = '@metric("count")\ndef count(prediction, references):\n    return 1.0\n'


@pytest.mark.parametrize(
    ("code", "is_kept"), [(VARIANT, False), (METRIC, True), (METRIC + VARIANT, False), ("", False)]
)
def test_code_of_the_users_that_may_show_in_prompts_has_nothing_kept(
    tmp_path: Path, llama: Checkpoint, code: str, is_kept: bool
) -> None:
    file = tmp_path / f"own_{abs(hash((code, str(tmp_path))))}.py"
    file.write_text(OWN + code)
    extensions.load_extensions([str(file)])
    try:
        key = examples_key(make_config(tmp_path, extensions=[str(file)]), COLLECTION, encoding_of(llama))
        assert (key is not None) is is_kept
    finally:
        extensions._forget(file.stem)


def test_a_variant_by_dotted_path_has_nothing_kept(
    tmp_path: Path, llama: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"dotted_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(OWN + VARIANT)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(VARIANTS, "definition", dict(VARIANTS["definition"]))  # forgotten after the test
    config = make_config(tmp_path, instruction=InstructionConfig(definition=f"{name}.loud"))
    prompts, _ = take(config, llama)
    assert isinstance(prompts, tuple)
    assert not (tmp_path / "cache" / "examples").exists()


def test_examples_that_each_epoch_shows_otherwise_are_not_kept(tmp_path: Path, llama: Checkpoint) -> None:
    for data in (DataConfig(references="every_epoch"), DataConfig(encodings="tk_instruct")):
        assert isinstance(take(make_config(tmp_path, data=data), llama)[0], tuple)


def one_folder(cache: Path, kind: str) -> Path:
    (found,) = (path for path in (cache / kind).iterdir() if not path.name.startswith("."))
    return found


def test_tokens_that_are_gone_are_made_again(tmp_path: Path, llama: Checkpoint) -> None:
    config = make_config(tmp_path, data_budget=BudgetConfig(3))
    before = contents(take(config, llama)[0])
    tokens = one_folder(tmp_path / "cache", "tokens")
    for path in tokens.iterdir():
        path.unlink()
    tokens.rmdir()
    assert contents(take(config, llama)[0]) == before
    (one_folder(tmp_path / "cache", "tokens") / "sources.bin").write_bytes(b"other")
    assert contents(take(config, llama)[0]) == before


def test_a_damaged_note_is_made_again(tmp_path: Path, llama: Checkpoint) -> None:
    config = make_config(tmp_path, data_budget=BudgetConfig(3))
    before = contents(take(config, llama)[0])
    note = one_folder(tmp_path / "cache", "examples") / kept.FILE
    told = json.loads(note.read_text())
    note.write_text(json.dumps({**told, "count": told["count"] - 1}))
    examples, _ = take(config, llama)
    assert len(examples) == told["count"]
    assert contents(examples) == before


def test_tokens_of_others_are_never_taken_for_these(
    tmp_path: Path, llama: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the key ever the same for two: the tokens are compared where they are made again."""
    monkeypatch.setattr(kept, "examples_key", lambda *_: "the same key for all of them, as it seems")
    config = make_config(tmp_path, data_budget=BudgetConfig(3))
    take(config, llama)
    other, _ = take(replace(config, seed=7), llama)
    with pytest.raises(RuntimeError, match="others than this cell's"):
        other.open()
    assert contents(take(replace(config, seed=7), llama)[0]), "the next one makes its own"


def test_a_cache_where_nothing_can_be_noted_is_done_without(tmp_path: Path, llama: Checkpoint) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "examples").write_text("a file stands there")
    prompts, _ = take(make_config(tmp_path, data_budget=BudgetConfig(3)), llama)
    assert len(prompts) == 6
    assert isinstance(prompts, tuple)


def write_task(folder: Path, name: str, text: str) -> None:
    task = {
        "Definition": ["Copy."],
        "Categories": ["Copying"],
        "Positive Examples": [{"input": "x", "output": "x", "explanation": ""}],
        "Negative Examples": [],
        "Instances": [
            {"id": f"{name}-{i}", "input": f"{text} {i}", "output": [f"{text}{i}"]} for i in range(4)
        ],
    }
    (folder / "tasks" / f"{name}.json").write_text(json.dumps(task))


def collection_folder(folder: Path, text: str) -> Path:
    (folder / "tasks").mkdir(parents=True)
    (folder / "splits" / "default").mkdir(parents=True)
    for side, name in (("train", "task001_one"), ("test", "task002_two")):
        write_task(folder, name, text)
        (folder / "splits" / "default" / f"{side}_tasks.txt").write_text(f"{name}\n")
    return folder


def of_folder(tmp_path: Path, root: Path) -> Config:
    return make_config(
        tmp_path, tasks=TasksConfig("natural_instructions", root=str(root)), data_budget=BudgetConfig(3)
    )


def test_of_files_the_content_counts_and_not_their_place(tmp_path: Path, llama: Checkpoint) -> None:
    one, same, other = (
        of_folder(tmp_path, collection_folder(tmp_path / name, text))
        for name, text in (("one", "mouse"), ("same", "mouse"), ("other", "horse"))
    )
    keys = [
        examples_key(config, read_tasks(config.tasks, Path(config.cache)), encoding_of(llama))
        for config in (one, same, other)
    ]
    assert keys[0] == keys[1] != keys[2]


def test_a_file_changed_under_the_same_size_and_time_is_seen(tmp_path: Path, llama: Checkpoint) -> None:
    config = of_folder(tmp_path, collection_folder(tmp_path / "data", "mouse"))
    file = tmp_path / "data" / "tasks" / "task001_one.json"

    def now() -> list[list[int]]:
        collection = read_tasks(config.tasks, Path(config.cache))
        examples, _ = take(config, llama, collection)
        assert contents(examples) == plainly(config, llama, collection, tmp_path / "plain")
        return contents(examples)

    before, state = now(), file.stat()
    write_task(tmp_path / "data", "task001_one", "horse")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    assert now() != before


def test_a_cell_trains_alike_on_examples_that_were_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(
        tmp_path,
        data_budget=BudgetConfig(2, tasks=2),
        tasks=TasksConfig("starter", test_tasks=1, test_instances=2),
        trainer=TrainerConfig(epochs=1, progress=False, accelerator="cpu", precision="fp32"),
    )
    made: list[str] = []
    build: Callable[..., Any] = prompts_in_training

    def counted(*given: Any) -> Any:
        made.append("")
        return build(*given)

    monkeypatch.setattr("instruct_ablate.cell.run.training.prompts_in_training", counted)
    records = [run_cell(replace(config, study=name)) for name in ("first", "second")]
    assert [record.state for record in records] == ["done", "done"]
    assert len(made) == 1
    assert records[0].blocks == records[1].blocks
    assert records[0].notes == records[1].notes
    assert records[0].drawn == records[1].drawn == Drawn(2, 4)
    losses = [
        [json.loads(line)["loss"] for line in path.read_text().splitlines()]
        for path in sorted(tmp_path.glob("*/*/training.jsonl"))
    ]
    assert len(losses) == 2
    assert losses[0] == losses[1]


def test_tasks_of_long_ago_are_known_at_once(tmp_path: Path, llama: Checkpoint) -> None:
    """What is stored of tasks is known by its hash: no instance is looked at."""
    config = of_folder(tmp_path, collection_folder(tmp_path / "data", "mouse"))
    collection = read_tasks(config.tasks, Path(config.cache))
    (task,) = collection.train
    kind: Any = type(task.instances)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "__iter__", lambda self: pytest.fail("looked at"))
        patch.setattr(kind, "__getitem__", lambda self, at: pytest.fail("looked at"))
        assert examples_key(config, collection, encoding_of(llama))
