"""The cell record: what one cell was, what became of it and what it scored; the truth on disk.

Import nothing of the model side here: a report reads records on machines without a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.cost import Cost
from instruct_ablate.metrics import Scores
from instruct_ablate.scores import MetricDescription

FORMAT = 1  # hashed in every identity: this stays 1 for ever, whatever becomes of the record
RECORD_VERSION = 2  # how a record is written; 1 had axes instead of a setting
# Raised when results change; the first two count in an identity (1 is left out there), scores are made again.
TRAINING, PREDICTION, SCORING = 1, 1, 3
CHANNEL = 2  # version of the prompts of evaluation.decoding=channel
# Version of which point's weights are chosen (trainer.select); 1 let rounding choose among equal ones.
CHOOSING = 2
GENERAL = (
    "general ability"  # how the block of `evaluation.general` is called; no variant has a name of two words
)
GENERAL_FILE = "predictions/general-ability.jsonl"
State = Literal["missing", "running", "interrupted", "failed", "done", "other format", "unreadable"]


@dataclass(frozen=True, slots=True)
class Environment:
    """What a cell ran with."""

    host: str
    command: str
    commit: str | None
    python: str
    versions: tuple[tuple[str, str], ...]  # package, version
    device: str
    precision: str
    parameters: int = (
        0  # weights of the model, shared ones once; 0: none, or of a record from before they were noted
    )
    fused: int = 0  # with how many other cells at most it took steps in one pass (hydra/launcher=fused)
    processor: str = ""  # or GPU that the model ran on; empty: none, or of a record from before it was noted
    threads: int = 0  # of torch on a CPU; 0: as above
    # Of how many batches the last answers are written together; 1: the engine or model has none such, or no test has
    # written answers; 0: early records.
    tails: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a cell failed."""

    reason: str
    traceback: str
    attempts: int = 1
    lasting: bool = False  # the same command would fail so again: an input, a setting or code is at fault


@dataclass(frozen=True, slots=True)
class BlockKey:
    """What a block was tested with: the instruction's label, the prompt's template, the share of training done."""

    test_instruction: str = ""
    template: str = ""  # "": not written down, or predictions made elsewhere
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class ScoreBlock:
    """The scores under one test-time instruction; its predictions lie beside the record."""

    instruction: str  # label of the test variant
    predictions: str  # file name, relative to the cell's folder
    scores: Scores
    instances: str = ""  # column file of the scores by instance, relative too; "": scored by version 1
    sha256: str = ""  # of the predictions file
    metrics: tuple[MetricDescription, ...] = ()  # those that are not built in: what tables need of them
    scoring: int = 0  # SCORING as it was
    key: BlockKey = field(default_factory=BlockKey)

    @property
    def by_earlier_rules(self) -> bool:
        """Whether it was scored by an earlier version of the rules than today's."""
        return self.scoring not in (0, SCORING)

    @staticmethod
    def brought_up(fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a block as of now, also of one written before it had a key."""
        return {"key": {"test_instruction": fields["instruction"]}, **fields}


def scored_with(scoring: int, metrics: Iterable[MetricDescription]) -> tuple[tuple[str, str], ...]:
    """Return by what scores are made: the version of the rules, and the file of each metric of one's own.

    What is not noted, as by an early version, is left out.
    """
    rules = ("scoring rules", f"version {scoring}" if scoring else "")
    files = ((f"file of metric {metric.name}", metric.code[:8]) for metric in metrics)
    return tuple(pair for pair in (rules, *files) if pair[1])


@dataclass(frozen=True, slots=True)
class Selected:
    """Which weights of a fit were chosen, and the scores on held-out training tasks that they were chosen by."""

    measure: str
    step: int  # that the weights are of
    done: int  # steps that were trained
    steps: int  # steps that were planned
    scores: tuple[tuple[int, float], ...]  # step, score

    def __post_init__(self) -> None:
        if (
            not 0 <= self.step <= self.done <= self.steps
            or not self.steps
            or self.step not in dict(self.scores)
        ):
            raise ValueError(f"weights after step {self.step} of {self.steps} cannot have been chosen")

    @property
    def score(self) -> float:
        """The chosen weights' own score."""
        return dict(self.scores)[self.step]

    @property
    def metric(self) -> str:
        """The measure without the kind of tasks that it is taken over."""
        return self.measure.removeprefix("classification_").removeprefix("generation_")

    @property
    def stopped(self) -> bool:
        """Whether training ended before its last step."""
        return self.done < self.steps


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a budget came to: training tasks and their instances, each as often as an epoch shows it."""

    tasks: int
    instances: int


@dataclass(frozen=True, slots=True)
class CellRecord:
    """One cell: identity, setting and seed, state, scores and cost.

    Its state is "other format" where a newer version has written the record: it is left alone and reported;
    "unreadable" where the record is damaged, which the next run puts aside.
    """

    identity: str  # sha256, hex
    name: str  # folder name: readable part and short hash
    setting: Setting
    seed: int
    state: State
    blocks: tuple[ScoreBlock, ...] = ()
    cost: Cost = field(default_factory=Cost)
    environment: Environment | None = None
    failure: Failure | None = None
    notes: tuple[str, ...] = ()  # what was met on the way: truncated prompts, short tasks, ...
    data_hash: str = ""
    started: float = 0.0  # seconds since the epoch
    finished: float = 0.0
    version: int = RECORD_VERSION
    selected: Selected | None = None  # None: the last step's weights
    general: ScoreBlock | None = None  # general ability, apart from the tests; None: not asked for
    drawn: Drawn | None = None  # None: nothing was trained here, or a record of before it was noted

    @property
    def every_block(self) -> tuple[ScoreBlock, ...]:
        """All blocks that have a predictions file: those of the tests, and that of general ability."""
        return (*self.blocks, *([self.general] if self.general else []))

    @property
    def tests(self) -> tuple[tuple[ScoreBlock, ...], ...]:
        """The blocks of each test-time instruction: one for each template that it was tested under."""
        found: dict[str, list[ScoreBlock]] = {}
        for block in self.blocks:
            found.setdefault(block.instruction, []).append(block)
        return tuple(map(tuple, found.values()))

    @property
    def several_templates(self) -> bool:
        """Whether it was tested under more than one template."""
        return any(len(blocks) > 1 for blocks in self.tests)

    def template(self, block: ScoreBlock) -> str:
        """Return the template of a block where there are several, by which it is told apart; else nothing."""
        return block.key.template if self.several_templates and block.instruction != GENERAL else ""

    def test_name(self, block: ScoreBlock) -> str:
        """Return how a block is called: by its instruction, and its template where there are several."""
        return ", ".join(filter(None, (block.instruction, self.template(block))))
