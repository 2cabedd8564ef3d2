"""Worker processes that do one job after the other, and stop at once when they should."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from pcr_tf.convert.errors import ConvertError

# Called with: items, images, source bytes, stored bytes, since the last call.
OnProgress = Callable[[int, int, int, int], None]
# Called after each item with: images, bytes of them as they came, bytes as they are written.
Report = Callable[[int, int, int], None]


class Job(Protocol):
    """What a worker is sent. Pickled; messages name it."""

    @property
    def name(self) -> str: ...


Work = Callable[..., Any]

_REPORT_INTERVAL_S = 0.2
_STOP_TIMEOUT_S = 1.0
# For the status of a worker whose pipe is closed: it has ended, or is about to.
_DEATH_TIMEOUT_S = 60.0


def check_can_start_workers(num_workers: int) -> None:
    """Refuses, before anything is done, a program that worker processes cannot import.

    Each one runs the program's file from the top, under another ``__name__``.

    Raises:
        ConvertError: this is a worker at that, or the program is in no file.
    """
    if num_workers == 0:
        return
    remedy = "or convert in this process with num_workers=0"
    # What multiprocessing itself goes by, where it refuses to start a process from such an import.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ConvertError(
            "a worker process runs the program from the top, to import it, and came to this job "
            f'again: keep the call under if __name__ == "__main__":, {remedy}'
        )
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    is_a_module = getattr(main, "__spec__", None) is not None
    if not is_a_module and path is not None and not os.path.exists(path):
        raise ConvertError(
            f"worker processes have to import the program, but {path} is no file: save the "
            f"program, {remedy}"
        )


def run_jobs(
    work: Work, jobs: Iterable[Job], *, num_workers: int, on_progress: OnProgress
) -> Iterator[Any]:
    """Runs `work` on each job, yielding each result as soon as it is there, in no order.

    Runs up to `num_workers` processes (0: in this one). However the iterator ends, no worker
    outlives it, and none outlives this process.

    Args:
        work: a function of a module, or a `functools.partial` of one: workers get a copy. It is
            called as ``work(job, progress=report)``, and calls ``report(images, source_bytes,
            stored_bytes)`` after each item.
        jobs: what to do, one after the other; asked for when a worker is free.

    Raises:
        ConvertError, OSError: a job failed; the others are stopped.
    """
    check_can_start_workers(num_workers)
    pending = iter(jobs)
    if num_workers == 0:
        for job in pending:
            with _Batched(on_progress) as report:
                result = work(job, progress=report)
            yield result
        return
    workers: list[_Worker] = []
    try:
        busy: dict[Any, _Worker] = {}
        for job in itertools.islice(pending, num_workers):
            with _ctrl_c_held():
                workers.append(_Worker(work))
            workers[-1].send(job)
            busy[workers[-1].connection] = workers[-1]
        while busy:
            for connection in wait(list(busy)):
                worker = busy[connection]
                kind, payload = worker.receive()
                if kind == "ready":
                    continue
                if kind == "progress":
                    on_progress(*payload)
                    continue
                if kind == "error":
                    raise payload
                for job in itertools.islice(pending, 1):
                    worker.send(job)
                    break
                else:
                    del busy[connection]
                yield payload
    finally:
        _stop(workers)


@contextlib.contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Lets Ctrl-C wait for the end of the block, and keeps it from processes begun inside.

    A terminal sends it to the workers as well, and the job stops them. They inherit the mask, until
    they are ready to ignore it; in the job, a signal that was ignored instead would be lost.
    Another thread may take it in spite of the mask: Python's handler, which runs in the main
    thread, holds that one back.
    """
    resource_tracker.ensure_running()  # Its start would lift the mask.
    held: list[int] = []
    on_main_thread = threading.current_thread() is threading.main_thread()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handler = signal.getsignal(signal.SIGINT)
    # A handler that is not Python's, or that ignores the signal, stays: nothing is raised then.
    replaced = on_main_thread and callable(handler)
    if replaced:
        signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        if replaced:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in held[:1]:
            signal.raise_signal(number)


class _Worker:
    """One process, seen from the job."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.job_name = ""
        self.is_ready = False
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, job: Job) -> None:
        self.job_name = job.name
        try:
            self.connection.send(job)
        except OSError as error:
            raise self._death() from error

    def receive(self) -> tuple[str, Any]:
        try:
            message: tuple[str, Any] = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        self.is_ready = True
        return message

    def _death(self) -> ConvertError:
        self.process.join(_DEATH_TIMEOUT_S)
        code = self.process.exitcode
        how = f"exit status {code}"
        if code is not None and code < 0:
            how = f"signal {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                how += " (the kernel does this when memory runs out; try fewer `num_workers`)"
        if not self.is_ready and code is not None and code > 0:
            return ConvertError(
                f"{self.job_name}: worker process {self.process.pid} ended while it imported the "
                f"program: {how}, and said why above; a program of yours keeps its calls under "
                'if __name__ == "__main__":, or converts in its own process with num_workers=0'
            )
        return ConvertError(
            f"{self.job_name}: worker process {self.process.pid} died: {how}; "
            "run the same command again to resume"
        )


def _stop(workers: list[_Worker]) -> None:
    """Ends all workers within about a second, whatever they do."""
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()


class _Batched:
    """Adds up progress and passes it on now and then, and at the end."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._sums = [0, 0, 0, 0]
        self._passed_on = time.monotonic()

    def __call__(self, images: int, source_bytes: int, stored_bytes: int) -> None:
        for position, value in enumerate((1, images, source_bytes, stored_bytes)):
            self._sums[position] += value
        if time.monotonic() - self._passed_on >= _REPORT_INTERVAL_S:
            self._pass_on()

    def __enter__(self) -> _Batched:
        return self

    def __exit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        items, images, source_bytes, stored_bytes = self._sums
        self._on_progress(items, images, source_bytes, stored_bytes)
        self._sums = [0, 0, 0, 0]
        self._passed_on = time.monotonic()


def _serve(connection: Connection, work: Work) -> None:
    """The body of a worker process: does the jobs that it is sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def on_progress(*sums: int) -> None:
        connection.send(("progress", sums))

    # The parent may have been killed; nobody is left to be told.
    with contextlib.suppress(EOFError, ConnectionError):
        connection.send(("ready", None))
        while True:
            job: Job = connection.recv()
            connection.send(_done(work, job, on_progress))


def _done(work: Work, job: Job, on_progress: OnProgress) -> tuple[str, Any]:
    """The outcome of a job, for the parent process."""
    try:
        with _Batched(on_progress) as report:
            return "done", work(job, progress=report)
    except (ConvertError, OSError) as error:
        return "error", error
    except Exception:
        # A defect, not a user's mistake: the traceback is what helps.
        return "error", RuntimeError(f"{job.name}: the worker failed:\n{traceback.format_exc()}")


def _die_with_parent() -> None:
    """Ends this process when its parent ends, even by SIGKILL."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
