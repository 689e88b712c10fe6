"""Steps that are captured answer as others do: recorded here by what takes numbers and memory as a CUDA graph does."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from benchmarks.recorded_steps import steps_captured
from torch import Tensor

from instruct_ablate.model.decoding.greedy import decode_greedily
from instruct_ablate.model.decoding.layers import kv_cache, step_graph
from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from instruct_ablate.model.decoding.layers.kv_cache import RowCache
from tests.model.decoding_cases import make_checkpoint
from tests.model.windows import make_model

PREFIXES = ((10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 9), (20, 21))
OWNERS = (0, 0, 0, 1, 1, None, None, 0)  # not in order of their prefixes: one of them makes two stretches
LENGTHS = (1, 3, 2, 5, 1, 4, 9, 2)
LIMIT = 24
STOPS = (3, 11, 17, 30, 41, 55)


def batch() -> Batch:
    rows = tuple(
        Row(tuple(range(22 + 3 * place, 22 + 3 * place + length)), owner)
        for place, (owner, length) in enumerate(zip(OWNERS, LENGTHS, strict=True))
    )
    return Batch(PREFIXES, rows)


def sources() -> Batch:
    return Batch((), tuple(Row((*range(20 + place, 23 + 2 * place), 1), None) for place in range(8)))


class Noting:
    """A decoder whose logits are noted."""

    def __init__(self, decoder: Any) -> None:
        self.decoder, self.steady = decoder, decoder.steady
        self.logits: list[Tensor] = []

    def prefill(self, room: int) -> Tensor:
        return self._noted(self.decoder.prefill(room))

    def step(self, tokens: Tensor) -> Tensor:
        return self._noted(self.decoder.step(tokens))

    def keep(self, rows: Tensor) -> None:
        self.decoder.keep(rows)

    def _noted(self, logits: Tensor) -> Tensor:
        self.logits.append(logits)
        return logits


def decoded(
    make: Callable[[], Any], stops: tuple[int, ...] = STOPS
) -> tuple[dict[int, list[int]], list[Tensor]]:
    """Return each row's tokens, and the logits of all steps."""
    with torch.inference_mode():
        noting = Noting(make())
        return dict(decode_greedily(noting, stops, LIMIT)), noting.logits


@pytest.fixture(autouse=True)
def _early_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let buffers grow and rows leave often."""
    monkeypatch.setattr(kv_cache, "STEADY_SPARE", 9)


def with_lora(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    return get_peft_model(model, settings).get_base_model().eval()


def untied(model: Any) -> Any:
    """With output weights of its own: with those of its input such a random model repeats the token it has read."""
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(torch.randn_like(head.weight))
    return model


def tiny_llama(folder: Any) -> Any:
    return make_checkpoint("tiny_llama", folder).model.eval()


MODELS: dict[str, Callable[[Any], Any]] = {
    "multi-head": tiny_llama,
    "grouped heads": lambda _: make_model("granite", 128),
    "LoRA": lambda _: with_lora(make_model("granite", 128)),
    "windows": lambda _: make_model("gemma3", 128),
    "windows, capped scores": lambda _: make_model("gemma2", 128),
    "T5": lambda folder: make_checkpoint("tiny_t5", folder).model.eval(),
    "T5Gemma 2": lambda folder: untied(make_checkpoint("tiny_t5gemma2", folder).model.eval()),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return MODELS[request.param](tmp_path_factory.getbasetemp() / "cache")


@pytest.fixture
def llama() -> Any:
    return make_model("granite", 128)


def decoder_of(model: Any) -> Callable[[], Any]:
    if model.config.is_encoder_decoder:
        return lambda: EncoderDecoder(model, sources(), 0)
    return lambda: PackedDecoder(model, batch())


@pytest.mark.parametrize(
    ("dtype", "stops"), [(torch.float32, STOPS), (torch.float32, ()), (torch.bfloat16, ())]
)
def test_replayed_steps_give_the_tokens_and_logits_of_others(
    model: Any, dtype: torch.dtype, stops: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    model, make = model.to(dtype), decoder_of(model)
    plain_tokens, plain = decoded(make, stops)
    with steps_captured("cpu", True) as counts:
        tokens, logits = decoded(make, stops)
    assert not caplog.records
    assert counts.captured >= (1 if stops else 2)
    assert counts.replayed >= 4 * counts.captured
    with steps_captured("cpu", True) as none, pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_graph, "AHEAD", 1000)
        same_tokens, same = decoded(make, stops)
    assert (none.captured, none.replayed) == (0, 0)
    assert tokens == same_tokens
    assert all(torch.equal(one, other) for one, other in zip(logits, same, strict=True))
    if dtype == torch.float32:  # in bf16 buffers of another size may round near ties the other way
        assert tokens == plain_tokens
        if not stops:  # else rows leave at other steps
            for one, other in zip(logits, plain, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    assert len({tuple(row) for row in tokens.values()}) > 3


def slice_by_number(cache: RowCache, layer: int, own: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """`RowCache.append` as it is where nothing is captured."""
    for buffer, states in zip(cache.layers[layer], own, strict=True):
        buffer[:, :, cache.end] = states[0].transpose(0, 1)
    return cache.layers[layer]


def numbers_in_hidden(cache: RowCache, window: int | None = None) -> Tensor:
    """`RowCache.hidden` as it is there."""
    columns = torch.arange(cache.columns)
    return (columns < cache.starts[:, None]) | (columns > cache.end)


def wait_for_values(cache: RowCache, window: int | None = None) -> Tensor:
    """What a GPU would have to be waited for."""
    assert int(cache.starts.min()) >= 0
    return numbers_in_hidden(cache)


@pytest.mark.parametrize(
    ("method", "faulty", "reason"),
    [
        ("append", slice_by_number, "its logits are up to"),
        ("hidden", numbers_in_hidden, "its logits are up to"),
        ("hidden", wait_for_values, "is not permitted while a step is captured"),
    ],
)
def test_what_a_capture_would_get_wrong_runs_as_it_is_and_is_told_once(
    method: str,
    faulty: Any,
    reason: str,
    llama: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make = decoder_of(llama)
    wanted, right = decoded(make, ())
    monkeypatch.setattr(RowCache, method, faulty)
    with steps_captured("cpu", True) as counts:
        tokens, logits = decoded(make, ())
        again, _ = decoded(make, ())
        assert not step_graph.captures(llama)
    assert tokens == again == wanted
    for one, other in zip(logits, right, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert counts.captured <= 1
    assert counts.replayed <= 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert reason in record.getMessage()


class Failing:
    """Captures nothing; `where` says which of its methods fails."""

    where = ""

    def __init__(self, _: torch.device) -> None: ...

    def rehearse(self, step: Callable[[], Tensor]) -> Tensor:
        output = step()
        if self.where == "rehearse":
            raise torch.OutOfMemoryError("no memory\nlong story")
        return output

    def capture(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        if self.where == "capture":
            raise RuntimeError("operation not permitted when stream is capturing")
        return self.replay

    def replay(self) -> Tensor:
        raise RuntimeError("a graph that does not run")


@pytest.mark.parametrize("where", ["rehearse", "capture", "replay"])
def test_a_capture_that_fails_loses_nothing(
    where: str, llama: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make = decoder_of(llama)
    wanted, _ = decoded(make)
    with steps_captured("cpu", True):
        step_graph.CAPTURES["cpu"] = Failing
        monkeypatch.setattr(Failing, "where", where)
        tokens, logits = decoded(make)
    assert tokens == wanted
    (record,) = caplog.records
    assert "long story" not in record.getMessage()
    assert all(bool(one.isfinite().all()) for one in logits)


class Writeless:
    """Replays a step that gives the right logits and writes nothing."""

    replaying = False

    def __init__(self, _: torch.device) -> None: ...

    def rehearse(self, step: Callable[[], Tensor]) -> Tensor:
        return step()

    def capture(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def replay() -> Tensor:
            Writeless.replaying = True
            try:
                return step()
            finally:
                Writeless.replaying = False

        return replay


def test_a_replay_that_leaves_the_cache_as_it_is_is_found_out(
    llama: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make, append = decoder_of(llama), RowCache.append
    wanted, _ = decoded(make, ())
    monkeypatch.setattr(
        RowCache,
        "append",
        lambda cache, layer, own: cache.layers[layer] if Writeless.replaying else append(cache, layer, own),
    )
    with steps_captured("cpu", True):
        step_graph.CAPTURES["cpu"] = Writeless
        tokens, _ = decoded(make, ())
    assert tokens == wanted
    assert len(caplog.records) == 1


def test_states_of_another_precision_are_written_as_a_slice_takes_them() -> None:
    caches = [
        RowCache(kv_cache.PrefixCache([]), [None], torch.tensor([1]), 2, steady) for steady in (False, True)
    ]
    own = torch.randn(1, 2, 1, 4)
    for cache in caches:
        cache.write(0, (own.bfloat16(), own.bfloat16()), torch.tensor([0]), torch.tensor([0]))
        cache.grow()
        cache.append(0, (own, own + 1))
    for one, other in zip(*(cache.layers[0] for cache in caches), strict=True):
        assert torch.equal(one, other)
        assert bool(other[:, :, 1].any())


def test_best_tokens_count_where_they_are_clear() -> None:
    wanted = torch.tensor([[0.0, 3.0, -3.0, 2.99]]).repeat(50, 1).to(torch.bfloat16)
    near, far = wanted.clone(), wanted.clone()
    near[:, 3] = 3.02
    far[7, 0] = 3.5
    assert step_graph._differs(near, wanted) is None
    assert "logits" in (step_graph._differs(far, wanted) or "")
    clear = torch.tensor([[0.0, 3.0, -3.0, 2.5]], dtype=torch.bfloat16)
    turned = torch.tensor([[0.0, 2.7, -3.0, 2.8]], dtype=torch.bfloat16)
    assert "best tokens" in (step_graph._differs(turned, clear) or "")


def test_a_capture_lives_no_longer_than_its_decoder_and_new_weights_count(llama: Any) -> None:
    make = decoder_of(llama)
    with steps_captured("cpu", True) as counts:
        gc.disable()
        try:
            decoder = make()
            with torch.inference_mode():
                tokens = decoder.prefill(20).argmax(-1)
                for _ in range(6):
                    tokens = decoder.step(tokens).argmax(-1)
            assert counts.captured == 1
            buffers = weakref.ref(decoder.cache.layers[0][0])
            graph = weakref.ref(decoder._graph)
            del decoder
            assert buffers() is None
            assert graph() is None
        finally:
            gc.enable()
        with torch.no_grad():
            for weight in llama.parameters():
                weight.mul_(-0.7)
        tokens_after, _ = decoded(make)
    assert tokens_after == decoded(make)[0]


def test_short_answers_are_not_captured(llama: Any) -> None:
    with steps_captured("cpu", True) as counts, torch.inference_mode():
        decoder = PackedDecoder(llama, batch())
        tokens = decoder.prefill(step_graph.AHEAD).argmax(-1)
        for _ in range(step_graph.AHEAD):
            tokens = decoder.step(tokens).argmax(-1)
    assert (counts.captured, counts.eager) == (0, step_graph.AHEAD)


def test_on_a_processor_nothing_is_captured(llama: Any) -> None:
    assert [*step_graph.CAPTURES] == ["cuda"]
    decoder = PackedDecoder(llama, batch())
    with torch.inference_mode():
        decoder.prefill(3)
    assert not decoder.steady
    assert decoder.cache is not None
    assert isinstance(decoder.cache.here, int)
