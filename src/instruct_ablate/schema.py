"""Typed configuration: every key there is, its type and its default; a key that is not here is an error.

Which keys make a cell's identity and which do not is decided in one place, `cell/state/counting.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MISSING: Any = "???"  # OmegaConf's own, of which reading a study needs no more
JOINED_BY = "+"  # between the templates of a list
_SEVERAL = {"several": True}  # of a text: a list is taken too, its parts joined


@dataclass
class TasksConfig:
    """Where the tasks come from."""

    reader: str = MISSING  # a registered reader, or module.function of your own
    root: str | None = None  # local folder; null: what the reader ships or downloads
    split: str = "default"  # Super-NaturalInstructions: a folder under splits/
    language: str | None = "English"  # input, output and instruction language; null: any
    categories: list[str] = field(default_factory=list)  # keep only these; empty: all
    include: list[str] = field(default_factory=list)  # keep only task names that match; empty: all
    train_categories: list[str] = field(default_factory=list)  # the same for training tasks alone
    train_include: list[str] = field(default_factory=list)
    test_categories: list[str] = field(default_factory=list)  # the same for test tasks alone
    test_include: list[str] = field(default_factory=list)
    test_tasks: int | None = None  # this many test tasks, spread over categories; null: all
    # exactly_labelled: the 57 test tasks of Kung & Peng's comparison with guessing
    test_subset: str | None = None
    test_instances: int | None = 100  # the first so many instances of each test task; null: all
    # training_tasks | test_task: shots of each test task, disjoint from its test instances
    train_on: str = "training_tasks"
    # so many training tasks are held out, to choose weights by: neither trained on nor tested
    validation: int = 0
    label_spaces: str | None = None  # YAML file with label spaces that override the derived ones
    # Only for `hf_dataset`: one Hugging Face data set as one task.
    train_split: str | None = None
    test_split: str | None = None
    columns: dict[str, str] = field(default_factory=dict)  # input, output (and id, choices) -> column
    definition: str | None = None
    labels: list[str] = field(default_factory=list)
    examples: int = 0  # so many training rows become examples, and are trained on no more
    # Only for `p3`: train on the data sets of t0, t0_plus or t0_plus_plus, large ones capped as T0's; null: on all.
    mixture: str | None = None
    # Only for `mixture`: collections by names of your own, each with the keys of `tasks` that its reader uses.
    parts: dict[str, Any] = field(default_factory=dict)  # name -> keys of tasks
    # of parts in data_budget.total; empty: by tasks alone
    weights: dict[str, float] = field(default_factory=dict)
    leave_out: str | None = None  # a part that is not trained on, and tested all the same
    test_parts: list[str] = field(default_factory=list)  # the parts that are tested; empty: all
    name: str | None = None  # what tables show; null: the name of the choice, as of tasks=reviews
    sha256: str | None = None  # the data hash that records show: other data are refused; null: any


@dataclass
class InstructionConfig:
    """What of the instruction is altered. `definition` and `examples` name variants."""

    definition: str = "original"
    examples: str = "original"
    num_positive: int = 2
    num_negative: int = 0
    explanations: bool = False
    rate: float = 0.2  # share of words that a noisy definition changes
    correct: float = 0.5  # share of right labels for examples=partly_correct
    # yin_2023 (theirs, downloaded) or a file: annotated definitions that no_..._content follow
    annotation: str | None = None
    # text file, a sentence a line, that ood_inputs are drawn from; null: the shipped one
    corpus: str | None = None


@dataclass
class BudgetConfig:
    """How much of the training tasks is used; nothing at all is the untuned model."""

    instances_per_task: int = MISSING
    tasks: int | None = None  # this many training tasks, nested by seed; null: all
    categories: int | None = (
        None  # of this many training categories, nested by seed; tasks are drawn by turns
    )
    total: int | None = (
        None  # so many examples in all, spread evenly over the tasks, whatever instances_per_task
    )
    repeat: int = (
        1  # each example is shown so many times, and as many fewer are drawn: the number shown stays
    )


@dataclass
class ModelConfig:
    """A checkpoint, or a baseline that needs none."""

    name: str = MISSING
    path: str | None = None  # local folder or hub id
    root: str | None = (
        None  # local folder that hub ids are looked for in, as OWNER/NAME or NAME; null: the hub
    )
    source: str = "pretrained"  # pretrained | wheel | random | baseline
    revision: str | None = None
    trust_remote_code: bool = False
    kind: str | None = None  # encoder-decoder | decoder-only; null: found out from its config
    accept_licence: str | None = None  # the terms of use that you accept, for models that ask for it: gemma
    tries: int = 1  # baseline uniform_guess: expected maximum over so many tries
    end_of_source: bool | None = (
        None  # its convention, which prompt.end_of_source=null follows; null: the tasks' own
    )
    tuned: bool = (
        False  # instruction-tuned by others: without training here it is shown "as it is", not as untuned
    )


@dataclass
class MethodConfig:
    """Which weights are trained."""

    name: str = MISSING  # full | lora
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: list[str] = field(default_factory=list)  # empty: as `target` says
    target: str = "all_linear"  # all_linear | attention: the layers that adapters stand beside
    layers: str = (
        "all"  # all | top:N: adapters in the decoder's last N layers alone, all below stays as it is
    )
    rslora: bool = False  # adapters count alpha/sqrt(rank) in place of alpha/rank (Kalajdzievski 2023)
    dora: bool = False  # a length beside each output's direction (Liu et al. 2024)
    # LoRA trains at trainer.learning_rate times this (method=lora: 10); full tuning at trainer.learning_rate itself.
    learning_rate_factor: float = 1.0


@dataclass
class PromptConfig:
    """How instruction and instance become text."""

    # tk_instruct | alpaca | chat | plain | module.function of your own; or a set: set_12 | FILE.yaml | [plain,alpaca]
    template: str = field(default=MISSING, metadata=_SEVERAL)
    max_source_length: int = 1024
    max_target_length: int = 128
    # Encoder-decoders: whether sources carry the closing token; null: as the checkpoint was trained (T0, P3: without).
    end_of_source: bool | None = None
    add_task_name: bool = False  # tk_instruct: the task's name before the definition
    system: str | None = None  # chat: the text of the system's turn; null: what the template has by itself
    enable_thinking: bool | None = (
        None  # chat: thinking on or off, where the template knows it; null: its own way
    )
    end_of_turn: bool = False  # chat: targets end, and answers stop, at the template's end of a turn
    training_template: str = "first"  # first of `template` | drawn, one for each example | any one

    @property
    def ends_source(self) -> bool:
        """Whether a source is closed; a cell's own configuration has no null any more (`canonical.ends_sources`)."""
        return self.end_of_source is not False


@dataclass
class DataConfig:
    """How prompts become batches."""

    # none | task: a batch's instances of one task share their prefix | prefix: whichever of a step begin alike do
    grouping: str = "none"
    group_size: int = 8  # with grouping=task: instances of one task drawn together
    packing: bool = True  # False: padded batches, for comparison
    encodings: str = (
        "one"  # tk_instruct: each epoch draws one of Tk-Instruct's five encodings for each example
    )
    references: str = (
        "one"  # every_epoch: of several references each epoch draws one, as Tk-Instruct's training
    )
    altered_share: float = (
        1.0  # of the training examples, shown under the cell's variant; the others as the originals
    )
    num_workers: int = 0


@dataclass
class EvaluationConfig:
    """How a model is tested."""

    # Test-time instructions, each a score block: `same`, or labels such as original, delusive, empty+original.
    instructions: list[str] = field(default_factory=lambda: ["same"])
    decoding: str = "greedy"  # greedy | constrained | rank | rank_normalized | channel
    metrics: list[str] = field(default_factory=list)  # further metrics, module.function
    engine: str = "native"  # native | vllm
    batch_tokens: int = (
        16384  # prompt tokens read and decoded side by side; counts: rounding depends on company
    )
    stop: str = (
        "token"  # what ends a written answer: token, the model's own | line, the end of its first line too
    )
    answer_slack: int | None = (
        None  # tokens of an answer beyond its task's longest reference or label; null: no bound
    )
    cut_wrong_answers: bool = False  # classification: stop once exact match is lost; changes ROUGE alone
    save_prompts: bool = True
    # General ability beside the test: keys of `tasks`, such as evaluation.general.reader=everyday, of questions with
    # choices, which are ranked under no variant; empty: none.
    general: dict[str, Any] = field(default_factory=dict)
    # Scores while training, on a sample of the test instances: after these shares of it, or every so often.
    at: list[float] = field(default_factory=list)
    every_steps: int | None = None
    every_epochs: float | None = None
    # Of the sample, spread evenly over the test tasks; null: 3 to 100, so few that points take an eighth of the time.
    at_instances: int | None = None


@dataclass
class TrainerConfig:
    """Optimisation and device."""

    optimizer: str = "adamw"  # adamw | adafactor
    learning_rate: float = 2e-4
    schedule: str = "constant"  # constant | linear
    warmup_steps: int = 0
    weight_decay: float = 0.0
    batch_size: int = 8  # effective: examples per optimiser step, whatever the device
    epochs: float = 1.0
    max_steps: int | None = None
    gradient_clip: float | None = 1.0
    # A step's loss: per_token, the mean over its target tokens; per_example, of its examples' means, as Tk-Instruct's.
    loss: str = "per_token"
    prompt_loss_weight: float = 0.0  # 0 to 1: what a token of the prompt counts beside a target token's 1
    dropout: float = 0.0  # share of states and attention weights; its masks do not depend on devices
    precision: str = "auto"  # auto | bf16 | fp32 | fp16
    accelerator: str = "auto"  # auto | cpu | gpu
    devices: int = 1
    strategy: str = "auto"  # auto | ddp | fsdp
    num_nodes: int = 1
    micro_batch_tokens: int = 2048
    activation_checkpointing: bool = False
    compile: bool = False
    # Which weights are tested and kept: last, or best:MEASURE, of the point that scores best on held-out tasks.
    select: str = "last"
    patience: int | None = None  # such points without a better one, after which training ends
    checkpoint_every_steps: int = 50
    # Disk for what layers below all that is trained give, computed once for all cells (method.layers=top:N); 0: none.
    frozen_cache_gb: float = 8.0
    # all | top:N: an untuned model's test keeps what layers below the last N give; a sweep sets it for its LoRA cells.
    keep_below: str = "all"
    threads: int | None = None
    progress: bool = True


@dataclass
class LoggerConfig:
    """Where curves and scores are mirrored. The record on disk is the truth."""

    name: str = "none"  # wandb | csv | tensorboard | mlflow | none
    project: str = "instruct-ablate"
    entity: str | None = None
    mode: str = "auto"  # auto (online with a key) | online | offline
    tags: list[str] = field(default_factory=list)
    timeout: float = 60.0  # seconds that the end of a cell waits for W&B
    predictions: int = 20  # rows of the predictions table


@dataclass
class ReportConfig:
    """What a report shows, and when it is written."""

    columns: list[str] = field(default_factory=list)  # measures of the main table; empty: the usual ones
    at_end: bool = False  # a sweep whose cells are all done writes it and says the verdicts


@dataclass
class Config:
    """One cell of a grid, and how it is run."""

    tasks: TasksConfig = field(default_factory=TasksConfig)
    instruction: InstructionConfig = field(default_factory=InstructionConfig)
    data_budget: BudgetConfig = field(default_factory=BudgetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    data: DataConfig = field(default_factory=DataConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    seed: int = 0
    study: str = "ablation"
    output: str = "multirun"  # results go to <output>/<study>/<cell>
    cache: str = MISSING  # prepared data and converted models
    retry: str = "failed"  # failed | none
    reuse: str = "untuned"  # cells taken over from other studies that have done them: none | untuned | all
    until: str = "done"  # done: every cell; decided: seed by seed, until every hypothesis is decided
    fail_fast: bool = False
    raise_faults: bool = False  # a cell's fault ends the command where it happens (debug=fast)
    detach: bool = False  # return once the jobs are queued
    with_untuned: bool = True  # a sweep that trains asks for the untuned model too
    keep_checkpoints: bool = False
    cell_timeout: float | None = None  # hours
    extensions: list[str] = field(default_factory=list)  # Python files to load first: your own variants
    hypotheses: list[str] = field(default_factory=list)  # claims that the report answers
    reference: str = "original"  # the variant that others are compared with
