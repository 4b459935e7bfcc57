# SPDX-License-Identifier: Apache-2.0
"""Rooms and floors of a package, by its import graph.

A room is a folder or a file at the top of its package. An arrow leads from a room to one that it
imports from. A room's floor is its longest path down, so what imports nothing of its package
stands on floor 1. Where rooms import each other in a circle, the arrows with the fewest imports
behind them are the upward ones: without them there is no circle.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import grimp

ROOT_PACKAGE = "postroom"

Arrow = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class FloorPlan:
    package: str
    #: The number of files of each room.
    rooms: Mapping[str, int]
    #: The floor of each room, from 1.
    floors: Mapping[str, int]
    #: Each pair of importing and imported room, with the number of imports behind it.
    arrows: Mapping[Arrow, int]
    upward: frozenset[Arrow]
    #: The rooms of each circle.
    circles: tuple[tuple[str, ...], ...]

    @property
    def height(self) -> int:
        return max(self.floors.values(), default=0)


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph(ROOT_PACKAGE, cache_dir=None)


def packages() -> list[str]:
    """Return the packages that have rooms: postroom itself, and each folder in it."""
    graph = import_graph()
    inner = sorted(
        child for child in graph.find_children(ROOT_PACKAGE) if graph.find_children(child)
    )
    return [ROOT_PACKAGE, *inner]


@cache
def floor_plan(package: str) -> FloorPlan:
    graph = import_graph()
    inside = graph.find_descendants(package)
    arrows = Counter(
        (room_of(package, module), room_of(package, imported))
        for module in inside
        for imported in graph.find_modules_directly_imported_by(module)
        if imported in inside
    )
    return draw(
        package,
        Counter(room_of(package, module) for module in inside),
        {arrow: count for arrow, count in arrows.items() if arrow[0] != arrow[1]},
    )


def draw(package: str, rooms: Mapping[str, int], arrows: Mapping[Arrow, int]) -> FloorPlan:
    """Find the floors and circles of rooms between which there are these arrows."""
    circles = tuple(_circles(arrows))
    upward = _upward(arrows)
    return FloorPlan(
        package=package,
        rooms=dict(sorted(rooms.items())),
        floors=_floors(rooms, arrows.keys() - upward),
        arrows=dict(sorted(arrows.items())),
        upward=upward,
        circles=circles,
    )


def needed(plan: FloorPlan) -> list[Arrow]:
    """Return the downward arrows without those that follow from others (transitive reduction)."""
    down = plan.arrows.keys() - plan.upward
    below = _reached(down)
    return sorted(
        (room, lower)
        for room, lower in down
        if not any(lower in below.get(between, ()) for start, between in down if start == room)
    )


def room_of(package: str, module: str) -> str:
    return module.removeprefix(f"{package}.").partition(".")[0]


def _floors(rooms: Iterable[str], arrows: Iterable[Arrow]) -> dict[str, int]:
    beneath: dict[str, list[str]] = {room: [] for room in sorted(rooms)}
    for room, lower in arrows:
        beneath[room].append(lower)

    @cache
    def floor(room: str) -> int:
        return 1 + max((floor(lower) for lower in beneath[room]), default=0)

    return {room: floor(room) for room in beneath}


def _upward(arrows: Mapping[Arrow, int]) -> frozenset[Arrow]:
    """Return arrows without which there is no circle: each time the one that frees most rooms."""
    upward: set[Arrow] = set()
    while circles := _circles(arrows.keys() - upward):
        inside = [
            arrow
            for circle in circles
            for arrow in arrows.keys() - upward
            if set(arrow) <= set(circle)
        ]

        def cost(arrow: Arrow) -> tuple[int, int, Arrow]:
            left = _circles(arrows.keys() - upward - {arrow})
            return sum(map(len, left)), arrows[arrow], arrow

        upward.add(min(inside, key=cost))
    return frozenset(upward)


def _circles(arrows: Iterable[Arrow]) -> list[tuple[str, ...]]:
    """Return the groups of rooms from each of which all others of the group are reached."""
    reached = _reached(arrows)
    groups = {
        tuple(sorted(other for other in rooms if room in reached.get(other, ())))
        for room, rooms in reached.items()
        if room in rooms
    }
    return sorted(groups)


def _reached(arrows: Iterable[Arrow]) -> dict[str, set[str]]:
    """Return for each room all that its arrows lead to, directly or through others."""
    beneath: dict[str, set[str]] = defaultdict(set)
    for room, lower in arrows:
        beneath[room].add(lower)
    reached: dict[str, set[str]] = defaultdict(set)
    for room in list(beneath):
        ahead = [room]
        while ahead:
            new = beneath.get(ahead.pop(), set()) - reached[room]
            reached[room] |= new
            ahead.extend(new)
    return dict(reached)
