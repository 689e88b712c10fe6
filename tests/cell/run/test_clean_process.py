"""What a cell changes in its process is put back; what cannot be is told."""

from __future__ import annotations

import gc
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch

from instruct_ablate.cell.mirror.wandb_internals import SERVICE_PROCESS
from instruct_ablate.cell.run import clean_process as process
from instruct_ablate.cell.run.clean_process import CleanProcess
from instruct_ablate.cell.state.environment import peak_memory
from instruct_ablate.model.loading.last_loaded import SHELF


@pytest.fixture
def clean() -> Iterator[CleanProcess]:
    torch.use_deterministic_algorithms(False)  # a cell that ran in this process before leaves it so
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield CleanProcess()
    SHELF.close()
    gc.unfreeze()


def test_generators_start_where_they_started(clean: CleanProcess, tmp_path: Path) -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(numpy.random.rand()), float(torch.rand(()))

    first = draw()
    random.seed(5)
    numpy.random.seed(5)
    torch.manual_seed(5)
    assert clean.restore(tmp_path) == []
    assert draw() == first


def test_settings_of_torch(clean: CleanProcess, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.set_grad_enabled(False)
    torch.backends.cudnn.benchmark = True
    torch.utils.deterministic.fill_uninitialized_memory = False
    clean.restore(tmp_path)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.is_grad_enabled()
    assert not torch.backends.cudnn.benchmark
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_environment_and_folder(clean: CleanProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, here = os.environ["PATH"], Path.cwd()
    monkeypatch.setitem(os.environ, "LOCAL_RANK", "3")
    os.environ["PATH"] = "elsewhere"
    os.chdir(tmp_path)
    clean.restore(tmp_path)
    assert "LOCAL_RANK" not in os.environ
    assert os.environ["PATH"] == path
    assert Path.cwd() == here


def test_handlers_levels_and_filters(clean: CleanProcess, tmp_path: Path) -> None:
    library, handlers, level = logging.getLogger("torch"), list(logging.root.handlers), logging.root.level
    mine = logging.FileHandler(tmp_path / "log.txt")
    logging.root.addHandler(mine)
    library.addHandler(logging.NullHandler())
    logging.root.setLevel(logging.CRITICAL)
    library.disabled = True
    filters = len(warnings.filters)
    warnings.filterwarnings("ignore", message="never mind")
    assert clean.restore(tmp_path) == []
    assert logging.root.handlers == handlers
    assert logging.root.level == level
    assert mine.stream is None
    assert not library.disabled
    assert len(warnings.filters) == filters


def test_signals_and_a_running_alarm(clean: CleanProcess, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 100)
    clean.restore(tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_cannot_be_put_back_is_told(
    clean: CleanProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.05)
    over = threading.Event()
    threading.Thread(target=over.wait, name="watcher").start()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with (tmp_path / "training.jsonl").open("w"):
        left = clean.restore(tmp_path)
    over.set()
    child.communicate(b"\n")
    assert sorted(left) == [
        f"{tmp_path / 'training.jsonl'} is still open",
        f"its process {child.pid} still runs",
        "the thread watcher still runs",
    ]
    assert clean.restore(tmp_path) == []


def test_a_thread_that_is_about_to_end_is_waited_for(
    clean: CleanProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 60)  # however busy the machine is
    threading.Timer(0.1, lambda: None).start()
    assert clean.restore(tmp_path) == []


def test_threads_that_a_library_keeps_are_left_alone(
    clean: CleanProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 60)
    over = threading.Event()
    threading.Thread(target=over.wait, name="OtelBatchLogRecordProcessor", daemon=True).start()
    started = time.monotonic()
    assert clean.restore(tmp_path) == []
    assert time.monotonic() - started < process.PATIENCE
    over.set()


def test_the_thread_of_progress_bars_is_ended(clean: CleanProcess, tmp_path: Path) -> None:
    from tqdm import tqdm

    class OfALibrary(tqdm):  # type: ignore[type-arg]
        monitor = None

    for bar in (tqdm, OfALibrary):
        list(bar(range(3), file=(tmp_path / "bar").open("w")))
    clean.restore(tmp_path)
    assert "tqdm_monitor" not in {thread.name for thread in threading.enumerate()}


def test_the_service_of_weights_and_biases_is_ended(
    clean: CleanProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    service = SimpleNamespace(teardown=lambda: ended.append(True))
    monkeypatch.setitem(sys.modules, "wandb", service)  # type: ignore[arg-type]
    clean.restore(tmp_path)
    assert ended == [True]


@pytest.mark.parametrize("good", [True, False])
def test_it_stays_where_the_cells_run_is_whole(
    clean: CleanProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    ended: list[bool] = []
    over = threading.Event()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    threading.Thread(target=over.wait, name="wandb-AsyncioManager-main", daemon=True).start()
    held = SimpleNamespace(_connection=SimpleNamespace(_proc=SimpleNamespace(_process=child)))
    monkeypatch.setattr(process, "PATIENCE", 0.05)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(teardown=lambda: ended.append(True)))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "wandb.sdk.wandb_setup", SimpleNamespace(_singleton=held))  # type: ignore[arg-type]
    if good:
        SERVICE_PROCESS.is_good()
    assert clean.restore(tmp_path) == []
    assert ended == ([] if good else [True])
    clean.restore(tmp_path)
    assert ended[-1:] == [True], "of each cell anew"
    ended.clear()
    clean.leave()
    assert ended == [True]
    child.communicate(b"\n")
    over.set()
    assert SERVICE_PROCESS.process() is None


def test_the_peak_of_memory_counts_anew(clean: CleanProcess, tmp_path: Path) -> None:
    block = torch.ones(200 * 2**20, dtype=torch.uint8)
    high = peak_memory()
    del block
    clean.restore(tmp_path)
    if resource.getpagesize() and not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("this system does not let a process forget its peak")
    assert peak_memory() < high - 100 * 2**20


def test_the_next_cells_model_is_kept_until_there_is_none(clean: CleanProcess) -> None:
    assert SHELF.is_open
    assert gc.get_freeze_count() > 0
    clean.leave()
    assert not SHELF.is_open
    assert gc.get_freeze_count() == 0
