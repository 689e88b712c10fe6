"""Predictions of a checkpoint: prompts in, answers out, as they finish."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from instruct_ablate.model.decode_attention import decoding
from instruct_ablate.model.family import batches, families
from instruct_ablate.model.greedy import decode_greedily
from instruct_ablate.model.question import Question, ask, stop_tokens
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.model.checkpoint import Checkpoint

Key = tuple[str, str]  # task, instance id


def predict(
    checkpoint: Checkpoint, prompts: Sequence[Prompt], config: Config, finished: Collection[Key] = frozenset()
) -> Iterator[Prediction]:
    """Yield a prediction for each prompt, in any order, as they finish.

    Give all prompts of the score block, and in `finished` (task, instance id) those that are already written:
    they are not decoded again, and the others are decoded in the same company as they would have been
    (in bf16 the last bits depend on the company).
    """
    questions = ask(
        prompts, checkpoint.tokenizer, config.prompt.max_source_length, config.evaluation.decoding != "greedy"
    )
    limit = config.prompt.max_target_length
    model = checkpoint.model
    stops = stop_tokens(model, checkpoint.tokenizer)
    with decoding(model):
        for batch, places in batches(questions, families(questions), config.evaluation.batch_tokens):
            if all((p.task, p.instance_id) in finished for place in places for p in questions[place].prompts):
                continue
            for row, tokens in decode_greedily(model, batch, stops, limit):
                text = checkpoint.tokenizer.decode(tokens, skip_special_tokens=True).strip()
                for prompt in questions[places[row]].prompts:
                    if (prompt.task, prompt.instance_id) not in finished:
                        yield Prediction(prompt, text)
