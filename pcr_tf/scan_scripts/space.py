"""A space of scan scripts: states of what is known of an image, and the scans between them.

A script is a path from nothing to everything. What a scan adds depends on where it begins and ends
only, so the best script is a shortest path.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_LAST = 63
_COMPONENTS = (0, 1, 2)

# Of each band of a component, how many of its low bits are unknown: Al of its last scan.
State = tuple[int, ...]


class Scan(NamedTuple):
    """One scan of a script, in the terms of T.81."""

    components: tuple[int, ...]
    ss: int
    se: int
    ah: int
    al: int

    @property
    def text(self) -> str:
        """The scan as an entry of a script.

        Example:
            >>> Scan((0,), 1, 5, 0, 2).text
            '0: 1-5, 0, 2;'
        """
        names = ", ".join(map(str, self.components))
        return f"{names}: {self.ss}-{self.se}, {self.ah}, {self.al};"


class Step(NamedTuple):
    """A scan from one state of a component to another: coefficients ss to se, bits ah to al."""

    ss: int
    se: int
    ah: int
    al: int
    after: State


@dataclasses.dataclass(frozen=True)
class Band:
    """How finely the AC coefficients of a component can be cut.

    A state gives the lower bands at least as many bits as the higher ones, which leaves out no
    script that is of use and makes the states few: a component of b bands and l levels has
    (b + l choose b).

    Attributes:
        edges: the first coefficients of the bands, ascending, the first 1.
        levels: first scans have Al of 0 to levels - 1; at least 1.
    """

    edges: tuple[int, ...]
    levels: int

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in itertools.pairwise(self.edges))
        if not self.edges or self.edges[0] != 1 or self.edges[-1] > _LAST or not ascending:
            raise ValueError(f"edges must ascend from 1 and end at 63 or before; got {self.edges}")
        if not 1 <= self.levels <= 11:
            raise ValueError(f"levels; expected 1 to 11, got {self.levels}")

    @property
    def nothing(self) -> State:
        """The state in which no coefficient is known: an Al beyond that of any scan."""
        return (self.levels,) * len(self.edges)

    @property
    def everything(self) -> State:
        """The state in which all coefficients are known."""
        return (0,) * len(self.edges)

    @functools.cached_property
    def states(self) -> list[State]:
        """All states, `nothing` last.

        Example:
            >>> Band((1, 6), levels=1).states
            [(0, 0), (0, 1), (1, 1)]
        """
        levels = range(self.levels + 1)
        return list(itertools.combinations_with_replacement(levels, len(self.edges)))

    def steps(self, state: State) -> Iterator[Step]:
        """All scans that can follow in a state.

        Example:
            >>> [(step.ss, step.se) for step in Band((1, 6), levels=1).steps((1, 1))]
            [(1, 5), (1, 63)]
        """
        ends = [*(edge - 1 for edge in self.edges[1:]), _LAST]
        for first, level in enumerate(state):
            if level == 0 or (first > 0 and state[first - 1] == level):
                continue  # Known in full, or not the first band of those that know as much.
            sent = level < self.levels
            lowest = state[first - 1] if first else 0
            for al in [level - 1] if sent else range(lowest, self.levels):
                for last in range(first, len(state)):
                    if state[last] != level:
                        break
                    after = (*state[:first], *[al] * (last + 1 - first), *state[last + 1 :])
                    yield Step(self.edges[first], ends[last], level if sent else 0, al, after)


@dataclasses.dataclass(frozen=True)
class ScanSpace:
    """Scripts whose first scan is the DC of all components, with or without its lowest bit.

    Attributes:
        luma: the bands of component 0.
        chroma: those of components 1 and 2, each of which has its own states.
    """

    luma: Band = Band((1, 3, 6, 10, 15, 28), levels=5)
    chroma: Band = Band((1, 3, 6, 15), levels=4)

    def band(self, component: int) -> Band:
        """The band of component 0, 1 or 2."""
        return self.luma if component == 0 else self.chroma


def first_dc(al: int) -> Scan:
    """The DC of all components, without its `al` low bits."""
    return Scan(_COMPONENTS, 0, 0, 0, al)


DC_REFINEMENT = Scan(_COMPONENTS, 0, 0, 1, 0)
"""The lowest bit of the DC of all components."""


def whole_ac(component: int) -> Scan:
    """All of the AC of a component."""
    return Scan((component,), 1, _LAST, 0, 0)


def covering_paths(band: Band) -> list[list[Step]]:
    """Paths from `band.nothing` to `band.everything` that meet every state and every scan.

    Measuring these few scripts measures all of the space.

    Example:
        >>> [len(path) for path in covering_paths(Band((1, 6), levels=1))]
        [2, 1]
    """
    steps = {state: list(band.steps(state)) for state in band.states}
    seen: set[tuple[int, ...]] = set()

    def take(step: Step) -> Step:
        seen.update((step.after, step[:4]))
        return step

    def walk(state: State, goal: State) -> Iterator[Step]:
        """Goes on to `goal`, by what was not met yet where there is such a way."""
        while state != goal:
            nearer = [
                step
                for step in steps[state]
                if all(al >= least for al, least in zip(step.after, goal, strict=True))
            ]
            unseen = [(step.after not in seen) + (step[:4] not in seen) for step in nearer]
            step = take(nearer[unseen.index(max(unseen))])
            yield step
            state = step.after

    paths = []
    for state in band.states:
        if state not in seen and state != band.nothing:
            paths.append([*walk(band.nothing, state), *walk(state, band.everything)])
    for state, of_state in steps.items():
        for step in of_state:
            if step[:4] not in seen:
                before = [*walk(band.nothing, state), take(step)]
                paths.append([*before, *walk(step.after, band.everything)])
    return paths


def scans_of(component: int, path: Sequence[Step]) -> list[Scan]:
    """A path of one component as scans."""
    return [Scan((component,), *step[:4]) for step in path]


def script_text(groups: Sequence[Sequence[Scan]], comment: str = "") -> str:
    """A script in the form of docs/FORMAT.md, section 12.

    Args:
        groups: the scans of each scan group.
        comment: lines to put in front.

    Example:
        >>> print(script_text([[first_dc(0)]]), end="")
        # group
        0, 1, 2: 0-0, 0, 0;
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for group in groups:
        lines += ["# group", *(scan.text for scan in group)]
    return "\n".join(lines) + "\n"
