# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/architecture.md do not drift from the import graph, and can be read."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from house.picture import DRAWN, PICTURES, draw, file_name, pictures
from house.rooms import draw as plan_of
from house.rooms import floor_plan, needed

NAMES = sorted(map(file_name, DRAWN))
SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[int, int, int, int]


def read(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 (our own)


def boxes(picture: ElementTree.Element) -> list[Box]:
    """Left, top, right and bottom of each room."""
    found = []
    for rect in picture.iter(f"{SVG}rect"):
        if rect.get("class", "").startswith("room"):
            left, top, width, height = (
                int(rect.attrib[name]) for name in ("x", "y", "width", "height")
            )
            found.append((left, top, left + width, top + height))
    return found


def lines(picture: ElementTree.Element, kind: str) -> list[str]:
    return [path.attrib["d"] for path in picture.iter(f"{SVG}path") if path.get("class") == kind]


@pytest.mark.parametrize("name", NAMES)
def test_pictures_do_not_drift(name: str) -> None:
    assert (PICTURES / name).read_text("utf-8") == pictures()[name], "run `make docs`"


def test_no_picture_is_left_over_and_the_page_shows_all() -> None:
    page = (PICTURES.parent / "architecture.md").read_text("utf-8")
    assert {path.name for path in PICTURES.glob("*.svg")} == set(NAMES)
    assert set(re.findall(r"!\[[^]]+\]\(architecture/([\w.]+)\)", page)) == set(NAMES)


@pytest.mark.parametrize("package", DRAWN)
def test_every_room_has_a_box_and_every_needed_arrow_a_line(package: str) -> None:
    plan = floor_plan(package)
    picture = read(pictures()[file_name(package)])
    words = [text.text for text in picture.iter(f"{SVG}text") if text.get("class") == "name"]
    assert sorted(words, key=str) == sorted(plan.rooms)
    assert len(lines(picture, "way")) == len(needed(plan))
    assert len(lines(picture, "up")) == len(plan.upward)


@pytest.mark.parametrize("name", NAMES)
def test_no_box_covers_another_or_leaves_the_picture(name: str) -> None:
    picture = read(pictures()[name])
    width, height = int(picture.attrib["width"]), int(picture.attrib["height"])
    assert all(
        left >= 0 and right <= width and top >= 0 and bottom <= height
        for left, top, right, bottom in boxes(picture)
    )
    for first, second in itertools.combinations(boxes(picture), 2):
        beside = first[2] < second[0] or second[2] < first[0]
        assert beside or first[3] < second[1] or second[3] < first[1]


@pytest.mark.parametrize("name", NAMES)
def test_no_line_leaves_the_picture_or_passes_a_box(name: str) -> None:
    picture = read(pictures()[name])
    for path in lines(picture, "way"):
        points = [tuple(map(int, pair.split())) for pair in re.findall(r"\d+ -?\d+", path)]
        assert all(0 < x < int(picture.attrib["width"]) for x, _ in points)
        # The ends touch their boxes; every third point between is where a row is passed.
        for x, y in points[3:-1:3]:
            assert not any(
                left <= x <= right and top <= y <= bottom
                for left, top, right, bottom in boxes(picture)
            )


def test_rooms_stand_above_what_they_import() -> None:
    plan = plan_of(
        "house", {"attic": 2, "hall": 1, "cellar": 3}, {("attic", "hall"): 1, ("hall", "cellar"): 1}
    )
    picture = read(draw(plan, {"cellar": "Holds all."}))
    tops = {
        text.text: int(text.attrib["y"])
        for text in picture.iter(f"{SVG}text")
        if text.get("class") == "name"
    }
    assert tops["attic"] < tops["hall"] < tops["cellar"]
    notes = {text.text for text in picture.iter(f"{SVG}text") if text.get("class") == "note"}
    assert {"2 files", "3 files", "Holds all."} <= notes


def test_an_arrow_that_closes_a_circle_is_dashed() -> None:
    plan = plan_of(
        "house", {"hall": 1, "cellar": 1}, {("hall", "cellar"): 3, ("cellar", "hall"): 1}
    )
    picture = read(draw(plan, {}))
    assert (len(lines(picture, "way")), len(lines(picture, "up"))) == (1, 1)


def test_the_same_program_makes_the_same_pictures() -> None:
    script = "import sys; from house.picture import pictures; sys.stdout.write(repr(pictures()))"
    path = str(Path(__file__).parents[2])
    made = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1
