from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks.counting import Sizes, Work, forward, training
from benchmarks.limits import answered, of_evaluation, of_training, options
from benchmarks.passes import Pass

from benchmarks import limits, machine
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.store import token_store
from instruct_ablate.model.decoding import engine_native
from instruct_ablate.model.decoding.early_stop import early_stop
from instruct_ablate.model.decoding.greedy import decode_greedily
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config
from tests.model.decoding_cases import LABELS, make_checkpoint, make_config, make_prompts
from tests.model.fits import load
from tests.model.fits import make_config as make_fit
from tests.model.fits import make_prompts as make_examples


def given(**changes: object) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(options(["--steps", "3", "--size", "64"])), **changes})


def test_a_step_is_counted_with_its_own_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = make_fit(tmp_path / "cache", max_steps=3, epochs=1.0)
    checkpoint, prompts = load(config), make_examples()
    store = token_store(prompts, Encoding(checkpoint.tokenizer, False), config.prompt, tmp_path / "cache")
    found = of_training(checkpoint, prompts, config, given(count_only=True))
    assert "share of the limit" not in found
    from instruct_ablate.data.datamodule import PromptDataModule

    later = PromptDataModule(store, config, None).schedule.order(0)[1:3]
    steps = [
        [(store.sources[int(one)].tolist(), store.targets[int(one)].tolist()) for one in step]
        for step in later
    ]
    wanted = training(Sizes.of(checkpoint.model.config), steps)
    assert found["counted GFLOP"] == round(wanted.total / 1e9, 1)
    assert float(found["without sharing"][:-1]) > 1.2  # the prompts of a task begin alike
    measured = of_training(checkpoint, prompts, config, given())
    assert measured["share of the limit"] > 0
    assert measured["seconds"] >= 0


@pytest.mark.parametrize("decoding", ["greedy", "rank"])
def test_answers_are_counted_as_long_as_they_turn_out(decoding: str, tmp_path: Path) -> None:
    checkpoint = make_checkpoint("tiny_llama", tmp_path)
    prompts = make_prompts(2, 3, LABELS if decoding == "rank" else None)
    config = make_config(decoding)
    found = of_evaluation(checkpoint, prompts, config, given())
    assert found["seconds"] > 0
    assert found["passes"] == (1 if decoding == "rank" else longest_answer(checkpoint, prompts, config))
    assert found["share of the limit with reading"] >= found["share of the limit"] > 0
    pairs = answered(checkpoint, prompts, ["yes it is"] * 6, config)
    assert len(pairs) == (6 * len(LABELS) if decoding == "rank" else 6)
    shorter = answered(checkpoint, prompts, ["yes"] * 6, config)
    sizes = Sizes.of(checkpoint.model.config)
    less = forward(sizes, pairs).total - forward(sizes, shorter).total
    assert less > 0 if decoding == "greedy" else less == 0  # labels are scored whichever is chosen


def test_t5_s_answers_are_made_as_long_as_the_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, config = make_checkpoint("tiny_t5", tmp_path), make_config()
    prompts = [
        replace(prompt, target=" ".join(["yes"] * (1 + place % 3)))
        for place, prompt in enumerate(make_prompts(2, 3))
    ]
    wanted = [len(target) for _, target in answered(checkpoint, prompts, [p.target for p in prompts], config)]
    assert len(set(wanted)) == 3
    taken: list[int] = []

    def noting(*given: object) -> object:
        for row, tokens in decode_greedily(*given):  # type: ignore[arg-type]
            taken.append(len(tokens))
            yield row, tokens

    monkeypatch.setattr(engine_native, "decode_greedily", noting)
    found = of_evaluation(checkpoint, prompts, config, given(repetitions=2))
    assert sorted(taken) == sorted(3 * wanted)  # once to know the answers, twice to measure
    pairs = answered(checkpoint, prompts, [prompt.target for prompt in prompts], config)
    counted = forward(Sizes.of(checkpoint.model.config), pairs).total
    assert found["counted GFLOP"] == round(counted / 1e9, 1)
    assert engine_native.early_stop is early_stop  # put back


def test_a_share_is_the_median_of_repetitions_each_beside_its_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint("tiny_llama", tmp_path)
    rates, times = iter([100.0, 50.0, 200.0]), iter([1.0, 3.0, 6.0])
    monkeypatch.setattr(machine, "product_rate", lambda *_, **__: next(rates))
    found = limits.share(checkpoint, Work(30.0, 6.0, 24.0), lambda: next(times), given(repetitions=3))
    assert found["share of the limit"] == 0.4  # of 60 / 100 / 1, 60 / 50 / 3 and 60 / 200 / 6
    assert found["share, least and most"] == [0.05, 0.6]
    assert found["seconds"] == 3.0


def test_the_second_share_holds_each_pass_against_the_longer_of_computing_and_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint("tiny_llama", tmp_path)  # four bytes a value
    sizes: list[int] = []

    def read(size: int, _: object) -> float:
        sizes.append(size)
        return [80.0, 40.0, 160.0][len(sizes) - 1]

    monkeypatch.setattr(machine, "product_rate", lambda *_, **__: 100.0)
    monkeypatch.setattr(machine, "read_rate", read)
    # 0.6 s of computing or 0.5, 1 and 0.25 s of reading; 0.1 or 1, 2 and 0.5: in all 1.6, 3 and 1.1 s.
    passes = [Pass(Work(30.0, 6.0, 24.0), 10), Pass(Work(10.0), 20)]
    times = iter([2.0, 6.0, 1.0])
    found = limits.share(checkpoint, Work(40.0, 6.0, 24.0), lambda: next(times), given(repetitions=3), passes)
    assert sizes == [80] * 3  # as large as what the largest pass reads
    assert found["share of the limit with reading"] == 0.8  # of 0.8, 0.5 and 1.1
    assert found["that share, least and most"] == [0.5, 1.1]
    assert found["share of the limit"] == 0.35  # of 0.7 / 2, 0.7 / 6 and 0.7 / 1: it stays what it was
    assert found["passes bound by reading"] == 1


def longest_answer(checkpoint: Checkpoint, prompts: list[Prompt], config: Config) -> int:
    """Passes that write the answers: one for each token, the end included, the first of which reads the prompts."""
    answers = limits.evaluation.ours(checkpoint, prompts, config)
    return max(len(target) for _, target in answered(checkpoint, prompts, answers, config))


def test_memory_s_rate_is_what_a_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    assert machine.read_rate(4000, lambda: next(ticks) / 2) == 8000  # half a second each


def test_the_peer_is_named_with_its_attention(tmp_path: Path) -> None:
    checkpoint = make_checkpoint("tiny_t5", tmp_path)
    found = of_evaluation(checkpoint, make_prompts(1, 2), make_config(), given(count_only=True))
    assert found["the peer's attention"].startswith("sdpa of transformers 5.")


def test_a_product_is_timed_in_the_model_s_precision() -> None:
    assert limits.machine.product_rate(torch.float32, size=32, repetitions=3) > 0


def test_each_figure_stands_beside_its_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(machine, "processor", lambda: {"processor": "Abacus 9"})
    arguments = argparse.Namespace(case=["greedy", "t5"], threads=threads, json=tmp_path / "out.json")
    found = machine.run_cases(arguments, lambda name: {"seconds": len(name)})
    assert found["greedy"] == {"seconds": 6, "processor": "Abacus 9"}
    assert found["machine"] == {"processor": "Abacus 9", "threads": threads}
    assert json.loads((tmp_path / "out.json").read_text()) == found
    assert capsys.readouterr().out.count("Abacus 9") == 3
