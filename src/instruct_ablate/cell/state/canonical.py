"""The effective configuration: what cannot matter to a cell set to a constant, before it is hashed and run.

The untuned model depends neither on the training variant nor on the seed, the budget's size or the optimiser;
a baseline depends on no model. Cells that cannot differ become equal here and are run once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from instruct_ablate.configuration.top_layers import ALL
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.label import canonical, counted, label, originals, parse
from instruct_ablate.prompt.template_set import FIRST, template_label, under_each
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
from instruct_ablate.tasks.general import general_tasks
from instruct_ablate.tasks.sampling.budget import canonical as canonical_budget

# Baselines that read the instruction (its examples), and those drawn at random.
READS_INSTRUCTION = frozenset({"copy_demonstration"})
DRAWN = frozenset({"label_prior", "copy_demonstration"})
# What an untuned model's predictions still take from the trainer, and a baseline's.
_INFERENCE = (
    "precision", "accelerator", "devices", "num_nodes", "threads", "progress", "compile", "frozen_cache_gb",
    "keep_below",
)  # fmt: skip
_WITHOUT_MODEL = ("threads", "progress")
# What is hashed in place of settings that a cell does not use. Frozen: these were the schema's defaults when the first
# cells were identified, and stay whatever becomes of those. A key that came later stands at its neutral value.
_FULL = MethodConfig("full", rank=16, alpha=32, dropout=0.0, target_modules=[])
_UNTRAINED = BudgetConfig(0, tasks=None)
_DATA = DataConfig(grouping="none", group_size=8, packing=True)
_PLAIN = PromptConfig("plain", max_source_length=1024, max_target_length=128, end_of_source=True)
_TRAINER = TrainerConfig(
    optimizer="adamw",
    learning_rate=1e-4,
    schedule="constant",
    warmup_steps=0,
    weight_decay=0.0,
    batch_size=16,
    epochs=1.0,
    max_steps=None,
    gradient_clip=1.0,
    precision="auto",
    compile=False,
)
_EVALUATION = EvaluationConfig(
    ["same"], decoding="greedy", metrics=[], engine="native", cut_wrong_answers=False
)
_INSTRUCTION = InstructionConfig(
    "original", "original", num_positive=2, num_negative=0, explanations=False, rate=0.2, correct=0.5
)


def is_baseline(config: Config) -> bool:
    """Whether the cell needs no model."""
    return config.model.source == "baseline"


def is_untuned(config: Config) -> bool:
    """Whether nothing is trained."""
    return is_baseline(config) or config.data_budget.instances_per_task == 0 or config.data_budget.tasks == 0


def effective(config: Config) -> Config:
    """Return the configuration with everything that cannot matter at a constant."""
    config = replace(config, prompt=replace(config.prompt, end_of_source=ends_sources(config)))
    if not is_untuned(config):
        return replace(
            config,
            method=_method(config.method),
            evaluation=_evaluation(config),
            data_budget=canonical_budget(config.data_budget),
            data=_data(config.data, config.instruction),
            # An untuned cell keeps what others read; what trained weights give nobody else could use.
            trainer=replace(config.trainer, keep_below=ALL),
        )
    # Whichever variant a grid trains, its untuned model is one cell: `same` is the reference there.
    shown = parse(config.reference, config.instruction)
    # One cell for all seeds, unless the tests' examples are drawn by them.
    seed = config.seed if drawn_at_test(replace(config, instruction=shown)) else 0
    untuned = replace(
        config,
        instruction=shown,
        data_budget=_UNTRAINED,
        seed=seed,
        method=_FULL,
        prompt=replace(config.prompt, training_template=FIRST),
        trainer=_inference(config.trainer, _INFERENCE),
        data=replace(_DATA, num_workers=config.data.num_workers),
        tasks=replace(config.tasks, validation=0, weights={}, leave_out=None),
    )
    return (
        _baseline(untuned, config.seed)
        if is_baseline(config)
        else replace(untuned, evaluation=_evaluation(untuned))
    )


def ends_sources(config: Config) -> bool:
    """Whether sources carry the closing token: as asked for, else as the checkpoint was trained, else as P3's are.

    T0 reads its inputs without it, in training and in evaluation (seqio's `add_eos=False`).
    """
    for given in (config.prompt.end_of_source, config.model.end_of_source):
        if given is not None:
            return given
    return config.tasks.reader != "p3"


def shown_at_test(config: Config) -> tuple[tuple[str, InstructionConfig], ...]:
    """Return label and configuration of each test-time instruction, `same` spelt out and doubles dropped."""
    blocks: dict[str, InstructionConfig] = {}
    for given in config.evaluation.instructions:
        instruction = parse(given, config.instruction)
        blocks.setdefault(label(instruction), instruction)
    return tuple(blocks.items())


def under_templates(config: Config) -> tuple[tuple[str, Config], ...]:
    """Return the configuration under each template that a cell is tested under; it has a name where it is not alone."""
    each = under_each(config.prompt)
    names = [template_label(one.template) if len(each) > 1 else "" for one in each]
    return tuple((name, replace(config, prompt=one)) for name, one in zip(names, each, strict=True))


def as_general(config: Config) -> Config | None:
    """Return the configuration under which a cell's general ability is held; None where it is not asked for.

    Choices are ranked, under no variant and without examples, under the first template that is tested, and scored by
    the built-in metrics: before and after training alike, whatever the variant and the seed.
    """
    tasks = general_tasks(config.evaluation.general)
    if tasks is None:
        return None
    ranked = replace(
        config.evaluation,
        instructions=["original"],
        decoding="rank",
        metrics=[],
        stop="token",
        answer_slack=None,
        cut_wrong_answers=False,
        general={},
    )
    _, shown = under_templates(config)[0]
    plain = replace(_INSTRUCTION, num_positive=0)
    return replace(shown, tasks=tasks, instruction=plain, evaluation=ranked, seed=0)


def drawn_at_test(config: Config) -> tuple[str, ...]:
    """Return the labels of the test-time instructions whose examples the seed draws."""
    tested = ((name, canonical(shown)) for name, shown in shown_at_test(config))
    return tuple(name for name, shown in tested if find("examples", shown.examples).chance)


def _evaluation(config: Config) -> EvaluationConfig:
    return replace(config.evaluation, instructions=[name for name, _ in shown_at_test(config)])


def _baseline(config: Config, seed: int) -> Config:
    name = config.model.name
    if name not in READS_INSTRUCTION:
        shown = replace(_INSTRUCTION, num_positive=config.instruction.num_positive)
        config = replace(
            config, instruction=shown, evaluation=replace(config.evaluation, instructions=["same"])
        )
    tries = config.model.tries if name == "uniform_guess" else 1
    evaluation = replace(
        _EVALUATION,
        instructions=[block for block, _ in shown_at_test(config)],
        metrics=config.evaluation.metrics,
        save_prompts=config.evaluation.save_prompts,
    )
    return replace(
        config,
        model=ModelConfig(name, source="baseline", kind=None, tries=tries),
        prompt=_PLAIN,
        seed=seed if name in DRAWN else 0,
        trainer=_inference(config.trainer, _WITHOUT_MODEL),
        evaluation=evaluation,
    )


def _data(config: DataConfig, instruction: InstructionConfig) -> DataConfig:
    """Return how prompts become batches; of a variant that alters nothing every share is the same."""
    nothing = canonical(originals(instruction)) == canonical(instruction)
    return replace(config, altered_share=1.0) if nothing else config


def _method(config: MethodConfig) -> MethodConfig:
    return config if config.name == "lora" else replace(_FULL, name=config.name)


def _inference(config: TrainerConfig, names: Sequence[str]) -> TrainerConfig:
    return replace(_TRAINER, **{name: vars(config)[name] for name in names})


def canonical_blocks(config: Config) -> list[dict[str, object]]:
    """Return the test-time instructions as they count: canonical, in a fixed order."""
    return [counted(shown) for _, shown in sorted(shown_at_test(config), key=lambda block: block[0])]
