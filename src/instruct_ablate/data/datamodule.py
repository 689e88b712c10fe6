"""The Lightning data module: one effective batch a Lightning batch, from any step on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from instruct_ablate.data.alike import alike, shared_prefix
from instruct_ablate.data.batches import Schedule, deal, pack, pack_padded, runs, schedule, share
from instruct_ablate.data.collate import collate
from instruct_ablate.data.device import is_on_gpu
from instruct_ablate.data.draws import Draws
from instruct_ablate.data.micro_batch import EffectiveBatch, MicroBatch
from instruct_ablate.data.settings import unshared
from instruct_ablate.data.store import Integers, TokenStore
from instruct_ablate.data.weighting import Weighting
from instruct_ablate.errors import UserError
from instruct_ablate.prompt.lengths import cut_targets_note
from instruct_ablate.schema import Config


@dataclass(frozen=True)
class Batches:
    """Makes the effective batch of any step, for one of several processes."""

    store: TokenStore
    schedule: Schedule
    start_token: int | None
    limit: int  # tokens of a micro-batch
    packing: bool = True
    rank: int = 0
    processes: int = 1
    weighting: Weighting | None = None  # where prompt tokens count too
    draws: Draws | None = None  # where epochs show examples differently
    sharing: bool = False  # of a step's examples those that begin alike share that, whatever their tasks

    def of_epoch(self, epoch: int) -> Batches:
        """Return the maker of an epoch's batches, with the examples as it shows them."""
        return self if self.draws is None else replace(self, store=self.draws.of_epoch(epoch))

    def batch(self, step: int, order: list[Integers]) -> EffectiveBatch:
        """Return this process's part of one step; `order` is that of the step's epoch."""
        chosen = order[step % self.schedule.steps_per_epoch]
        groups = self._alike(chosen) if self.sharing else self._groups(chosen)
        return EffectiveBatch(
            micro_batches=tuple(self._micro_batches(groups)),
            step=step,
            epoch=(step + 1) / self.schedule.steps_per_epoch,
            examples=len(chosen),
            target_tokens=int(self.store.targets.lengths[chosen].sum()),
            tokens=int(self.store.lengths[chosen].sum()),
            weight=self._weight(chosen),
        )

    def _weight(self, chosen: Integers) -> float:
        """Return what a step's loss is divided by, over all processes."""
        if self.weighting is None:
            return 0.0
        if self.weighting.per_example:
            return float(len(chosen))
        sources, targets = (
            int(part.lengths[chosen].sum()) for part in (self.store.sources, self.store.targets)
        )
        return self.weighting.total(sources - len(chosen) + 1, targets)

    def _micro_batches(self, groups: list[list[int]]) -> Iterator[MicroBatch]:
        """Divide groups among micro-batches within the limit."""
        divided = (
            pack([self._cost(group) for group in groups], self.limit)
            if self.packing
            else pack_padded([int(self.store.lengths[group[0]]) for group in groups], self.limit)
        )
        for units in divided:
            yield collate(self.store, [groups[unit] for unit in units], self.start_token, self.weighting)

    def _groups(self, chosen: Integers) -> list[list[int]]:
        """Return this process's examples of a step, those of a task together within the limit, else one by one."""
        lengths = self.store.lengths
        mine = share(chosen, lengths, self.rank, self.processes, self.schedule.tasks is not None)
        if self.schedule.tasks is None or unshared(self.packing, self.start_token is not None):
            return [[example] for example in mine.tolist()]
        whole = [run.tolist() for run in runs(mine, self.schedule.tasks)]
        return [part for group in whole for part in self._within_limit(group)]

    def _alike(self, chosen: Integers) -> list[list[int]]:
        """Return this process's examples of a step, those that begin alike together, each within the limit.

        Groups are dealt out whole, and none is more than a process would have if nothing were shared.
        """
        every = share(chosen, self.store.lengths, 0, 1, grouped=False)
        tokens = self.store.lengths[every].tolist()
        most = min(self.limit, math.ceil(sum(tokens) / self.processes))
        found = alike([self.store.sources[example] for example in every.tolist()], tokens, most)
        groups = [every[places].tolist() for places in found]
        mine = deal([self._cost(group) for group in groups], self.processes)[self.rank]
        return [groups[unit] for unit in sorted(mine)]

    def _within_limit(self, group: list[int]) -> list[list[int]]:
        """Halve a group until each part fits into a micro-batch."""
        if len(group) == 1 or self._cost(group) <= self.limit:
            return [group]
        middle = len(group) // 2
        return self._within_limit(group[:middle]) + self._within_limit(group[middle:])

    def _cost(self, group: list[int]) -> int:
        """Return a group's tokens, its shared prefix counted once."""
        whole = int(self.store.lengths[group].sum())
        if len(group) == 1:
            return whole
        return whole - (len(group) - 1) * shared_prefix([self.store.sources[example] for example in group])


class _Steps(IterableDataset[EffectiveBatch]):
    """The steps from `first` on, each made when it is asked for (by one of the loader's workers)."""

    def __init__(self, batches: Batches, first: int) -> None:
        self.batches = batches
        self.first = first

    def __iter__(self) -> Iterator[EffectiveBatch]:
        """Yield the steps in order; workers take turns."""
        worker = get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        plan = self.batches.schedule
        epoch, order, batches = -1, [np.empty(0, dtype=np.int64)], self.batches
        for step in range(self.first + offset, plan.steps, stride):
            if step // plan.steps_per_epoch != epoch:
                epoch = step // plan.steps_per_epoch
                order, batches = plan.order(epoch), self.batches.of_epoch(epoch)
            yield batches.batch(step, order)


class PromptDataModule(LightningDataModule):
    """Training batches of a token store.

    The loader has no length and the whole fit is one Lightning epoch: pass `max_steps=data.steps`. After
    `load_state_dict` (or with `first_step` set) it begins where the saved fit stopped, exactly. Of draws, each epoch
    shows its own.
    """

    def __init__(self, given: TokenStore | Draws, config: Config, start_token: int | None) -> None:
        super().__init__()
        self.draws = given if isinstance(given, Draws) else None
        store = given.of_epoch(0) if isinstance(given, Draws) else given
        if (start_token is not None) != store.encoder_decoder:
            raise ValueError("a start token belongs to encoder-decoder models, and to them alone")
        self.store = store
        self.config = config
        self.start_token = start_token
        self.schedule = schedule(config.trainer, config.data, config.seed, store.tasks)
        self.first_step = 0

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole fit."""
        return self.schedule.steps

    @property
    def notes(self) -> list[str]:
        """Say how many targets are shown without their end, which nothing else tells; of draws, among all there are."""
        whole = self.store if self.draws is None else self.draws.store
        if not whole.cut_targets:
            return []
        limit = self.config.prompt.max_target_length
        return [f"training: {cut_targets_note(whole.cut_targets, len(whole), limit)}"]

    def batches(self) -> Batches:
        """Return the maker of batches for this process of the trainer (or for a single one)."""
        trainer = self.trainer
        return Batches(
            self.store,
            self.schedule,
            self.start_token,
            self.config.trainer.micro_batch_tokens,
            self.config.data.packing,
            trainer.global_rank if trainer else 0,
            trainer.world_size if trainer else 1,
            Weighting.of(self.config.trainer),
            self.draws,
            self.config.data.grouping == "prefix",
        )

    def train_dataloader(self) -> DataLoader[EffectiveBatch]:
        """Return the loader of effective batches, from `first_step` on; in pinned memory where a GPU reads them."""
        workers = self.config.data.num_workers
        return DataLoader(
            _Steps(self.batches(), self.first_step),
            # A step is whole as it comes: the loader has nothing to lay together.
            batch_size=None,
            num_workers=workers,
            persistent_workers=False,
            pin_memory=is_on_gpu(self.config.trainer),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return how far the fit is, the schedule it follows and the examples it is of."""
        done = self.trainer.global_step if self.trainer else self.first_step
        return {"step": done, "schedule": self._signature(), "examples": self._checksum}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the saved step; another schedule than the saved one is refused, and so are other examples.

        Those are not known to a cell's identity alone: it counts neither the order of tasks in a split's list nor files
        that code of the user's reads, and what is half trained on one order would see some twice and others never.
        """
        if state_dict["schedule"] != self._signature():
            raise UserError(
                f"the checkpoint belongs to another order of examples ({state_dict['schedule']}) "
                f"than this fit's ({self._signature()}). Remove the cell's checkpoints folder to begin anew."
            )
        if state_dict.get("examples", self._checksum) != self._checksum:  # earlier versions did not note it
            raise UserError(
                "the checkpoint belongs to other training examples than this fit's, or to the same ones in another "
                "order (were task files, split lists or files that your own code reads edited since?). Put them back, "
                "or remove the cell's checkpoints folder to begin anew."
            )
        self.first_step = int(state_dict["step"])

    @cached_property
    def _checksum(self) -> int:
        """What tells these tokens, in this order, from others."""
        store = self.store if self.draws is None else self.draws.store
        return store.checksum

    def _signature(self) -> dict[str, Any]:
        """Return what decides the order of examples."""
        plan = self.schedule
        grouping = plan.group_size if plan.tasks is not None else None
        return {
            "examples": plan.examples,
            "batch_size": plan.batch_size,
            "seed": plan.seed,
            "group_size": grouping,
        }
