"""Waiting for what must happen. How long it takes says something about the machine alone."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

# What lasts longer hangs: far more than anything takes on the busiest machine.
HANG_S = 600


def patiently() -> Iterator[None]:
    """Yields again and again, a moment apart, for a loop that is left once it has seen enough.

    Fails the test after HANG_S.
    """
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        yield
        time.sleep(0.005)
    pytest.fail(f"what was waited for has not come in {HANG_S} s")


def wait_until(
    condition: Callable[[], bool], while_running: subprocess.Popen[Any] | None = None
) -> None:
    """Returns once `condition` holds; fails after HANG_S, or when the process ends without it."""
    for _ in patiently():
        has_ended = while_running is not None and while_running.poll() is not None
        if condition():
            return
        if while_running is not None and has_ended:
            pytest.fail(f"ended too early: {while_running.communicate()}")


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a job; those that end meanwhile are left out."""
    workers = []
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    for child in children:
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                workers.append(child)
        except psutil.NoSuchProcess:  # A zombie is one of these.
            pass
    return workers


def wait_until_gone(processes: list[psutil.Process]) -> None:
    """Returns once none of them runs any more."""

    def runs(process: psutil.Process) -> bool:
        try:  # A process that nobody waits for stays a zombie.
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    wait_until(lambda: not any(map(runs, processes)))


def pause(process: subprocess.Popen[str]) -> bool:
    """Stops a process (SIGSTOP) until it is continued (SIGCONT); False if it has ended."""
    process.send_signal(signal.SIGSTOP)
    stopped = False

    def stands_still() -> bool:
        nonlocal stopped
        if process.poll() is not None:
            return True
        stopped = psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
        return stopped

    wait_until(stands_still)
    return stopped


def kill_with_workers(process: subprocess.Popen[str]) -> None:
    """Kills a job, and returns once its workers, which see that and end, are gone as well."""
    pause(process)  # It starts no other.
    workers = workers_of(process)
    process.kill()
    process.communicate()
    wait_until_gone(workers)


def pause_midway(
    begin: Callable[[int], subprocess.Popen[str]],
    is_begun: Callable[[int], bool],
    is_finished: Callable[[int], bool],
) -> tuple[subprocess.Popen[str], int]:
    """Begins a job, and stops its main process (SIGSTOP) when it is neither new nor finished.

    That process alone hands out work, so the job cannot come to its end before it is continued
    (SIGCONT); a signal sent before that is what it sees first. A job that was quicker than this
    process is begun anew.

    Args:
        begin: starts the job of this ordinal, in an output of its own.
        is_begun, is_finished: asked about the job of this ordinal while it runs or is stopped.

    Returns:
        The process, and its ordinal.
    """
    for ordinal, _ in enumerate(patiently()):
        process = begin(ordinal)
        for _ in patiently():
            if process.poll() is not None or is_begun(ordinal):
                break
        if pause(process) and not is_finished(ordinal):
            return process, ordinal
        process.send_signal(signal.SIGCONT)
        output = process.communicate()
        assert process.returncode == 0, output
    raise AssertionError("patiently() ends with a failure")
