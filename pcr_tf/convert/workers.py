"""Worker processes that convert shards, and stop at once when they should."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.options import ConvertOptions
from pcr_tf.convert.plan import Plan, ShardPlan
from pcr_tf.convert.shard_job import ShardResult, convert_shard
from pcr_tf.convert.sources import Source

# Called with: items, images, source bytes, stored bytes, since the last call.
OnProgress = Callable[[int, int, int, int], None]

_REPORT_INTERVAL_S = 0.2
_STOP_TIMEOUT_S = 1.0


def convert_shards(
    plan: Plan,
    numbers: list[int],
    source: Source,
    options: ConvertOptions,
    on_progress: OnProgress,
) -> Iterator[ShardResult]:
    """Converts the shards `numbers`, yielding each result when its shard has its final name.

    Runs `options.num_workers` processes (0: in this one). However the iterator ends, no worker
    outlives it, and none outlives this process.

    Raises:
        ConvertError, OSError: a shard failed; the others are stopped.
    """
    if options.num_workers == 0:
        for number in numbers:
            with _Batched(on_progress) as report:
                yield convert_shard(plan.shard(number), source, options, report)
        return
    workers = [_Worker(source, options) for _ in range(min(options.num_workers, len(numbers)))]
    try:
        yield from _drive(workers, plan, list(numbers), on_progress)
    finally:
        _stop(workers)


def _drive(
    workers: list[_Worker], plan: Plan, waiting: list[int], on_progress: OnProgress
) -> Iterator[ShardResult]:
    waiting.reverse()
    busy: dict[Any, _Worker] = {}
    for worker in workers:
        worker.send(plan.shard(waiting.pop()))
        busy[worker.connection] = worker
    while busy:
        for connection in wait(list(busy)):
            worker = busy[connection]
            kind, payload = worker.receive()
            if kind == "progress":
                on_progress(*payload)
                continue
            if kind == "error":
                raise payload
            if waiting:
                worker.send(plan.shard(waiting.pop()))
            else:
                del busy[connection]
            yield payload


class _Worker:
    """One process, seen from the job."""

    def __init__(self, source: Source, options: ConvertOptions) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.shard_name = ""
        self.process = context.Process(target=_serve, args=(theirs, source, options), daemon=True)
        # A terminal sends Ctrl-C to the workers as well. The job stops them; until they are ready
        # to ignore it themselves, the disposition that they inherit does.
        handler = signal.getsignal(signal.SIGINT)
        on_main_thread = threading.current_thread() is threading.main_thread()
        if on_main_thread:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.process.start()
        finally:
            if on_main_thread:
                signal.signal(signal.SIGINT, handler)
        theirs.close()

    def send(self, shard: ShardPlan) -> None:
        self.shard_name = shard.name
        try:
            self.connection.send(shard)
        except OSError as error:
            raise self._death() from error

    def receive(self) -> tuple[str, Any]:
        try:
            message: tuple[str, Any] = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        return message

    def _death(self) -> ConvertError:
        self.process.join(_STOP_TIMEOUT_S)
        code = self.process.exitcode
        how = f"exit status {code}"
        if code is not None and code < 0:
            how = f"signal {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                how += " (the kernel does this when memory runs out; try fewer --num_workers)"
        return ConvertError(
            f"{self.shard_name}: worker process {self.process.pid} died: {how}; "
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


def _serve(connection: Connection, source: Source, options: ConvertOptions) -> None:
    """The body of a worker process: converts the shards that it is sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def on_progress(*sums: int) -> None:
        connection.send(("progress", sums))

    while True:
        try:
            shard: ShardPlan = connection.recv()
        except EOFError:
            return
        try:
            with _Batched(on_progress) as report:
                result = convert_shard(shard, source, options, report)
            connection.send(("done", result))
        except (ConvertError, OSError) as error:
            connection.send(("error", error))
        except Exception:
            # A defect, not a user's mistake: the traceback is what helps.
            text = f"{shard.name}: the worker failed:\n{traceback.format_exc()}"
            connection.send(("error", RuntimeError(text)))


def _die_with_parent() -> None:
    """Ends this process when its parent ends, even by SIGKILL."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
