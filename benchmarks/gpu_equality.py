"""Whether a GPU computes what it should: losses, gradients, answers, resumed fits, shared machines."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from benchmarks.recorded_steps import steps_captured
from benchmarks.shapes import CACHE, make_checkpoint, make_prompts
from benchmarks.training import plain_row
from torch import Tensor

from instruct_ablate.data.collate import collate
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.store import TokenStore, token_store
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.schema import Config

ROOT = Path(__file__).parents[1]
Results = Iterator[tuple[str, dict[str, Any]]]
FAMILIES = ("smollm2_135m", "t5_large", "gemma3_270m", "qwen3_0.6b")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
# How far a gradient may be from transformers' own in fp32, relative to its length.
BOUNDS = {"fp32": 1e-3, "bf16": 0.1}
LABELS = ("yes", "no", "true", "false")


def losses(given: argparse.Namespace) -> Results:
    """Packed, grouped and padded losses and gradients against one plain pass of transformers' for each example."""
    for name in _families(given):
        checkpoint = make_checkpoint(name, torch.float32, given.device, small=True)
        store = _store(checkpoint)
        examples = range(len(store))
        batches = {"packed": [[one] for one in examples], "padded": [[one] for one in examples]}
        if not checkpoint.encoder_decoder:
            batches["grouped"] = [[*examples[:4]], [*examples[4:]]]
        wanted = _plain(checkpoint, store)
        for precision, dtype in PRECISIONS.items():
            _cast(checkpoint.model, dtype)
            for way, groups in batches.items():
                batch = collate(store, groups, checkpoint.start_token).to(given.device)
                try:
                    result = _compared(_through(checkpoint.model, batch, way != "padded"), wanted, precision)
                except Exception as error:
                    result = {"equal": False, "error": f"{type(error).__name__}: {error}"[:500]}
                yield f"{name}, {way}, {precision}", result


def _families(given: argparse.Namespace) -> Sequence[str]:
    return FAMILIES[:2] if given.small else FAMILIES


def _store(checkpoint: Checkpoint) -> TokenStore:
    config = Config()
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    return token_store(make_prompts(2, 4, words=60), encoding, config.prompt, CACHE)


def _cast(model: Any, dtype: torch.dtype) -> None:
    """Bring weights to a precision; buffers, such as rotary frequencies, keep theirs."""
    for parameter in model.parameters():
        parameter.data, parameter.grad = parameter.data.to(dtype), None


def _plain(checkpoint: Checkpoint, store: TokenStore) -> tuple[float, Tensor]:
    """Return the summed loss and its gradient, one example after another."""
    model: Any = checkpoint.model
    total = 0.0
    for example in range(len(store)):
        row = plain_row(store, example, checkpoint.encoder_decoder)
        tensors = {name: torch.tensor([ids], device=model.device) for name, ids in row.items()}
        loss = model(**tensors, use_cache=False).loss * int((tensors["labels"] >= 0).sum())
        loss.backward()
        total += float(loss)
    return total, _gradient(model)


def _through(model: Any, batch: Any, packing: bool) -> tuple[float, Tensor]:
    """Return the summed loss of a micro-batch and its gradient, as training computes them."""
    from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of

    with packed_attention_of(model, packing):
        loss = TokenLosses(model, packing)(batch).sum()
        loss.backward()
    return float(loss), _gradient(model)


def _gradient(model: Any) -> Tensor:
    """Return all gradients in fp32, one behind the other, and forget them."""
    parts = [
        (torch.zeros_like(weight) if weight.grad is None else weight.grad).float().flatten()
        for weight in model.parameters()
    ]
    for weight in model.parameters():
        weight.grad = None
    return torch.cat(parts)


def _compared(found: tuple[float, Tensor], wanted: tuple[float, Tensor], precision: str) -> dict[str, Any]:
    loss = abs(found[0] - wanted[0]) / abs(wanted[0])
    gradient = float((found[1] - wanted[1]).norm() / wanted[1].norm())
    equal = loss < BOUNDS[precision] and gradient < BOUNDS[precision]
    return {"loss": loss, "gradient": gradient, "equal": equal}


def answers(given: argparse.Namespace) -> Results:
    """Greedy, constrained and ranked answers against transformers' own passes, one prompt length at a time."""
    from instruct_ablate.model.decoding import engine_native, engine_transformers
    from instruct_ablate.model.decoding.question import ask

    for name in _families(given):
        for precision, dtype in PRECISIONS.items():
            checkpoint = make_checkpoint(name, dtype, given.device, small=True, std=0.2)
            checkpoint.model.generation_config.eos_token_id = list(range(3, 1024, 16))
            for decoding in ("greedy", "constrained", "rank"):
                config = Config()
                config.prompt.max_target_length, config.evaluation.decoding = 12, decoding
                prompts = make_prompts(2, 5, words=40, choices=None if decoding == "greedy" else LABELS)
                encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
                questions = ask(prompts, encoding, config)
                texts = []
                for engine in (engine_native, engine_transformers):
                    answered = engine.answer(checkpoint, questions, config, lambda _: False)
                    texts.append({question.ids: text for question, text, *_ in answered})
                same = sum(texts[0][ids] == texts[1][ids] for ids in texts[0])
                result = {"same": f"{same} of {len(texts[0])}"}
                # In bf16 the two ways round differently, and near ties fall either way.
                exact = {"equal": same == len(texts[0])} if precision == "fp32" else {}
                yield f"{name}, {decoding}, {precision}", {**result, **exact}
                if decoding == "greedy":
                    yield (
                        f"{name}, captured steps, {precision}",
                        _captured(given, checkpoint, questions, config),
                    )


def _captured(
    given: argparse.Namespace, checkpoint: Checkpoint, questions: Any, config: Config
) -> dict[str, Any]:
    """Answer greedily with steps captured and with none, and say how many were."""
    from instruct_ablate.model.decoding import engine_native
    from instruct_ablate.model.decoding.layers import step_graph

    texts = []
    for captured in (False, True):
        with steps_captured(given.device, captured) as counts:
            answered = engine_native.answer(checkpoint, questions, config, lambda _: False)
            texts.append({question.ids: text for question, text, *_ in answered})
    same = sum(texts[0][ids] == texts[1][ids] for ids in texts[0])
    found: dict[str, Any] = {"same": f"{same} of {len(texts[0])}", **dataclasses.asdict(counts)}
    if reason := step_graph.refusal(checkpoint.model):
        found["refused"] = reason
    exact = same == len(texts[0]) or checkpoint.model.dtype != torch.float32
    return found | {"equal": exact and counts.captured > 0 and "refused" not in found}


def resume(given: argparse.Namespace) -> Results:
    """A fit that is stopped and taken up again against one that is not, and against itself done twice."""
    for name in FAMILIES[:2]:
        for precision, dtype in list(PRECISIONS.items())[: 1 if given.small else 2]:
            whole, again = (_fitted(name, dtype, given.device, None) for _ in range(2))
            parts = _fitted(name, dtype, given.device, 2)
            result = {"equal": _apart(parts, whole) == 0.0, "greatest difference": _apart(parts, whole)}
            yield f"{name}, {precision}", {**result, "the same fit twice": _apart(again, whole)}


def _fitted(name: str, dtype: torch.dtype, device: str, stopped: int | None) -> list[Tensor]:
    """Return the weights after four steps; `stopped` after so many first."""
    from pytorch_lightning.loggers import Logger

    from instruct_ablate.errors import Interrupted
    from instruct_ablate.model.training.fit import fit

    class Stop(Logger):
        name, version = "stop", 0
        steps = 0

        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            self.steps += 1
            if self.steps == stopped:
                os.kill(os.getpid(), signal.SIGTERM)

        def log_hyperparams(self, *_: Any, **__: Any) -> None:
            pass

    config = Config(cache=str(CACHE))
    trainer = config.trainer
    trainer.batch_size, trainer.max_steps, trainer.micro_batch_tokens = 4, 4, 400
    trainer.progress, trainer.accelerator = False, "cpu" if device == "cpu" else "auto"
    config.method.name = "full"
    with tempfile.TemporaryDirectory() as folder:
        for loggers in ([] if stopped is None else [Stop()], []):
            checkpoint = make_checkpoint(name, dtype, small=True)
            try:
                fit(checkpoint, make_prompts(2, 8, words=60), config, Path(folder), loggers)
            except Interrupted:
                continue
            break
    return [weight.detach().float().cpu() for weight in checkpoint.model.parameters()]


def _apart(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    return max(float((mine - theirs).abs().max()) for mine, theirs in zip(one, other, strict=True))


def pool(given: argparse.Namespace) -> Results:
    """The pool of `hydra/launcher=local_pool`: which GPU each process is lent, two at a time."""
    from instruct_ablate.grid.launch.local_pool import Pool, shares
    from instruct_ablate.grid.planned_cell import Cell

    with tempfile.TemporaryDirectory() as folder:
        config = Config(output=folder, study="pool")
        count = 2 if given.small else 4
        names: Any = [SimpleNamespace(name=f"cell{number}", hash=f"{number:064x}") for number in range(count)]
        cells = [Cell((), config, name) for name in names]
        places = shares(None if given.device == "cuda" and torch.cuda.device_count() > 1 else 2)
        Pool(places, [sys.executable, str(ROOT / "benchmarks" / "gpu_worker.py")]).run(cells)
        for cell in cells:
            told = cell.folder / "machine.json"
            output = cell.folder / "output.txt"
            failed = {"equal": False, "error": output.read_text()[-500:] if output.exists() else "no output"}
            yield (
                cell.identity.name,
                {**json.loads(told.read_text()), "equal": True} if told.exists() else failed,
            )


def grid(given: argparse.Namespace) -> Results:
    """A whole grid by the command line: tiny cells and their untuned model over a pool of two processes."""
    lacking = [
        name for name in ("hydra", "omegaconf", "rouge_score") if importlib.util.find_spec(name) is None
    ]
    if lacking:
        yield "skipped", {"needs": lacking}
        return
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "model=tiny_llama", "tasks=starter", "tasks.test_tasks=2", "tasks.test_instances=4", "data_budget=1",
            "data_budget.tasks=4", "instruction=original,no_definition", "seed=0,1", "logger=none",
            "trainer.progress=false", "trainer.max_steps=2", "hydra/launcher=local_pool", "hydra.launcher.n=2",
            f"output={folder}", f"cache={CACHE.absolute()}", "study=gpu",
        ]  # fmt: skip
        command = [sys.executable, str(ROOT / "train.py"), "-m", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        # A cell's record is read as the text it is: what matters here is how each ended and where it ran.
        records = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("gpu/*/record.json"))]
        states = [record.get("state") for record in records]
        told = (done.stdout + done.stderr)[-1500:]
        yield (
            "cells",
            {
                "states": states,
                "machines": sorted({str(record.get("environment", {}).get("device")) for record in records}),
                "equal": set(states) == {"done"} and done.returncode == 0,
                **({} if done.returncode == 0 else {"output": told}),
            },
        )
