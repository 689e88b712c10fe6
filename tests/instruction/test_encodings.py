from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.encodings import ENCODINGS, encodings
from instruct_ablate.instruction.instruction import instruct
from instruct_ablate.schema import DataConfig, InstructionConfig
from tests.conftest import make_task

FIVE = DataConfig(encodings="tk_instruct")


def test_one_encoding_is_the_instruction_itself():
    config = InstructionConfig(num_positive=1, explanations=True)
    assert encodings(config, DataConfig()) == (config,)


def test_the_five_of_tk_instruct():
    """Definition; examples; both; with negative ones; with explanations."""
    task = make_task()
    made = [instruct(task, one, Context(0)) for one in encodings(InstructionConfig(num_positive=7), FIVE)]
    shape = [(bool(one.definition), len(one.positive_examples), len(one.negative_examples)) for one in made]
    assert shape == [(True, 0, 0), (False, 2, 0), (True, 2, 0), (True, 2, 2), (True, 2, 0)]
    explained = [bool(one.positive_examples and one.positive_examples[0].explanation) for one in made]
    assert explained == [False] * 4 + [True]


def test_a_cells_variants_stay():
    config = InstructionConfig(definition="simplified", examples="delusive")
    shown = encodings(config, FIVE)
    assert [one.definition for one in shown] == ["simplified", "empty", *["simplified"] * 3]
    assert {one.examples for one in shown} == {"delusive"}


def test_there_are_two_ways():
    assert ENCODINGS == ("one", "tk_instruct")
