"""Parsed collections on disk: instances memory-mapped (Arrow), the rest of each task as JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast, overload

import pyarrow as pa

from instruct_ablate.disk.file_hash import mark, settled, sha256_of
from instruct_ablate.disk.prepared import prepared_as
from instruct_ablate.disk.whole_files import read_sealed, write_sealed
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from instruct_ablate.tasks.task import Example, Instance, Task

FORMAT = "7"  # of the parsed form; a change of a parsing rule needs a new one
TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema({"id": pa.string(), "input": pa.string(), "references": TEXTS, "choices": TEXTS})


class Instances(Sequence[Instance]):
    """A task's instances in a memory-mapped file, made into objects only as they are asked for.

    `digest` is the hash of what the task held when it was stored; empty where they are not all of it.
    """

    __slots__ = ("_batch", "digest")

    def __init__(self, batch: pa.RecordBatch, digest: str = "") -> None:
        self._batch = batch
        self.digest = digest

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    @overload
    def __getitem__(self, position: int) -> Instance: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Instance]: ...
    def __getitem__(self, position: int | slice) -> Instance | Sequence[Instance]:
        """Return one instance, or a tuple of them."""
        if isinstance(position, slice):
            start, stop, step = position.indices(len(self))
            if step == 1:
                return tuple(Instances(self._batch.slice(start, max(stop - start, 0))))
            return tuple(self[at] for at in range(start, stop, step))
        at = position + len(self) if position < 0 else position
        if not 0 <= at < len(self):
            raise IndexError(position)
        identity, text, references = (self._batch.column(i)[at].as_py() for i in range(3))
        return Instance(identity, text, tuple(references))

    def __iter__(self) -> Iterator[Instance]:
        columns = (self._batch.column(i).to_pylist() for i in range(3))
        return (Instance(i, text, tuple(refs)) for i, text, refs in zip(*columns, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Instances) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Instances({len(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        # For another process, plain instances: the mapping of the file is this one's.
        return tuple, (list(self),)

    def inputs(self) -> pa.Array:
        """Return the inputs as bytes, without making texts of them."""
        return self._batch.column(1).cast(pa.binary())

    def choices(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return the answer choices by instance id, where the collection has its own for each."""
        column = self._batch.column(3)
        if column.null_count == len(column):
            return ()
        pairs = zip(self._batch.column(0).to_pylist(), column.to_pylist(), strict=True)
        return tuple((identity, tuple(choices)) for identity, choices in pairs if choices is not None)


@dataclass(frozen=True, slots=True)
class Stored:
    """A task with the hash of its content and what the reader met in it."""

    parsed: Parsed
    digest: str


def load_or_build(source: Source, cache: Path) -> tuple[Stored, ...]:
    """Map the parsed tasks of a source, parsing it first where no one has; one process builds, others wait."""
    key = content_key(source, cache)

    def build(unfinished: Path) -> None:
        _build(source, unfinished)
        if content_key(source, cache) != key:
            raise UserError(
                f"tasks of {source.name}: a file was changed while it was read; run the command again."
            )

    return prepared_as(cache / "tasks" / key, build, _load)


def task_content(task: Task) -> str:
    """Return the hash of all that a task holds, as it is now; stored instances are not looked at one by one."""
    given: Sequence[Instance] = task.instances
    stored = given.digest if isinstance(given, Instances) else ""
    rest = [getattr(task, field.name) for field in fields(task) if field.name != "instances"]
    return hashlib.sha256(repr((rest, stored or tuple(given))).encode(errors="surrogatepass")).hexdigest()


def content_key(source: Source, cache: Path) -> str:
    """Hash the content of all files of a source; files that have not changed since are not read again."""
    marks = [mark(path) for path in source.files]
    stats = [(str(path.resolve()), seen) for path, seen in zip(source.files, marks, strict=True)]
    known = hashlib.sha256(json.dumps([FORMAT, source.name, source.key, stats]).encode()).hexdigest()
    memo = cache / "tasks" / "seen" / known[:32]
    certain = bool(marks) and all(map(settled, marks))
    if certain and isinstance(key := read_sealed(memo), str):
        return key
    total = hashlib.sha256(json.dumps([FORMAT, source.name, source.key]).encode())
    for path in source.files:
        # The name alone: the same files in another place are the same collection, and are parsed once.
        total.update(os.fsencode(path.name))
        if path.is_file() and os.access(path, os.R_OK):
            total.update(bytes.fromhex(sha256_of(path)))
    key = total.hexdigest()[:32]
    # Looked at again: what was changed while it was read must not be remembered as what it was before.
    if certain and [mark(path) for path in source.files] == marks:
        write_sealed(memo, key, "cache")
    return key


def _build(source: Source, folder: Path) -> None:
    """Parse into a folder that is not there yet for others."""
    rows = write(source.parse(), folder / "instances.arrow")
    (folder / "tasks.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def write(items: Iterable[Parsed | Fault], path: Path) -> list[dict[str, Any]]:
    """Write instances, a record batch a task; return the rest of each task. All faults are raised together."""
    rows: list[dict[str, Any]] = []
    faults: list[str] = []
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        for item in items:
            if isinstance(item, Fault):
                faults.append(item.message)
            elif not faults:
                batch = _batch(item.task)
                writer.write_batch(batch)
                rows.append(_row(item, batch))
    if faults:
        raise UserErrors(faults)
    return rows


def _batch(task: Task) -> pa.RecordBatch:
    choices = dict(task.answer_choices)
    columns = [
        [i.id for i in task.instances],
        [i.input for i in task.instances],
        [i.references for i in task.instances],
        [choices.get(i.id) for i in task.instances],
    ]
    return pa.record_batch(
        [pa.array(c, t) for c, t in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA
    )


def _row(item: Parsed, batch: pa.RecordBatch) -> dict[str, Any]:
    task = item.task
    row: dict[str, Any] = {
        "name": task.name,
        "definition": task.definition,
        "positive_examples": [asdict(example) for example in task.positive_examples],
        "negative_examples": [asdict(example) for example in task.negative_examples],
        "categories": task.categories,
        "label_space": task.label_space,
        "prompted": task.prompted,
    }
    digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode())
    for column in batch.columns:
        digest.update(json.dumps(column.to_pylist()).encode())
    return {
        **row,
        "test": item.test,
        "languages": item.languages,
        "notes": item.notes,
        "digest": digest.hexdigest(),
    }


def _load(folder: Path) -> tuple[Stored, ...]:
    reader = pa.ipc.open_file(pa.memory_map(str(folder / "instances.arrow")))
    rows = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    return tuple(_stored(row, Instances(reader.get_batch(at), row["digest"])) for at, row in enumerate(rows))


def _stored(row: dict[str, Any], instances: Instances) -> Stored:
    space = row["label_space"]
    task = Task(
        name=row["name"],
        definition=row["definition"],
        instances=cast("tuple[Instance, ...]", instances),
        positive_examples=tuple(Example(**example) for example in row["positive_examples"]),
        negative_examples=tuple(Example(**example) for example in row["negative_examples"]),
        categories=tuple(row["categories"]),
        label_space=None if space is None else tuple(space),
        prompted=row["prompted"],
        answer_choices=instances.choices(),
    )
    languages = tuple(map(tuple, row["languages"]))
    return Stored(Parsed(task, row["test"], languages, tuple(row["notes"])), row["digest"])
