import pytest

from instruct_ablate.tasks.readers.p3_rows import clean


@pytest.mark.parametrize("text", ["Yes<|endoftext|>", " Yes </s> <pad><pad>", "Yes\n", "Yes"])
def test_special_tokens_at_the_end_are_stripped(text):
    assert clean(text) == "Yes"
    assert clean("a</s>b") == "a</s>b"
