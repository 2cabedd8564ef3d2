"""Arguments are checked when a callback is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pcr_tf.keras import (
    BandwidthFidelity,
    FidelitySchedule,
    GradientSimilarityFidelity,
    MsSsimFidelity,
    PlateauFidelity,
)
from tests.held_value import HeldValue
from tests.keras.training import (
    gradient_tuner,
    lower_is_noisier,
    noisy_trial_data,
    plateau_tuner,
)

_SEVEN: Any = 7
_NONE: Any = None


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (
            lambda p: FidelitySchedule(_SEVEN, schedule={0: 1}),
            TypeError,
            "fidelity; expected a pcr_tf.Fidelity",
        ),
        (
            lambda p: FidelitySchedule(HeldValue(1), schedule={2: 1}),
            ValueError,
            "a value for epoch 0",
        ),
        (
            lambda p: MsSsimFidelity(HeldValue(1), p, threshold=1.5),
            ValueError,
            "threshold; expected a num",
        ),
        (
            lambda p: MsSsimFidelity(HeldValue(1), p, threshold=0.5, candidates=[11]),
            ValueError,
            "candidates; expected 1 to 10, got 11",
        ),
        (
            lambda p: MsSsimFidelity(HeldValue(1), p, threshold=0.5, mixture_probability=0),
            ValueError,
            "mixture_probability; expected a number above 0",
        ),
        (lambda p: MsSsimFidelity(HeldValue(1), p / "no", threshold=0.5), FileNotFoundError, "no"),
        (lambda p: gradient_tuner(p, threshold=2), ValueError, "threshold; expected -1 to 1"),
        (
            lambda p: gradient_tuner(p, every_epochs=0),
            ValueError,
            "every_epochs; expected at least 1",
        ),
        (
            lambda p: gradient_tuner(p, first_probe_epoch=-1),
            ValueError,
            "first_probe_epoch; expected at least 0",
        ),
        (
            lambda p: gradient_tuner(p, num_batches=0),
            ValueError,
            "num_batches; expected at least 1",
        ),
        (lambda p: gradient_tuner(p, candidates=[0]), ValueError, "candidates; expected 1 to 10,"),
        (lambda p: gradient_tuner(p, candidates=5), TypeError, "candidates; expected scan groups"),
        (
            lambda p: gradient_tuner(p, candidates=()),
            ValueError,
            "candidates; expected at least one",
        ),
        (
            lambda p: gradient_tuner(p, mixture_probability=0.2),
            ValueError,
            "mixture_probability; .* 1/4, that of an even mixture",
        ),
        (
            lambda p: BandwidthFidelity(
                HeldValue(1), p, candidates=(1, 2), mixture_probability=0.49
            ),
            ValueError,
            "mixture_probability; expected at least 1/2, that of an even .* got 0.49",
        ),
        (
            lambda p: FidelitySchedule(HeldValue(1), schedule={0: 1, 9: 11}, paths=p),
            ValueError,
            "value from epoch 9 on; expected 1 to 10, got 11",
        ),
        (
            lambda p: plateau_tuner(HeldValue(1), candidates=(1, 11), paths=p),
            ValueError,
            "candidates; expected 1 to 10, got 11",
        ),
        (lambda p: BandwidthFidelity(HeldValue(1), _NONE), TypeError, "paths; expected the path"),
        (
            lambda p: MsSsimFidelity(HeldValue(1), _NONE, threshold=0.5),
            TypeError,
            "paths; expected the path",
        ),
        (
            lambda p: GradientSimilarityFidelity(
                HeldValue(1), _NONE, probe_data=lower_is_noisier, candidates=(1, 2, 5)
            ),
            TypeError,
            "paths; expected the path",
        ),
        (
            lambda p: plateau_tuner(HeldValue(1), state_path=5),
            TypeError,
            "state_path; expected the path of a file, got 5",
        ),
        (
            lambda p: plateau_tuner(HeldValue(1), state_path=""),
            ValueError,
            "state_path; expected the path of a file, got ''",
        ),
        (
            lambda p: GradientSimilarityFidelity(HeldValue(1), p, probe_data=None),  # type: ignore[arg-type]
            TypeError,
            "probe_data; expected a function",
        ),
        (
            lambda p: plateau_tuner(HeldValue(1), candidates=[]),
            ValueError,
            "candidates; expected at",
        ),
        (
            lambda p: plateau_tuner(HeldValue(1), mode="up"),
            ValueError,
            "mode; expected 'auto', 'min'",
        ),
        (
            lambda p: plateau_tuner(HeldValue(1), patience=0),
            ValueError,
            "patience; expected at least 1",
        ),
        (
            lambda p: plateau_tuner(HeldValue(1), tolerance=-1),
            ValueError,
            "tolerance; expected at lea",
        ),
        (
            lambda p: plateau_tuner(HeldValue(1), trial_batches=0),
            ValueError,
            "trial_batches; expected",
        ),
        (
            lambda p: PlateauFidelity(
                HeldValue(1), trial_data=noisy_trial_data, validation_data=None, candidates=[1]
            ),
            TypeError,
            "validation_data; expected what evaluate takes",
        ),
        (
            lambda p: BandwidthFidelity(HeldValue(1), p, every_batches=0),
            ValueError,
            "every_batches; expected at least 1",
        ),
        (
            lambda p: BandwidthFidelity(HeldValue(1), p, headroom=-1),
            ValueError,
            "headroom; expected at least 0",
        ),
        (lambda p: BandwidthFidelity(HeldValue(1), p, speed=1), TypeError, "BandwidthF.*speed"),
    ],
)
def test_arguments_are_checked_when_a_callback_is_made(
    photos: Path, make: Callable[[Path], Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        make(photos)
