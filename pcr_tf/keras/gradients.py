"""Gradients of a model at its present weights, which stay as they are."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LossFunction = Callable[[Any, Any, Any, Any], Any]


class GradientMeter:
    """Sums the gradient of a Keras model's loss over batches, on the TensorFlow backend.

    The model runs as in training: batch statistics in BatchNormalization, Dropout at work. All of
    it happens in a `keras.StatelessScope`: what layers, seed generators and metrics would write is
    dropped, so every batch finds the model as it is, with the same seeds, and leaves it so, bit for
    bit. (Variables that are not Keras's, such as a `tf.Variable` that a layer of its own assigns
    to, are out of the scope's reach.)

    Where the optimizer scales the loss, as in mixed float16, so do these gradients: direction is
    what counts.
    """

    def __init__(self, model: Any, loss: LossFunction | None = None) -> None:
        """Takes a built, compiled model.

        Args:
          model: a `keras.Model`.
          loss: (x, y, y_pred, sample_weight) -> scalar. None: the model's own `compute_loss`, with
            its compiled losses, `add_loss` and regularizers.
        """
        self._model = model
        self._loss = loss or _own_loss(model)
        self._gradient = tf.function(
            self._gradient_of_batch,
            reduce_retracing=True,
            autograph=False,  # as in fit()
        )

    def sum_over(self, batches: Iterable[Any], num_batches: int) -> tuple[list[Any], list[Any]]:
        """The gradient summed over the first batches, and what identifies their examples.

        Args:
          batches: (x, y) or (x, y, sample_weight), as for `fit`.
          num_batches: how many to take; all where there are fewer.

        Returns:
          A float32 tensor for each trainable variable, and the labels of the batches as arrays.

        Raises:
          ValueError: there is no batch, no loss, or nothing to train.
        """
        if not self._model.trainable_variables and self._model.built:
            raise ValueError("model; expected at least one trainable variable, got none")
        total: list[Any] | None = None
        labels: list[Any] = []
        for batch in itertools.islice(batches, num_batches):
            gradient = self._gradient(batch)
            total = gradient if total is None else list(map(tf.add, total, gradient))
            # Copies: a probe may fill the same arrays anew.
            labels += map(np.array, tf.nest.flatten(keras.utils.unpack_x_y_sample_weight(batch)[1]))
        if total is None:
            raise ValueError("probe_data; expected at least one batch, got none")
        return total, labels

    def _gradient_of_batch(self, batch: Any) -> list[Any]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        variables = self._model.trainable_variables
        values = [tf.convert_to_tensor(variable.value) for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
                y_pred = self._model(x, training=True)
                loss = self._loss(x, y, y_pred, sample_weight)
                # Optimizers of the first Keras 3 have it only where they scale.
                if hasattr(self._model.optimizer, "scale_loss"):
                    loss = self._model.optimizer.scale_loss(loss)
        gradients = tape.gradient(loss, values, unconnected_gradients="zero")
        return [tf.cast(tf.convert_to_tensor(gradient), tf.float32) for gradient in gradients]


def cosine_similarity(a: Sequence[Any], b: Sequence[Any]) -> float:
    """Of two lists of tensors taken as one vector each: -1 to 1; nan where one is zero or not
    finite."""

    def dot(left: Sequence[Any], right: Sequence[Any]) -> float:
        products = [
            tf.reduce_sum(tf.cast(u, tf.float64) * tf.cast(v, tf.float64))
            for u, v in zip(left, right, strict=True)
        ]
        return float(tf.add_n(products))

    lengths = dot(a, a) ** 0.5 * dot(b, b) ** 0.5
    return dot(a, b) / lengths if lengths > 0 else float("nan")


def _own_loss(model: Any) -> LossFunction:
    # Overrides from before Keras 3.3 do not take `training`.
    parameters = inspect.signature(model.compute_loss).parameters
    takes_any = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    options = {"training": True} if "training" in parameters or takes_any else {}

    def loss(x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        try:
            return model.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **options
            )
        except ValueError as error:
            if y is None:
                raise ValueError(
                    "probe_data; expected batches with labels, (x, y), which the model's loss "
                    "takes, got batches without"
                ) from error
            if "No loss to compute" not in str(error):
                raise
            raise ValueError(
                "model; expected one that is compiled with a loss, got none; for a train_step that "
                "computes its own, give the callback's argument loss"
            ) from error

    return loss
