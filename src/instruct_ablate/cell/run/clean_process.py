"""A process that runs several cells: what one cell changed in it is put back before the next one starts."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from instruct_ablate.cell.mirror.wandb_internals import SERVICE_PROCESS, leave_service

Undo = Callable[[], object]
PATIENCE = 2.0  # seconds that a cell's threads have to end
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD, signal.SIGINT)


class CleanProcess:
    """The process as it was when this was made; to be made before the first cell, in the main thread.

    What a cell imports is imported then, so that the state of torch, too, is known from the start. Nothing that a
    cell leaves behind may reach the next one: not its generators, flags, environment, handlers, threads, files or
    memory. Only the model's weights as they were loaded stay, for the next cell to copy.
    """

    def __init__(self, trains: bool = True, logger: str = "none") -> None:
        import nltk.stem.porter  # noqa: F401
        import rouge_score.tokenize  # noqa: F401
        import torch
        import transformers.generation.utils  # noqa: F401

        from instruct_ablate.model.decoding import predict as generate  # noqa: F401 - all that takes long to import

        if trains:
            from instruct_ablate.model.training import fit  # noqa: F401
        if logger == "wandb":
            import wandb  # noqa: F401
        from instruct_ablate.model.loading.last_loaded import SHELF

        SHELF.open()
        self._shelf = SHELF
        self._torch: Any = torch
        undos = (_environment, _folder, _logging, _warnings, _signals, _generators, self._flags)
        self._undo: list[Undo] = [remember() for remember in undos]
        self._threads = set(threading.enumerate())
        self._processes = frozenset(_children())
        gc.collect()
        gc.freeze()  # what is there now stays: collecting in and after each cell need not look at it

    def restore(self, folder: Path) -> list[str]:
        """Put everything back after the cell of `folder`; return what it left that cannot be put back."""
        for undo in self._undo:
            undo()
        _end_services()
        gc.collect()
        self._release()
        return [*self._running_threads(), *self._new_children(), *_open_files(folder)]

    def leave(self) -> None:
        """End it all where the process goes on to other things: nothing is kept for a next cell."""
        self._shelf.close()
        gc.unfreeze()
        leave_service()

    def _flags(self) -> Undo:
        """Torch's settings that change results or speed."""
        from instruct_ablate.model.torch_internals import forget_compiled

        torch = self._torch
        state, threads, dtype = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
        flags = torch.are_deterministic_algorithms_enabled()
        warn = torch.is_deterministic_algorithms_warn_only_enabled()
        fill = torch.utils.deterministic.fill_uninitialized_memory
        products = torch.get_float32_matmul_precision()
        cudnn = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)

        def undo() -> None:
            torch.set_rng_state(state)
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
            torch.use_deterministic_algorithms(flags, warn_only=warn)
            torch.utils.deterministic.fill_uninitialized_memory = fill
            torch.set_float32_matmul_precision(products)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
            torch.set_grad_enabled(True)
            forget_compiled()

        return undo

    def _release(self) -> None:
        """Give memory back to the device and the system, and begin to count its peak anew."""
        torch = self._torch
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        with contextlib.suppress(OSError, AttributeError):  # glibc keeps freed memory unless asked
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):  # proc(5): 5 resets the peak resident set size
            Path("/proc/self/clear_refs").write_text("5")

    def _running_threads(self) -> list[str]:
        limit = time.monotonic() + PATIENCE
        for thread in self._new_threads():
            thread.join(max(0.0, limit - time.monotonic()))
        return [f"the thread {thread.name} still runs" for thread in self._new_threads()]

    def _new_children(self) -> list[str]:
        stays = _told(SERVICE_PROCESS.process())
        return [told for told in _children() if told not in self._processes and told != stays]

    def _new_threads(self) -> list[threading.Thread]:
        running, stays = set(threading.enumerate()) - self._threads, SERVICE_PROCESS.threads()
        return [thread for thread in running if not thread.name.startswith(stays)]


def _end_services() -> None:
    """End what libraries keep running between uses; the next use starts it again."""
    bars = sys.modules.get("tqdm")
    for bar in _with_subclasses(bars.tqdm) if bars is not None else ():
        if (monitor := vars(bar).get("monitor")) is not None:  # libraries' own bars have threads of their own
            monitor.exit()
            bar.monitor = None
    SERVICE_PROCESS.end_unless_good()


def _with_subclasses(kind: Any) -> Iterator[Any]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _with_subclasses(narrower)


def _environment() -> Undo:
    kept = dict(os.environ)

    def undo() -> None:
        for name in os.environ.keys() - kept.keys():
            del os.environ[name]
        os.environ.update(kept)

    return undo


def _folder() -> Undo:
    kept = Path.cwd()
    return lambda: os.chdir(kept)


def _logging() -> Undo:
    """Handlers and levels of the loggers there are, of which libraries bring many, and of later ones."""
    kept = {logger: (list(logger.handlers), logger.level, logger.disabled) for logger in _loggers()}

    def undo() -> None:
        for logger in _loggers():
            handlers, level, disabled = kept.get(logger, (logger.handlers, logger.level, logger.disabled))
            if logger.level != level:  # to set one forgets what all of the hundreds know of theirs
                logger.setLevel(level)
            for handler in [one for one in logger.handlers if one not in handlers]:
                logger.removeHandler(handler)
                handler.close()
            logger.disabled = disabled

    return undo


def _loggers() -> list[logging.Logger]:
    named = logging.root.manager.loggerDict.values()
    return [logging.root, *(logger for logger in named if isinstance(logger, logging.Logger))]


def _warnings() -> Undo:
    kept = list(warnings.filters)

    def undo() -> None:
        warnings.filters[:] = kept  # type: ignore[index]

    return undo


def _signals() -> Undo:
    kept = {number: signal.getsignal(number) for number in SIGNALS}

    def undo() -> None:
        # An alarm that one cell has set must not ring in the next.
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in kept.items():
            signal.signal(number, handler)

    return undo


def _generators() -> Undo:
    import numpy

    kept, arrays = random.getstate(), numpy.random.get_state()

    def undo() -> None:
        random.setstate(kept)
        numpy.random.set_state(arrays)

    return undo


def _children() -> list[str]:
    """Name the processes that this one started and did not end."""
    try:
        running = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    except OSError:
        return []
    return [_told(number) for number in running]


def _told(number: object) -> str:
    return f"its process {number} still runs"


def _open_files(folder: Path) -> list[str]:
    """Name the files of a cell that are still open, its output aside."""
    found, home = list[tuple[int, str]](), str(folder.resolve())
    with contextlib.suppress(OSError):
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append((int(link.name), str(link.readlink())))
    return [f"{target} is still open" for number, target in found if number > 2 and target.startswith(home)]
