"""The configurations whose identities are frozen, and the small data they need; shared by `make.py` and the tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from instruct_ablate.cell.after.import_predictions import Source, import_predictions, write_imported
from instruct_ablate.cell.state.folder_name import folder_name
from instruct_ablate.cell.state.former import without_order
from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.keys import ORDER
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.schema import Config
from instruct_ablate.tasks.task import Instance, Task, TaskCollection

HERE = Path(__file__).parent
LORA = ("method=lora", "method.learning_rate_factor=1")  # as before it had a rate of its own
TINY = ("model=tiny_llama",)
UNTUNED = (*TINY, "data_budget=0")
DATA = "DATA"  # in an override: the folder that `write_data` has filled

# Everything that is not the default here must not reach the hash of a cell that trains nothing.
TRAINS_OTHERWISE = (
    "trainer.optimizer=adafactor", "trainer.learning_rate=0.5", "trainer.schedule=linear",
    "trainer.warmup_steps=7", "trainer.weight_decay=0.1", "trainer.batch_size=3", "trainer.epochs=9",
    "trainer.max_steps=5", "trainer.gradient_clip=null", *LORA, "method.rank=3", "method.alpha=5",
    "method.dropout=0.1", "method.target_modules=[q_proj]", "data=grouped", "data.group_size=3",
    "data.packing=false", "data_budget.tasks=2", "seed=7",
)  # fmt: skip
TESTS_OTHERWISE = (
    "prompt=alpaca", "prompt.max_source_length=99", "prompt.max_target_length=9", "evaluation=constrained",
    "evaluation.engine=vllm", "evaluation.cut_wrong_answers=true", "evaluation.batch_tokens=99",
    "trainer.precision=fp32",
    "trainer.compile=true",
)  # fmt: skip
RUNS_ELSEWHERE = (
    "trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp", "trainer.num_nodes=2",
    "trainer.threads=1", "trainer.progress=false", "trainer.micro_batch_tokens=77",
    "trainer.activation_checkpointing=true", "trainer.checkpoint_every_steps=3", "data.num_workers=1",
    "evaluation.save_prompts=false", "study=other", "output=elsewhere",
    "retry=none", "reuse=all", "fail_fast=true", "detach=true", "with_untuned=false", "keep_checkpoints=true",
    "cell_timeout=2.5", 'hypotheses=["simplified equals original on rougeL within 1"]', "reference=simplified",
    "logger=csv", "logger.project=mine", "instruction.rate=0.9", "instruction.correct=0.1",
)  # fmt: skip
REVIEWS = (
    "tasks=hf_dataset", f"tasks.root={DATA}/reviews", "tasks.train_split=train", "tasks.test_split=test",
    "tasks.columns.input=text", "tasks.columns.output=label", "tasks.definition='Is the film good or bad?'",
    "tasks.labels=[good,bad]",
)  # fmt: skip
RECORDS = ("tasks=instruction_json", f"tasks.root={DATA}/records", "tasks.train_split=train")
PROMPTED = ("tasks=p3", f"tasks.root={DATA}/prompted", "prompt=plain", "model=tiny_t5",
    "tasks.test_instances=100", "prompt.end_of_source=true",
)  # fmt: skip

CASES: dict[str, tuple[str, ...]] = {
    "defaults": (),  # the default model's fingerprint is a constant: nothing is fetched
    "tiny llama": TINY,
    "tiny t5": ("model=tiny_t5",),
    # instructions
    "simplified": (*TINY, "instruction=simplified"),
    "delusive": (*TINY, "instruction=delusive"),
    "no definition": (*TINY, "instruction=no_definition"),
    "no examples": (*TINY, "instruction=no_examples"),
    "deleted, at its rate": (*TINY, "instruction=deleted"),
    "deleted, another rate": (*TINY, "instruction=deleted", "instruction.rate=0.5"),
    "partly correct": (*TINY, "instruction=partly_correct", "instruction.correct=0.25"),
    "empty and delusive": (*TINY, "instruction.definition=empty", "instruction.examples=delusive"),
    "one example": (*TINY, "instruction.num_positive=1"),
    "negative examples": (*TINY, "instruction.num_negative=2", "instruction.explanations=true"),
    # budgets
    "budget of 8": (*TINY, "data_budget=8"),
    "budget of all": (*TINY, "data_budget=all"),
    "budget of 3 tasks": (*TINY, "data_budget=2", "data_budget.tasks=3"),
    "untuned": UNTUNED,
    "untuned, inference settings": (*UNTUNED, "trainer.precision=bf16", "trainer.compile=true"),
    "untuned, one example": (*UNTUNED, "instruction.num_positive=1"),
    "untuned, another reference": (*UNTUNED, "reference=simplified"),
    # training
    "lora": (*TINY, *LORA),
    "lora, another rank": (*TINY, *LORA, "method.rank=4", "method.target_modules=[q_proj,v_proj]"),
    "adafactor": (*TINY, "trainer.optimizer=adafactor"),
    "learning rate": (*TINY, "trainer.learning_rate=1e-3", "trainer.schedule=linear"),
    "epochs": (*TINY, "trainer.epochs=3"),
    "steps": (*TINY, "trainer.max_steps=5"),
    "precision": (*TINY, "trainer.precision=fp32"),
    "another trainer": (*TINY, "trainer=kung_peng"),
    "seed": (*TINY, "seed=3"),
    "grouped": (*TINY, "data=grouped"),
    "padded": (*TINY, "data=padded"),
    # prompts and tests
    "alpaca": (*TINY, "prompt=alpaca"),
    "chat": (*TINY, "prompt=chat"),
    "plain": (*TINY, "prompt=plain", "prompt.max_source_length=512"),
    "constrained": (*TINY, "evaluation=constrained"),
    "rank": (*TINY, "evaluation=rank"),
    "rank, normalised": (*TINY, "evaluation=rank_normalized"),
    "tested on three": (*TINY, "evaluation.instructions=[same,delusive,empty+original]"),
    "cut answers": (*TINY, "evaluation.cut_wrong_answers=true"),
    # tasks
    "categories": (*TINY, "tasks.categories=[Spam Classification,Calendar Reasoning]"),
    "included": (*TINY, "tasks.include=[starter00*,starter101*]"),
    "few tests": (*TINY, "tasks.test_tasks=4", "tasks.test_instances=3"),
    "a data set": (*TINY, *REVIEWS),
    "instruction records": (*TINY, *RECORDS, "tasks.test_split=test"),
    "instruction records, held out by hash": (*TINY, *RECORDS),
    "prompted sets": (*PROMPTED, "evaluation=rank"),
    # baselines
    "uniform guess": ("model=uniform_guess",),
    "uniform guess, three tries": ("model=uniform_guess", "model.tries=3"),
    "label prior": ("model=label_prior",),
    "label prior, another seed": ("model=label_prior", "seed=1"),
    "majority": ("model=majority",),
    "copy input": ("model=copy_input",),
    "copy demonstration": ("model=copy_demonstration",),
    "copy demonstration, delusive": (
        "model=copy_demonstration", "evaluation.instructions=[original,delusive]", "seed=2",
    ),
}  # fmt: skip

# Configurations that must be the very same cell as one of the above.
ALIKE: dict[str, tuple[str, tuple[str, ...]]] = {
    "what does not count": ("tiny llama", (*TINY, *RUNS_ELSEWHERE)),
    "same, said twice": ("tiny llama", (*TINY, "evaluation.instructions=[original,same]")),
    "tested on three, in another order": (
        "tested on three", (*TINY, "evaluation.instructions=[empty+original,same,delusive]"),
    ),
    "no examples, by number": ("no examples", (*TINY, "instruction.num_positive=0")),
    "untuned, other training": ("untuned", (*UNTUNED, *TRAINS_OTHERWISE, "instruction=simplified")),
    "untuned, no tasks to train on": ("untuned", (*TINY, "data_budget.tasks=0")),
    "full, with settings of lora": ("tiny llama", (*TINY, "method.rank=4", "method.alpha=1")),
    "baseline, other everything": (
        "uniform guess",
        ("model=uniform_guess", *TRAINS_OTHERWISE, *TESTS_OTHERWISE, "instruction=delusive"),
    ),
    "majority, another seed": ("majority", ("model=majority", "seed=4", "data_budget=0")),
}  # fmt: skip

# Trained on tasks that do not stand in the order of their names, which counts now: frozen is what they were before, by
# which they are found again (`cell/state/former.py`).
UNORDERED = ("instruction records", "instruction records, held out by hash")
STORED = ("a data set", "prompted sets")  # whose parsed tasks are frozen as they are stored
WANDB = ("defaults", "untuned", "uniform guess")  # whose W&B run ids are frozen too


def compose(overrides: Sequence[str], folder: Path) -> Config:
    """Compose a configuration as `train.py` would; `folder` holds the data and takes the cache."""
    given = [word.replace(f"={DATA}/", f"={folder}/data/") for word in overrides]
    return compose_config([*given, f"cache={folder}/cache"])


def identity_of(overrides: Sequence[str], folder: Path) -> Identity:
    """Compose and identify."""
    return identify(compose(overrides, folder))


def before_orders(identity: Identity) -> Identity:
    """Return the identity that a cell had before the order of its training tasks counted."""
    own = without_order(identity)
    assert own != identity.hash
    counted = {key: value for key, value in identity.counted.items() if key != ORDER}
    name = folder_name(identity.setting, identity.seed, own)
    return replace(identity, hash=own, name=name, counted=counted)


def digest(counted: Any) -> str:
    """Hash what counts, as identities are hashed."""
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def write_data(folder: Path) -> None:
    """Write a data set, instruction records and prompted sets; tasks are named after files, not after `folder`."""
    reviews = [{"text": f"Film {n} was {('a joy', 'dull')[n % 2]}.", "label": n % 2} for n in range(6)]
    _lines(folder / "reviews" / "train.jsonl", reviews)
    _lines(folder / "reviews" / "test.jsonl", reviews[:4])
    records = [{"instruction": f"Do {n}.", "input": f"this {n}", "output": f"done {n}"} for n in range(40)]
    _lines(folder / "records" / "train.jsonl", records)
    _lines(folder / "records" / "test.jsonl", [{"instruction": "Yes or no?", "input": "?", "output": "no"}])
    _lines(folder / "prompted" / "imdb_good_or_bad.jsonl", _prompted("Good or bad?", ("good", "bad")))
    _lines(folder / "prompted" / "super_glue_rte_can_we.jsonl", _prompted("Can we?", ("Yes", "No")))


def _prompted(question: str, choices: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "inputs_pretokenized": f"Text {n}. {question} ",
            "targets_pretokenized": f"{choices[n % 2]}\n",
            "answer_choices": list(choices),
        }
        for n in range(4)
    ]


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


@dataclass(frozen=True)
class Import:
    """Predictions made elsewhere, by what is said of them."""

    source: Source
    answers: dict[str, str] = field(
        default_factory=lambda: {"first": "good", "second": 'so-so, "quoted"', "third": "é"}
    )


IMPORTS = {
    "imported": Import(Source("some/model 7B")),
    "imported, placed in a grid": Import(Source("api", "mine", "simplified", 8, num_positive=1, seed=3)),
    "imported, another answer": Import(Source("some/model 7B"), {"first": "bad", "second": "", "third": "é"}),
}
COLLECTION = TaskCollection(
    "small",
    (),
    (
        Task(
            "a_task",
            "Good or bad?",
            (Instance("first", "A", ("good",)), Instance("second", "B", ("bad",)), Instance("third", "C", ("good",))),
            label_space=("good", "bad"),
        ),
    ),
    "the hash of the tasks",
)  # fmt: skip


def import_cell(given: Import, folder: Path) -> CellRecord:
    """Import into a study under `folder`."""
    rows = [{"task": "a_task", "instance_id": key, "prediction": text} for key, text in given.answers.items()]
    _lines(folder / "answers.jsonl", rows)
    imported = import_predictions(folder / "answers.jsonl", COLLECTION)
    return write_imported(imported, given.source, COLLECTION, folder / "imported")
