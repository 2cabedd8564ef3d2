"""Whether data of which the fidelity must stay what it is obey a handle."""

from __future__ import annotations

from typing import Any

from pcr_tf.tuning import FidelityHandle


def obeys(data: Any, fidelity: FidelityHandle) -> bool:
    """Whether a data set is made of a `PcrDataset` that was given the handle, as far as it can be
    told: what a function of `flat_map` or `interleave` makes is not seen.

    Args:
      data: a `tf.data.Dataset`, or anything else, which obeys none.
      fidelity: the handle; those of one file are one.
    """
    waiting, name = [data], handle_name(fidelity)
    while waiting:
        one = waiting.pop()
        handle = getattr(one, "fidelity", None)
        if handle is not None and handle_name(handle) == name:
            return True
        inputs = getattr(one, "_inputs", None)
        waiting += inputs() if callable(inputs) else []
    return False


def handle_name(fidelity: FidelityHandle) -> str:
    """What two handles have in common that are one."""
    op_inputs = getattr(fidelity, "op_inputs", None)
    return str(op_inputs()["fidelity"] if callable(op_inputs) else id(fidelity))
