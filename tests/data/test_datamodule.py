from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as lightning
import torch

from instruct_ablate.data.datamodule import Batches, PromptDataModule
from instruct_ablate.data.draws import draws
from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.data.store import Ragged, TokenStore
from instruct_ablate.errors import UserError
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, DataConfig, TrainerConfig
from tests.data.conftest import make_prompts, make_store
from tests.left_out import left_out


def config(data: DataConfig | None = None, **trainer: object) -> Config:
    settings: dict[str, object] = {"batch_size": 4, "micro_batch_tokens": 100, "epochs": 2.0, **trainer}
    return Config(trainer=TrainerConfig(**settings), data=data or DataConfig(), seed=5)  # type: ignore[arg-type]


def examples(batch: EffectiveBatch) -> list[int]:
    return sorted(i for micro in batch.micro_batches for i in micro.examples.tolist())


def all_batches(module: PromptDataModule) -> list[EffectiveBatch]:
    return list(module.train_dataloader())


def test_every_step_has_its_examples(llama_store: TokenStore) -> None:
    batches = all_batches(PromptDataModule(llama_store, config(), None))
    assert [len(examples(batch)) for batch in batches] == [4, 4, 4, 4, 4, 1] * 2
    assert [batch.step for batch in batches] == list(range(12))
    assert batches[5].epoch == 1.0
    assert set(Counter(i for batch in batches for i in examples(batch)).values()) == {2}
    for batch in batches:
        chosen = examples(batch)
        assert batch.examples == len(chosen)
        assert batch.target_tokens == llama_store.targets.lengths[chosen].sum()
        assert batch.tokens == llama_store.lengths[chosen].sum()
        assert all(micro.tokens <= 100 or len(micro.examples) == 1 for micro in batch.micro_batches)


@pytest.mark.parametrize(
    "changes", [{"micro_batch_tokens": 10_000}, {"micro_batch_tokens": 1}, {"devices": 3}]
)
def test_steps_do_not_depend_on_the_machine(llama_store: TokenStore, changes: dict[str, int]) -> None:
    one = all_batches(PromptDataModule(llama_store, config(), None))
    other = all_batches(PromptDataModule(llama_store, config(**changes), None))
    assert [examples(batch) for batch in one] == [examples(batch) for batch in other]


@pytest.mark.parametrize(
    ("accelerator", "there", "pinned"),
    [
        ("cpu", True, False),
        ("auto", True, True),
        ("gpu", True, True),
        ("auto", False, False),
        ("cpu", False, False),
    ],
)
def test_memory_is_pinned_for_a_gpu_that_trains(
    llama_store: TokenStore, monkeypatch: pytest.MonkeyPatch, accelerator: str, there: bool, pinned: bool
) -> None:
    """Before: it was for a GPU in sight, though the processor trained."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    asked = config(accelerator=accelerator)
    assert PromptDataModule(llama_store, asked, None).train_dataloader().pin_memory == pinned


@pytest.mark.parametrize("grouping", ["none", "task", "prefix"])
def test_processes_together_do_the_same_steps(llama_store: TokenStore, grouping: str) -> None:
    module = PromptDataModule(llama_store, config(DataConfig(grouping=grouping)), None)
    parts = [replace(module.batches(), rank=rank, processes=3) for rank in range(3)]
    whole = module.batches()
    order = module.schedule.order(0)
    for step in range(6):
        made = [part.batch(step, order) for part in parts]
        assert sorted(i for batch in made for i in examples(batch)) == examples(whole.batch(step, order))
        assert {batch.target_tokens for batch in made} == {whole.batch(step, order).target_tokens}
        assert {batch.tokens for batch in made} == {whole.batch(step, order).tokens}
    assert sum(not batch.micro_batches for batch in made) == 2  # one example left for three


def test_a_group_shares_its_prefix_within_the_limit(llama_store: TokenStore) -> None:
    data = DataConfig(grouping="task", group_size=7)
    module = PromptDataModule(llama_store, config(data, batch_size=7, micro_batch_tokens=4096), None)
    for batch in all_batches(module):
        (micro,) = batch.micro_batches
        assert micro.decoder.parents == (-1, *[0] * 7)
        assert micro.tokens < 0.8 * batch.tokens
    tight = PromptDataModule(llama_store, config(data, batch_size=7, micro_batch_tokens=90), None)
    for batch in all_batches(tight):
        assert len(batch.micro_batches) > 1
        assert all(micro.tokens <= 90 for micro in batch.micro_batches)


def test_groups_fill_a_micro_batch_by_what_is_computed_once_prefixes_are_shared(
    llama_store: TokenStore,
) -> None:
    data = DataConfig(grouping="task", group_size=7)
    free = PromptDataModule(llama_store, config(data, batch_size=14, micro_batch_tokens=4096), None)
    computed = [sum(micro.tokens for micro in batch.micro_batches) for batch in all_batches(free)]
    limit = max(computed) + 14  # what is weighed has the last token of each example, too
    filled = all_batches(
        PromptDataModule(llama_store, config(data, batch_size=14, micro_batch_tokens=limit), None)
    )
    assert max(batch.tokens for batch in filled) > limit
    assert [len(batch.micro_batches) for batch in filled] == [1] * len(computed)


SHARED = DataConfig(grouping="prefix")


def long_prompts() -> list[Prompt]:
    """Prompts that begin so much alike that it pays."""
    return [
        replace(one, source=f"Number {at // 7}. " + "Mind what it says. " * 12 + one.source)
        for at, one in enumerate(make_prompts())
    ]


@pytest.fixture
def long_store(llama: Checkpoint, cache: Path) -> TokenStore:
    return make_store(llama, long_prompts(), cache)


def computed(batch: EffectiveBatch) -> int:
    return sum(micro.tokens for micro in batch.micro_batches)


@pytest.mark.parametrize("limit", [200, 400, 4096])
def test_steps_that_share_have_the_examples_of_those_that_do_not(long_store: TokenStore, limit: int) -> None:
    given = {"batch_size": 8, "micro_batch_tokens": limit}
    plain = all_batches(PromptDataModule(long_store, config(**given), None))
    shared = all_batches(PromptDataModule(long_store, config(SHARED, **given), None))
    assert [examples(batch) for batch in shared] == [examples(batch) for batch in plain]
    for one, other in zip(shared, plain, strict=True):
        assert replace(one, micro_batches=()) == replace(other, micro_batches=())
        assert all(micro.tokens <= limit or len(micro.examples) == 1 for micro in one.micro_batches)
        assert computed(one) < computed(other)
    assert any(micro.decoder.grouped for batch in shared for micro in batch.micro_batches)


def test_steps_in_which_nothing_is_alike_are_laid_out_as_ever(llama: Checkpoint, cache: Path) -> None:
    prompts = [replace(one, source=f"{at * 7} {one.source[20:]}") for at, one in enumerate(make_prompts())]
    store = make_store(llama, prompts, cache)
    plain = all_batches(PromptDataModule(store, config(), None))
    for one, other in zip(all_batches(PromptDataModule(store, config(SHARED), None)), plain, strict=True):
        for a, b in zip(one.micro_batches, other.micro_batches, strict=True):
            assert torch.equal(a.decoder.ids, b.decoder.ids)
            assert (a.decoder.lengths, a.decoder.parents) == (b.decoder.lengths, b.decoder.parents)


def test_several_processes_share_within_what_each_would_have_alone(long_store: TokenStore) -> None:
    given = {"batch_size": 21, "micro_batch_tokens": 4096}
    plain = PromptDataModule(long_store, config(**given), None)
    shared = PromptDataModule(long_store, config(SHARED, **given), None)
    order = plain.schedule.order(0)
    most = max(computed(replace(plain.batches(), rank=r, processes=4).batch(0, order)) for r in range(4))
    parts = [replace(shared.batches(), rank=r, processes=4).batch(0, order) for r in range(4)]
    assert any(micro.decoder.grouped for part in parts for micro in part.micro_batches)
    assert max(map(computed, parts)) < most


def written(sources: list[list[int]], targets: list[list[int]]) -> TokenStore:
    """A store of these tokens."""
    parts = [
        Ragged(np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)]))
        for rows in (sources, targets)
    ]
    return TokenStore(*parts, np.zeros(len(sources), dtype=np.int64), 0, False)


@pytest.mark.parametrize(("limit", "processes", "most"), [(4096, 1, 840), (300, 1, 280), (4096, 4, 280)])
def test_no_group_is_more_than_a_micro_batch_or_than_a_process_has_alone(
    limit: int, processes: int, most: int
) -> None:
    """Ten examples of 120 tokens of which 40 are alike: one group of 840, or several of three, of 280 each."""
    tokens = [[*range(40), *range(100 * at, 100 * at + 78)] for at in range(1, 11)]
    store = written(tokens, [[1, 2]] * 10)
    module = PromptDataModule(store, config(SHARED, batch_size=10, micro_batch_tokens=limit), None)
    parts = [replace(module.batches(), rank=rank, processes=processes) for rank in range(processes)]
    batches = [part.batch(0, module.schedule.order(0)) for part in parts]
    assert sorted(one for batch in batches for one in examples(batch)) == list(range(10))
    found = [micro for batch in batches for micro in batch.micro_batches]
    assert max(micro.tokens + len(micro.examples) for micro in found) == most
    assert all(batch.micro_batches for batch in batches)


def test_a_fit_may_go_on_with_shared_beginnings(long_store: TokenStore) -> None:
    """Steps and their order are the same ones, and so is what tells one order from another."""
    stopped = PromptDataModule(long_store, config(), None)
    stopped.first_step = 8
    resumed = PromptDataModule(long_store, config(SHARED), None)
    resumed.load_state_dict(stopped.state_dict())
    assert [batch.step for batch in all_batches(resumed)] == [8, 9, 10, 11]


def test_examples_of_two_tasks_share_what_they_have_alike(llama: Checkpoint, cache: Path) -> None:
    """Each is of a task of its own, so nothing but the tokens says what is alike."""
    prompts = [replace(one, task=str(at)) for at, one in enumerate(long_prompts())]
    given = config(SHARED, batch_size=21, micro_batch_tokens=4096)
    first, _ = all_batches(PromptDataModule(make_store(llama, prompts, cache), given, None))
    (micro,) = first.micro_batches
    assert len(micro.decoder.lengths) == 21 + 3
    assert computed(first) < 0.5 * first.tokens


def test_an_encoder_shares_no_prefix(t5_store: TokenStore) -> None:
    module = PromptDataModule(t5_store, config(DataConfig(grouping="task", group_size=7), batch_size=7), 0)
    for batch in all_batches(module):
        assert not any(micro.decoder.grouped for micro in batch.micro_batches)
        assert sum(micro.tokens for micro in batch.micro_batches) == batch.tokens


def test_padded_batches_count_their_padding(llama_store: TokenStore) -> None:
    module = PromptDataModule(llama_store, config(DataConfig(packing=False)), None)
    for batch in all_batches(module):
        for micro in batch.micro_batches:
            assert len(micro.examples) * (max(micro.decoder.lengths) + 1) <= 100 or len(micro.examples) == 1


def test_goes_on_where_it_stopped(llama_store: TokenStore) -> None:
    whole = all_batches(PromptDataModule(llama_store, config(), None))
    stopped = PromptDataModule(llama_store, config(), None)
    stopped.first_step = 8
    resumed = PromptDataModule(llama_store, config(micro_batch_tokens=64), None)
    resumed.load_state_dict(stopped.state_dict())
    rest = all_batches(resumed)
    assert [batch.step for batch in rest] == [8, 9, 10, 11]
    assert [examples(batch) for batch in rest] == [examples(batch) for batch in whole[8:]]


@pytest.mark.parametrize("changed", [{"batch_size": 5}, {"seed": 6}])
def test_another_order_than_the_saved_one_is_refused(
    llama_store: TokenStore, changed: dict[str, int]
) -> None:
    saved = PromptDataModule(llama_store, config(), None).state_dict()
    other = replace(config(**{k: v for k, v in changed.items() if k != "seed"}), seed=changed.get("seed", 5))
    with pytest.raises(UserError, match=r"another order of examples.*checkpoints"):
        PromptDataModule(llama_store, other, None).load_state_dict(saved)


def test_workers_change_nothing(llama_store: TokenStore) -> None:
    alone = all_batches(PromptDataModule(llama_store, config(), None))
    helped = all_batches(PromptDataModule(llama_store, config(DataConfig(num_workers=2)), None))
    assert [batch.step for batch in helped] == [batch.step for batch in alone]
    for one, other in zip(alone, helped, strict=True):
        for a, b in zip(one.micro_batches, other.micro_batches, strict=True):
            assert torch.equal(a.decoder.ids, b.decoder.ids)


class Recorder(lightning.LightningModule):
    """Takes one optimiser step a batch and remembers which."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.steps: list[int] = []

    def training_step(self, batch: EffectiveBatch) -> torch.Tensor:
        self.steps.append(batch.step)
        return self.weight**2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(store: TokenStore, folder: Path, until: int, resume: str | None) -> list[int]:
    module, recorder = PromptDataModule(store, config(), None), Recorder()
    trainer = lightning.Trainer(
        max_steps=until,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(recorder, datamodule=module, ckpt_path=resume)
    trainer.save_checkpoint(folder / "saved.ckpt")
    return recorder.steps


@pytest.mark.filterwarnings("ignore")
def test_lightning_resumes_in_the_middle_of_an_epoch(llama_store: TokenStore, tmp_path: Path) -> None:
    assert fit(llama_store, tmp_path, 5, None) == [0, 1, 2, 3, 4]
    assert fit(llama_store, tmp_path, 12, str(tmp_path / "saved.ckpt")) == [5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("grouping", ["none", "task", "prefix"])
def test_other_examples_than_the_saved_ones_are_refused(
    llama: Checkpoint, cache: Path, grouping: str
) -> None:
    """Of as many examples, in the same steps: only what they are, or in which order, is another."""
    prompts, given = make_prompts(), config(DataConfig(grouping=grouping))
    edited = [replace(prompts[0], source=prompts[0].source.replace("yes or no", "no or yes")), *prompts[1:]]
    one, same, permuted, other = (
        PromptDataModule(make_store(llama, shown, cache), given, None)
        for shown in (prompts, prompts, prompts[7:] + prompts[:7], edited)
    )
    saved = one.state_dict()
    same.load_state_dict(saved)
    for module in (permuted, other):
        assert module.state_dict()["schedule"] == saved["schedule"]
        with pytest.raises(UserError, match="belongs to other training examples"):
            module.load_state_dict(saved)
    earlier = {key: value for key, value in saved.items() if key != "examples"}
    permuted.load_state_dict(earlier)  # an earlier version did not note them


def test_draws_are_told_apart_by_all_that_they_show(llama: Checkpoint, cache: Path) -> None:
    prompts = [replace(one, references=("yes", f"no {at}")) for at, one in enumerate(make_prompts())]
    data = DataConfig(references="every_epoch")

    def module(shown: list[Prompt]) -> PromptDataModule:
        drawn = draws(shown, data, 5, lambda rows: make_store(llama, list(rows), cache))
        return PromptDataModule(drawn, config(data), None)

    saved = module(prompts).state_dict()
    module(prompts).load_state_dict(saved)
    with pytest.raises(UserError, match="belongs to other training examples"):
        module([*prompts[:-1], replace(prompts[-1], references=("yes", "perhaps"))]).load_state_dict(saved)


def test_start_token_and_model_kind_belong_together(llama_store: TokenStore, t5_store: TokenStore) -> None:
    with pytest.raises(ValueError, match="start token"):
        PromptDataModule(llama_store, config(), 0)
    with pytest.raises(ValueError, match="start token"):
        PromptDataModule(t5_store, config(), None)


def test_a_micro_batch_of_no_tokens_is_refused(llama_store: TokenStore) -> None:
    with pytest.raises(UserError, match="micro_batch_tokens=0"):
        PromptDataModule(llama_store, config(micro_batch_tokens=0), None)


def test_one_process_without_a_trainer(llama_store: TokenStore) -> None:
    made = PromptDataModule(llama_store, config(), None).batches()
    assert isinstance(made, Batches)
    assert (made.rank, made.processes) == (0, 1)


def test_what_is_left_out() -> None:
    assert left_out(Batches) == {"packing": True, "rank": 0, "processes": 1, "sharing": False}
