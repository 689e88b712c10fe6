"""The parts of a small cell that `benchmarks/hundred.py` extrapolates from: their seconds and what they had to do.

Parts are told apart by watching the methods that do them; reading is told as kept or computed by what the store of the
frozen layers' states answered last.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from instruct_ablate.model.decoding import engine_native, greedy
from instruct_ablate.model.decoding.layers import decoder_only, kept_prompts
from instruct_ablate.model.decoding.layers.left_rows import JoinedDecoder
from instruct_ablate.model.training.layers.kept_states import KeptStates
from instruct_ablate.model.training.module import InstructionModule


@dataclass
class Cell:
    """What a small cell took: seconds of its parts and what they had to do."""

    trained: list[float] = field(default_factory=lambda: [0.0, 0])  # seconds, tokens
    computed: list[float] = field(default_factory=lambda: [0.0, 0])  # of the frozen layers, for a new sample
    read: list[float] = field(default_factory=lambda: [0.0, 0])  # test prompts whose batch was kept
    written: list[float] = field(default_factory=lambda: [0.0, 0])  # test prompts whose batch was not
    steps: list[tuple[int, float]] = field(default_factory=list)  # rows, seconds
    answers: list[tuple[int, bool]] = field(default_factory=list)  # tokens, whether its end came
    seconds: float = 0.0

    @property
    def rest(self) -> float:
        """Seconds of all else."""
        parts = (self.trained, self.computed, self.read, self.written)
        return self.seconds - sum(part[0] for part in parts) - sum(seconds for _, seconds in self.steps)


@contextmanager
def clocked(cell: Cell) -> Iterator[None]:
    """Note what a cell's parts take."""
    hits: deque[bool] = deque(maxlen=1)  # a ranking pass looks, too, and takes no answer away

    def look(found: bool, *_: Any) -> None:
        hits.append(found)

    def passes(seconds: float, decoder: Any, *_: Any) -> None:
        if not isinstance(decoder.kept, kept_prompts.KeptPrompts):
            return  # a trial's
        batch = decoder.batch
        tokens = sum(map(len, batch.prefixes)) + sum(len(row.tokens) for row in batch.rows)
        _add(cell.read if hits and hits.pop() else cell.written, seconds, tokens)

    def stepped(seconds: float, decoder: Any, tokens: Any) -> None:
        if isinstance(decoder, JoinedDecoder) or isinstance(decoder.kept, kept_prompts.KeptPrompts):
            cell.steps.append((len(tokens), seconds))

    def fitted(seconds: float, _: Any, batch: Any, *__: Any) -> None:
        _add(cell.trained, seconds, sum(part.decoder.total for part in batch.micro_batches))

    def kept(seconds: float, states: KeptStates, *_: Any) -> None:
        _add(cell.computed, seconds, states.computed)

    with ExitStack() as changes:
        for owner, name, note in (
            (decoder_only.PackedDecoder, "prefill", passes),
            (decoder_only.PackedDecoder, "step", stepped),
            (InstructionModule, "training_step", fitted),
            (KeptStates, "keep", kept),
        ):
            changes.enter_context(_noted(owner, name, note))
        changes.enter_context(_noted(kept_prompts._Entry, "look", look, of_result=True))
        changes.enter_context(_noted_answers(cell))
        started = time.process_time()
        yield
        cell.seconds = time.process_time() - started


@contextmanager
def _noted(owner: Any, name: str, note: Callable[..., None], of_result: bool = False) -> Iterator[None]:
    """Tell `note` of each call of a method: its seconds (or its result), and what it was given."""
    plain = getattr(owner, name)

    def noting(*given: Any, **named: Any) -> Any:
        started = time.process_time()
        result = plain(*given, **named)
        note(result if of_result else time.process_time() - started, *given)
        return result

    setattr(owner, name, noting)
    try:
        yield
    finally:
        setattr(owner, name, plain)


@contextmanager
def _noted_answers(cell: Cell) -> Iterator[None]:
    def noting(decoder: Any, stops: Any, limit: int, *given: Any) -> Iterator[tuple[int, list[int]]]:
        for row, tokens in greedy.decode_greedily(decoder, stops, limit, *given):
            cell.answers.append((min(limit, len(tokens) + 1), len(tokens) < limit))
            yield row, tokens

    plain = engine_native.decode_greedily
    engine_native.decode_greedily = noting
    try:
        yield
    finally:
        engine_native.decode_greedily = plain


def _add(part: list[float], seconds: float, amount: float) -> None:
    part[0] += seconds
    part[1] += amount
