"""One task file in the Super-NaturalInstructions layout (Wang et al. 2022), with the oddities of the real ones."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_ablate.tasks.label_space import derive
from instruct_ablate.tasks.source import Fault, Parsed
from instruct_ablate.tasks.task import Example, Instance, Task

LANGUAGES = ("Input_language", "Output_language", "Instruction_language")
_SURROGATE = re.compile("[\ud800-\udfff]")


class BrokenTaskError(Exception):
    """A task file that cannot be used; the message lacks only the file's name."""


def read_task_file(path: Path, test: bool) -> Parsed | Fault:
    """Parse one file; what is fatal becomes a `Fault` that names the file and the key."""
    try:
        raw = json.loads(path.read_bytes().decode("utf-8-sig"))
        if not isinstance(raw, dict):
            raise BrokenTaskError(
                "holds no JSON object; a task file is an object with Definition and Instances"
            )
        return _parse(path.stem, raw, test)
    except FileNotFoundError:
        return Fault(f"{path}: no such file")
    except OSError as error:
        return Fault(f"{path}: cannot be read ({error.strerror})")
    except UnicodeDecodeError as error:
        return Fault(f"{path}: not UTF-8 (byte {error.start})")
    except json.JSONDecodeError as error:
        return Fault(f"{path}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}")
    except BrokenTaskError as error:
        return Fault(f"{path}: {error}")


def _parse(name: str, raw: Mapping[str, Any], test: bool) -> Parsed:
    oddities: Counter[str] = Counter()
    definition = _definition(raw)
    instances = _instances(name, raw, oddities)
    positive = _examples(raw, "Positive Examples", oddities)
    negative = _examples(raw, "Negative Examples", oddities)
    task = Task(
        name=name,
        definition=_text(definition, oddities),
        instances=instances,
        positive_examples=positive,
        negative_examples=negative,
        categories=_words(raw, "Categories") or _uncategorised(oddities),
        label_space=derive(definition, instances, positive),
    )
    languages = tuple(_words(raw, key) for key in LANGUAGES)
    notes = tuple(f"{name}: {what}{f' ({n})' if n > 1 else ''}" for what, n in oddities.items())
    return Parsed(task, test, languages, notes)


def _definition(raw: Mapping[str, Any]) -> str:
    """Take the first of several definitions, as Tk-Instruct's collator does."""
    given = raw.get("Definition")
    first = given[0] if isinstance(given, list) and given else given
    if not isinstance(first, str) or not first.strip():
        raise BrokenTaskError("key 'Definition' is missing or empty; it must be a text or a list of texts")
    return first


def _instances(name: str, raw: Mapping[str, Any], oddities: Counter[str]) -> tuple[Instance, ...]:
    given = raw.get("Instances")
    if not isinstance(given, list) or not given:
        raise BrokenTaskError("key 'Instances' is missing or empty; it must be a list of {id, input, output}")
    seen: Counter[str] = Counter()
    instances = []
    for position, item in enumerate(given):
        if not isinstance(item, dict) or not isinstance(item.get("input"), str):
            oddities["instance without input left out"] += 1
            continue
        references = _references(item.get("output"), oddities)
        if not references:
            oddities["instance without output left out"] += 1
            continue
        identity = _identity(item.get("id"), f"{name}-{position}", seen, oddities)
        instances.append(Instance(identity, _text(item["input"], oddities), references))
    if not instances:
        raise BrokenTaskError("no instance has both an 'input' and an 'output'; every one needs them")
    return tuple(instances)


def _identity(given: object, otherwise: str, seen: Counter[str], oddities: Counter[str]) -> str:
    """Return the instance's own id, made unique where the file repeats it or has none."""
    identity = given if isinstance(given, str) and given else otherwise
    if identity != given:
        oddities["instance without id numbered"] += 1
    seen[identity] += 1
    if seen[identity] == 1:
        return identity
    oddities["repeated instance id numbered"] += 1
    return f"{identity}#{seen[identity]}"


def _references(output: object, oddities: Counter[str]) -> tuple[str, ...]:
    given = output if isinstance(output, list) else [output]
    texts = []
    for item in given:
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            continue
        if not isinstance(item, str):
            oddities["number as output taken as text"] += 1
        texts.append(_text(str(item), oddities))
    return tuple(texts)


def _examples(raw: Mapping[str, Any], key: str, oddities: Counter[str]) -> tuple[Example, ...]:
    given = raw.get(key)
    examples = []
    for item in given if isinstance(given, list) else []:
        references = _references(item.get("output"), oddities) if isinstance(item, dict) else ()
        if not references or not isinstance(item.get("input"), str):
            oddities[f"incomplete item of {key!r} left out"] += 1
            continue
        explanation = item.get("explanation")
        text = explanation if isinstance(explanation, str) else ""
        examples.append(Example(_text(item["input"], oddities), references[0], _text(text, oddities)))
    if not examples:
        oddities[f"no {key.lower()}"] += 1
    return tuple(examples)


def _words(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    given = raw.get(key)
    items = given if isinstance(given, list) else [given]
    return tuple(item for item in items if isinstance(item, str) and item)


def _uncategorised(oddities: Counter[str]) -> tuple[str, ...]:
    oddities["no category"] += 1
    return ("Uncategorised",)


def _text(text: str, oddities: Counter[str]) -> str:
    """Replace halves of surrogate pairs, which no UTF-8 file (predictions, caches) can hold."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    oddities["broken Unicode replaced"] += 1
    return _SURROGATE.sub("\ufffd", text)
