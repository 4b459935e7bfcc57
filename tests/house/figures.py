# SPDX-License-Identifier: Apache-2.0
"""Every figure of the house, by the name under which `bars.yaml` holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from house import texture
from house.rooms import FloorPlan, floor_plan, packages

#: The openings of docstrings that tell what a function does to itself, not what it returns.
IDIOMS = ("Tell whether", "Say", "Ask")


@dataclass(frozen=True)
class Figure:
    value: float
    #: Where to look, when the figure is a count of places.
    places: Sequence[str] = ()


@cache
def figures() -> dict[str, Figure]:
    plans = [floor_plan(package) for package in packages()]
    found: dict[str, Figure] = {}
    for plan in plans:
        found |= _of_plan(plan)
    helpers = texture.private_helpers()
    once = [place for place, uses in helpers.items() if uses == 1]
    loops, over_one = texture.loops(), texture.loops_over_one()
    return found | {
        "private helpers with one use, %": Figure(_percent(len(once), len(helpers)), once),
        "import lines, %": Figure(_percent(texture.import_lines(), texture.lines())),
        "lines": Figure(texture.lines()),
        f"files above {texture.FILE_LINES} lines": _count(texture.long_files()),
        f"functions above {texture.FUNCTION_LINES} lines": _count(texture.long_functions()),
        "class names with two homes in a package": _count(texture.colliding_classes()),
        "class names with two homes in the program": _count(texture.repeated_classes()),
        "loop variables named one": _count(over_one),
        "loop variables named one, %": Figure(_percent(len(over_one), len(loops))),
        "unused public functions": _count(texture.unused_functions()),
        "unread fields": _count(texture.unread_fields()),
        "modules without their test": _count(texture.modules_without_their_test()),
    } | {
        f"docstrings beginning {words}": _count(texture.docstrings_beginning(words))
        for words in IDIOMS
    }  # fmt: skip


def _of_plan(plan: FloorPlan) -> dict[str, Figure]:
    name = plan.package.rpartition(".")[2]
    upward = [
        f"{plan.package}: {room} -> {other} ({plan.arrows[room, other]} imports)"
        for room, other in sorted(plan.upward)
    ]
    circles = [f"{plan.package}: {', '.join(circle)}" for circle in plan.circles]
    return {
        f"{name}: rooms": Figure(len(plan.rooms), sorted(plan.rooms)),
        f"{name}: floors": Figure(plan.height),
        f"{name}: arrows": Figure(len(plan.arrows)),
        f"{name}: upward arrows": _count(upward),
        f"{name}: circles": _count(circles),
    }


def _count(places: Sequence[str]) -> Figure:
    return Figure(len(places), places)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)
