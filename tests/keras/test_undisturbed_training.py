"""Probes and trials leave no trace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools import native


def test_a_fit_with_probes_or_trials_trains_exactly_as_one_without(photos: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.keras.programs.undisturbed", str(photos)],
        cwd=native.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
