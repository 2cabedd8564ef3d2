"""Whether more or less of a monitored quantity is better."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

_LESS_IS_BETTER = re.compile(r"loss$|error", re.IGNORECASE)
_MORE_IS_BETTER = re.compile(r"(^|[_/.-])(acc|accuracy|auc)([_/.-]|$)", re.IGNORECASE)


def mode_of(monitor: str, model: Any) -> str:
    """What `mode="auto"` stands for: what the model's metric says of itself, else the name.

    Args:
      monitor: a key of the logs, such as "val_accuracy".
      model: in training: Keras makes compiled metrics with the first batch. None: there is none.

    Returns:
      "min" where less is better: names that end in "loss" or hold "error"; "max" where more is:
      names with "acc", "accuracy" or "auc" among the parts that ``_ / . -`` separate.

    Raises:
      ValueError: neither says it.
    """
    # Logs name a metric of one of several outputs after both.
    outputs = [f"{name}_" for name in getattr(model, "output_names", None) or []]
    name = monitor.removeprefix("val_")
    names = {name, *(name.removeprefix(output) for output in outputs)}
    directions = {
        getattr(metric, "_direction", None)
        for metric in _all_metrics(getattr(model, "metrics", None) or [])
        if getattr(metric, "name", None) in names
    }
    if directions == {"up"}:
        return "max"
    if directions == {"down"} or _LESS_IS_BETTER.search(monitor):
        return "min"
    if _MORE_IS_BETTER.search(monitor):
        return "max"
    raise ValueError(
        f"mode; expected 'min' or 'max' with monitor={monitor!r}, of which neither the model's "
        "metrics nor the name say whether less or more is better, got 'auto'"
    )


def _all_metrics(metrics: Iterable[Any]) -> Iterator[Any]:
    """The metrics, and those within: Keras holds what `compile` was given in a metric."""
    for metric in metrics:
        yield metric
        yield from _all_metrics(getattr(metric, "metrics", None) or [])
