"""The lowest fidelity that is good enough by some score."""

from __future__ import annotations

from collections.abc import Mapping


def lowest_passing(scores: Mapping[int, float], threshold: float, otherwise: int) -> int:
    """The lowest fidelity whose score is above a threshold, or equal to it.

    Each fidelity is judged by itself: one that passes is taken even where a higher one does not.
    A score that is not a number does not pass.

    Args:
      scores: of each candidate.
      threshold: the least score that passes.
      otherwise: the fidelity where none does.

    Example:
      >>> lowest_passing({1: 0.71, 2: 0.86, 5: 0.97}, 0.8, otherwise=10)
      2
      >>> lowest_passing({1: 0.71, 2: float("nan")}, 0.8, otherwise=10)
      10
    """
    return min((g for g, score in scores.items() if score >= threshold), default=otherwise)
