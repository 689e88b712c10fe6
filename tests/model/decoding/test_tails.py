"""The last rows of several batches go on together: the answers of each batch for itself, whoever is resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.recorded_steps import steps_captured
from torch import Tensor

from instruct_ablate.model.adapters import bare
from instruct_ablate.model.decoding import engine_native, tails
from instruct_ablate.model.decoding.layers import left_rows
from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.layers.kv_cache import SPARE, RowCache
from instruct_ablate.model.decoding.layers.left_rows import JoinedDecoder, JoinedEncoderDecoder, taken_out
from instruct_ablate.model.decoding.layers.ordered_weights import OrderedWeights
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.modes import evaluating
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.schema import Config
from tests.model.decoding_cases import generated, make_checkpoint, make_config, make_prompts
from tests.model.windows import make_windowed

Key = tuple[str, str]
MODELS = ("tiny_llama", "tiny_gpt2", "gemma3", "tiny_t5", "tiny_t5gemma2")


@pytest.fixture(scope="module", params=MODELS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return made(request.param, tmp_path_factory.mktemp("cache"))


def made(name: str, folder: Path) -> Checkpoint:
    """A model whose answers differ in length; output weights of its own, or a random model repeats what it reads."""
    checkpoint = make_checkpoint(name, folder) if name.startswith("tiny") else make_windowed(name, folder)
    if name in ("gemma3", "tiny_t5gemma2"):
        torch.manual_seed(1)
        head = checkpoint.model.get_output_embeddings()
        head.weight = torch.nn.Parameter(torch.randn_like(head.weight))
    return checkpoint


@pytest.fixture
def llama(tmp_path: Path) -> Checkpoint:
    return make_checkpoint("tiny_llama", tmp_path)


def prompts_of(tasks: int = 14, count: int = 12) -> list[Prompt]:
    return make_prompts(tasks, count)


def answers(
    checkpoint: Checkpoint,
    prompts: list[Prompt],
    config: Config,
    finished: frozenset[Key] = frozenset(),
    likelihoods: bool = False,
) -> dict[Key, Prediction]:
    found = predict(checkpoint, prompts, config, finished, likelihoods)
    return {(one.prompt.task, one.prompt.instance_id): one for one in found}


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many rows of how many batches go on together, each time."""
    seen: list[tuple[int, int]] = []
    of_tails = engine_native._Asking.of_tails

    def noted(asking: Any, one: tails.Tails) -> Any:
        seen.append((len(one.members), len(one.parts)))
        return of_tails(asking, one)

    monkeypatch.setattr(engine_native._Asking, "of_tails", noted)
    return seen


def apart(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> Any:
    """Return what comes of it where each batch is decoded for itself."""
    with monkeypatch.context() as patch:
        patch.setattr(engine_native, "GROUP", 1)
        return work()


def small(stop: str = "token") -> Config:
    config = make_config(batch_tokens=500)
    config.evaluation.stop = stop
    return config


def test_answers_are_those_of_batches_by_themselves(
    checkpoint: Checkpoint, joined: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = prompts_of()
    plain = apart(monkeypatch, lambda: answers(checkpoint, prompts, small(), likelihoods=True))
    assert not joined
    found = answers(checkpoint, prompts, small(), likelihoods=True)
    assert max(parts for _, parts in joined) > 1
    assert max(rows for rows, _ in joined) > 5
    for key, one in plain.items():
        other = found[key]
        assert (other.text, other.cut) == (one.text, one.cut)
        assert other.likelihoods == one.likelihoods  # they are read before anybody waits
    assert any(one.cut for one in found.values())
    asked = prompts[:: len(prompts) // 9]
    assert [found[one.task, one.instance_id].text for one in asked] == [
        generated(checkpoint, one) for one in asked
    ]


@pytest.mark.parametrize("name", ["mistral", "tiny_t5", "tiny_t5gemma2"])
def test_answers_longer_than_what_buffers_have_to_spare(
    name: str, tmp_path: Path, joined: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joined caches grow, and windows leave the prefixes behind."""
    checkpoint, prompts, config = made(name, tmp_path), prompts_of(), make_config(batch_tokens=600)
    torch.manual_seed(1)
    head = checkpoint.model.get_output_embeddings()
    head.weight = torch.nn.Parameter(0.5 * torch.randn_like(head.weight))
    checkpoint.model.generation_config.eos_token_id = list(range(1, len(head.weight), 24))
    config.prompt.max_target_length = 3 * SPARE
    grown: list[int] = []
    joining, plain = left_rows.joined_cache, RowCache.grow

    def grow(cache: RowCache) -> None:
        before = cache.columns
        plain(cache)
        grown.extend([cache.columns] if cache in waited and cache.columns > before else [])

    waited: list[RowCache] = []
    monkeypatch.setattr(RowCache, "grow", grow)
    monkeypatch.setattr(
        left_rows, "joined_cache", lambda *given: waited.append(joining(*given)) or waited[-1]
    )
    plainly = apart(monkeypatch, lambda: answers(checkpoint, prompts, config))
    assert not joined
    assert answers(checkpoint, prompts, config) == plainly
    assert joined
    assert grown


@pytest.mark.parametrize("way", ["line", "slack", "wrong"])
def test_answers_that_end_early_do_so_among_others(
    llama: Checkpoint, way: str, joined: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, prompts = small("line" if way == "line" else "token"), prompts_of()
    if way == "slack":  # tasks differ in how long answers may be
        config.evaluation.answer_slack = 2
        outputs = {f"task{n}": ("yes " * (1 + n),) for n in range(14)}
        prompts = [replace(one, task_outputs=outputs[one.task]) for one in prompts]
    if way == "wrong":
        config.evaluation.cut_wrong_answers = True
        whole = apart(monkeypatch, lambda: answers(llama, prompts, config))
        prompts = [
            replace(
                one,
                kind="classification",
                references=(whole[one.task, one.instance_id].text + ".",),
                choices=("a",),
            )
            if place % 2
            else replace(one, kind="classification", choices=("a",))
            for place, one in enumerate(prompts)
        ]
    plain = apart(monkeypatch, lambda: answers(llama, prompts, config))
    assert not joined
    assert answers(llama, prompts, config) == plain
    assert max(parts for _, parts in joined) > 1


@pytest.fixture
def logits(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What each step of rows that go on together gives."""
    seen: list[Tensor] = []
    for kind, plain in ((JoinedDecoder, PackedDecoder.step), (JoinedEncoderDecoder, EncoderDecoder.step)):

        def step(decoder: Any, tokens: Tensor, plain: Any = plain) -> Tensor:
            seen.append(plain(decoder, tokens))
            return seen[-1]

        monkeypatch.setattr(kind, "step", step, raising=False)
    return seen


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_who_is_resumed_in_the_middle_of_a_group_has_the_same_bits(
    checkpoint: Checkpoint, share: float, logits: list[Tensor]
) -> None:
    prompts, config = prompts_of(), small()
    whole = answers(checkpoint, prompts, config, likelihoods=True)
    first = [one.clone() for one in logits]
    assert len(first) > 1
    stopped = frozenset(list(whole)[: int(len(whole) * share)])  # as they were written
    logits.clear()
    rest = answers(checkpoint, prompts, config, stopped, likelihoods=True)
    assert rest == {key: one for key, one in whole.items() if key not in stopped}
    groups = len(first) - len(logits)  # steps of groups that had ended are not taken again
    assert all(map(torch.equal, logits, first[groups:]))
    assert logits


def test_a_group_that_has_ended_is_not_read_again(llama: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_native, "GROUP", 2)
    prompts, config = prompts_of(), small()
    answers(llama, prompts[:1], config)  # trials read, too
    read: list[int] = []  # how many answers there are when a batch is read
    order: list[Key] = []
    plain = PackedDecoder.prefill
    monkeypatch.setattr(
        PackedDecoder, "prefill", lambda one, room: read.append(len(order)) or plain(one, room)
    )
    for one in predict(llama, prompts, config):
        order.append((one.prompt.task, one.prompt.instance_id))
    batches = [*read]
    assert len(batches) > 4
    for place, end in enumerate(batches):
        for more in (0, 1):
            read.clear()
            rest = answers(llama, prompts, config, frozenset(order[: end + more]))
            assert set(rest) == set(order[end + more :])
            assert len(read) == len(batches) - place // 2 * 2


def test_the_order_of_prompts_changes_nothing(llama: Checkpoint, logits: list[Tensor]) -> None:
    prompts, config = prompts_of(), small()
    whole = answers(llama, prompts, config)
    first = [one.clone() for one in logits]
    logits.clear()
    by_task = sorted(prompts, key=lambda one: one.task, reverse=True)
    assert answers(llama, by_task, config) == whole
    assert all(map(torch.equal, logits, first))
    assert len(logits) == len(first) > 1


def test_what_waits_has_room_within_a_batch_s_tokens(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted anew of the tensors: tokens of rows and prefixes, end to end; and of the cache that joins them."""
    held: list[tuple[int, int]] = []
    caches: list[RowCache] = []
    taken, plain = left_rows.taken_out, left_rows.joined_cache
    group: list[Any] = []

    def noted(decoder: Any, lines: Any) -> Any:
        part = taken(decoder, lines)
        group.append(part)
        held.append((len(group), sum(map(tokens_of, group))))
        return part

    def joining(*given: Any) -> RowCache:
        group.clear()
        caches.append(plain(*given))
        return caches[-1]

    monkeypatch.setattr(tails, "taken_out", noted)
    monkeypatch.setattr(left_rows, "joined_cache", joining)
    config = small()
    answers(checkpoint, prompts_of(), config)
    assert caches
    assert max(tokens for _, tokens in held) <= config.evaluation.batch_tokens
    assert max(tokens for _, tokens in held) > config.evaluation.batch_tokens / 3
    for cache in caches:
        assert cache.end * len(cache.owners) <= 2 * config.evaluation.batch_tokens


def tokens_of(part: left_rows.Left) -> int:
    """Tokens whose keys and values a part holds, each of memory of its own."""
    keys = part.layers[min(part.layers)][0]
    assert keys.untyped_storage().nbytes() <= keys.numel() * keys.element_size()
    prefixes = sum(pair[0].shape[1] for pair in part.prefixes.get(min(part.layers), ()))
    sources = 0
    if part.cross is not None:
        one = part.cross[0][0]
        assert one.untyped_storage().nbytes() <= one.numel() * one.element_size()
        sources = one.shape[1]
    return keys.shape[1] + prefixes + sources


def test_a_batch_with_nobody_to_go_on_with_does_so_itself(
    llama: Checkpoint, joined: list[tuple[int, int]]
) -> None:
    answers(llama, prompts_of(1, 10), make_config(batch_tokens=4000))
    assert not joined


def parts_of(checkpoint: Checkpoint, steps: tuple[int, int]) -> tuple[list[Any], list[Any], list[Tensor]]:
    """Two decoders of four rows after so many steps, and the tokens that rows 1 and 3 of each read next."""
    model = bare(checkpoint.model)
    decoders, tokens = [], []
    for first, count in zip((20, 50), steps, strict=True):
        rows = tuple(Row(tuple(range(first + n, first + 4 + 3 * n))) for n in range(4))
        if checkpoint.encoder_decoder:
            assert checkpoint.start_token is not None
            decoders.append(EncoderDecoder(model, Batch((), rows), checkpoint.start_token))
        else:
            prefixed = tuple(replace(row, prefix=n // 2) for n, row in enumerate(rows))
            prefixes = (tuple(range(first, first + 9)), tuple(range(first + 30, first + 35)))
            decoders.append(PackedDecoder(model, Batch(prefixes, prefixed)))
        said = decoders[-1].prefill(9).argmax(-1)
        for _ in range(count):
            said = decoders[-1].step(said).argmax(-1)
        tokens.append(said)
    return decoders, [taken_out(one, [1, 3]) for one in decoders], tokens


def test_joined_rows_see_what_they_saw(checkpoint: Checkpoint) -> None:
    """Logits of five further steps, one row leaving on the way, next to those of the batches by themselves."""
    model = bare(checkpoint.model)
    with evaluating(model):
        decoders, parts, tokens = parts_of(checkpoint, (1, 4))
        kind: Any = JoinedEncoderDecoder if checkpoint.encoder_decoder else JoinedDecoder
        lasts = torch.cat([said[[1, 3]] for said in tokens])
        one = kind(model, parts, lasts.tolist(), OrderedWeights(model))
        found = one.prefill(9)
        assert not any(part.layers for part in parts)  # nothing lies in memory twice
        lines = [0, 1, 2, 3]
        for number in range(5):
            each = [decoder.step(said) for decoder, said in zip(decoders, tokens, strict=True)]
            wanted = torch.cat([logits[[1, 3]] for logits in each])
            assert torch.allclose(found, wanted[lines], rtol=1e-4, atol=1e-4)
            tokens = [logits.argmax(-1) for logits in each]
            said = wanted.argmax(-1)
            if number == 2:
                one.keep(torch.tensor([1, 2, 3]))
                lines = [1, 2, 3]
            found = one.step(said[lines])


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5", "tiny_t5gemma2"])
def test_captured_steps_go_on_together_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joined: list[tuple[int, int]]
) -> None:
    checkpoint = made(name, tmp_path)
    plain = apart(monkeypatch, lambda: answers(checkpoint, prompts_of(), small()))
    with steps_captured("cpu", True) as counts:
        assert answers(checkpoint, prompts_of(), small()) == plain
    assert max(parts for _, parts in joined) > 1
    assert counts.replayed > 0


def test_nothing_waits_longer_than_its_model_is_in_use(llama: Checkpoint) -> None:
    """Between answers the model attends as it did, outside inference mode."""
    former = llama.model.config._attn_implementation
    for _ in predict(llama, prompts_of(), small()):
        assert not torch.is_inference_mode_enabled()
        assert llama.model.config._attn_implementation == former
