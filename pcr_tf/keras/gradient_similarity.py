"""The lowest fidelity whose gradient points where that of full fidelity does."""

from __future__ import annotations

import itertools
import math
import operator
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pcr_tf._arguments import as_number, in_range
from pcr_tf.keras.fidelity_callback import FidelityCallback, PathLike
from pcr_tf.keras.gradients import GradientMeter, LossFunction, cosine_similarity
from pcr_tf.keras.obedience import obeys
from pcr_tf.tuning import FidelityHandle, lowest_passing

# How near to 1 the similarity of the same images is: sums differ in order.
_SAME = 1e-9


def _own(leaf: Any) -> Any:
    """What a probe that fills the same arrays anew does not change. Tensors do not change."""
    return np.array(leaf) if isinstance(leaf, np.ndarray) else leaf


class GradientSimilarityFidelity(FidelityCallback):
    """Chooses, every so many epochs, by the similarity of gradients.

    It probes before the first batch of epoch `first_probe_epoch` (5 by default, which is the sixth)
    and then every `every_epochs` epochs (15). The gradient summed over `num_batches` batches at
    full fidelity is the reference. The same batches at each candidate fidelity give the cosine
    similarity to it. The lowest candidate whose similarity reaches `threshold` is chosen; if none
    does, full fidelity is. A `fit` that ends before the first probe leaves the fidelity as it was,
    and warns.

    The model is not touched: weights, optimizer, BatchNormalization's statistics and seeds stay bit
    for bit.

    Beside what `FidelityCallback` says, it logs ``pcr_similarity_<g>`` for each candidate, of the
    last probe, nan before the first; and ``pcr_probe_s``, the seconds of the epoch's probe.

    Example:
        def probe_data(scan_groups):
            return pcr_tf.data.image_batches(
                "photos.pcr", 224, 128, scan_groups=scan_groups, label="image/class/label",
                training=False, reads_in_flight=1)

        tuner = GradientSimilarityFidelity(fidelity, "photos.pcr", probe_data=probe_data)
        model.fit(train, callbacks=[tuner])

    Source: Kuchnik, Amvrosiadis, Smith, "Progressive Compressed Records", PVLDB 14(11), 2021.
    """

    def __init__(
        self,
        fidelity: FidelityHandle,
        paths: PathLike | Sequence[PathLike],
        *,
        probe_data: Callable[[int], Iterable[Any]],
        candidates: Iterable[int] | None = None,
        threshold: float = 0.8,
        first_probe_epoch: int = 5,
        every_epochs: int = 15,
        num_batches: int = 10,
        keep_batches: bool = False,
        loss: LossFunction | None = None,
        mixture_probability: float = 1.0,
        state_path: PathLike | None = None,
    ) -> None:
        """Checks the arguments; the model is looked at when training begins.

        Args:
          fidelity: the handle that the training data set was given. Until the first probe it keeps
            its value, which should be full fidelity.
          paths: the data set.
          probe_data: from scan groups to batches as `fit` takes them: the same examples in the same
            order at each fidelity, with deterministic preprocessing and no shuffling. Called for
            full fidelity and each candidate, at each probe; once each with `keep_batches`.
          candidates: fidelities to try; full fidelity is always one. None: all that the data set
            has. A probe takes time for each: (1, 2, 5), as in the paper, is often enough.
          threshold: the least cosine similarity, -1 to 1.
          first_probe_epoch: the epoch, from 0, that begins with the first probe.
          every_epochs: epochs from one probe to the next, at least 1.
          num_batches: batches of a probe, at least 1; all of `probe_data` where it gives fewer.
          keep_batches: keeps the first probe's batches in memory, all fidelities of them, for later
            probes, which then read and decode nothing. They take `num_batches` x (number of
            candidates + 1) x the bytes of a batch.
          loss: (x, y, y_pred, sample_weight) -> scalar, for models whose `train_step` does not use
            `compute_loss`. None: the model's `compute_loss`.
          mixture_probability: see `FidelityCallback`.
          state_path: see `FidelityCallback`.

        Raises:
          RuntimeError: Keras runs on another backend than TensorFlow.
          TypeError, ValueError: for arguments out of range. While training, ValueError where
            `probe_data` gives no batch, other examples at another fidelity, or data that obey the
            handle, and where the model has no loss or nothing to train.
        """
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "GradientSimilarityFidelity computes gradients with TensorFlow; expected Keras's "
                f"backend to be tensorflow, got {keras.backend.backend()}; FidelitySchedule, "
                "MsSsimFidelity, PlateauFidelity and BandwidthFidelity work on every backend"
            )
        super().__init__(
            fidelity,
            paths,
            candidates=candidates,
            mixture_probability=mixture_probability,
            state_path=state_path,
        )
        if not callable(probe_data):
            raise TypeError(f"probe_data; expected a function of scan groups, got {probe_data!r}")
        self._probe_data = probe_data
        self._threshold = as_number("threshold", threshold, -1)
        if self._threshold > 1:
            raise ValueError(f"threshold; expected -1 to 1, got {threshold!r}")
        self._first_probe_epoch = in_range("first_probe_epoch", first_probe_epoch, 0)
        self._every_epochs = in_range("every_epochs", every_epochs, 1)
        self._num_batches = in_range("num_batches", num_batches, 1)
        self._kept: dict[int, list[Any]] | None = {} if keep_batches else None
        self._loss = loss
        self._meter: GradientMeter | None = None
        self._metered: tuple[Any, ...] = ()
        # Or has the results of one that a state file kept. Of all its fits: there may be one for
        # each epoch.
        self._has_probed = False
        self.reset()

    def set_candidates(self, candidates: list[int]) -> None:
        self._full = self.known_facts().num_scan_groups
        super().set_candidates(sorted({*candidates, self._full}))

    def reset(self) -> None:
        self._similarities = dict.fromkeys(self.candidates[:-1], math.nan)
        self._probe_s = 0.0
        self._last_epoch: int | None = None  # of this fit

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # What compile() and another number of trainable variables change is traced anew.
        self._meter = None
        super().on_train_begin(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_end(logs)
        if self._last_epoch is not None and not self._has_probed:
            warnings.warn(
                f"GradientSimilarityFidelity: training ended with epoch {self._last_epoch} and had "
                f"no probe, so the fidelity stayed {self.fidelity.value}; probes are due at epoch "
                f"{self._first_probe_epoch}, counted from 0, and every {self._every_epochs} from "
                "there: train longer, or give a lower first_probe_epoch"
            )

    def before_epoch(self, epoch: int) -> None:
        self._probe_s = 0.0
        self._last_epoch = epoch
        since = epoch - self._first_probe_epoch
        if since < 0 or since % self._every_epochs:
            return
        begin_s = time.perf_counter()
        similarities = self.measure()
        self._probe_s = time.perf_counter() - begin_s
        self._has_probed = True
        if similarities is None:
            warnings.warn(
                f"epoch {epoch}: the gradient at full fidelity is zero or not finite; the fidelity "
                f"stays {self.fidelity.value}"
            )
            return
        if similarities and all(abs(1 - s) < _SAME for s in similarities.values()):
            warnings.warn(
                f"epoch {epoch}: the gradient is the same at every fidelity; expected "
                "probe_data to give its argument to the data set as scan_groups"
            )
        self._similarities = similarities
        self.choose(lowest_passing(similarities, self._threshold, otherwise=self._full))

    def measure(self) -> dict[int, float] | None:
        """The cosine similarity of each candidate's gradient to that of full fidelity.

        For use inside of `fit`, or after `set_model`. nan for a candidate whose gradient is zero or
        not finite; None where that of full fidelity is.
        """
        # What compile() makes anew.
        metered = (self.model, self.model.optimizer, getattr(self.model, "loss", None))
        if self._meter is None or any(map(operator.is_not, metered, self._metered)):
            self._meter, self._metered = GradientMeter(self.model, self._loss), metered
        reference, labels = self._meter.sum_over(self._batches(self._full), self._num_batches)
        if math.isnan(cosine_similarity(reference, reference)):
            return None
        similarities = {}
        for groups in self.candidates[:-1]:
            gradient, same = self._meter.sum_over(self._batches(groups), self._num_batches)
            if len(same) != len(labels) or not all(map(np.array_equal, same, labels)):
                raise ValueError(
                    f"probe_data; expected the examples of full fidelity at {groups} scan groups, "
                    "got other labels; make it neither shuffle nor augment at random"
                )
            similarities[groups] = cosine_similarity(reference, gradient)
        return similarities

    def _probed(self, groups: int) -> Iterable[Any]:
        batches = self._probe_data(groups)
        if obeys(batches, self.fidelity):
            raise ValueError(
                f"probe_data; expected data at {groups} scan groups, got data that obey "
                f"{self.fidelity!r}, so that all would have one fidelity; give its argument to the "
                "data set as scan_groups"
            )
        return batches

    def _batches(self, groups: int) -> Iterable[Any]:
        if self._kept is None:
            return self._probed(groups)
        if groups not in self._kept:
            batches = itertools.islice(self._probed(groups), self._num_batches)
            self._kept[groups] = [tf.nest.map_structure(_own, batch) for batch in batches]
        return self._kept[groups]

    def after_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        for groups, similarity in self._similarities.items():
            logs[f"pcr_similarity_{groups}"] = similarity
        logs["pcr_probe_s"] = self._probe_s

    def learned_state(self) -> dict[str, Any]:
        known = {g: s for g, s in self._similarities.items() if not math.isnan(s)}
        return {"similarities": sorted(known.items())}

    def restore_learned_state(self, state: Mapping[str, Any]) -> None:
        for groups, similarity in state["similarities"]:
            if groups in self._similarities:
                self._similarities[groups] = similarity
                self._has_probed = True
