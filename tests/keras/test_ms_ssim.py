"""The lowest fidelity that looks enough like the whole image."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pcr_tf.format import PcrWriter, write_side_index
from pcr_tf.format.example import encode_example
from pcr_tf.keras import (
    MsSsimFidelity,
)
from tests.held_value import HeldValue
from tests.keras.training import (
    photo_batches,
    small_model,
)


@pytest.fixture(scope="module")
def large_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that are large enough for MS-SSIM, and one that is not."""
    folder = tmp_path_factory.mktemp("large") / "photos.pcr"
    folder.mkdir()
    with PcrWriter(folder / "shard-00000-of-00001.pcr", examples_per_record=2) as writer:
        for ordinal, side in enumerate((180, 200, 40)):
            random = np.random.default_rng(ordinal)
            y, x = np.mgrid[0:side, 0:side]
            waves = 128 + 60 * np.sin(x / 7 + ordinal) * np.cos(y / 5)
            pixels = waves[..., None] + random.normal(0, 20, (side, side, 3))
            out = io.BytesIO()
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
            example: dict[str, Any] = {
                "image/encoded": [out.getvalue()],
                "image/class/label": [ordinal],
            }
            writer.write(encode_example(example))
    write_side_index(folder)
    return folder


def _with_profile(photos: Path, folder: Path, profile: Any) -> Path:
    folder.mkdir()
    for path in photos.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "manifest.json").write_text(json.dumps({"manifest_version": 1, "profile": profile}))
    return folder


def test_the_lowest_fidelity_that_passes_the_manifests_profile_is_chosen(
    photos: Path, tmp_path: Path
) -> None:
    values = [0.8, 0.9, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0]
    folder = _with_profile(photos, tmp_path / "profiled.pcr", {"ms_ssim": values})
    fidelity = HeldValue(10)
    tuner = MsSsimFidelity(fidelity, folder, threshold=0.95)
    history = (
        small_model().fit(photo_batches(folder, 4), epochs=2, verbose=0, callbacks=[tuner]).history
    )
    assert history["pcr_fidelity"] == [4, 4]
    assert fidelity.history == [4]
    assert tuner.ms_ssim == values


def test_without_a_profile_ms_ssim_is_measured_on_a_sample(large_photos: Path) -> None:
    tuner = MsSsimFidelity(HeldValue(10), large_photos, threshold=0.9)
    # Scans of chroma leave luma as it is but for rounding, so not every step goes up.
    steps = np.diff(tuner.ms_ssim)
    assert np.all(steps > -1e-3)
    assert tuner.ms_ssim[0] < 0.95
    assert tuner.ms_ssim[-1] == 1.0


def test_where_no_candidate_passes_the_highest_is_chosen(large_photos: Path) -> None:
    fidelity = HeldValue(10)
    tuner = MsSsimFidelity(
        fidelity, large_photos, threshold=1.0, candidates=(1, 2), mixture_probability=0.75
    )
    tuner.on_train_begin()
    tuner.on_epoch_begin(0)
    assert fidelity.value == {1: 0.25, 2: 0.75}


def test_images_too_small_for_ms_ssim_are_named(photos: Path) -> None:
    with pytest.raises(ValueError, match="MS-SSIM; expected an image with sides of at least 176"):
        MsSsimFidelity(HeldValue(10), photos, threshold=0.9)


@pytest.mark.parametrize("profile", [{"ms_ssim": [0.5, 1.0]}, {"ms_ssim": "x"}, {}, 7])
def test_a_profile_of_another_shape_is_named(photos: Path, tmp_path: Path, profile: Any) -> None:
    folder = _with_profile(photos, tmp_path / "profiled.pcr", profile)
    with pytest.raises(ValueError, match=r"profiled\.pcr.*profile"):
        MsSsimFidelity(HeldValue(10), folder, threshold=0.9)
