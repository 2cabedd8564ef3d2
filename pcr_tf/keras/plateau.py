"""On a plateau of the loss, short trials at several fidelities, and back."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras

from pcr_tf._arguments import as_number, in_range, one_of
from pcr_tf.keras.fidelity_callback import FidelityCallback, PathLike
from pcr_tf.keras.metric_direction import mode_of
from pcr_tf.keras.obedience import obeys
from pcr_tf.tuning import FidelityHandle, PlateauDetector, best_trial


class PlateauFidelity(FidelityCallback):
    """Tries fidelities when the loss has stopped falling, and keeps the best.

    On a plateau of `monitor`, at the end of an epoch: the model and its optimizer are copied; for
    each candidate the model trains on `trial_batches` batches of that fidelity, is evaluated on
    `validation_data`, and is set back, bit for bit. The candidate with the least loss is chosen, a
    lower one where it is within `tolerance`. The trials' training is thrown away: training goes on
    from the copy, at the chosen fidelity.

    Beside what `FidelityCallback` says, it logs ``pcr_trial_loss_<g>`` for each candidate, of the
    last trials, nan before the first; and ``pcr_trial_s``, the seconds of the epoch's trials.

    Example:
        def batches(scan_groups):
            return pcr_tf.data.image_batches(
                "photos.pcr", 224, 128, scan_groups=scan_groups, label="image/class/label", seed=1)

        plateau = PlateauFidelity(
            fidelity, "photos.pcr", trial_data=batches, validation_data=validation)
        model.fit(train, validation_data=validation, callbacks=[plateau])

    Source: Kuchnik, Amvrosiadis, Smith, "Progressive Compressed Records", PVLDB 14(11), 2021.
    """

    def __init__(
        self,
        fidelity: FidelityHandle,
        paths: PathLike | Sequence[PathLike] | None = None,
        *,
        trial_data: Callable[[int], Any],
        validation_data: Any,
        candidates: Iterable[int] | None = None,
        monitor: str = "loss",
        mode: str = "auto",
        patience: int = 3,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        trial_batches: int = 50,
        tolerance: float = 0.0,
        mixture_probability: float = 1.0,
        state_path: PathLike | None = None,
    ) -> None:
        """Checks the arguments.

        Args:
          fidelity: the handle that the training data set was given.
          paths: the data set, for its candidates and for what is logged of its images. None:
            unknown, and `candidates` must be given.
          trial_data: from scan groups to a `tf.data.Dataset` of training batches, for a trial.
          validation_data: what `evaluate` takes, finite, the same for all trials: at full fidelity,
            since that is what the model is for. A trial's score is its loss.
          candidates: fidelities to try. None: all that the data set has.
          monitor: the key of the logs to watch: "loss", "val_loss", ... Epochs that do
            not log it are skipped, with a warning at the first.
          mode: as of `keras.callbacks.ReduceLROnPlateau`; so are `patience`, `min_delta` and
            `cooldown`, in epochs. "min": less of `monitor` is better; "max": more is; "auto": what
            the model's metric of that name says, as Keras's own do; else less is of a name that
            ends in "loss" or holds "error", and more is of one with "acc", "accuracy" or "auc"
            among its parts ("val_accuracy", "auc_1"). Others need "min" or "max".
          patience: see `mode`; at least 1.
          min_delta: see `mode`; at least 0.
          cooldown: see `mode`; at least 0.
          trial_batches: batches of each trial, at least 1.
          tolerance: share of the best score by which a lower fidelity may be worse, at least 0.
          mixture_probability: see `FidelityCallback`.
          state_path: see `FidelityCallback`.

        Raises:
          TypeError, ValueError: for arguments out of range, and validation data that obey the
            handle. While training, TypeError where `trial_data` gives no data set, ValueError where
            that obeys the handle, where `evaluate` gives no "loss", and, at the first epoch that
            logs `monitor`, where "auto" cannot tell whether less of it is better.
        """
        super().__init__(
            fidelity,
            paths,
            candidates=candidates,
            mixture_probability=mixture_probability,
            state_path=state_path,
        )
        if not self.candidates:
            raise TypeError("candidates; expected scan groups where paths is None, got None")
        if not callable(trial_data):
            raise TypeError(f"trial_data; expected a function of scan groups, got {trial_data!r}")
        if validation_data is None:
            raise TypeError("validation_data; expected what evaluate takes, got None")
        if obeys(validation_data, fidelity):
            raise ValueError(
                "validation_data; expected a fidelity of its own, got data that obey "
                f"{fidelity!r}, by which trials would be judged; give it scan_groups=None"
            )
        self._trial_data = trial_data
        self._validation_data = validation_data
        self._monitor = monitor
        self._mode = one_of("mode", mode, ("auto", "min", "max"))
        # It gets values that should fall: its state is restored before "auto" is decided.
        self._detector = PlateauDetector(patience, min_delta, "min", cooldown)
        self._trial_batches = in_range("trial_batches", trial_batches, 1)
        self._tolerance = as_number("tolerance", tolerance, 0)
        self.reset()

    def reset(self) -> None:
        self._detector.reset()
        self._losses = dict.fromkeys(self.candidates, math.nan)
        self._has_warned = False

    def after_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        begin_s = time.perf_counter()
        is_known = self._monitor in logs
        if not is_known and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"epoch {epoch}: monitor; expected one of {sorted(logs)}, which the logs have, got "
                f"{self._monitor!r}; epochs that do not log it are skipped"
            )
        if is_known and self._detector.update(self._what_should_fall(logs)):
            self._losses = self.trials()
            if len(self._losses) > 1 and len(set(self._losses.values())) == 1:
                warnings.warn(
                    f"epoch {epoch}: the trials end with one loss at every fidelity; expected "
                    "trial_data to give its argument to the data set as scan_groups"
                )
            best = best_trial(self._losses, self._tolerance)
            if best is not None:
                self.choose(best)
            logs["pcr_trial_s"] = time.perf_counter() - begin_s
        else:
            logs["pcr_trial_s"] = 0.0
        for groups, loss in self._losses.items():
            logs[f"pcr_trial_loss_{groups}"] = loss

    def _what_should_fall(self, logs: Mapping[str, Any]) -> float:
        mode = mode_of(self._monitor, self.model) if self._mode == "auto" else self._mode
        value = float(logs[self._monitor])
        return value if mode == "min" else -value

    def trials(self) -> dict[int, float]:
        """Runs a trial at each candidate: the loss on the validation data after it.

        For use at the end of an epoch in `fit`, or after `set_model`. The model is as before.
        """
        model = self.model
        data = {groups: self._trial_data(groups) for groups in self.candidates}
        for groups, batches in data.items():
            if not hasattr(batches, "take"):
                raise TypeError(
                    f"trial_data; expected a tf.data.Dataset at {groups} scan groups, got "
                    f"{batches!r}"
                )
            if obeys(batches, self.fidelity):
                raise ValueError(
                    f"trial_data; expected data at {groups} scan groups, got data that obey "
                    f"{self.fidelity!r}, so that all trials would have one fidelity; give its "
                    "argument to the data set as scan_groups"
                )
        checkpoint = _Checkpoint(model)
        losses = {}
        try:
            for groups, batches in data.items():
                first = getattr(model, "_initial_epoch", None) or 0
                # An epoch beyond those that BackupAndRestore would have fit() leave out.
                model.fit(
                    batches.take(self._trial_batches),
                    initial_epoch=first, epochs=first + 1, shuffle=False, verbose=0,
                )  # fmt: skip
                scores = model.evaluate(self._validation_data, verbose=0, return_dict=True)
                if "loss" not in scores:
                    raise ValueError(
                        f"model; expected evaluate to give a loss, got {sorted(scores)}; "
                        "let the model's test_step return its own as 'loss'"
                    )
                losses[groups] = float(scores["loss"])
                checkpoint.restore()
        finally:
            checkpoint.restore()
        return losses

    def learned_state(self) -> dict[str, Any]:
        finite = {g: loss for g, loss in self._losses.items() if math.isfinite(loss)}
        return {"detector": self._detector.state(), "losses": sorted(finite.items())}

    def restore_learned_state(self, state: Mapping[str, Any]) -> None:
        self._detector.restore(state["detector"])
        for groups, loss in state["losses"]:
            if groups in self._losses:
                self._losses[groups] = loss


class _Checkpoint:
    """All that a nested `fit` changes of a model: its variables, in memory, and its attributes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
        self._variables = list({id(variable): variable for variable in variables}.values())
        # By way of a tensor: the variable of a tf.distribute strategy is no array.
        tensors = map(keras.ops.convert_to_tensor, self._variables)
        self._values = [keras.ops.convert_to_numpy(tensor).copy() for tensor in tensors]
        self._history, self._stop_training = model.history, model.stop_training

    def restore(self) -> None:
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)
        self._model.history, self._model.stop_training = self._history, self._stop_training
