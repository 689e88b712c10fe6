"""Whether a fit keeps what its frozen layers give, and of which sequences; why not, where it was to be expected."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from instruct_ablate.configuration.top_layers import ALL
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.device import is_on_gpu
from instruct_ablate.data.store import TokenStore
from instruct_ablate.errors import in_a_line
from instruct_ablate.model.adapters import bare
from instruct_ablate.model.state_store import make_store
from instruct_ablate.model.training.layers.frozen_layers import FrozenLayers
from instruct_ablate.model.training.layers.kept_states import KeptStates, name_of
from instruct_ablate.model.training.layers.output_layer import OutputLayer
from instruct_ablate.model.training.loss import target_states
from instruct_ablate.model.training.support import trial_batch, trial_sequences
from instruct_ablate.model.trial import REFUSALS, agree, held, short_windows, trial_tokens
from instruct_ablate.schema import Config

log = logging.getLogger(__name__)
TRIAL = 5  # tokens of a chunk in the trial: its sequences have more


@contextmanager
def kept_states(
    model: Any, data: PromptDataModule, config: Config, notes: list[str]
) -> Iterator[KeptStates | None]:
    """Give the states of the fit's frozen layers, computed and kept by now; None where each step computes them.

    Call within `packed_attention_of` the model. Notes say why nothing, or not all, is kept.
    """
    frozen = _frozen(model, config, notes) if config.trainer.frozen_cache_gb else None
    if frozen is None:
        yield None
        return
    # Two tokens tell the width and the precision of what is kept.
    like = frozen.chunk(torch.tensor(trial_tokens(bare(model), 2)), []).states
    limit = int(config.trainer.frozen_cache_gb * 1e9)
    store = make_store(Path(config.cache), name_of(frozen), like.shape[-1], like.dtype, limit)
    try:
        kept = KeptStates(frozen, store)
        kept.keep(list(shown(data)))
        if store.full is not None:
            notes.append(
                f"training: some of the frozen layers' states are computed in every step: {store.full} "
                "(trainer.frozen_cache_gb)"
            )
        yield kept
    finally:
        store.close()


def _frozen(model: Any, config: Config, notes: list[str]) -> FrozenLayers | None:
    """Return the layers whose states are kept; None where there are none, with a note where some are frozen."""
    why = _hindrance(config)
    if why is None and bare(model).config.is_encoder_decoder:
        why = "they are kept for decoder-only models alone"
    frozen = None if why else FrozenLayers.of(model)
    if why is None and frozen is None:
        return None  # every layer learns, or what they all stand on
    # Not held again for a further cell of the same weights: its adapters begin at zero and change nothing.
    if frozen is not None and not held(
        (_agrees, frozen.count), partial(_agrees, model, frozen), frozen.model
    ):
        why, frozen = f"of {type(bare(model)).__name__} they cannot be run by themselves", None
    if frozen is None and config.method.layers != ALL:
        notes.append(f"training: the frozen layers' states are computed in every step: {why}")
    return frozen


def shown(data: PromptDataModule) -> Iterator[tuple[TokenStore, int]]:
    """Yield the examples that the rest of a fit shows, each once (of draws, once an epoch)."""
    plan = data.schedule
    each, seen = plan.steps_per_epoch, set[int]()
    for epoch in range(data.first_step // each, -(-plan.steps // each)):
        # Of draws each epoch has a store of its own: the same number is another text there.
        if data.draws is not None:
            seen = set()
        elif len(seen) == plan.examples:
            return
        store = data.store if data.draws is None else data.draws.of_epoch(epoch)
        begin, end = max(data.first_step - epoch * each, 0), min(plan.steps - epoch * each, each)
        steps = plan.order(epoch)[begin:end]
        for example in chain.from_iterable(step.tolist() for step in steps):
            if example not in seen:
                seen.add(example)
                yield store, example


def _hindrance(config: Config) -> str | None:
    """Name the setting under which nothing is kept."""
    trainer = config.trainer
    on_cpu = not is_on_gpu(trainer)
    against = {
        "they are kept on processors alone": not on_cpu,
        "data.packing=false": not config.data.packing,
        f"trainer.dropout={trainer.dropout} draws anew": bool(trainer.dropout),
        "trainer.compile=true": trainer.compile,
        "several processes train together": trainer.devices * trainer.num_nodes > 1
        or trainer.strategy != "auto",
    }
    return next((why for why, there in against.items() if there), None)


def _agrees(model: Any, frozen: FrozenLayers) -> bool:
    """Whether a few tokens have the same logits with the frozen layers run by themselves, chunk by chunk."""
    batch = trial_batch(trial_sequences(model), grouped=True)
    head = OutputLayer.of(model)
    try:
        with torch.no_grad(), short_windows(bare(model)):
            wanted = head.logits(target_states(model, batch))
            ours = head.logits(target_states(model, batch, kept=KeptStates(frozen, None, TRIAL)))
    except REFUSALS as reason:
        log.debug("%s: %s", type(model).__name__, in_a_line(reason))
        return False
    return agree(ours, wanted)
