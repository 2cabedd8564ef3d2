"""Whether a data set obeys a handle, which must not change what it reads."""

from __future__ import annotations

from typing import Any

from pcr_tf.tuning import FidelityHandle


def obeys(data: Any, fidelity: FidelityHandle) -> bool:
    """Whether a data set is made of a `PcrDataset` that was given the handle. What a function of
    `flat_map` or `interleave` makes is not seen.

    Args:
      data: a `tf.data.Dataset`, or anything else, which obeys none.
      fidelity: the handle; those of one file are one.
    """
    waiting, name = [data], handle_name(fidelity)
    while waiting:
        dataset = waiting.pop()
        handle = getattr(dataset, "fidelity", None)
        if handle is not None and handle_name(handle) == name:
            return True
        inputs = getattr(dataset, "_inputs", None)
        waiting += inputs() if callable(inputs) else []
    return False


def handle_name(fidelity: FidelityHandle) -> str:
    """A name that two handles share if they are one."""
    op_inputs = getattr(fidelity, "op_inputs", None)
    return str(op_inputs()["fidelity"] if callable(op_inputs) else id(fidelity))
