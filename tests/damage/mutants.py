"""Changes of a study by chance: values of its JSON, bytes, types of columns, what stands in a file's place, names."""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.record.record_file import sealed
from tests.damage import damages
from tests.trees import nodes

DEEP: Any = "x"
for _ in range(150):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, -1.5, 10**30, -(10**400), 1e308, float("nan"), float("inf"), "", " ", "\n", "3",
    "NaN", "\0", "a\0b", "\ud800", "\ufeff", "a\u202eb", "\x1b[31mred\x1b]0;title\x07", "\r\n", "x" * 70_000, "..",
    "../../outside/precious", "/etc/passwd", "/", ".", "~/x", "predictions", "predictions/../record.json",
    "record.json",
    "=1+1", "@SUM(1)", "<script>alert(1)</script>", "\\input{/etc/passwd}", "$x_1^%&", "${oc.env:HOME}", [], {}, [[]],
    [None], [""], [{}], {"a": None}, {"": ""}, DEEP, ["yes", 3], "os.system", "canary.touch", "done", "running", 2**63,
    1e-320, -0.0, "2026-01-01", [["a", 1]], "'\"`;", "|a|b|", "é" * 200, "\U0001f600",
)  # fmt: skip
ENDS = (
    b"\xef\xbb\xbf",
    b"\0",
    b"[",
    b"{",
    b"\xff",
    b"\n\n",
    b"\r",
    b",",
    b"NaN",
    b"nul",
    b"PAR1",
    b"!!python/name:os.x",
)


def files(folder: Path) -> list[Path]:
    """Return every file of the study, and the archive, in an order of their own."""
    those = [path for path in sorted((folder / "study").rglob("*")) if path.is_file()]
    return [*those, folder / "study.zip"]


def altered(draw: random.Random, tree: Any) -> None:
    """Change one place of a tree."""
    places = list(nodes(tree))
    if not places:
        return
    container, key = draw.choice(places)
    kind = draw.randrange(6)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, list):
        container.insert(key, container[key])
    elif kind == 1:
        container[draw.choice((f"{key} ", "", "__class__", "../x", key.upper()))] = container[key]
    elif kind == 2:
        other, name = draw.choice(places)
        container[key] = json.loads(json.dumps(other.get(name) if isinstance(other, dict) else name))
    else:
        container[key] = json.loads(json.dumps(draw.choice(VALUES)))


def structural(draw: random.Random, path: Path) -> None:
    """Change values of a file of JSON; its seal is made to fit, left out, or left as it is."""
    text = path.read_bytes().decode()
    lines = path.suffix != ".json" and path.name != "heartbeat"
    trees = [json.loads(line) for line in text.splitlines()] if lines else [json.loads(text)]
    for _ in range(draw.choice((1, 1, 2, 4))):
        altered(draw, draw.choice(trees) if draw.random() < 0.9 or not lines else trees)
    if lines:
        path.write_bytes("".join(json.dumps(one, ensure_ascii=True) + "\n" for one in trees).encode())
        return
    (tree,) = trees
    fit = draw.random()
    if isinstance(tree, dict) and fit < 0.9:
        tree.pop("seal", None)
    written = json.dumps(tree, indent=1)
    path.write_bytes((sealed(written) if fit < 0.6 and isinstance(tree, dict) and tree else written).encode())


def bytewise(draw: random.Random, path: Path) -> None:
    """Change the bytes of a file."""
    content = path.read_bytes() or b" "
    for _ in range(draw.choice((1, 1, 3))):
        at = draw.randrange(len(content) or 1)
        match draw.randrange(7):
            case 0:
                content = content[:at]
            case 1 | 2:
                content = (
                    content[:at]
                    + bytes([(content[at : at + 1] or b" ")[0] ^ 1 << draw.randrange(8)])
                    + content[at + 1 :]
                )
            case 3:
                content = content.decode(errors="replace").encode(
                    draw.choice(("utf-16", "utf-8-sig", "utf-32"))
                )
            case 4:
                content = draw.choice(ENDS) + content + draw.choice(ENDS)
            case 5:
                content = content[:at] + draw.choice(ENDS) + content[at:]
            case _:  # a key twice
                content = re.sub(rb'\{\s*("[^"]*": )', rb'{\1"other", \1', content, count=1)
    path.write_bytes(content)


def columns(draw: random.Random, path: Path) -> None:
    """Write a column file of other types, other rows, other names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path).to_pydict()
    name = draw.choice(list(table))
    match draw.randrange(6):
        case 0:
            del table[name]
        case 1:
            table = {key: values[: draw.randrange(len(values))] for key, values in table.items()}
        case 2:
            table = {key: values * 2 for key, values in table.items()}
        case 3:
            table[name] = [draw.choice((None, "x", "")) for _ in table[name]]
        case 4:
            table[name] = [[1.0]] * len(table[name])
        case _:
            table[name] = [draw.choice((math.nan, math.inf, -1e300, 7.0)) for _ in table[name]]
    pq.write_table(pa.table(table), path)


def replaced(draw: random.Random, path: Path) -> None:
    """Put something else in the file's place."""
    damage = draw.choice(
        (
            damages.folder,
            damages.pipe,
            damages.removed,
            damages.emptied,
            damages.garbage,
            to_outside,
            to_itself,
        )
    )
    damage(path)


def to_outside(path: Path) -> None:
    path.unlink()
    path.symlink_to(next(one for one in path.parents if (one / "outside").is_dir()) / "outside" / "precious")


def to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def moved(draw: random.Random, path: Path) -> None:
    """Give the cell's folder another name, or the file another place."""
    to = draw.choice(
        ("=1+1", "\x1b[31mred", "<b>x", "a\nb", "x" * 200, "$a_b", "@x", "\udcff", "report", " ")
    )
    if path.parent.name != "study" and draw.random() < 0.7:
        cell = next(one for one in path.parents if one.parent.name == "study")
        cell.rename(cell.with_name(to))
    else:
        shutil.copyfile(path, path.with_name(to))


def change(draw: random.Random, folder: Path) -> tuple[str, ...]:
    """Change one to three files of the study; return what was done."""
    done = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        there = [path for path in files(folder) if not path.is_symlink()]
        weights = [6 if path.name in ("record.json", "study.json", "original.jsonl") else 2 for path in there]
        path = draw.choices(there, weights)[0]
        ways: list[Callable[[random.Random, Path], None]] = [bytewise, replaced, moved]
        if path.suffix in (".json", ".jsonl") or path.name == "heartbeat" or ".partial" in path.name:
            ways += [structural] * 6
        if path.suffix == ".parquet":
            ways += [columns] * 4
        if path.suffix == ".zip":
            ways = [bytewise, replaced, rezipped, rezipped, rezipped]
        way = draw.choice(ways)
        try:
            way(draw, path)
        except (
            OSError,
            ValueError,
            AttributeError,
            TypeError,
            KeyError,
        ):  # an earlier change left nothing to change
            bytewise(draw, path)
        done.append(f"{way.__name__} {path.relative_to(folder)}")
    return tuple(done)


def rezipped(draw: random.Random, path: Path) -> None:
    """Write an archive with changed members, and a manifest that has them as they are now."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    first, *names = members
    manifest = json.loads(members[first])
    with tempfile.TemporaryDirectory() as place:
        for _ in range(draw.choice((1, 2))):
            name = draw.choice([name for name in names if name.startswith("study/")])
            file = Path(place) / Path(name).name
            file.write_bytes(members[name])
            (structural if name.endswith((".json", ".jsonl")) and draw.random() < 0.8 else bytewise)(
                draw, file
            )
            members[name] = file.read_bytes()
    for entry in manifest["files"]:
        data = members[entry["name"]]
        entry.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    if draw.random() < 0.5:
        altered(draw, manifest)
    members[first] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(draw.choice(("../x", "/x", "")) or name if draw.random() < 0.02 else name, data)
