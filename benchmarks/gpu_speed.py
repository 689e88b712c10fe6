"""How fast a GPU is made to be: the machine's own rates, training against transformers' trainers, evaluation."""

from __future__ import annotations

import argparse
import copy
import gc
import importlib.util
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from benchmarks.counting import Sizes, apart, forward
from benchmarks.shapes import CACHE, make_checkpoint, make_prompts

from benchmarks import evaluation, gpu_steps, machine, training
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config

Results = Iterator[tuple[str, dict[str, Any]]]
BF16 = torch.bfloat16


def describe(given: argparse.Namespace) -> Results:
    """Name the machine and measure what it can do at all."""
    import transformers

    versions = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "transformers": transformers.__version__,
    }
    yield "versions", versions
    yield "processor", machine.processor()
    size, mebibytes = (512, 16) if given.small else (8192, 4096)
    rates = {
        name: machine.product_rate(getattr(torch, name), given.device, size)
        for name in ("bfloat16", "float32")
    }
    yield "products, operations/s", rates
    yield "copy, bytes/s", {"rate": machine.copy_rate(given.device, mebibytes)}
    if given.device == "cuda":
        card = torch.cuda.get_device_properties(0)
        yield (
            "GPU",
            {
                "name": card.name,
                "capability": f"{card.major}.{card.minor}",
                "memory, GiB": round(card.total_memory / 2**30, 1),
                "multiprocessors": card.multi_processor_count,
                "GPUs": torch.cuda.device_count(),
                "bf16 peak, data sheet": machine.device_peak(card.name),
            },
        )


class Clock(training.Clock):
    """The time after every step, when the GPU has done it."""

    def __init__(self, device: str) -> None:
        super().__init__("wall")
        self.device = device

    def step(self) -> None:
        machine.synchronize(self.device)
        super().step()


def train(given: argparse.Namespace, name: str) -> Results:
    """One shape: this package's fit, plain, compiled and grouped, and transformers' trainer at several batch sizes."""
    rate = machine.product_rate(BF16, given.device, 512 if given.small else 8192)
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "ours": lambda: _train_ours(given, name, "none"),
        **{f"peer at {rows}": lambda rows=rows: _train_peer(given, name, rows) for rows in given.peer_rows},
        "ours, compiled": lambda: _train_ours(given, name, "none", compiling=True),
        "ours, grouped": lambda: _train_ours(given, name, "task"),
    }
    if name.startswith("t5"):
        del ways["ours, grouped"]  # an encoder that looks both ways shares nothing
    if given.small:
        del ways["ours, compiled"]  # it needs a compiler, and a minute
    if importlib.util.find_spec("accelerate") is None:  # which transformers' trainers do not start without
        yield "peer", {"needs": ["accelerate"]}
        ways = {way: run for way, run in ways.items() if not way.startswith("peer")}
    for way, run in ways.items():
        try:
            found = run()
        except Exception as error:
            yield way, {"error": f"{type(error).__name__}: {error}"[:800]}
        else:
            speed = found["tokens/s"] * found["operations a token"]
            peak = machine.device_peak(torch.cuda.get_device_name()) if given.device == "cuda" else None
            shares = {"share of a large product": round(speed / rate, 3)}
            yield way, {**found, **shares, **({"share of the peak": round(speed / peak, 3)} if peak else {})}
        _empty(given.device)


def _empty(device: str) -> None:
    """Give memory back before the next way."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _config(given: argparse.Namespace, grouping: str) -> Config:
    config = Config(cache=str(CACHE))
    config.method.name, config.data.grouping, config.data.group_size = "full", grouping, 8
    trainer = config.trainer
    trainer.batch_size, trainer.max_steps, trainer.epochs = given.batch_size, given.steps, 1.0
    trainer.learning_rate, trainer.schedule, trainer.gradient_clip = 1e-5, "constant", 1.0
    trainer.accelerator = "cpu" if given.device == "cpu" else "auto"
    trainer.progress, trainer.checkpoint_every_steps = False, 10**6
    trainer.micro_batch_tokens = given.micro_batch_tokens
    return config


def _data(given: argparse.Namespace, checkpoint: Checkpoint, config: Config) -> PromptDataModule:
    return training.data_of(checkpoint, _prompts(given), config)


def _prompts(given: argparse.Namespace) -> list[Prompt]:
    """As many prompts as the steps take, eight a task."""
    return make_prompts(given.steps * given.batch_size // 8, 8, words=40 if given.small else 170)


def _train_ours(
    given: argparse.Namespace, name: str, grouping: str, compiling: bool = False
) -> dict[str, Any]:
    checkpoint, clock = make_checkpoint(name, BF16, given.device, given.small), Clock(given.device)
    config = _config(given, grouping)
    config.trainer.compile = compiling
    counted = _counted(given, checkpoint, _data(given, checkpoint, config))
    found = training.ours(checkpoint, _prompts(given), config, clock)
    return _speed(given, clock, counted) | {"losses": found["losses"][-1:]}


def _train_peer(given: argparse.Namespace, name: str, rows: int) -> dict[str, Any]:
    # Lightning has asked for deterministic kernels in this process, which a user's script would not.
    torch.use_deterministic_algorithms(False)
    checkpoint, clock = make_checkpoint(name, torch.float32, given.device, given.small), Clock(given.device)
    config = _config(given, "none")
    data = _data(given, checkpoint, config)
    counted = _counted(given, checkpoint, data)
    settings = argparse.Namespace(
        steps=given.steps, batch_size=given.batch_size, peer_batch=rows, accelerator=given.device
    )
    found = training.peer(checkpoint, data, settings, clock)
    return _speed(given, clock, counted) | {
        "losses": found["losses"][-1:],
        "padding": round(found["padding"], 3),
    }


def _counted(
    given: argparse.Namespace, checkpoint: Checkpoint, data: PromptDataModule
) -> tuple[list[int], float]:
    """Return each step's real tokens, and the operations a token of a pass that shares and pads nothing."""
    steps = data.schedule.order(0)[: given.steps]
    store = data.store
    pairs = [(store.sources[int(one)].tolist(), store.targets[int(one)].tolist()) for one in steps[0]]
    work = apart(Sizes.of(checkpoint.model.config), pairs).times(3.0).total
    tokens = [int(store.lengths[step].sum()) for step in steps]
    return tokens, work / tokens[0]


def _speed(given: argparse.Namespace, clock: Clock, counted: tuple[list[int], float]) -> dict[str, Any]:
    """Return the speed over all steps but the first two, which compile, warm up and fill caches."""
    tokens, each = counted
    first = min(2, given.steps - 1)
    seconds = clock.ends[given.steps - 1] - clock.ends[first - 1]
    memory = torch.cuda.max_memory_allocated() / 2**20 if given.device == "cuda" else None
    return {
        "tokens/s": round(sum(tokens[first:]) / seconds, 1),
        "operations a token": each,
        "seconds a step": round(seconds / (given.steps - first), 4),
        "peak MiB": memory and round(memory),
    }


def evaluate(given: argparse.Namespace, name: str) -> Results:
    """One shape: this package's decoding and its steps, `generate` at several batch sizes, vLLM where installed."""
    checkpoint = make_checkpoint(name, BF16, given.device, given.small)
    prompts = make_prompts(*((2, 4) if given.small else (6, 100)), words=40 if given.small else 170)
    config = Config()
    config.prompt.max_target_length = 4 if given.small else 16
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    sources = encoding.sources([prompt.source for prompt in prompts], config.prompt.max_source_length)
    answered = [(source, [0] * config.prompt.max_target_length) for source in sources]
    rate = machine.product_rate(BF16, given.device, 512 if given.small else 8192)
    least = forward(Sizes.of(checkpoint.model.config), answered).total / rate
    large, fast = (copy.deepcopy(config) for _ in range(2))
    large.evaluation.batch_tokens *= 4
    fast.evaluation.engine = "vllm"
    ways: dict[str, Callable[[list[Prompt]], list[str]]] = {
        "ours": lambda some: evaluation.ours(checkpoint, some, config),
        "ours, larger batches": lambda some: evaluation.ours(checkpoint, some, large),
        **{f"generate at {rows}": partial(_generate, checkpoint, config, rows) for rows in given.peer_rows},
    }
    if importlib.util.find_spec("vllm") and not checkpoint.encoder_decoder:
        ways["vLLM"] = lambda some: evaluation.ours(checkpoint, some, fast)
    for way, run in ways.items():
        yield way, _answered(given, run, prompts, least)
    try:
        yield "steps", gpu_steps.steps(given, checkpoint)
    except Exception as error:
        yield "steps", {"error": f"{type(error).__name__}: {error}"[:500]}


def _generate(checkpoint: Checkpoint, config: Config, rows: int, prompts: list[Prompt]) -> list[str]:
    return evaluation.plain_generate(checkpoint, prompts, config, rows)


def _answered(
    given: argparse.Namespace, run: Callable[[list[Prompt]], list[str]], prompts: list[Prompt], least: float
) -> dict[str, Any]:
    """Time one way of answering, after a tenth of the prompts to warm up."""
    try:
        run(prompts[::10])
        machine.synchronize(given.device)
        started = time.perf_counter()
        run(prompts)
        machine.synchronize(given.device)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    seconds = time.perf_counter() - started
    return {"instances/s": round(len(prompts) / seconds, 2), "share of the limit": round(least / seconds, 4)}


def profile(given: argparse.Namespace, name: str) -> Results:
    """What one step of training spends its time on: the kernels that take most."""
    from torch.profiler import ProfilerActivity

    checkpoint = make_checkpoint(name, BF16, given.device, given.small)
    config = _config(given, "none")
    batches = _data(given, checkpoint, config).batches()
    batch = batches.batch(0, batches.schedule.order(0)).to(given.device)
    from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if given.device == "cuda" else [])]
    with packed_attention_of(checkpoint.model.train()):
        losses = TokenLosses(checkpoint.model)

        def step() -> None:
            for part in batch.micro_batches[:4]:
                losses(part).sum().backward()
            machine.synchronize(given.device)

        step()
        started = time.perf_counter()
        step()
        seconds = time.perf_counter() - started
        with torch.profiler.profile(activities=activities) as seen:
            step()
    key = "self_device_time_total" if given.device == "cuda" else "self_cpu_time_total"
    events = sorted(seen.key_averages(), key=lambda event: -getattr(event, key))
    total = sum(getattr(event, key) for event in events) / 1e6
    yield "step", {"seconds": round(seconds, 4), "seconds in kernels": round(total, 4)}
    for event in events[: 5 if given.small else 40]:
        yield event.key[:90], {"ms": round(getattr(event, key) / 1e3, 3), "calls": event.count}
