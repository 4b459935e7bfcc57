# SPDX-License-Identifier: Apache-2.0
"""The floor plan as a picture: docs/architecture/*.svg, drawn from the import graph by `make docs`.

A box is a room with its number of files, and stands on its floor. A line leads down to a room that
is imported from; lines that follow from others are left out, and those that close a circle are
drawn dashed. A line that passes a floor takes a place of its own there, so that it crosses no box.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib import import_module
from pathlib import Path

from house.rooms import ROOT_PACKAGE, FloorPlan, floor_plan, needed

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "architecture"
#: The packages that a reader needs a plan of, and the program as a whole.
DRAWN = (
    ROOT_PACKAGE,
    *(f"{ROOT_PACKAGE}.{name}" for name in ("controller", "reconcile", "dns", "mail")),
)
_WIDTH = 960
_MARGIN = 54
_GAP = 14
_PASSING = 6
_CHARACTER = 7.6
_LINE = 15
_WORDS = 30
_BETWEEN_ROWS = 46
_BETWEEN_FLOORS = 64
_SWEEPS = 24
_INKS = ("#3b6ea8", "#a8553b", "#3d8361", "#7a4fa0", "#8a7a1f", "#b03a6f", "#2f8a92", "#6b6b6b")
_STYLE = """text{font-family:system-ui,"Segoe UI",Roboto,Arial,sans-serif;fill:#1c2733}
.name{font-size:14px;font-weight:600}.note{font-size:11.5px;fill:#51606f}
.room{fill:#f3f7fb;stroke:#7e95ab}.lone{fill:#fff}.floor{stroke:#e3e8ee}
.way{fill:none;stroke-width:1.3;opacity:.8}.up{fill:none;stroke:#c01c28;stroke-dasharray:5 4}"""


@dataclass
class _Place:
    """A room, or where a line passes a row."""

    key: str
    width: float
    lines: tuple[str, ...] = ()
    middle: float = 0
    above: list[_Place] = field(default_factory=list)
    below: list[_Place] = field(default_factory=list)

    @property
    def height(self) -> int:
        return _LINE * len(self.lines) + 13 if self.lines else 0


@cache
def pictures() -> dict[str, str]:
    """Return the pictures by file name."""
    return {file_name(package): picture(package) for package in DRAWN}


def file_name(package: str) -> str:
    return f"{package.rpartition('.')[2]}.svg"


def picture(package: str) -> str:
    plan = floor_plan(package)
    lead = _leads(plan) if package == ROOT_PACKAGE else {}
    return draw(plan, lead)


def draw(plan: FloorPlan, lead: Mapping[str, str]) -> str:
    """Return a plan as SVG, with a sentence in the box of each room that has one in `lead`."""
    rows = _rows(plan, lead)
    ways = _ways(plan, rows)
    width = round(max(_WIDTH, *(_needs(row) + 2 * _MARGIN for row in rows)))
    _arrange(rows, width)
    tops, floors, height = _heights(plan, rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="title">',
            f'<title id="title">The rooms of {plan.package} by floor, and what they import</title>',
            f"<style>{_STYLE}</style>",
            _markers(),
            f'<rect width="{width}" height="{height}" rx="8" fill="#fff"/>',
            *_floor_lines(floors, width),
            *_way_lines(ways, tops),
            *_upward_lines(plan, rows, tops),
            *_boxes(plan, rows, tops),
            "</svg>",
            "",
        ]
    )


def _leads(plan: FloorPlan) -> dict[str, str]:
    """Return the first sentence of each room's docstring."""
    documents = {room: import_module(f"{plan.package}.{room}").__doc__ for room in plan.rooms}
    return {
        room: re.split(r"\.\s", f"{text} ")[0].replace("\n", " ").replace("``", "")
        for room, text in documents.items()
        if text
    }


def _rows(plan: FloorPlan, lead: Mapping[str, str]) -> list[list[_Place]]:
    """Return the rows from the top; a floor with many rooms takes several."""
    rows: list[list[_Place]] = []
    for floor in range(plan.height, 0, -1):
        places = [
            _box(room, plan.rooms[room], lead.get(room, ""))
            for room in plan.rooms
            if plan.floors[room] == floor
        ]
        count = -int(-(_needs(places) + 2 * _MARGIN) // _WIDTH)
        size = -int(-len(places) // count)
        rows += [places[start : start + size] for start in range(0, len(places), size)]
    return rows


def _box(room: str, files: int, lead: str) -> _Place:
    note = [f"{files} files"] if files > 1 else []
    lines = (room, *note, *textwrap.wrap(lead, _WORDS))
    longest = max(len(room) * 1.2, *(len(line) * 0.86 for line in lines[1:]), 0)
    return _Place(room, longest * _CHARACTER + 18, lines)


def _ways(plan: FloorPlan, rows: Sequence[list[_Place]]) -> list[list[_Place]]:
    """Return each line from room to room as the places that it passes, which join the rows."""
    row_of = {place.key: number for number, row in enumerate(rows) for place in row}
    places = {place.key: place for row in rows for place in row}
    ways = []
    for start, end in needed(plan):
        passed = []
        for number in range(row_of[start] + 1, row_of[end]):
            place = _Place(f"{start} {end}", _PASSING)
            rows[number].append(place)
            passed.append(place)
        way = [places[start], *passed, places[end]]
        for upper, lower in itertools.pairwise(way):
            upper.below.append(lower)
            lower.above.append(upper)
        ways.append(way)
    return ways


def _arrange(rows: Sequence[list[_Place]], width: int) -> None:
    """Order each row by what its places are joined to, then move them there."""
    for row in rows:
        _pack(row, width)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            row.sort(
                key=lambda place: (_pull(place.above if down else place.below, place), place.key)
            )
            _pack(row, width)
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _settle(row, [_pull([*place.above, *place.below], place) for place in row], width)


def _pull(neighbours: Sequence[_Place], place: _Place) -> float:
    if not neighbours:
        return place.middle
    return round(sum(other.middle for other in neighbours) / len(neighbours), 3)


def _pack(row: Sequence[_Place], width: int) -> None:
    """Put a row's places side by side, in the middle."""
    left = (width - _needs(row)) / 2
    for place in row:
        place.middle = left + place.width / 2
        left += place.width + _GAP


def _settle(row: Sequence[_Place], wanted: Sequence[float], width: int) -> None:
    """Move places as near to where they are wanted as their order and widths allow."""
    limit = width - _MARGIN
    forth, back = list(wanted), list(wanted)
    edge: float = _MARGIN
    for number, place in enumerate(row):
        forth[number] = max(forth[number], edge + place.width / 2)
        edge = forth[number] + place.width / 2 + _GAP
    edge = limit
    for number, place in reversed(list(enumerate(row))):
        back[number] = min(back[number], edge - place.width / 2)
        edge = back[number] - place.width / 2 - _GAP
    edge = _MARGIN
    left = [place.width + _GAP for place in row]
    for number, place in enumerate(row):
        # What still stands to the right must fit there, too.
        rightmost = limit - sum(left[number:]) + _GAP + place.width / 2
        middle = (forth[number] + back[number]) / 2
        place.middle = round(min(max(middle, edge + place.width / 2), rightmost), 3)
        edge = place.middle + place.width / 2 + _GAP


def _needs(row: Sequence[_Place]) -> float:
    return sum(place.width for place in row) + _GAP * max(len(row) - 1, 0)


def _heights(
    plan: FloorPlan, rows: Sequence[list[_Place]]
) -> tuple[dict[int, int], dict[int, tuple[int, int]], int]:
    """Return the top of each place, top and bottom of each floor, and the height of all."""
    tops: dict[int, int] = {}
    floors: dict[int, tuple[int, int]] = {}
    top = 24
    for row in rows:
        floor = next(plan.floors[place.key] for place in row if place.lines)
        tall = max(place.height for place in row)
        tops |= {id(place): top + (tall - place.height) // 2 for place in row}
        floors[floor] = (floors.get(floor, (top, 0))[0], top + tall)
        last = row is rows[-1] or floor != next(
            plan.floors[place.key] for place in rows[rows.index(row) + 1] if place.lines
        )
        top += tall + (_BETWEEN_FLOORS if last else _BETWEEN_ROWS)
    return tops, floors, top - _BETWEEN_FLOORS + 24


def _markers() -> str:
    heads = "".join(
        f'<marker id="a{number}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 1 8 4 0 7z" fill="{ink}"/></marker>'
        for number, ink in enumerate((*_INKS, "#c01c28"))
    )
    return f"<defs>{heads}</defs>"


def _floor_lines(floors: Mapping[int, tuple[int, int]], width: int) -> Iterator[str]:
    for floor, (top, bottom) in floors.items():
        line = bottom + _BETWEEN_FLOORS // 2
        if floor > 1:
            yield f'<path class="floor" d="M12 {line}H{width - 12}"/>'
        yield f'<text class="note" x="14" y="{(top + bottom) // 2 + 4}">{floor}</text>'


def _way_lines(ways: Sequence[Sequence[_Place]], tops: Mapping[int, int]) -> Iterator[str]:
    leaving, reaching = _ports(ways)
    for number, way in enumerate(ways):
        ink = sorted({other[0].key for other in ways}).index(way[0].key) % len(_INKS)
        start, end = way[0], way[-1]
        points = [(leaving[number], tops[id(start)] + start.height)]
        points += [(round(place.middle), tops[id(place)]) for place in way[1:-1]]
        points += [(reaching[number], tops[id(end)])]
        yield (
            f'<path class="way" stroke="{_INKS[ink]}" marker-end="url(#a{ink})" '
            f'd="{_curve(points)}"/>'
        )


def _ports(ways: Sequence[Sequence[_Place]]) -> tuple[dict[int, int], dict[int, int]]:
    """Return where each line leaves its first box and reaches its last: spread along the edge."""
    leaving: dict[int, int] = {}
    reaching: dict[int, int] = {}
    for end, toward, ports in ((0, 1, leaving), (-1, -2, reaching)):
        at = defaultdict(list)
        for number, way in enumerate(ways):
            at[way[end].key].append((way[toward].middle, number))
        for number, way in enumerate(ways):
            box = way[end]
            order = sorted(at[box.key])
            place = next(rank for rank, (_, other) in enumerate(order) if other == number)
            share = (place + 1) / (len(order) + 1) - 0.5
            ports[number] = round(box.middle + share * box.width * 0.8)
    return leaving, reaching


def _curve(points: Sequence[tuple[int, int]]) -> str:
    path = f"M{points[0][0]} {points[0][1]}"
    for (_, y1), (x2, y2), x1 in zip(points, points[1:], [x for x, _ in points], strict=False):
        bend = max((y2 - y1) // 2, 8)
        path += f"C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"
    return path


def _upward_lines(
    plan: FloorPlan, rows: Sequence[list[_Place]], tops: Mapping[int, int]
) -> Iterator[str]:
    places = {place.key: place for row in rows for place in row}
    for start, end in sorted(plan.upward):
        first, last = places[start], places[end]
        x1, y1 = round(first.middle), tops[id(first)]
        x2, y2 = round(last.middle), tops[id(last)] + last.height
        bend = max(abs(y1 - y2) // 3, 20)
        yield (
            f'<path class="up" marker-end="url(#a{len(_INKS)})" '
            f'd="M{x1} {y1}C{x1} {y1 - bend} {x2} {y2 + bend} {x2} {y2}"/>'
        )


def _boxes(plan: FloorPlan, rows: Sequence[list[_Place]], tops: Mapping[int, int]) -> Iterator[str]:
    for place in itertools.chain.from_iterable(rows):
        if not place.lines:
            continue
        left, top = round(place.middle - place.width / 2), tops[id(place)]
        kind = "room" if plan.rooms[place.key] > 1 else "room lone"
        yield (
            f'<rect class="{kind}" x="{left}" y="{top}" width="{round(place.width)}" '
            f'height="{place.height}" rx="5"/>'
        )
        for number, line in enumerate(place.lines):
            yield (
                f'<text class="{"note" if number else "name"}" text-anchor="middle" '
                f'x="{round(place.middle)}" y="{top + 19 + number * _LINE}">{escape(line)}</text>'
            )


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    for name, text in pictures().items():
        (PICTURES / name).write_text(text, "utf-8")
