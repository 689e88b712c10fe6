"""A real one-node Slurm cluster: sweep, scancel, re-run, pre-emption with requeue, submit and leave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from instruct_ablate.cell.state.lock import holder
from instruct_ablate.grid.history.looks import read_looks
from instruct_ablate.grid.launch.slurm_queue import read_ticket
from tests.grid.small import GRID, LONG, TASKS, environment, outcome, records, start, states, sweep

pytestmark = pytest.mark.slurm
HERE = Path(__file__).parent
SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=30")
TWO = ("hydra.launcher.tasks_per_node=2",)  # processes of a cell, on the CPU
STEPS = 120


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if shutil.which("sbatch") is None or shutil.which("munged") is None:
        pytest.skip("Slurm is not installed (Debian: slurm-wlm, munge)")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run(["bash", str(HERE / "start.sh"), str(folder)], check=True, timeout=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        yield
        subprocess.run(["bash", str(HERE / "stop.sh"), str(folder)], check=True, timeout=60)


def until(reached: Callable[[], object], seconds: float = 450) -> None:
    limit = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.5)


def jobs() -> list[str]:
    words = ["squeue", "--noheader", "--array", "--format=%i"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def queue_long(folder: Path, *words: str) -> tuple[str, Path]:
    """Queue one long cell, leave, and wait until it trains; return its job and folder."""
    queued = sweep(folder, *LONG, *SLURM, *words, f"trainer.max_steps={STEPS}", "detach=true")
    assert queued.returncode == 0, queued.stderr
    (name,) = records(folder)
    cell = folder / "multirun" / "ablation" / name
    ticket = read_ticket(cell)
    assert ticket is not None
    curve = cell / "training.jsonl"
    until(lambda: curve.exists() and curve.read_text().count("\n") > 5)
    return ticket.job, cell


def whole(folder: Path, *more: str) -> dict[str, object]:
    """The same cell, never stopped."""
    here = (*SLURM, *more) if more else ()
    undisturbed = sweep(folder, *LONG, *here, f"trainer.max_steps={STEPS}", "study=whole")
    assert undisturbed.returncode == 0, undisturbed.stderr
    return outcome(folder, "whole")


def test_a_grid_on_slurm_is_the_grid_of_the_basic_launcher(tmp_path: Path) -> None:
    first = sweep(tmp_path, *GRID, *SLURM)
    assert first.returncode == 0, first.stdout + first.stderr
    assert sweep(tmp_path, *GRID, "study=basic").returncode == 0
    assert outcome(tmp_path) == outcome(tmp_path, "basic")
    again = sweep(tmp_path, *GRID, *SLURM)
    assert "3 done and skipped, 0 to run" in again.stdout
    assert "queued as job" not in again.stdout


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_cell_of_two_processes_is_the_cell_of_one(tmp_path: Path, strategy: str) -> None:
    words = (*LONG, "trainer.max_steps=12")
    assert sweep(tmp_path, *words, "study=one").returncode == 0
    two = sweep(tmp_path, *words, *SLURM, f"trainer={strategy}", *TWO)
    assert two.returncode == 0, two.stdout + two.stderr
    (one,), (other,) = records(tmp_path, "one").values(), records(tmp_path).values()
    assert other.identity == one.identity
    assert other.blocks == one.blocks
    assert (other.cost.train_steps, other.cost.train_examples) == (12, one.cost.train_examples)
    places = (tmp_path / "multirun/one" / one.name, tmp_path / "multirun/ablation" / other.name)
    curves = [losses(place) for place in places]
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)


def test_a_cancelled_cell_of_two_processes_goes_on(tmp_path: Path) -> None:
    more = ("trainer=ddp", *TWO)
    job, cell = queue_long(tmp_path, *more)
    assert "1 running" in status(tmp_path)
    subprocess.run(["scancel", job], check=True)
    until(lambda: not jobs())
    assert states(tmp_path) == ["interrupted"]
    assert list(cell.glob("checkpoints/step-*.ckpt"))
    again = sweep(tmp_path, *LONG, *SLURM, *more, f"trainer.max_steps={STEPS}")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "going on after step" in (cell / "log.txt").read_text()
    assert outcome(tmp_path) == whole(tmp_path, *more)
    assert losses(cell) == losses(tmp_path / "multirun" / "whole" / cell.name)


def losses(cell: Path) -> list[float]:
    rows = [json.loads(line) for line in (cell / "training.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["loss"] for row in rows]


def test_a_cancelled_cell_alone_runs_again_and_goes_on(tmp_path: Path) -> None:
    job, cell = queue_long(tmp_path)
    subprocess.run(["scancel", job], check=True)
    until(lambda: not jobs())
    assert states(tmp_path) == ["interrupted"]
    assert list(cell.glob("checkpoints/step-*.ckpt"))
    again = sweep(tmp_path, *LONG, *SLURM, f"trainer.max_steps={STEPS}")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "going on after step" in (cell / "log.txt").read_text()
    assert outcome(tmp_path) == whole(tmp_path)


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("scancel", "--signal=USR2"), ()),
        (("scontrol", "requeue"), ()),
        (("scancel", "--signal=USR2"), ("trainer=ddp", *TWO)),
    ],
)
def test_a_preempted_cell_is_requeued_and_ends_with_the_same_bits(
    tmp_path: Path, words: tuple[str, ...], more: tuple[str, ...]
) -> None:
    job, cell = queue_long(tmp_path, *more)
    subprocess.run([*words, job], check=True)
    until(lambda: states(tmp_path) == ["interrupted"])
    assert "SIGUSR2" in str(records(tmp_path)[cell.name].notes) or "requeue" in words
    until(lambda: "RUNNING" not in status(tmp_path))
    assert "1 queued" in status(tmp_path)
    assert (
        "1 queued already, 0 to run"
        in sweep(tmp_path, *LONG, *SLURM, *more, f"trainer.max_steps={STEPS}", "detach=true").stdout
    )
    until(
        lambda: (
            not subprocess.run(
                ["scontrol", "update", f"JobId={job}", "StartTime=now"], check=False
            ).returncode
        )
    )
    until(lambda: states(tmp_path) == ["done"])
    assert "going on after step" in (cell / "log.txt").read_text()
    assert outcome(tmp_path) == whole(tmp_path, *more)


@pytest.mark.parametrize("limit", [0.03, 0.25])
def test_a_cell_over_its_memory_limit_says_so_and_runs_again_with_more(tmp_path: Path, limit: float) -> None:
    """The small limit kills the job while it still imports, before it has taken the cell."""
    words = (*LONG, *SLURM, "trainer.max_steps=4")
    killed = sweep(tmp_path, *words, f"hydra.launcher.mem_gb={limit}")
    assert killed.returncode == 1
    (record,) = records(tmp_path).values()
    assert record.state == "failed"
    assert record.failure is not None
    assert record.failure.reason.startswith("killed: out of memory: raise hydra.launcher.mem_gb")
    assert Path(record.failure.reason.partition("its output is in ")[2].rstrip(")")).is_file()
    assert "killed: out of memory" in status(tmp_path)
    assert "killed: out of memory" in killed.stdout + killed.stderr
    again = sweep(tmp_path, *words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert states(tmp_path) == ["done"]


@pytest.mark.parametrize("by", ["kill", "scancel"])
def test_a_cell_killed_from_outside_is_retried(tmp_path: Path, by: str) -> None:
    """`kill -9` leaves it no time; Slurm's own KILL begins with a SIGTERM, and the cell its checkpoint."""
    words = (*LONG[:-2], "trainer.checkpoint_every_steps=5", LONG[-1], *SLURM, f"trainer.max_steps={STEPS}")
    waiting = start(tmp_path, *words)
    until(lambda: any(tmp_path.rglob("step-*.ckpt")) or waiting.poll() is not None)
    assert waiting.poll() is None, waiting.communicate()
    (cell,) = (path.parent for path in tmp_path.rglob("training.jsonl"))
    ticket, owner = read_ticket(cell), holder(cell)
    assert ticket is not None
    assert owner is not None
    if by == "kill":
        os.kill(owner.pid, signal.SIGKILL)
    else:
        subprocess.run(["scancel", "--signal=KILL", ticket.job], check=True)
    told, _ = waiting.communicate(timeout=450)
    assert waiting.returncode == 1, told
    (record,) = records(tmp_path).values()
    if by == "kill":
        assert record.failure is not None, record
        assert record.failure.reason.startswith(f"job {ticket.job} was killed by signal 9; its output is in ")
    else:
        assert record.state in ("failed", "interrupted")
    again = sweep(tmp_path, *words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "going on after step" in (cell / "log.txt").read_text()
    if by == "kill":
        assert outcome(tmp_path) == whole(tmp_path)


def status(folder: Path) -> str:
    words = [sys.executable, "-c", "from instruct_ablate.command_line import main; main()", "status"]
    told = subprocess.run(
        [*words, "multirun/ablation"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout


def test_rounds_on_slurm_stop_at_the_look_that_decides(tmp_path: Path) -> None:
    claim = "hypotheses=['original exceeds untuned on rougeL by 95']"
    words = (*TASKS, "data_budget=1", "seed=0,1,2,3,4", "until=decided", claim, *SLURM)
    first = sweep(tmp_path, *words)
    assert first.returncode == 0, first.stdout + first.stderr
    (look,) = read_looks(tmp_path / "multirun" / "ablation").taken
    assert (look.done, look.cells, look.settled) == (2, 3, True)  # of five seeds: six cells
    assert states(tmp_path) == ["done"] * 3
    assert sweep(tmp_path, *words).stdout.count("queued as job") == 0
    assert states(tmp_path) == ["done"] * 3
