import dataclasses

import pytest

from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from tests.conftest import make_task


def test_a_source_parses_when_asked(tmp_path):
    source = Source("own", (tmp_path,), lambda: iter([Parsed(make_task(), True), Fault("broken")]))
    parsed, fault = source.parse()
    assert parsed.test
    assert fault == Fault("broken")
    assert (source.key, source.notes, parsed.languages) == ("", (), ())


def test_frozen(tmp_path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        Fault("x").message = "y"
