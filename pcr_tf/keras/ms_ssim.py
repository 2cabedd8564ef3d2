"""The lowest fidelity that looks enough like the whole image."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

from pcr_tf._arguments import as_fraction, in_range
from pcr_tf.convert.job.profile import fidelity_profile
from pcr_tf.format import PcrReader, filesystem
from pcr_tf.keras.fidelity_callback import FidelityCallback, PathLike
from pcr_tf.tuning import FidelityHandle, lowest_passing

_MANIFEST_NAME = "manifest.json"


def manifest_ms_ssim(paths: PathLike | Sequence[PathLike]) -> list[float] | None:
    """Mean MS-SSIM at fidelity 1, 2, ..., as the conversion measured it.

    Returns:
      None where there is no folder with a manifest, or that has no profile.

    Raises:
      ValueError: the manifest is no JSON, or its profile no list of numbers.
    """
    if not isinstance(paths, (str, os.PathLike)):
        return None
    path = filesystem.join(os.fspath(paths), _MANIFEST_NAME)
    if not filesystem.is_dir(os.fspath(paths)) or not filesystem.exists(path):
        return None
    try:
        profile = json.loads(filesystem.read_bytes(path)).get("profile")
        return None if profile is None else [float(value) for value in profile["ms_ssim"]]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: profile; expected MS-SSIM by fidelity: {error!r}") from error


def sample_ms_ssim(paths: PathLike | Sequence[PathLike], images: int) -> list[float]:
    """Mean MS-SSIM at fidelity 1, 2, ... of a sample, as a conversion measures it.

    Args:
      paths: the data set.
      images: how many to measure; those that are too small, or do not decode, are passed over.

    Raises:
      ValueError: none of them can be measured.
    """
    profile = fidelity_profile(PcrReader(paths), num_images=images, seed=0)
    if profile is None:
        raise ValueError(
            f"{paths}: MS-SSIM; expected an image with sides of at least 176 pixels among a sample "
            f"of {images}, got none"
        )
    return [float(value) for value in profile["ms_ssim"]]


class MsSsimFidelity(FidelityCallback):
    """Chooses, once, the lowest fidelity whose images look enough like the whole ones.

    The measure is the mean multi-scale structural similarity to the full image (MS-SSIM, 0 to 1),
    from the profile in the data set's manifest, or else of a sample, which costs seconds. It knows
    the images and nothing of the task. What it logs is in `FidelityCallback`. It needs no state to
    resume, since it finds the same again.

    Example:
        model.fit(train, callbacks=[MsSsimFidelity(fidelity, "photos.pcr", threshold=0.95)])

    Attributes:
      ms_ssim: mean MS-SSIM at fidelity 1, 2, ...

    Source: Kuchnik, Amvrosiadis, Smith, "Progressive Compressed Records", PVLDB 14(11), 2021;
    Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", 2003.
    """

    def __init__(
        self,
        fidelity: FidelityHandle,
        paths: PathLike | Sequence[PathLike],
        *,
        threshold: float,
        candidates: Iterable[int] | None = None,
        mixture_probability: float = 1.0,
        sample_images: int = 64,
    ) -> None:
        """Finds the profile.

        Args:
          fidelity: the handle that the training data set was given.
          paths: the data set: a folder, for its manifest, or files.
          threshold: the least mean MS-SSIM, above 0, at most 1.
          candidates: fidelities to choose from; where none passes, the highest. None: all.
          mixture_probability: see `FidelityCallback`.
          sample_images: images to measure where there is no profile, at least 1.

        Raises:
          TypeError, ValueError: for arguments out of range, a profile of another data set, and a
            data set of images that are too small for MS-SSIM.
        """
        super().__init__(
            fidelity, paths, candidates=candidates, mixture_probability=mixture_probability
        )
        self.known_facts()
        threshold = as_fraction("threshold", threshold, zero=False)
        sample_images = in_range("sample_images", sample_images, 1)
        profile = manifest_ms_ssim(paths)
        self.ms_ssim = sample_ms_ssim(paths, sample_images) if profile is None else profile
        num_scan_groups = self.known_facts().num_scan_groups
        if len(self.ms_ssim) != num_scan_groups:
            raise ValueError(
                f"{paths}: profile of the manifest; expected {num_scan_groups} numbers, "
                f"got {len(self.ms_ssim)}"
            )
        scores = {groups: self.ms_ssim[groups - 1] for groups in self.candidates}
        self._lowest = lowest_passing(scores, threshold, otherwise=self.candidates[-1])

    def before_epoch(self, epoch: int) -> None:
        if self._chosen is None:
            self.choose(self._lowest)
