"""The best script of a measured space for a goal: a shortest path, found exactly."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pcr_tf.scan_scripts.scan_costs import DC_LEVELS, PLANE_WEIGHTS, ScanCosts
from pcr_tf.scan_scripts.space import (
    DC_REFINEMENT,
    Scan,
    State,
    first_dc,
    scans_of,
    script_text,
)

# What of the loss outside of the budget counts, so that a script is sensible there too.
_OUTSIDE_WEIGHT = 0.05


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a script is to be good at: the least of

        mean loss + size_weight * size + decode_weight * decode_ms

    where the loss at a number of bytes is 1 - MS-SSIM (6/8 luma, 1/8 each chroma plane) of what the
    groups that fit in them show, its mean is over the budget, and the size is that of the whole as
    a share of the source's bytes. What lies outside of the budget counts a twentieth.

    Attributes:
        budget: shares of the source's bytes, from and to.
        size_weight: mean loss that 100% of the source's bytes are worth.
        decode_weight: mean loss that a ms of decoding the scans of the full image is worth.
        max_groups: scan groups that the script may have, 1 to 100.
    """

    budget: tuple[float, float] = (0.05, 0.95)
    size_weight: float = 0.05
    decode_weight: float = 0.0
    max_groups: int = 10

    def __post_init__(self) -> None:
        low, high = self.budget
        if not 0 <= low < high <= 2:
            raise ValueError(f"budget; expected ascending shares from 0 to 2, got {low}, {high}")
        if min(self.size_weight, self.decode_weight) < 0:
            raise ValueError(
                "weights; expected 0 or more, got size_weight "
                f"{self.size_weight} and decode_weight {self.decode_weight}"
            )
        if not 1 <= self.max_groups <= 100:
            raise ValueError(f"max_groups; expected 1 to 100, got {self.max_groups}")

    def budget_weight(self, shares: Any) -> Any:
        """The part of the budget below some shares of the source's bytes."""
        low, high = self.budget
        inside = (np.clip(shares, low, high) - low) / (high - low)
        return inside + _OUTSIDE_WEIGHT * shares


@dataclasses.dataclass(frozen=True)
class FoundScript:
    """A script and what the measured space says of it.

    Attributes:
        groups: the scans of each scan group.
        shares: of the source's bytes, at fidelity 1, 2, ...
        losses: at these fidelities, 0-1.
        mean_loss: over the goal's budget.
        decode_ms: of all scans.
        cost: what the goal makes of it.
        goal: that it was found for.
    """

    groups: tuple[tuple[Scan, ...], ...]
    shares: tuple[float, ...]
    losses: tuple[float, ...]
    mean_loss: float
    decode_ms: float
    cost: float
    goal: Goal

    @property
    def size_share(self) -> float:
        """Bytes of all scans as a share of the source's."""
        return self.shares[-1]

    @property
    def text(self) -> str:
        """The script."""
        return script_text(self.groups)


def find_script(costs: ScanCosts, goal: Goal) -> FoundScript:
    """The script of the space that serves a goal best.

    The order of scans is a shortest path: exact but for one thing, that the budget spent in a state
    is taken to be the least with which the state can be reached. The cut into groups is the best
    for that order; scans that a group then holds side by side are joined where that is cheaper.

    Args:
        costs: of `measure_costs`.
        goal: what the script is to be good at.

    Example:
        find_script(costs, Goal(budget=(0.1, 0.35))).text
    """
    return Searcher(costs).find(goal)


def pareto_front(
    costs: ScanCosts,
    goals: Sequence[Goal],
    *,
    on_progress: Callable[[int], None] = lambda goals: None,
) -> list[FoundScript]:
    """The scripts found for goals of one budget that no other one of them beats or equals in size,
    mean loss and decoding at once.

    Args:
        on_progress: called with 1 after each goal.

    Returns:
        The smallest first.
    """
    found: dict[str, FoundScript] = {}
    searcher = Searcher(costs)
    for goal in goals:
        script = searcher.find(goal)
        found.setdefault(script.text, script)
        on_progress(1)

    def criteria(script: FoundScript) -> tuple[float, float, float]:
        return script.size_share, script.mean_loss, script.decode_ms

    def beaten(script: FoundScript) -> bool:
        return any(
            other is not script
            and all(a <= b for a, b in zip(criteria(other), criteria(script), strict=True))
            for other in found.values()
        )

    front = [script for script in found.values() if not beaten(script)]
    return sorted(front, key=criteria)


@dataclasses.dataclass
class _Axis:
    """A part of a joint state, and the scans that change this part, as arrays.

    Attributes:
        level: [state]: number of bits of bands that are not known.
        least_bytes: [state]: with which it can be reached.
        scans: [state][k]: that can follow.
        after, num_bytes, decode_ms: [k][state]: of these; after is -1 where there are no more.
    """

    level: Any
    least_bytes: Any
    scans: list[list[Scan]]
    after: Any
    num_bytes: Any
    decode_ms: Any


class _Component(_Axis):
    """The AC of a component.

    Attributes:
        states: the component's, `nothing` last; index: their positions.
        loss: [Al of the DC][state]: weighted.
    """

    def __init__(self, costs: ScanCosts, component: int) -> None:
        band = costs.space.band(component)
        self.states = band.states
        self.index = {state: i for i, state in enumerate(self.states)}
        steps = [list(band.steps(state)) for state in self.states]
        self.scans = [scans_of(component, of_state) for of_state in steps]
        shape = (max(map(len, steps)), len(self.states))
        self.after = np.full(shape, -1)
        self.num_bytes, self.decode_ms = np.zeros(shape), np.zeros(shape)
        self.least_bytes = np.full(len(self.states), np.inf)
        self.least_bytes[-1] = 0
        for i in range(len(self.states))[::-1]:
            for k, (step, scan) in enumerate(zip(steps[i], self.scans[i], strict=True)):
                after = self.index[step.after]
                self.after[k, i] = after
                self.num_bytes[k, i] = costs.scan_bytes[scan]
                self.decode_ms[k, i] = costs.scan_decode_ms[scan]
                by_here = self.least_bytes[i] + costs.scan_bytes[scan]
                self.least_bytes[after] = min(self.least_bytes[after], by_here)
        self.level = np.array([sum(state) for state in self.states])
        losses = [[costs.losses[component][dc][state] for state in self.states] for dc in (0, 1)]
        self.loss = PLANE_WEIGHTS[component] * np.array(losses)

    def cheapest(self, before: State, after: State, byte_cost: float, ms_cost: float) -> list[Scan]:
        """The scans that lead from one state to another at the least cost."""
        best: dict[int, tuple[float, list[Scan]]] = {self.index[before]: (0.0, [])}
        for i in range(self.index[before], self.index[after], -1):
            if i not in best:
                continue
            cost, scans = best[i]
            for k, scan in enumerate(self.scans[i]):
                next_state = self.after[k, i]
                if any(a < b for a, b in zip(self.states[next_state], after, strict=True)):
                    continue
                total = cost + byte_cost * self.num_bytes[k, i] + ms_cost * self.decode_ms[k, i]
                if total < best.get(next_state, (np.inf, []))[0]:
                    best[next_state] = (total, [*scans, scan])
        return best[self.index[after]][1]


def _dc_axis(costs: ScanCosts) -> _Axis:
    """Whether the lowest bit of the DC is known: states 0 and 1 are its Al."""
    first = [costs.scan_bytes[first_dc(dc)] for dc in (0, 1)]
    refinement_bytes = costs.scan_bytes[DC_REFINEMENT]
    return _Axis(
        level=np.array([0, 1]),
        least_bytes=np.array([min(first[0], first[1] + refinement_bytes), first[1]]),
        scans=[[], [DC_REFINEMENT]],
        after=np.array([[-1, 0]]),
        num_bytes=np.array([[0.0, refinement_bytes]]),
        decode_ms=np.array([[0.0, costs.scan_decode_ms[DC_REFINEMENT]]]),
    )


class Searcher:
    """Searches one measured space, for several goals."""

    def __init__(self, costs: ScanCosts) -> None:
        self._costs = costs
        self._components = [_Component(costs, component) for component in range(3)]
        self._axes: list[_Axis] = [_dc_axis(costs), *self._components]
        levels = functools.reduce(np.add.outer, [axis.level for axis in self._axes])
        self._shape = levels.shape
        self._strides = [int(np.prod(self._shape[axis + 1 :])) for axis in range(4)]
        # Joint states in layers of a level: a scan leads to a lower one. State 0 is the end.
        order = np.argsort(levels.ravel(), kind="stable")
        self._layers = np.split(order, np.flatnonzero(np.diff(levels.ravel()[order])) + 1)

    def find(self, goal: Goal) -> FoundScript:
        """As `find_script`."""
        return self.grouped(self.shortest_path(goal), goal)

    def shortest_path(self, goal: Goal) -> list[Scan]:
        """The scans of the best script with every scan in a group of its own."""
        size = int(np.prod(self._shape))
        value = np.full(size, np.inf)
        value[0] = 0.0
        choice = np.zeros((2, size), np.int8)  # axis, k
        for layer in self._layers[1:]:
            self._relax(layer, goal, value, choice)

        def cost_from(dc: int) -> float:
            shares = self._costs.scan_bytes[first_dc(dc)] / self._costs.source_bytes
            ms = self._costs.scan_decode_ms[first_dc(dc)]
            begun = goal.budget_weight(shares) + goal.size_weight * shares
            return float(begun + goal.decode_weight * ms + value[self._start(dc)])

        dc = min(DC_LEVELS, key=cost_from)
        scans, state = [first_dc(dc)], self._start(dc)
        while state:
            axis, k = choice[:, state]
            of_axis = state // self._strides[axis] % self._shape[axis]
            scans.append(self._axes[axis].scans[of_axis][k])
            state += int(self._axes[axis].after[k, of_axis] - of_axis) * self._strides[axis]
        return scans

    def _start(self, dc: int) -> int:
        """The joint state after the first scan."""
        return dc * self._strides[0] + self._strides[0] - 1

    def _relax(self, layer: Any, goal: Goal, value: Any, choice: Any) -> None:
        """Sets value and choice of joint states whose successors have theirs."""
        states = np.unravel_index(layer, self._shape)
        loss = sum(c.loss[states[0], s] for c, s in zip(self._components, states[1:], strict=True))
        spent = sum(axis.least_bytes[s] for axis, s in zip(self._axes, states, strict=True))
        weight_before = goal.budget_weight(spent / self._costs.source_bytes)
        best = np.full(len(layer), np.inf)
        for number, axis in enumerate(self._axes):
            state = states[number]
            for k in range(len(axis.after)):
                at = np.flatnonzero(axis.after[k, state] >= 0)
                if not len(at):
                    break
                s = state[at]
                shares = axis.num_bytes[k, s] / self._costs.source_bytes
                shown = goal.budget_weight(spent[at] / self._costs.source_bytes + shares)
                cost = loss[at] * (shown - weight_before[at])
                cost += goal.size_weight * shares + goal.decode_weight * axis.decode_ms[k, s]
                cost += value[layer[at] + (axis.after[k, s] - s) * self._strides[number]]
                better = cost < best[at]
                best[at[better]] = cost[better]
                choice[:, layer[at[better]]] = [[number], [k]]
        value[layer] = best

    def grouped(self, scans: Sequence[Scan], goal: Goal) -> FoundScript:
        """Scans cut into groups, and what the goal makes of the script."""
        script = self._evaluated(self._cut(scans, goal), goal)
        while True:
            joined = self._joined(script, goal)
            again = self._evaluated(self._cut(list(itertools.chain(*joined)), goal), goal)
            if again.cost >= script.cost:
                return script
            script = again

    def _progress(self, scans: Sequence[Scan]) -> Iterator[tuple[int, tuple[State, ...]]]:
        """Al of the DC and the components' states, after each scan."""
        dc, states = 0, [component.states[-1] for component in self._components]
        for scan in scans:
            if scan.ss == 0:
                dc = scan.al
            else:
                (component,) = scan.components
                edges = self._costs.space.band(component).edges
                states[component] = tuple(
                    scan.al if scan.ss <= edge <= scan.se else al
                    for edge, al in zip(edges, states[component], strict=True)
                )
            yield dc, tuple(states)

    def _cut(self, scans: Sequence[Scan], goal: Goal) -> list[list[Scan]]:
        """The scans in at most `goal.max_groups` groups, with the least mean loss."""
        losses = [1.0, *(self._costs.loss(*state) for state in self._progress(scans))]
        ends = [0.0, *itertools.accumulate(self._costs.scan_bytes[scan] for scan in scans)]
        weights = goal.budget_weight(np.array(ends) / self._costs.source_bytes)
        # By number of scans: the least cost of groups that hold them, and where these end.
        best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
        for _ in range(min(goal.max_groups, len(scans))):
            extended = dict(best)
            for begin, (cost, cuts) in best.items():
                for end in range(begin + 1, len(scans) + 1):
                    total = cost + losses[begin] * (weights[end] - weights[begin])
                    if total < extended.get(end, (np.inf, []))[0]:
                        extended[end] = (total, [*cuts, end])
            best = extended
        cuts = best[len(scans)][1]
        return [list(scans[a:b]) for a, b in itertools.pairwise([0, *cuts])]

    def _joined(self, script: FoundScript, goal: Goal) -> list[list[Scan]]:
        """The groups of a script, each made of the cheapest scans that do the same."""
        groups: list[list[Scan]] = []
        nothing = tuple(component.states[-1] for component in self._components)
        before, share, loss = nothing, 0.0, 1.0
        for group, share_after, loss_after in zip(
            script.groups, script.shares, script.losses, strict=True
        ):
            *_, (_, after) = self._progress([*itertools.chain(*groups), *group])
            shown = goal.budget_weight(share_after) - goal.budget_weight(share)
            byte_cost = loss * shown / (share_after - share) + goal.size_weight
            scans = [scan for scan in group if scan.ss == 0]
            for c in dict.fromkeys(scan.components[0] for scan in group if scan.ss):
                scans += self._components[c].cheapest(
                    before[c], after[c], byte_cost / self._costs.source_bytes, goal.decode_weight
                )
            groups.append(scans)
            before, share, loss = after, share_after, loss_after
        return groups

    def _evaluated(self, groups: Sequence[Sequence[Scan]], goal: Goal) -> FoundScript:
        scans = list(itertools.chain(*groups))
        after = [self._costs.loss(*state) for state in self._progress(scans)]
        ends = list(itertools.accumulate(self._costs.scan_bytes[scan] for scan in scans))
        last = [count - 1 for count in itertools.accumulate(map(len, groups))]
        shares = [ends[i] / self._costs.source_bytes for i in last]
        losses = [after[i] for i in last]
        low, high = goal.budget
        inside = np.diff(np.clip([0.0, *shares, high], low, high)) / (high - low)
        mean_loss = float(np.dot(inside, [1.0, *losses]))
        weights = np.diff(goal.budget_weight(np.array([0.0, *shares])))
        decode_ms = sum(self._costs.scan_decode_ms[scan] for scan in scans)
        cost = float(np.dot(weights, [1.0, *losses[:-1]])) + goal.size_weight * shares[-1]
        return FoundScript(
            groups=tuple(map(tuple, groups)),
            shares=tuple(shares),
            losses=tuple(losses),
            mean_loss=mean_loss,
            decode_ms=decode_ms,
            cost=cost + goal.decode_weight * decode_ms,
            goal=goal,
        )
