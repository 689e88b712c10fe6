"""Cells whose steps are joined have the losses, weights and ends that each has alone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from instruct_ablate.disk.learning_curve import read_curve
from instruct_ablate.errors import UserError
from instruct_ablate.model.cuda_attention import in_one_order
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.model.training import joined
from instruct_ablate.model.training.fit import fit
from instruct_ablate.model.training.joined import Meeting, generators, set_generators
from instruct_ablate.model.training.layers import joined_layers
from instruct_ablate.model.training.layers.adapted_layers import AtOnce
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.process.turns import SideBySide, Turn
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, MethodConfig
from tests.model.fits import NAMES, changed, load, make_config, make_prompts

Bits = dict[str, torch.Tensor]
TOKENS = 4000  # of a joined pass: room for all


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


@dataclass
class Trained:
    """What became of a cell: its weights with the adapters folded in, its losses, with how many it was joined."""

    weights: Bits
    losses: list[float]
    company: int
    fault: BaseException | None


def shown(place: int) -> list[Prompt]:
    """The prompts of a cell, as its variant of the instruction has them."""
    return [
        replace(one, source=one.source.replace("at once", "at once, " * place))
        for one in make_prompts(14 - place)
    ]


def cells(cache: Path, name: str = "tiny_llama", **trainer: Any) -> list[Config]:
    """Three cells that differ in all that cells of one model may differ in."""
    first = replace(
        make_config(cache, name, **{"learning_rate": 2e-3, **trainer}), method=MethodConfig("lora", rank=4)
    )
    second = replace(
        changed(first, trainer={"learning_rate": 5e-4, "schedule": "linear", "warmup_steps": 2}),
        method=MethodConfig("lora", rank=8, alpha=8, target="attention"),
        seed=1,
    )
    third = replace(
        changed(first, trainer={"batch_size": 3, "epochs": 1.0, "gradient_clip": 0.01, "optimizer": "adafactor"}),
        method=MethodConfig("lora", rank=2, rslora=True),
        seed=2,
    )  # fmt: skip
    return [first, second, third]


def train(config: Config, place: int, folder: Path, into: dict[int, Bits], **more: Any) -> None:
    checkpoint = load(config)
    fit(checkpoint, shown(place), config, folder / str(place), **more)
    into[place] = {name: weight.clone() for name, weight in checkpoint.model.state_dict().items()}


def alone(configs: Sequence[Config], folder: Path) -> list[Trained]:
    into: dict[int, Bits] = {}
    for place, config in enumerate(configs):
        train(config, place, folder, into)
    return [ended(into, place, folder) for place in range(len(configs))]


def ended(into: dict[int, Bits], place: int, folder: Path, turn: Turn | None = None) -> Trained:
    losses = [row["loss"] for row in read_curve(folder / str(place) / "training.jsonl")]
    company, fault = (turn.company, turn.fault) if turn is not None else (0, None)
    return Trained(into.get(place, {}), losses, company, fault)


def together(
    configs: Sequence[Config], folder: Path, tokens: int | None = TOKENS, **more: Any
) -> list[Trained]:
    into: dict[int, Bits] = {}
    meeting = Meeting(tokens)
    turns = [
        Turn(str(place), partial(train, config, place, folder, into, **more), meeting)
        for place, config in enumerate(configs)
    ]
    with SHELF.lending():
        SideBySide(turns, meeting.meet, (generators, set_generators)).run()
    meeting.close()
    return [ended(into, place, folder, turn) for place, turn in enumerate(turns)]


def assert_same(given: Trained, wanted: Trained) -> None:
    assert given.fault is None
    assert given.losses == pytest.approx(wanted.losses, rel=1e-5)
    assert given.weights.keys() == wanted.weights.keys()
    for name, weight in wanted.weights.items():
        torch.testing.assert_close(given.weights[name], weight, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("data", "trainer"),
    [
        pytest.param({}, {}, id="plain"),
        pytest.param({"grouping": "task", "group_size": 2}, {"loss": "per_example"}, id="grouped"),
        pytest.param({}, {"dropout": 0.2, "activation_checkpointing": True}, id="dropout, recomputed"),
    ],
)
def test_losses_and_weights_are_those_of_each_cell_alone(
    name: str, data: dict[str, Any], trainer: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    configs = [changed(one, data=data, trainer=trainer) for one in cells(cache, name)]
    given, wanted = together(configs, tmp_path / "together"), alone(configs, tmp_path / "alone")
    assert [one.company for one in given] == [2, 2, 2]
    assert len({len(one.losses) for one in given}) > 1  # one ends before the others
    for one, other in zip(given, wanted, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("name", ["tiny_gemma3", "tiny_opt"])
def test_norms_of_heads_and_layers_without_a_row_are_joined_too(
    name: str, cache: Path, tmp_path: Path
) -> None:
    """Gemma 3 norms heads apart, (1, heads, tokens, dim); OPT's feed-forward layers read (tokens, width)."""
    configs = [changed(one, trainer={"max_steps": 2}) for one in cells(cache, name)[:2]]
    given, wanted = together(configs, tmp_path / "together"), alone(configs, tmp_path / "alone")
    assert [one.company for one in given] == [1, 1]
    for one, other in zip(given, wanted, strict=True):
        assert_same(one, other)


def test_cells_whose_prompts_begin_alike_are_joined_with_what_they_share(cache: Path, tmp_path: Path) -> None:
    configs = [changed(one, data={"grouping": "prefix"}) for one in cells(cache)]
    given, wanted = together(configs, tmp_path / "together"), alone(configs, tmp_path / "alone")
    assert [one.company for one in given] == [2, 2, 2]
    for one, other in zip(given, wanted, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_adapters_applied_at_once_as_on_a_gpu_give_the_same(
    name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined_layers, "BATCHED", ("cpu",))
    taken, own = [], AtOnce.stacked
    monkeypatch.setattr(AtOnce, "stacked", lambda *given: taken.append(given) or own(*given))
    configs = cells(cache, name)
    given, wanted = together(configs, tmp_path / "together"), alone(configs, tmp_path / "alone")
    assert taken
    assert [one.company for one in given] == [2, 2, 2]
    for one, other in zip(given, wanted, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("recomputed", [False, True])
def test_in_bf16_losses_are_those_of_each_cell_alone(
    recomputed: bool, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.model.training.test_joined.load", partial(load, dtype=torch.bfloat16))
    trainer = {"max_steps": 2, "activation_checkpointing": recomputed}
    configs = [changed(one, trainer=trainer) for one in cells(cache)[:2]]
    given, wanted = together(configs, tmp_path / "together"), alone(configs, tmp_path / "alone")
    assert [one.company for one in given] == [1, 1]
    for one, other in zip(given, wanted, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=1e-3)


def test_where_the_limit_leaves_no_room_a_cell_takes_its_own_pass(cache: Path, tmp_path: Path) -> None:
    configs = cells(cache, batch_size=6)[:2]
    given, wanted = together(configs, tmp_path / "together", tokens=None), alone(configs, tmp_path / "alone")
    for one, other in zip(given, wanted, strict=True):
        assert_same(one, other)
    none = together(configs, tmp_path / "none", tokens=1)
    assert [one.company for one in none] == [0, 0]
    assert [one.losses for one in none] == [one.losses for one in wanted]


def test_one_that_fails_leaves_the_others_as_they_are(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = cells(cache)
    wanted = alone(configs, tmp_path / "alone")
    step = InstructionModule._step

    def losing(module: InstructionModule) -> None:
        step(module)
        if module.config.schedule == "linear" and module.done == 1:
            module._weights.masters[0].data.fill_(torch.nan)

    monkeypatch.setattr(InstructionModule, "_step", losing)
    given = together(configs, tmp_path / "lost")
    assert isinstance(given[1].fault, UserError)
    assert "the loss became nan at step 3" in str(given[1].fault)

    def raising(module: InstructionModule) -> None:
        if module.config.schedule == "linear" and module.done == 1:
            raise RuntimeError("it broke")
        step(module)

    monkeypatch.setattr(InstructionModule, "_step", raising)
    broken = together(configs, tmp_path / "broken")
    assert str(broken[1].fault) == "it broke"
    for place in (0, 2):
        assert_same(given[place], wanted[place])
        assert_same(broken[place], wanted[place])


def test_a_pass_that_raises_is_taken_alone(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(*_: object) -> None:
        raise RuntimeError("no room")

    configs = cells(cache)[:2]
    wanted = alone(configs, tmp_path / "alone")
    monkeypatch.setattr(joined, "joined_batch", raising)
    given = together(configs, tmp_path / "together")
    assert [one.losses for one in given] == [one.losses for one in wanted]
    assert caplog.text.count("a joined step failed (RuntimeError: no room)") == joined.FAULTS


def test_an_attention_whose_gradient_fails_leaves_kernels_as_free_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: object) -> None:
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        raise RuntimeError("no room")

    def answer(*_: object) -> None:
        part: Any = in_one_order(torch.ones(2, requires_grad=True).exp())
        part.grad_fn.register_prehook(failing)
        part.sum().backward()

    monkeypatch.setattr(joined, "_passes_whole", lambda _: True)
    monkeypatch.setattr(joined, "_forget", lambda _: None)
    meeting, turns = Meeting(), [Turn(name, lambda: None) for name in "ab"]
    meeting._cells, meeting._threads = dict.fromkeys(turns, True), torch.get_num_threads()
    monkeypatch.setattr(meeting, "_passes", lambda _: [turns])
    monkeypatch.setattr(meeting, "_answer", answer)
    former = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    for turn in turns:
        turn.asked = SimpleNamespace(module=None)
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        meeting.meet(turns)
        assert meeting._faults == 1
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(former[0], warn_only=former[1])


def test_a_joined_model_that_computes_something_else_is_not_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def swapped(base: Any, states: torch.Tensor, layers: Any) -> torch.Tensor:
        others = [layer for _, layer in reversed(layers)]
        return own(base, states, [(length, other) for (length, _), other in zip(layers, others, strict=True)])

    configs = [replace(one, method=MethodConfig("lora", rank=4)) for one in cells(cache)[:2]]
    wanted, own = alone(configs, tmp_path / "alone"), joined_layers.with_adapters
    monkeypatch.setattr(joined_layers, "with_adapters", swapped)
    given = together(configs, tmp_path / "together")
    assert [one.company for one in given] == [0, 0]
    assert [one.losses for one in given] == [one.losses for one in wanted]
    assert "losses or gradients of cell 0, cell 1 are not those of its own pass" in caplog.text


def test_a_joined_step_is_not_taken_where_the_cells_own_is_not_finite(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(module: InstructionModule, batch: Any) -> float:
        loss = own(module, batch)
        return torch.nan if module.config.schedule == "linear" else loss

    configs = cells(cache)[:2]
    wanted, own = alone(configs, tmp_path / "alone"), InstructionModule.alone
    monkeypatch.setattr(InstructionModule, "alone", lost)
    given = together(configs, tmp_path / "together")
    assert "losses or gradients of cell 1 are not those of its own pass" in caplog.text
    assert [one.company for one in given] == [0, 0]
    assert "the loss became nan" in str(given[1].fault)  # as alone
    assert given[0].losses == wanted[0].losses


@pytest.mark.parametrize(
    ("name", "told"),
    [("tiny_gpt2", "is not a plain one"), ("tiny_t5gemma2", "attend to each other's tokens")],
)
def test_models_that_are_not_known_train_beside_each_other(
    name: str, told: str, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configs = [changed(one, trainer={"max_steps": 2}) for one in cells(cache, name)[:2]]
    given, wanted = together(configs, tmp_path / "together"), alone(configs, tmp_path / "alone")
    assert [one.losses for one in given] == [one.losses for one in wanted]
    assert caplog.text.count(told) == 2


def test_told_to_stop_all_write_their_state_and_go_on(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = cells(cache)
    wanted = together(configs, tmp_path / "whole")
    step = InstructionModule._step

    def stopping(module: InstructionModule) -> None:
        step(module)
        if module.done == 2 and module.config.schedule == "linear":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(InstructionModule, "_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        together(configs, tmp_path / "parts")
    assert 2 <= len(read_curve(tmp_path / "parts" / "1" / "training.jsonl")) < 6
    monkeypatch.setattr(InstructionModule, "_step", step)
    for one, other in zip(together(configs, tmp_path / "parts"), wanted, strict=True):
        assert_same(one, other)


def test_joined_passes_have_the_threads_of_the_cells(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def counting(parts: Any) -> Any:
        seen.append(torch.get_num_threads())
        return own(parts)

    def loading(config: Config) -> Any:
        torch.set_num_threads(3)  # as a cell with trainer.threads=3 does
        return real(config)

    threads, own, real = torch.get_num_threads(), joined.joined_batch, load
    monkeypatch.setattr(joined, "joined_batch", counting)
    monkeypatch.setattr("tests.model.training.test_joined.load", loading)
    try:
        together([changed(one, trainer={"max_steps": 1}) for one in cells(cache)[:2]], tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert seen == [3]


def test_a_cell_that_ends_takes_no_weights_with_it(cache: Path, tmp_path: Path) -> None:
    moved: list[str] = []

    class Watched(InstructionModule):
        def cpu(self) -> Any:
            moved.append(threading.current_thread().name)
            return super().cpu()

    configs = [changed(one, trainer={"max_steps": 1}) for one in cells(cache)[:2]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("instruct_ablate.model.training.fit.InstructionModule", Watched)
        together(configs, tmp_path / "together")
        assert moved == []  # Lightning moves a module when its fit ends
        alone(configs[:1], tmp_path / "alone")
    assert moved == ["MainThread"]


def test_what_cells_share_stays_as_it_was_loaded(cache: Path, tmp_path: Path) -> None:
    configs = cells(cache)[:2]
    before = load(configs[0]).model.state_dict()
    with SHELF.lending():
        one, other = load(configs[0]).model, load(configs[0]).model
        assert one is not other
        assert one.config is not other.config
        assert all(a is b for a, b in zip(one.parameters(), other.parameters(), strict=True))
        fit(replace(load(configs[0]), model=one), shown(0), configs[0], tmp_path / "0")
        assert not any(weight.requires_grad for weight in other.parameters())
        after = {name: weight.clone() for name, weight in other.state_dict().items()}
        assert not all(torch.equal(one.state_dict()[name], weight) for name, weight in after.items())
    assert all(torch.equal(before[name], weight) for name, weight in after.items())
    assert all(weight.requires_grad for weight in load(configs[0]).model.parameters())
