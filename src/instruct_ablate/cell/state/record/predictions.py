"""Predictions on disk: one JSON line each, appended as they come, renamed to their final name when complete.

A line is whole or it does not count: what a killed process left half-written is dropped on reading and cut
off before writing goes on.
"""

from __future__ import annotations

import json
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from instruct_ablate.disk.fence import inside_fence
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import (
    NOT_AS_WRITTEN,
    put_aside,
    read_plain,
    remove,
)
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.metrics.built_in import guess_chance
from instruct_ablate.metrics.constraints import PROMPT_STRICT
from instruct_ablate.prompt.prompt import Likelihood, Prediction, Prompt
from instruct_ablate.scores import InstanceScore, Values, value_of, with_values
from instruct_ablate.tasks.task import Kind, WordRule

log = logging.getLogger(__name__)
PARTIAL = ".partial"
_KINDS, _RULES = frozenset(get_args(Kind)), frozenset((None, *get_args(WordRule)))


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """One prediction with its references and scores; `prompt` is empty where prompts are not saved.

    `expected` marks a baseline's expected score, which no single text has: it cannot be computed again from
    `prediction`. `word_rule` is the task's; None in what an earlier version wrote: its references tell.
    `likelihoods`: what the model held of each reference, None where no metric read it; on disk one [log-probability,
    tokens, bytes] a reference, or nothing. `cut`: the answer was ended at its greatest length, which is
    `prompt.max_target_length` or what `evaluation.answer_slack` leaves; on disk where it is so, and noted by no earlier
    version.
    """

    task: str
    category: str
    kind: Kind
    instance_id: str
    prompt: str
    prediction: str
    references: tuple[str, ...]
    choices: tuple[str, ...] | None
    truncated: bool
    values: Values = ()
    expected: bool = False
    word_rule: WordRule | None = None
    likelihoods: tuple[Likelihood, ...] | None = None
    cut: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Task and instance id: what tells rows apart."""
        return self.task, self.instance_id

    @property
    def score(self) -> InstanceScore:
        """The row's scores by themselves."""
        return InstanceScore(self.values)

    def get(self, name: str) -> float | None:
        """Return a metric's value; None where it is not defined."""
        return value_of(self.values, name)

    @property
    def right(self) -> float:
        """Whether the answer is right: by exact match, or where constraints check it by all of these."""
        kept = self.get(PROMPT_STRICT)
        return kept if kept is not None else self.get("exact_match") or 0.0

    def to_prediction(self) -> Prediction:
        """Return the prediction as the metrics take it."""
        source = Prompt(
            self.task,
            self.category,
            self.kind,
            self.instance_id,
            self.prompt,
            self.references,
            self.references[0],
            self.choices,
            self.truncated,
            word_rule=self.word_rule,
        )
        return Prediction(source, self.prediction, self.likelihoods, self.cut)


def make_row(
    prediction: Prediction, score: InstanceScore, save_prompt: bool = True, expected: bool = False
) -> PredictionRow:
    """Join a prediction and its scores."""
    prompt = prediction.prompt
    return PredictionRow(
        prompt.task,
        prompt.category,
        prompt.kind,
        prompt.instance_id,
        prompt.source if save_prompt else "",
        prediction.text,
        prompt.references,
        prompt.choices,
        prompt.truncated,
        score.values,
        expected,
        prompt.word_rule,
        prediction.likelihoods,
        prediction.cut,
    )


def to_line(row: PredictionRow) -> str:
    """Write a row as one JSON line; a lone surrogate that a model made is kept, escaped."""
    fields: dict[str, Any] = {name: getattr(row, name) for name in PredictionRow.__slots__}
    fields["values"] = dict(row.values)
    if row.likelihoods is None:
        del fields["likelihoods"]
    else:
        fields["likelihoods"] = [[one.log_probability, one.tokens, one.bytes] for one in row.likelihoods]
    if not row.cut:
        del fields["cut"]
    line = json.dumps(fields, ensure_ascii=False)
    return line if line.isascii() or _encodable(line) else json.dumps(fields)


def _encodable(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def from_line(line: str | bytes) -> PredictionRow:
    """Read a row back, also one of version 1; `ValueError`, `TypeError` or `KeyError` where the line is none."""
    fields = load_json(line)
    fields["references"] = tuple(fields["references"])
    if fields["choices"] is not None:
        fields["choices"] = tuple(fields["choices"])
    if "values" not in fields and fields["choices"]:
        fields["uniform_guess"] = guess_chance(fields["choices"])  # version 1 did not write it down
    if "values" not in fields:
        fields = with_values(fields)
    fields["values"] = tuple([(name, float(value)) for name, value in dict(fields["values"]).items()])
    if fields.get("likelihoods") is not None:
        fields["likelihoods"] = tuple(
            Likelihood(float(total), int(tokens), int(size)) for total, tokens, size in fields["likelihoods"]
        )
    row = PredictionRow(**fields)
    if row.likelihoods is not None:
        sizes = [one.tokens > 0 and one.bytes >= 0 for one in row.likelihoods]
        if len(sizes) != len(row.references) or not all(sizes):
            raise TypeError("one likelihood for each reference is expected")
    texts = (row.task, row.category, row.instance_id, row.prompt, row.prediction, *row.references)
    if not row.references or {*map(type, texts), *map(type, row.choices or ())} != {str}:
        raise TypeError("texts are expected, and a reference")
    truths = all(isinstance(one, bool) for one in (row.truncated, row.expected, row.cut))
    if not (truths and row.kind in _KINDS and row.word_rule in _RULES):
        raise TypeError("a kind of task, a rule for words, and true or false are expected")
    if not all(map(math.isfinite, [value for _, value in row.values])):
        raise ValueError("finite values are expected")
    return row


def partial_path(path: Path, generation: int | None = None) -> Path:
    """Return where rows lie until the file is complete: each process that holds the cell has a file of its own."""
    return path.with_name(f"{path.name}{PARTIAL}{'' if generation is None else f'-{generation}'}")


def unfinished(path: Path) -> list[Path]:
    """Return the files of rows that are not complete, the latest last."""
    start = f"{path.name}{PARTIAL}"
    ends = {one.name.removeprefix(start): one for one in path.parent.glob("*") if one.name.startswith(start)}
    return [ends[end] for end in sorted((e for e in ends if e == "" or e[1:].isdecimal()), key=_generation)]


def _generation(end: str) -> int:
    return int(end[1:] or 0)


def discard(path: Path) -> None:
    """Remove a file of predictions, complete or not."""
    with inside_fence(path):
        for one in (path, *unfinished(path)):
            remove(one)


def read_predictions(path: Path) -> tuple[PredictionRow, ...]:
    """Read a prediction file; a half-written last line is dropped and said, any other damage is an error.

    Whoever reads those of a done cell reads them with `scored_rows`, which says whether they are those of its scores.
    """
    return parsed(path, content_of(path))


def content_of(path: Path) -> bytes:
    """Read a prediction file's bytes."""
    try:
        return read_plain(path)
    except OSError as error:
        raise UserError(f"cannot read the predictions {path}: {error.strerror}.") from error


def parsed(path: Path, content: bytes) -> tuple[PredictionRow, ...]:
    """Read the rows of a prediction file that holds `content`."""
    whole, _, tail = content.rpartition(b"\n")
    if tail:
        log.warning("%s: the last line is half-written and was dropped", path)
    rows = []
    for number, line in enumerate(whole.split(b"\n") if whole else (), 1):
        try:
            rows.append(from_line(line))
        except NOT_AS_WRITTEN as error:
            raise UserError(f"{path}, line {number}: not a prediction row ({in_a_line(error)}).") from error
    return tuple(rows)


def written_rows(path: Path) -> tuple[PredictionRow, ...]:
    """Return the rows that are there already, of a complete or an unfinished file; what is damaged is put aside."""
    for one in (path, *reversed(unfinished(path))):
        if not os.path.lexists(one):
            continue
        try:
            return read_predictions(one)
        except UserError as fault:
            with inside_fence(path):
                aside = put_aside(one)
            log.warning("%s; it was put aside as %s and is predicted again", fault, aside.name)
    return ()
