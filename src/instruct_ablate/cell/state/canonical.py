"""The effective configuration: what cannot matter to a cell set to its default, before it is hashed and run.

The untuned model depends neither on the training variant nor on the seed, the budget's size or the optimiser;
a baseline depends on no model. Cells that cannot differ become equal here and are run once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import fields, replace

from instruct_ablate.instruction.label import canonical, label, parse
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    DataConfig,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    TrainerConfig,
)

# Baselines that read the instruction (its examples), and those drawn at random.
READS_INSTRUCTION = frozenset({"copy_demonstration"})
DRAWN = frozenset({"label_prior", "copy_demonstration"})
# What an untuned model's predictions still take from the trainer.
_INFERENCE = ("precision", "accelerator", "devices", "num_nodes", "threads", "progress", "compile")


def is_baseline(config: Config) -> bool:
    """Whether the cell needs no model."""
    return config.model.source == "baseline"


def is_untuned(config: Config) -> bool:
    """Whether nothing is trained."""
    return is_baseline(config) or config.data_budget.instances_per_task == 0 or config.data_budget.tasks == 0


def effective(config: Config) -> Config:
    """Return the configuration with everything that cannot matter at its default."""
    if not is_untuned(config):
        return replace(config, method=_method(config.method), evaluation=_evaluation(config))
    shown = parse(config.reference, config.instruction)
    untuned = replace(
        config,
        instruction=shown,
        data_budget=BudgetConfig(0),
        seed=0,
        method=MethodConfig("full"),
        trainer=_inference(config.trainer),
        data=DataConfig(num_workers=config.data.num_workers),
    )
    return (
        _baseline(untuned, config.seed)
        if is_baseline(config)
        else replace(untuned, evaluation=_evaluation(untuned))
    )


def shown_at_test(config: Config) -> tuple[tuple[str, InstructionConfig], ...]:
    """Return label and configuration of each test-time instruction, `same` spelt out and doubles dropped."""
    blocks: dict[str, InstructionConfig] = {}
    for given in config.evaluation.instructions:
        instruction = parse(given, config.instruction)
        blocks.setdefault(label(instruction), instruction)
    return tuple(blocks.items())


def _evaluation(config: Config) -> EvaluationConfig:
    return replace(config.evaluation, instructions=[name for name, _ in shown_at_test(config)])


def _baseline(config: Config, seed: int) -> Config:
    name = config.model.name
    if name not in READS_INSTRUCTION:
        shown = replace(InstructionConfig(), num_positive=config.instruction.num_positive)
        config = replace(
            config, instruction=shown, evaluation=replace(config.evaluation, instructions=["same"])
        )
    tries = config.model.tries if name == "uniform_guess" else 1
    evaluation = EvaluationConfig(
        [block for block, _ in shown_at_test(config)],
        metrics=config.evaluation.metrics,
        save_prompts=config.evaluation.save_prompts,
    )
    return replace(
        config,
        model=ModelConfig(name, source="baseline", tries=tries),
        prompt=PromptConfig("plain"),
        seed=seed if name in DRAWN else 0,
        trainer=TrainerConfig(threads=config.trainer.threads, progress=config.trainer.progress),
        evaluation=evaluation,
    )


def _method(config: MethodConfig) -> MethodConfig:
    return config if config.name == "lora" else MethodConfig(config.name)


def _inference(config: TrainerConfig) -> TrainerConfig:
    kept = {f.name: vars(config)[f.name] for f in fields(TrainerConfig) if f.name in _INFERENCE}
    return TrainerConfig(**kept)


def canonical_blocks(config: Config) -> list[dict[str, object]]:
    """Return the test-time instructions as they count: canonical, in a fixed order."""
    return [
        dataclasses.asdict(canonical(shown))
        for _, shown in sorted(shown_at_test(config), key=lambda block: block[0])
    ]
