"""Every key of the schema given a value of each other kind: refused in the project's own words, or of its type."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, get_args, get_origin

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from instruct_ablate.configuration.composition import _hints, _with_bare_texts, explain, free_keys, text_keys
from instruct_ablate.configuration.typed_values import plain, takes_several
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.preflight import Preflight
from instruct_ablate.grid.composing.composer import at_key
from instruct_ablate.grid.composing.overrides import check
from instruct_ablate.schema import Config
from tests.standins import make_config

KEYS = dict(_hints(Config))
VALUES: tuple[Any, ...] = (
    "",
    3,
    True,
    1.5,
    None,
    ["a"],
    [["a"]],
    [True],
    {"a": [1]},
    {"a": 1.5},
)  # of each kind one, and what is nested
LIBRARY = re.compile(r"Config\b|DictConfig|ListConfig|full_key|Optional|compose|Cannot|Node|subclass")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    schema = OmegaConf.structured(_with_bare_texts(Config))
    config = make_config(tmp_path_factory.mktemp("out"))
    return OmegaConf.merge(schema, dataclasses.asdict(config))


def nested(key: str, value: Any) -> Any:
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def put(base: Any, key: str, value: Any) -> Any:
    """Compose a configuration with this value, as an override or a file would give it."""
    merged = OmegaConf.merge(base, nested(key, value))
    return at_key(plain(merged), key)


def is_of(value: Any, hint: Any) -> bool:
    if type(None) in get_args(hint):
        return value is None or any(is_of(value, one) for one in get_args(hint) if one is not type(None))
    if dataclasses.is_dataclass(hint):
        return isinstance(value, hint)  # type: ignore[arg-type]
    inner = get_args(hint)
    if get_origin(hint) is list:
        return isinstance(value, list) and all(is_of(one, inner[0]) for one in value)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(
            inner[1] is Any or is_of(one, inner[1]) for one in value.values()
        )
    return type(value) is hint


@pytest.mark.parametrize("key", KEYS)
def test_a_value_of_another_type_is_told_by_its_key_and_what_it_takes(key: str, base: Any) -> None:
    for given in VALUES:
        try:
            value = put(base, key, given)
        except (OmegaConfBaseException, UserError) as error:
            fault = explain(error)
            assert fault is not None, given
            assert not LIBRARY.search(str(fault)), (given, str(fault))
            assert re.search("must be|stands where|^unknown key", str(fault)), (given, str(fault))
            assert "\n" not in str(fault)
        else:
            if not is_of(value, KEYS[key]):  # an entry: its own group's check tells it
                told = Preflight().of_values(plain(OmegaConf.merge(base, nested(key, given))))
                assert any(key in line for line in told), (given, told)
                assert not any(LIBRARY.search(line) for line in told), (given, told)


@pytest.mark.parametrize("key", sorted(text_keys()))
def test_what_yaml_takes_for_no_text_becomes_none(key: str, base: Any) -> None:
    """`labels: [yes, no]` would be the texts True and False, `revision: 1.50` another revision."""
    kind = get_origin(KEYS[key])
    for given in (True, False, 1.5):
        value = [given] if kind is list else {"a": given} if kind is dict else given
        with pytest.raises(UserError, match=rf"{re.escape(key)}\S*={str(given).lower()} must be one text"):
            put(base, key, value)


@pytest.mark.parametrize("key", [key for key, hint in KEYS.items() if float in (hint, *get_args(hint))])
def test_there_is_one_zero(key: str, base: Any) -> None:
    """-0.0 is equal to 0.0 and written otherwise: two identities of one setting."""
    kind = get_origin(KEYS[key])
    given = [-0.0] if kind is list else {"a": -0.0} if kind is dict else -0.0
    assert "-" not in str(put(base, key, given))


@pytest.mark.parametrize("key", [key for key, hint in KEYS.items() if not dataclasses.is_dataclass(hint)])
def test_lists_and_mappings_are_no_single_values_nor_the_other_way_round(key: str, base: Any) -> None:
    hint, several = KEYS[key], key == "prompt.template"
    kinds = {get_origin(one) or one for one in (get_args(hint) if type(None) in get_args(hint) else (hint,))}
    wrong: list[Any] = [{"a": 1}] if not kinds & {dict} else []
    wrong += [["a"]] if not kinds & {list} and not several else []
    wrong += [3] if kinds & {list, dict} else []
    assert wrong
    for given in wrong:
        with pytest.raises((OmegaConfBaseException, UserError)):
            put(base, key, given)


def test_the_keys_that_take_several_are_those_named() -> None:
    several = {
        key
        for key in KEYS
        if takes_several(KEYS[key.partition(".")[0]] if "." in key else Config, key.rpartition(".")[2])
    }
    assert several == {"prompt.template"}
    assert set(free_keys()) == {key for key, hint in KEYS.items() if get_origin(hint) is dict}


TEXTS = [key for key, hint in KEYS.items() if str in (hint, *get_args(hint)) and get_origin(hint) is not dict]


@pytest.mark.parametrize("key", TEXTS)
def test_an_empty_text_is_told_by_its_key(key: str, base: Any) -> None:
    """Of a list, an entry that is empty."""
    config = plain(OmegaConf.merge(base, nested(key, "")))
    said = Preflight().of_values(config)
    assert any(key in line for line in said), said
    assert not any(LIBRARY.search(line) for line in said), said


@pytest.mark.parametrize(
    "word", ["instruction=original,,simplified", "seed=1,", "seed=,1", "instruction=, original"]
)
def test_nothing_between_commas_is_told_as_that(word: str) -> None:
    with pytest.raises(UserError, match="nothing stands before or behind a comma") as told:
        check([word])
    assert "quote" not in str(told.value)
