from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from instruct_ablate.data.alike import alike
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.draws import Draws, draws, varies
from instruct_ablate.data.store import TokenStore
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.prompt.build import drawn_reference
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, DataConfig, TrainerConfig
from tests.data.conftest import make_prompts, make_store

BOTH = DataConfig(encodings="tk_instruct", references="every_epoch")


def prompts() -> list[Prompt]:
    """Prompts with five sources each, the first of them the prompt's own; every third has four references."""
    made = []
    for place, prompt in enumerate(make_prompts()):
        references = ("yes", "no", "perhaps", "never") if place % 3 == 0 else (prompt.target,)
        sources = tuple(f"{'Example. ' * way}{prompt.source}" for way in range(5))
        target = references[drawn_reference(5, prompt.task, prompt.instance_id, len(references))]
        made.append(replace(prompt, references=references, target=target, alternatives=sources))
    return made


def config(data: DataConfig, **trainer: object) -> Config:
    settings: dict[str, object] = {"batch_size": 4, "micro_batch_tokens": 100, "epochs": 3.0, **trainer}
    return Config(trainer=TrainerConfig(**settings), data=data, seed=5)  # type: ignore[arg-type]


def drawn(llama: Checkpoint, cache: Path, data: DataConfig = BOTH, seed: int = 5) -> Draws:
    return draws(prompts(), data, seed, lambda rows: make_store(llama, list(rows), cache))


def texts(llama: Checkpoint, store: TokenStore) -> list[tuple[str, str]]:
    decode = llama.tokenizer.decode
    return [
        (
            decode(store.sources[i], skip_special_tokens=True),
            decode(store.targets[i], skip_special_tokens=True),
        )
        for i in range(len(store))
    ]


def test_the_usual_data_do_not_vary() -> None:
    assert not varies(DataConfig())
    assert varies(BOTH)
    assert varies(DataConfig(references="every_epoch"))


def test_every_epoch_shows_each_example_in_one_of_its_ways(llama: Checkpoint, cache: Path) -> None:
    made, given = drawn(llama, cache), prompts()
    shown = [texts(llama, made.of_epoch(epoch)) for epoch in range(40)]
    ways, rights = Counter[int](), Counter[str]()
    for epoch in shown:
        for prompt, (source, target) in zip(given, epoch, strict=True):
            assert source in prompt.alternatives
            assert target in prompt.references
            ways[prompt.alternatives.index(source)] += 1
            rights[target] += len(prompt.references) == 4
    assert set(ways) == set(range(5))
    assert min(ways.values()) > 0.7 * max(ways.values()), "all ways are about as frequent"
    assert min(rights[one] for one in ("yes", "no", "perhaps", "never")) > 40
    assert shown[0] != shown[1]
    whole = made.of_epoch(0)
    assert np.array_equal(
        whole.lengths, [len(a) + len(b) for a, b in zip(whole.sources, whole.targets, strict=False)]
    )
    assert list(whole.tasks) == [0] * 7 + [1] * 7 + [2] * 7


def test_the_first_epoch_has_the_usual_references(llama: Checkpoint, cache: Path) -> None:
    made = drawn(llama, cache, DataConfig(references="every_epoch"))
    assert [target for _, target in texts(llama, made.of_epoch(0))] == [prompt.target for prompt in prompts()]
    alone = drawn(llama, cache, DataConfig(encodings="tk_instruct"))
    for epoch in (0, 3):
        assert [target for _, target in texts(llama, alone.of_epoch(epoch))] == [p.target for p in prompts()]


def test_a_draw_depends_on_seed_epoch_and_instance_alone(llama: Checkpoint, cache: Path) -> None:
    whole, other = drawn(llama, cache), drawn(llama, cache, seed=6)
    assert texts(llama, whole.of_epoch(2)) == texts(llama, drawn(llama, cache).of_epoch(2))
    assert texts(llama, whole.of_epoch(2)) != texts(llama, other.of_epoch(2))
    fewer = draws(prompts()[4:9], BOTH, 5, lambda rows: make_store(llama, list(rows), cache))
    assert texts(llama, fewer.of_epoch(2)) == texts(llama, whole.of_epoch(2))[4:9]


def test_encodings_are_drawn_by_the_seed_and_for_each_task_anew(llama: Checkpoint, cache: Path) -> None:
    """Two tasks may number their instances alike: their draws are not the same."""
    given = [replace(prompts()[1], task=task, instance_id=str(n)) for task in ("a", "b") for n in range(12)]

    def shown(seed: int) -> list[str]:
        data = DataConfig(encodings="tk_instruct")
        made = draws(given, data, seed, lambda rows: make_store(llama, list(rows), cache))
        return [source for source, _ in texts(llama, made.of_epoch(1))]

    assert shown(5)[:12] != shown(5)[12:]
    assert shown(5) != shown(6)


def test_more_references_than_encodings_are_all_the_examples_own(llama: Checkpoint, cache: Path) -> None:
    """One encoding, and a number of references that differs from example to example."""
    made = [replace(prompt, alternatives=()) for prompt in prompts()]
    given = [replace(p, references=(f"only {place}", *p.references[1:])) for place, p in enumerate(made)]
    data = DataConfig(references="every_epoch")
    laid_out = draws(given, data, 5, lambda rows: make_store(llama, list(rows), cache))
    for epoch in range(6):
        shown = texts(llama, laid_out.of_epoch(epoch))
        assert [source for source, _ in shown] == [prompt.source for prompt in given]
        assert all(target in prompt.references for prompt, (_, target) in zip(given, shown, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_follow_the_epoch_and_go_on_where_they_stopped(
    llama: Checkpoint, cache: Path, workers: int
) -> None:
    made = drawn(llama, cache)
    whole = list(PromptDataModule(made, config(BOTH), None).train_dataloader())
    stopped = PromptDataModule(made, config(BOTH), None)
    stopped.first_step = 7
    resumed = PromptDataModule(made, config(replace(BOTH, num_workers=workers)), None)
    resumed.load_state_dict(stopped.state_dict())
    rest = list(resumed.train_dataloader())
    assert [batch.step for batch in rest] == list(range(7, 18))
    for one, other in zip(whole[7:], rest, strict=True):
        assert one.target_tokens == other.target_tokens
        for a, b in zip(one.micro_batches, other.micro_batches, strict=True):
            assert torch.equal(a.decoder.ids, b.decoder.ids)
            assert torch.equal(a.labels, b.labels)
    for batch in whole:
        store = made.of_epoch(batch.step // 6)
        chosen = sorted(i for micro in batch.micro_batches for i in micro.examples.tolist())
        assert batch.tokens == store.lengths[chosen].sum()
        for micro in batch.micro_batches:
            right = [store.targets[i] for i in micro.examples.tolist()]
            assert np.array_equal(micro.labels, np.concatenate(right))


def test_beginnings_are_shared_as_an_epoch_draws_them(
    llama: Checkpoint, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each example's tokens, put together again, are those that the epoch shows."""
    monkeypatch.setattr("instruct_ablate.data.datamodule.alike", partial(alike, least=8))
    data = DataConfig(encodings="tk_instruct", references="every_epoch", grouping="prefix")
    made = drawn(llama, cache, data)
    shared = 0
    for batch in PromptDataModule(made, config(data), None).train_dataloader():
        store = made.of_epoch(batch.step // 6)
        for micro in batch.micro_batches:
            packed, own = micro.decoder, iter(micro.examples.tolist())
            parts = [packed.ids[first:last].tolist() for first, last in packed.spans]
            for part, parent, owner in zip(parts, packed.parents, micro.decoder_owners, strict=True):
                if owner < 0:
                    continue
                example = next(own)
                shared += parent >= 0
                whole = (parts[parent] if parent >= 0 else []) + part
                assert whole == [*store.sources[example].tolist(), *store.targets[example][:-1].tolist()]
    assert shared


def test_grouped_tasks_may_draw_references(llama: Checkpoint, cache: Path) -> None:
    data = DataConfig(references="every_epoch", grouping="task", group_size=4)
    module = PromptDataModule(drawn(llama, cache, data), config(data), None)
    batches = list(module.train_dataloader())
    assert len(batches) == 18
    assert all(batch.examples for batch in batches)
