"""Programs that run a tf.data service of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conversion import ROOT
from tests.waiting import HANG_S


def run_alone(script: str, *arguments: str, cwd: Path = ROOT) -> str:
    """The output of a program; in a process of its own, since what hangs in a server of the tf.data
    service holds the interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _SERVICE_ALONE + script, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=HANG_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# A service in this process, without workers.
_SERVICE_ALONE = """
import sys, time
import tensorflow as tf
from pcr_tf.data import PcrDataset, read_statistics
service = tf.data.experimental.service
dispatcher = service.DispatchServer()
def start_worker(**options):
    address = dispatcher.target.split("://")[1]
    return service.WorkerServer(service.WorkerConfig(dispatcher_address=address, **options))
def distributed(dataset):
    mode = "distributed_epoch"
    return dataset.apply(
        service.distribute(mode, dispatcher.target, max_outstanding_requests=1))
"""
