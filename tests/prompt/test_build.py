"""Prompts of whole tasks."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.prompt.build import alternated, build_prompts, drawn_reference
from instruct_ablate.prompt.lengths import truncation_note
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import InstructionConfig, PromptConfig
from instruct_ablate.tasks.task import Instance, Task
from tests.conftest import make_task
from tests.prompt.words import WordTokens

PLAIN = PromptConfig("plain", 1000)


def build(
    tasks: list[Task], prompt: PromptConfig = PLAIN, seed: int = 0, **changes: object
) -> tuple[Prompt, ...]:
    config = InstructionConfig(**changes)  # type: ignore[arg-type]
    return build_prompts(tasks, config, prompt, WordTokens(), Context(seed, tuple(tasks)))


def test_one_prompt_per_instance_in_order() -> None:
    tasks = [make_task("a", count=3), make_task("b", count=2, label_space=None)]
    made = build(tasks)
    assert [(p.task, p.instance_id) for p in made] == [(t.name, i.id) for t in tasks for i in t.instances]
    assert (made[0].kind, made[0].choices, made[0].category) == (
        "classification",
        ("positive", "negative"),
        "Sentiment Analysis",
    )
    assert (made[4].kind, made[4].choices) == ("generation", None)
    assert not any(p.truncated or p.dropped_examples for p in made)


def test_variants_alter_the_source_and_never_target_or_references() -> None:
    task = make_task()
    right = build([task])
    for changes in ({"definition": "simplified"}, {"examples": "delusive"}, {"definition": "response_only"}):
        altered = build([task], **changes)
        assert [(p.target, p.references, p.choices) for p in altered] == [
            (p.target, p.references, p.choices) for p in right
        ]
        assert all(a.source != b.source for a, b in zip(altered, right, strict=True))


def test_targets_are_drawn_by_seed_and_instance_alone() -> None:
    instances = tuple(Instance(str(i), f"in {i}", ("a", "b", "c")) for i in range(60))
    task = make_task(instances=instances, label_space=None)
    targets = [p.target for p in build([task])]
    assert set(targets) == {"a", "b", "c"}
    backward = build([make_task("other"), make_task(instances=instances[::-1], label_space=None)])
    assert [p.target for p in backward[:5:-1]] == targets
    assert [p.target for p in build([task], seed=1)] != targets


def test_prompts_of_the_collection_stand_as_they_are() -> None:
    task = make_task(
        prompted=True,
        definition="not shown",
        instances=(Instance("1", "Is it so? Yes or no?", ("Yes",)), Instance("2", "And now?", ("No",))),
        answer_choices=(("1", ("Yes", "No")),),
        label_space=None,
    )
    made = build([task], PromptConfig("tk_instruct", 100))
    assert made[0].source == "Is it so? Yes or no?"
    assert made[0].choices == ("Yes", "No")
    assert made[1].choices is None
    assert build([task], PromptConfig("plain", 2))[0].truncated


def test_truncations_are_counted() -> None:
    long = make_task(
        instances=(Instance("1", "word " * 100, ("positive",)), Instance("2", "short", ("negative",)))
    )
    made = build([long], PromptConfig("tk_instruct", 60))
    note = truncation_note(made)
    assert note is not None
    assert note.startswith("2 prompts: 1 cut at prompt.max_source_length, 1 with fewer examples")
    assert truncation_note(build([long])) is None
    for changes, told in (({"truncated": True}, "1 cut at"), ({"dropped_examples": 1}, "1 with fewer")):
        assert told in str(truncation_note([replace(build([long])[0], **changes)])), (
            "one of the two is enough"
        )


def test_task_level_text_is_counted_once() -> None:
    tokens = WordTokens()
    task = make_task(count=50)
    build_prompts([task], InstructionConfig(), PromptConfig("tk_instruct", 1000), tokens, Context(0))
    assert tokens.asked <= 50 + 5


def test_the_draw_of_targets_is_fixed_for_good() -> None:
    instances = tuple(Instance(str(i), f"in {i}", ("a", "b", "c")) for i in range(12))
    made = build([make_task(instances=instances, label_space=None)])
    assert "".join(p.target for p in made) == "baaabaabbbba"


def test_each_epoch_trains_on_a_reference_of_its_own_draw() -> None:
    assert [drawn_reference(0, "t", "i", 1, epoch) for epoch in range(3)] == [0, 0, 0]
    drawn = [drawn_reference(0, "t", "i", 5, epoch) for epoch in range(40)]
    assert set(drawn) == set(range(5))
    assert drawn_reference(0, "t", "i", 5, 0) == drawn_reference(0, "t", "i", 5)
    assert drawn_reference(0, "t", "i", 2) in (0, 1)


def test_prompts_under_several_instructions_are_one_with_all_sources() -> None:
    def prompt(source: str, truncated: bool = False, dropped: int = 0) -> Prompt:
        return Prompt(
            "t", "c", "generation", "1", source, ("r",), "r", truncated=truncated, dropped_examples=dropped
        )

    one, other = prompt("one", dropped=1), prompt("other", truncated=True, dropped=3)
    assert alternated([[one]]) == (one,)
    (both,) = alternated([[one], [other]])
    assert (both.source, both.alternatives) == ("one", ("one", "other"))
    assert (both.truncated, both.dropped_examples) == (True, 3)


def test_training_prompts_of_a_set() -> None:
    task = make_task(count=40)
    first = build([task], PromptConfig("set_12", 1000))
    assert [p.source for p in first] == [p.source for p in build([task], PromptConfig("set_12/titled", 1000))]
    drawn = build([task], PromptConfig("set_12", 1000, training_template="drawn"))
    apart = [build([task], PromptConfig(f"set_12/{name}", 1000)) for name in ("titled", "bars", "arrow")]
    assert all(any(one.source == own.source for one, own in zip(drawn, each, strict=True)) for each in apart)
    assert [p.target for p in drawn] == [p.target for p in first]
