"""The best weights: which point they are of, when to stop, and which files a fit may still need."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from instruct_ablate.disk.learning_curve import read_curve
from instruct_ablate.errors import Interrupted, UserError
from instruct_ablate.model.training.fit import fit
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.model.training.resume.best_weights import BestWeights, Choice
from instruct_ablate.model.training.resume.points import Plan
from instruct_ablate.schema import Config
from tests.killed import Killed, best_of
from tests.model.fits import changed, load, make_config, make_prompts, same_bits, weights
from tests.model.training.test_strategies import FIT, run

SCORES = {0: 1.0, 1: 2.0, 2: 9.0, 3: 9.0, 4: 5.0, 5: 5.0, 6: 5.0}


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def train(
    config: Config, folder: Path, scores: Mapping[int, float], patience: int | None = None
) -> tuple[dict[str, torch.Tensor], Choice]:
    checkpoint, choice = load(config), Choice(patience=patience)
    fit(
        checkpoint,
        make_prompts(),
        config,
        folder,
        (),
        Plan(scores, lambda step: {"m": scores[step]}, choice, "m"),
    )
    return weights(checkpoint), choice


@pytest.mark.parametrize(("higher", "step"), [(True, 2), (False, 4)])
def test_of_equal_points_the_earlier_is_the_best(higher: bool, step: int) -> None:
    choice = Choice(higher)
    better = [
        choice.add(number, score) for number, score in ((1, 3.0), (2, 5.0), (3, 5.0), (4, 2.0), (5, 2.0))
    ]
    assert choice.best == step
    assert better == ([True, True, False, False, False] if higher else [True, False, False, True, False])
    again = Choice(higher)
    again.restore(choice.state())
    assert again.scores == choice.scores


@pytest.mark.parametrize("higher", [True, False])
def test_points_that_rounding_alone_sets_apart_are_equal(higher: bool) -> None:
    # Means of three tasks' exact match with the same right answers in all.
    near = ((100 / 3 + 50 + 100 / 7) / 3, (100 / 7 + 50 + 100 / 3) / 3)
    assert 0 < abs(near[0] - near[1]) < 1e-12
    for one, other in (near, near[::-1]):
        choice = Choice(higher, patience=1)
        assert choice.add(1, one)
        assert not choice.add(2, other)
        assert choice.best == 1
        assert choice.stops
    assert Choice(scores=[(1, 1.0), (2, 1.0001)]).best == 2


def test_patience_counts_points_without_a_better_one() -> None:
    choice, stops = Choice(patience=2), []
    assert not choice.stops
    for step, score in enumerate((1.0, 0.5, 2.0, 2.0, 1.0)):
        choice.add(step, score)
        stops.append(choice.stops)
    assert stops == [False, False, False, False, True]
    assert not Choice(scores=[(0, 2.0), *((step, 1.0) for step in range(1, 99))]).stops


def test_weights_are_there_for_every_checkpoint_a_fit_may_go_on_from(tmp_path: Path) -> None:
    best = BestWeights(tmp_path)
    for step in (1, 2, 3):
        best.save(step, [torch.tensor(float(step))])
    assert best._steps() == [1, 2, 3], "without a checkpoint a fit begins anew"
    for step in (2, 4):
        training_state.save(tmp_path, {"step": step})
    best.save(5, [torch.tensor(5.0)])
    assert best._steps() == [2, 3, 5], "who goes on from 2 may need what was best there"
    best.forget_after(4)
    assert best._steps() == [2, 3]
    assert best.load(3) == [torch.tensor(3.0)]
    with pytest.raises(UserError, match="lost or damaged: remove"):
        best.load(5)
    best.forget_after(0)
    assert not best._steps()


@pytest.mark.parametrize(
    ("name", "method", "grouping"), [("tiny_llama", "lora", "task"), ("tiny_t5", "full", "none")]
)
def test_the_model_is_left_with_the_best_weights(
    name: str, method: str, grouping: str, cache: Path, tmp_path: Path
) -> None:
    config = changed(make_config(cache, name), method={"name": method}, data={"grouping": grouping})
    given, choice = train(config, tmp_path / "chosen", SCORES)
    assert choice.best == 2
    assert len(choice.scores) == 7
    short = changed(config, trainer={"max_steps": 2})
    plain = load(short)
    fit(plain, make_prompts(), short, tmp_path / "short")
    assert same_bits(given, weights(plain))
    assert [path.name for path in (tmp_path / "chosen" / "checkpoints").glob("best-*")] == []
    again, read = train(config, tmp_path / "chosen", {})
    assert same_bits(again, given)
    assert read.scores == choice.scores


def test_a_fit_stops_early_and_a_stopped_one_goes_on_to_the_same_end(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, original = make_config(cache), InstructionModule._step
    wanted, choice = train(config, tmp_path / "whole", SCORES, patience=3)
    assert [step for step, _ in choice.scores] == [0, 1, 2, 3, 4, 5]
    assert [row["step"] for row in read_curve(tmp_path / "whole" / "training.jsonl")] == [1, 2, 3, 4, 5]
    for stop in (1, 3, 4):
        with monkeypatch.context() as patch:

            def interrupted(self: InstructionModule, stop: int = stop) -> None:
                original(self)
                if self.done + 1 == stop:
                    signal.raise_signal(signal.SIGTERM)

            patch.setattr(InstructionModule, "_step", interrupted)
            with pytest.raises(Interrupted, match=f"after step {stop} of 6"):
                train(config, tmp_path / "parts", SCORES, patience=3)
    given, again = train(config, tmp_path / "parts", SCORES, patience=3)
    assert same_bits(given, wanted)
    assert again.scores == choice.scores


def test_a_fit_killed_again_and_again_ends_with_the_same_choice_and_bits(cache: Path, tmp_path: Path) -> None:
    config = make_config(cache, checkpoint_every_steps=1)
    wanted, choice = train(config, tmp_path / "whole", SCORES, patience=2)
    assert (choice.best, choice.scores[-1][0]) == (2, 4)
    for moment, arrange in best_of(best=2, early=4).items():
        with pytest.MonkeyPatch.context() as patch:
            arrange(patch)
            with pytest.raises(Killed):
                train(config, tmp_path / "parts", SCORES, patience=2)
            assert moment
    given, again = train(config, tmp_path / "parts", SCORES, patience=2)
    assert same_bits(given, wanted)
    assert again.scores == choice.scores
    assert not list((tmp_path / "parts").rglob("best-*"))


@pytest.mark.slow
def test_two_processes_choose_and_stop_as_one_does(cache: Path, tmp_path: Path) -> None:
    plan = f"Plan({SCORES}, lambda step: {{'m': {SCORES}[step]}}, Choice(patience=2), 'm')"
    fit = FIT.replace("Path(folder))\n", f"Path(folder), (), {plan})\nassert cost.train_steps == 4\n", 1)
    more = (
        "from instruct_ablate.model.training.resume.best_weights import Choice\n"
        "from instruct_ablate.model.training.resume.points import Plan\n"
    )
    assert plan in fit
    two, losses = run(tmp_path / "two", cache, 2, "tiny_llama", "ddp", "none", "full", fit=more + fit)
    config = make_config(cache, micro_batch_tokens=200, learning_rate=1e-3)
    one, choice = train(config, tmp_path / "one", SCORES, patience=2)
    assert choice.scores[-1][0] == len(losses) == 4
    for weight, tensor in one.items():
        torch.testing.assert_close(two[weight], tensor, rtol=1e-3, atol=3e-4)
