"""The configuration as Hydra composes it: what is registered with it, and its complaints in plain words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.configuration.typed_values import is_text
from instruct_ablate.errors import UserError, abbreviates, nearest, unknown
from instruct_ablate.schema import Config

WIDE = ("experiment", "debug")  # groups whose choices change all parts of a configuration
OF_LAUNCHER = "hydra.launcher."
LONGEST = 600  # characters of a library's complaint
# What trainers, peft and papers call what has another name here.
ELSEWHERE = {
    "num_epochs": "trainer.epochs", "num_train_epochs": "trainer.epochs", "steps": "trainer.max_steps",
    "batch": "trainer.batch_size", "per_device_train_batch_size": "trainer.batch_size",
    "gradient_accumulation_steps": "trainer.micro_batch_tokens", "max_grad_norm": "trainer.gradient_clip",
    "grad_clip": "trainer.gradient_clip", "clip": "trainer.gradient_clip", "decay": "trainer.weight_decay",
    "warmup": "trainer.warmup_steps", "scheduler": "trainer.schedule", "lr_scheduler_type": "trainer.schedule",
    "optim": "trainer.optimizer", "device": "trainer.accelerator", "dtype": "trainer.precision",
    "fp16": "trainer.precision", "bf16": "trainer.precision",
    "gradient_checkpointing": "trainer.activation_checkpointing",
    "r": "method.rank", "lora_r": "method.rank", "lora_rank": "method.rank", "lora_alpha": "method.alpha",
    "lora_dropout": "method.dropout", "peft": "method", "lora": "method", "adapter": "method",
    "layers": "method.layers", "layers_to_transform": "method.layers",
    "model_name": "model", "model_name_or_path": "model.path", "checkpoint": "model.path",
    "max_length": "prompt.max_source_length", "max_new_tokens": "prompt.max_target_length",
    "max_tokens": "prompt.max_target_length", "dataset": "tasks", "task": "tasks", "variant": "instruction",
    "ablation": "instruction", "budget": "data_budget", "num_shots": "instruction.num_positive",
    "shots": "instruction.num_positive", "k": "instruction.num_positive", "metric": "evaluation.metrics",
    "metrics": "evaluation.metrics", "decode": "evaluation.decoding", "test_instruction": "evaluation.instructions",
    "output_dir": "output", "seeds": "seed", "random_seed": "seed", "report_to": "logger", "wandb": "logger",
    "run_name": "study", "experiment_name": "study", "project": "logger.project", "timeout": "cell_timeout",
    "cache_dir": "cache",
}  # fmt: skip
ALIKE = 0.6  # of a key: what is less alike is another word
# OmegaConf's complaints of a value that is not of its key's type, the value in the first group where it tells it.
_OTHER_TYPE = re.compile(
    r"Value '(.*?)' (?:(?:of type '\w+' )?could not be converted|is not a valid bool)"
    r"|Cannot convert '\w+' to string: '(.*)'$"
    r"|Incompatible value '(.*?)' for field"
    r"|is not a (?:ListConfig|DictConfig)|is not Optional|Cannot assign \w+ to |Cannot merge \w+ with \w+"
    r"|is not a subclass of ",
    re.DOTALL | re.MULTILINE,
)
_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "one text"}
_OVERRIDDEN = re.compile(r"Error merging override [+~]*'?([\w.]+)=")
_KEY_ERROR = re.compile(r"Key '([^']+)'|Could not override '([^']+)'")


def register() -> None:
    """Make the schema known to Hydra: `defaults: [schema, ...]`."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema", node=_with_bare_texts(Config))


@cache
def _with_bare_texts(node: type) -> type:
    """Return the schema with lists and texts untyped, for `plain` to type them.

    It makes a bare text a list, a list a text where one belongs, and refuses what is no text before it becomes one.
    """
    made = []
    for name, hint in get_type_hints(node).items():
        given = node.__dataclass_fields__[name]  # type: ignore[attr-defined]
        own = _with_bare_texts(hint) if isinstance(hint, type) and dataclasses.is_dataclass(hint) else None
        default = dataclasses.field(default=given.default, default_factory=own or given.default_factory)
        free = get_origin(hint) is list or is_text(hint)
        made.append((name, own or (Any if free else hint), default))
    return dataclasses.make_dataclass(node.__name__, made)


def name_tasks(parts: Any, choices: Mapping[str, Any]) -> Any:
    """Give the tasks their name in a composed configuration: the one in their file, else that of the choice."""
    if parts["tasks"]["name"] is None:
        parts["tasks"]["name"] = str(choices["tasks"])
    return parts


@cache
def groups() -> tuple[str, ...]:
    """Name the config groups: the typed parts of a configuration, and those that change any of them."""
    hints = get_type_hints(Config)
    return (*(name for name, hint in hints.items() if dataclasses.is_dataclass(hint)), *WIDE)


def _walk(node: Any, prefix: str = "") -> Iterator[str]:
    for name, hint in get_type_hints(node).items():
        yield prefix + name
        if dataclasses.is_dataclass(hint):
            yield from _walk(hint, f"{prefix}{name}.")


@cache
def keys() -> tuple[str, ...]:
    """Name every key there is, dotted."""
    return tuple(_walk(Config))


def check_key(key: str) -> None:
    """Refuse a dotted key that the schema does not know, naming the nearest one."""
    known = tuple(dict.fromkeys((*keys(), *groups())))
    if key in known or any(key.startswith(f"{free}.") for free in free_keys()):
        return
    if key.startswith(OF_LAUNCHER):
        raise _unknown_of_launcher(key)
    parent, _, leaf = key.rpartition(".")
    same_leaf = [name for name in known if name.rpartition(".")[2] == leaf]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    if leaf in ELSEWHERE and parent in ("", *groups()):
        raise UserError(f"unknown key {key!r}; did you mean {ELSEWHERE[leaf]!r}?")
    if same_leaf:
        raise UserError(f"unknown key {key!r}; did you mean {same_leaf[0]!r}?")
    if parent and siblings:
        names = [name.rpartition(".")[2] for name in siblings]
        hint = (
            nearest(leaf, names, ALIKE).replace("'", f"'{parent}.", 1) or "."
        )  # what they share tells nothing
        raise UserError(f"unknown key {key!r}{hint} {parent} has: {', '.join(names)}.")
    top = [name for name in known if "." not in name]
    short = [name for name in known if abbreviates(key, name)]
    hint = nearest(key, short or top, ALIKE) or nearest(key, known, ALIKE) or "."
    raise UserError(f"unknown group or key {key!r}{hint} `python train.py --help` lists them.")


def _unknown_of_launcher(key: str) -> UserError:
    """Build the error for a key that the chosen launcher does not have, naming those that do."""
    from omegaconf import OmegaConf

    leaf = key.removeprefix(OF_LAUNCHER)
    files = sorted((config_directory() / "hydra" / "launcher").glob("*.yaml"))
    having: dict[str, list[str]] = {}  # the launchers that have a key
    for file in files:
        for name in OmegaConf.load(file):
            having.setdefault(str(name), []).append(f"hydra/launcher={file.stem}")
    if leaf in having:
        where = f"; it is a key of {', '.join(having[leaf])}."
    elif close := get_close_matches(leaf, having, n=1, cutoff=ALIKE):
        where = f"; did you mean {OF_LAUNCHER + close[0]!r}, a key of {', '.join(having[close[0]])}?"
    else:
        where = "."
    return UserError(
        f"unknown key {key!r} of the launcher that was chosen{where} "
        "`python train.py hydra/launcher=NAME --cfg hydra --package hydra.launcher` lists a launcher's keys."
    )


@cache
def free_keys() -> tuple[str, ...]:
    """Name the keys that hold a dictionary of the user's own names."""
    hints = dict(_hints(Config))
    return tuple(name for name, hint in hints.items() if get_origin(hint) is dict)


@cache
def text_keys() -> frozenset[str]:
    """Name the keys that hold a text, or several of them."""
    return frozenset(name for name, hint in _hints(Config) if is_text(hint))


def _hints(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(node).items():
        yield prefix + name, hint
        if dataclasses.is_dataclass(hint):
            yield from _hints(hint, f"{prefix}{name}.")


def explain(error: BaseException) -> UserError | None:
    """Turn one of Hydra's or OmegaConf's complaints into a `UserError`; None if it is something else."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, UserError):
        return error
    if isinstance(error, MissingConfigException):
        return _missing(error)
    if isinstance(error, OverrideParseException):
        return UserError(shortened(f"cannot read {error.override!r}: {' '.join(error.message.split())}"))
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    if "Recursive interpolation" in str(cause):
        return unreadable(RecursionError())
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    detail = " ".join(line for line in lines if not line.startswith(("object_type", "reference_type")))
    if found := _KEY_ERROR.search(str(cause)):
        full = re.search(r"full_key: (\S+)", str(cause))
        try:
            check_key(full.group(1) if full else found.group(1) or found.group(2))
        except UserError as fault:
            return fault
    other = f"the configuration does not compose: {shortened(detail) or type(error).__name__}"
    given = _OVERRIDDEN.search(str(error))
    return _of_another_type(str(cause), given.group(1) if given else "") or UserError(other)


def _of_another_type(said: str, overridden: str) -> UserError | None:
    """Explain a value of another type than its key's; None where the complaint is of something else.

    The key is the one that is complained of, else the one that was overridden.
    """
    found = _OTHER_TYPE.search(said)
    if found is None:
        return None
    full = re.search(r"full_key: (\S+)", said)
    key = full.group(1) if full else overridden
    hint = dict(_hints(Config)).get(re.sub(r"\[\d+\]$", "", key))
    if hint is None:  # of a whole group, or of a user's own key
        return _of_a_mapping(key)
    value = next((one for one in found.groups() if one is not None), None)
    told = key if value is None else f"{key}={shortened('null' if value == 'None' else value)!r}"
    return UserError(f"{told} {must_be(key, hint)}")


def _of_a_mapping(key: str) -> UserError:
    where = f"{key}: a" if key else "a file of conf/ has a"
    return UserError(
        f"{where} value, a list or a mapping (`name: value`) stands where another of the three belongs."
    )


def must_be(key: str, hint: Any) -> str:
    """Say what a key takes, and how to write it; `key` ends in a number where one entry of a list is meant."""
    optional = type(None) in get_args(hint)
    kind = next(one for one in get_args(hint) if one is not type(None)) if optional else hint
    null = ", or null" if optional else ""
    if dataclasses.is_dataclass(kind):
        return f"must be a choice of the group: write {key}=CHOICE, or {key}.KEY=VALUE."
    if get_origin(kind) is dict:
        return f"must be a mapping: write {key}.NAME=VALUE or {key}={{NAME: VALUE}}."
    if get_origin(kind) is list and not key.endswith("]"):
        return f"must be a list{null}: write {key}=[VALUE] or {key}=[VALUE,VALUE]."
    each = get_args(kind)[0] if get_origin(kind) is list else kind
    return f"must be {_TYPES[each]}{null}."


def unreadable(error: BaseException) -> UserError:
    """Build the error for whatever else stops composing: it reads the user's words, and nothing more."""
    said = shortened(" ".join(str(error).split()))
    if isinstance(error, RecursionError):
        said = "a value refers to itself, or is nested too deep"
    return UserError(f"the configuration does not compose: {said or type(error).__name__}")


def shortened(text: str) -> str:
    """Leave out the middle of a message that holds a value of thousands of characters."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _missing(error: Any) -> UserError:
    """Explain a choice or a config file that is not there."""
    group, _, choice = (error.missing_cfg_file or "").rpartition("/")
    if error.options:
        return unknown_choice(group, choice, error.options)
    return UserError(" ".join(str(error).split()))


def unknown_choice(group: str, choice: str, allowed: Sequence[str]) -> UserError:
    """Build the error for a choice that a group does not offer."""
    fault = unknown(f"choice for {group}:", choice, allowed)
    if group != "data_budget":
        return fault
    return UserError(f"{fault} Any other number from 0 on: data_budget.instances_per_task=NUMBER.")
