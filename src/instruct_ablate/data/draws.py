"""What each epoch shows of an example that can be shown in several ways: one of its encodings, one of its references.

All are tokenised once; an epoch's draw depends on the seed, the epoch and the instance alone, so that a fit that was
stopped goes on with the same ones, however it is divided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from instruct_ablate.data.store import Integers, Picked, TokenStore
from instruct_ablate.instruction.context import hashed
from instruct_ablate.prompt.build import drawn_reference
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import DataConfig

Name = tuple[str, str]


def varies(config: DataConfig) -> bool:
    """Whether an example is not the same in every epoch."""
    return config.encodings != "one" or config.references != "one"


@dataclass(frozen=True)
class Draws:
    """The tokens of all ways to show each example, in neighbouring rows of one store.

    `sources` and `targets`: of how many sources and targets an epoch draws; `names` are task and id of each example.
    """

    store: TokenStore
    starts: Integers  # an example's first row
    sources: Integers
    targets: Integers
    names: tuple[Name, ...]
    seed: int

    def of_epoch(self, epoch: int) -> TokenStore:
        """Return the examples as an epoch shows them."""
        return replace(
            self.store,
            sources=Picked.of(
                self.store.sources, self.starts + self._drawn(self.sources, self._encoding, epoch)
            ),
            targets=Picked.of(
                self.store.targets, self.starts + self._drawn(self.targets, self._reference, epoch)
            ),
            tasks=self.store.tasks[self.starts],
        )

    def _drawn(self, numbers: Integers, draw: Callable[[Name, int, int], int], epoch: int) -> Integers:
        places = np.zeros_like(numbers)
        for example in np.flatnonzero(numbers > 1):
            places[example] = draw(self.names[example], int(numbers[example]), epoch)
        return places

    def _encoding(self, name: Name, number: int, epoch: int) -> int:
        return hashed(self.seed, "encoding", *name, epoch) % number

    def _reference(self, name: Name, number: int, epoch: int) -> int:
        return drawn_reference(self.seed, *name, number, epoch)


def draws(
    prompts: Sequence[Prompt], config: DataConfig, seed: int, store: Callable[[Sequence[Prompt]], TokenStore]
) -> Draws:
    """Lay out all ways to show each prompt, one a row, and tokenise them by `store`."""
    rows: list[Prompt] = []
    starts, sources, targets = [], [], []
    for prompt in prompts:
        shown = prompt.alternatives or (prompt.source,)
        right = prompt.references if config.references == "every_epoch" else (prompt.target,)
        starts.append(len(rows))
        sources.append(len(shown))
        targets.append(len(right))
        rows += [
            # Sources and targets are drawn apart: row n has the n-th of each, and the shorter list goes round.
            replace(prompt, source=shown[place % len(shown)], target=right[place % len(right)])
            for place in range(max(len(shown), len(right)))
        ]
    begin, shown_as, right_as = (np.array(values, dtype=np.int64) for values in (starts, sources, targets))
    names = tuple((prompt.task, prompt.instance_id) for prompt in prompts)
    return Draws(store(rows), begin, shown_as, right_as, names, seed)
