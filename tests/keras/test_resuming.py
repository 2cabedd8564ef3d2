"""Callbacks go on where an interrupted fit() stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from pcr_tf.keras import (
    BandwidthFidelity,
    PlateauFidelity,
)
from pcr_tf.keras.state_file import StateFile
from tests.held_value import HeldValue
from tests.keras.training import (
    noisy_batches,
    plateau_tuner,
    small_model,
)
from tools import native


def test_states_are_found_by_epoch(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "state.json"
    states = StateFile(path, "Tuner")
    assert states.begin(0) is None
    for epoch in range(4):
        states.write(epoch, {"after": epoch})
    assert StateFile(path, "Tuner").begin(3) == {"after": 2}
    assert StateFile(path, "Tuner").begin(9) == {"after": 3}
    assert StateFile(path, "Tuner").begin(0) is None
    again = StateFile(path, "Tuner")
    again.begin(2)
    again.write(2, {"after": "another run's"})
    assert StateFile(path, "Tuner").begin(9) == {"after": "another run's"}


def test_a_file_that_is_not_the_callbacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    StateFile(path, "Tuner").write(0, {})
    with pytest.raises(ValueError, match=r"state\.json: version and callback; expected .*Other"):
        StateFile(path, "Other").begin(1)
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"state\.json: not the state of a callback"):
        StateFile(path, "Tuner").begin(1)


def test_a_state_file_that_cannot_be_written_is_found_before_an_epoch_is_trained(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    tuner = plateau_tuner(HeldValue(10), state_path=tmp_path / "file" / "state.json")
    tuner.on_train_begin()
    with pytest.raises(OSError, match=r"file"):
        tuner.on_epoch_begin(0)


def test_beginning_an_earlier_epoch_keeps_the_states_until_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    states = StateFile(path, "Tuner")
    for epoch in range(3):
        states.write(epoch, {"after": epoch})
    assert StateFile(path, "Tuner").begin(0) is None
    assert StateFile(path, "Tuner").begin(9) == {"after": 2}


def test_a_state_file_of_two_callbacks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    def tuner() -> PlateauFidelity:
        return plateau_tuner(HeldValue(10), state_path=path)

    callbacks = [tuner(), tuner()]
    with pytest.raises(ValueError, match=r"state_path; expected a file for each callback.*for two"):
        small_model().fit(noisy_batches(0.0), verbose=0, callbacks=callbacks)
    # One after the other they may have it, also where the first had no epoch.
    first, second = callbacks
    small_model().fit(noisy_batches(0.0), epochs=0, verbose=0, callbacks=[first])
    small_model().fit(noisy_batches(0.0), verbose=0, callbacks=[second])
    first.on_train_begin()
    first.on_train_begin()


def test_after_a_kill_tuners_go_on_as_if_there_had_been_none(photos: Path, tmp_path: Path) -> None:
    def run(folder: Path, kill_at: int) -> int:
        folder.mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "tests.keras.programs.resumed",
            str(folder),
            str(photos),
            str(kill_at),
        ]
        done = subprocess.run(command, cwd=native.ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == -9 or done.stdout == "done\n", done.stderr
        return done.returncode

    def values(folder: Path) -> list[Any]:
        lines = (folder / "values.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    assert run(tmp_path / "whole", -1) == 0
    whole = values(tmp_path / "whole")
    assert len({json.dumps(line[1]) for line in whole}) > 3  # Each of the tuners did something.

    assert run(tmp_path / "killed", 5) == -9
    before = values(tmp_path / "killed")
    assert before == whole[:6]
    assert run(tmp_path / "killed", -1) == 0
    assert values(tmp_path / "killed")[6:] == whole[5:]


def test_without_a_state_file_training_that_goes_on_begins_to_measure_anew(photos: Path) -> None:
    fidelity = HeldValue(3)
    tuner = BandwidthFidelity(fidelity, photos)
    small_model().fit(noisy_batches(0.0), initial_epoch=2, epochs=3, verbose=0, callbacks=[tuner])
    assert fidelity.history == [3]
    assert tuner.policy.state()["retry_after"] == 20


def test_trials_work_in_training_that_was_restored(tmp_path: Path) -> None:
    for epochs in (2, 4):
        fidelity = HeldValue(10)
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "b"), delete_checkpoint=False)
        small_model().fit(
            noisy_batches(0.0),
            epochs=epochs,
            verbose=0,
            callbacks=[backup, plateau_tuner(fidelity)],
        )
        assert fidelity.history == [5]
