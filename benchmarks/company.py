"""Company: whether answers and label scores depend on `evaluation.batch_tokens`, that is on who is decoded beside whom.

    python benchmarks/company.py [--instances 6] [--json FILE]

Random weights in the layers' real widths (SmolLM2-135M's and t5-small's), six starter tasks, bf16 and fp32, one
thread. Each setting is compared with the default 16,384: answers that differ, label scores that are equal to the bit,
and the greatest difference of a token's log-likelihood.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from instruct_ablate.instruction.context import Context
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.decoding.question import Question
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, ModelConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks

CACHE = Path(".cache")
DEFAULT, OTHERS = 16384, (512, 2048)
LLAMA = {
    "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 2, "num_attention_heads": 9,
    "num_key_value_heads": 3, "max_position_embeddings": 2048,
}  # fmt: skip
T5 = {"d_model": 512, "d_ff": 1024, "num_layers": 2, "num_heads": 8, "d_kv": 64}


def make_checkpoint(name: str, sizes: dict[str, int], dtype: torch.dtype) -> Checkpoint:
    """A built-in model's tokenizer, and a wider model of its kind with random weights."""
    base = load_checkpoint(ModelConfig(name=name, source="random"), dtype, CACHE)
    torch.manual_seed(0)
    model = type(base.model)(type(base.model.config)(**{**base.model.config.to_dict(), **sizes}))
    for weight in model.get_output_embeddings().parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return Checkpoint(model.to(dtype).eval(), base.tokenizer, base.encoder_decoder, name)


def make_prompts(checkpoint: Checkpoint, config: Config, instances: int) -> list[Prompt]:
    tasks = read_tasks(TasksConfig(reader="starter", test_instances=instances), CACHE).test
    labelled = [task for task in tasks if task.kind == "classification"][:6]
    tokens = TokenizerTokens(checkpoint.tokenizer)
    return list(build_prompts(labelled, config.instruction, config.prompt, tokens, Context(0, tuple(tasks))))


class Scored:
    """Notes the label scores of every question that is ranked."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, ...], list[float]] = {}
        self._choose = Question.choose

    def __call__(self, question: Question, scores: Any, decoding: str) -> str:
        self.rows[question.ids] = [score for label in scores for score in label]
        return self._choose(question, scores, decoding)


def answers(
    checkpoint: Checkpoint, prompts: list[Prompt], config: Config
) -> tuple[dict[Any, str], dict[Any, Any]]:
    scored = Scored()
    Question.choose = lambda *given: scored(*given)  # type: ignore[method-assign]  # noqa: PLW0108 - it binds
    try:
        texts = {(p.prompt.task, p.prompt.instance_id): p.text for p in predict(checkpoint, prompts, config)}
    finally:
        Question.choose = scored._choose  # type: ignore[method-assign]
    return texts, scored.rows


def compare(checkpoint: Checkpoint, decoding: str, instances: int) -> Iterator[dict[str, Any]]:
    """One row a number of tokens: how it differs from the default."""
    config = Config()
    config.prompt.template, config.prompt.max_target_length = "tk_instruct", 6
    config.evaluation.decoding, config.evaluation.batch_tokens = decoding, DEFAULT
    prompts = make_prompts(checkpoint, config, instances)
    texts, scores = answers(checkpoint, prompts, config)
    for config.evaluation.batch_tokens in OTHERS:
        others, rows = answers(checkpoint, prompts, config)
        apart = [abs(a - b) for key in rows for a, b in zip(rows[key], scores[key], strict=True)]
        yield {
            "model": checkpoint.name,
            "precision": str(checkpoint.model.dtype).removeprefix("torch."),
            "decoding": decoding,
            "batch_tokens": config.evaluation.batch_tokens,
            "answers that differ": f"{sum(others[key] != texts[key] for key in texts)}/{len(texts)}",
            "scores equal to the bit": f"{sum(rows[key] == scores[key] for key in rows)}/{len(rows)}",
            "greatest difference of scores": max(apart, default=0.0),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--instances", type=int, default=6)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, sizes in (("tiny_llama", LLAMA), ("tiny_t5", T5)):
        for dtype in (torch.bfloat16, torch.float32):
            checkpoint = make_checkpoint(name, sizes, dtype)
            for decoding in ("rank", "greedy"):
                for row in compare(checkpoint, decoding, given.instances):
                    print(row, flush=True)
                    rows.append(row)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
