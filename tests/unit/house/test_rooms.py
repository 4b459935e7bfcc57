# SPDX-License-Identifier: Apache-2.0
"""Floors, circles, upward arrows and the arrows that say all, on plans small enough to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from house.rooms import Arrow, FloorPlan, draw, floor_plan, needed, packages, room_of

ROOMS = "abcdef"


def plan_of(*arrows: str) -> FloorPlan:
    """A plan of the arrows `ab` (a imports from b once) or `ab3` (three times)."""
    counts = {(text[0], text[1]): int(text[2:] or 1) for text in arrows}
    rooms = sorted({room for arrow in counts for room in arrow})
    return draw("house", dict.fromkeys(rooms, 1), counts)


def test_a_floor_is_the_longest_path_down() -> None:
    plan = plan_of("ab", "bc", "ac", "dc")
    assert plan.floors == {"c": 1, "b": 2, "d": 2, "a": 3}
    assert (plan.height, plan.upward, plan.circles) == (3, frozenset(), ())


@pytest.mark.parametrize(
    ("arrows", "upward", "circles"),
    [
        (["ab3", "ba"], {("b", "a")}, [("a", "b")]),
        (["ab", "bc", "ca"], {("a", "b")}, [("a", "b", "c")]),
        (["ab2", "bc2", "ca"], {("c", "a")}, [("a", "b", "c")]),
        # One arrow is behind two circles: it alone goes, even with more imports behind it.
        (["ab", "bc", "cd5", "da", "ce", "eb", "dc9"], {("b", "c")}, [("a", "b", "c", "d", "e")]),
        (["ab", "ba2", "cd", "dc2"], {("a", "b"), ("c", "d")}, [("a", "b"), ("c", "d")]),
    ],
)
def test_the_arrows_that_close_circles_point_upwards(
    arrows: list[str], upward: set[Arrow], circles: list[tuple[str, ...]]
) -> None:
    plan = plan_of(*arrows)
    assert list(plan.circles) == circles
    if len(circles[0]) < 5:
        assert plan.upward == upward
    else:
        assert upward <= plan.upward


def test_an_arrow_that_follows_from_others_says_nothing() -> None:
    assert needed(plan_of("ab", "bc", "ac", "cd", "ad", "bd")) == [
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
    ]


arrows_between = st.dictionaries(
    st.tuples(st.sampled_from(ROOMS), st.sampled_from(ROOMS)).filter(
        lambda pair: pair[0] != pair[1]
    ),
    st.integers(1, 5),
)


@given(arrows_between)
def test_without_upward_arrows_everything_points_down(arrows: dict[Arrow, int]) -> None:
    plan = draw("house", dict.fromkeys(ROOMS, 1), arrows)
    for room, lower in arrows.keys() - plan.upward:
        assert plan.floors[room] > plan.floors[lower]
    assert bool(plan.upward) == bool(plan.circles)
    assert min(plan.floors.values()) == 1


@given(arrows_between)
def test_the_arrows_that_are_left_lead_as_far(arrows: dict[Arrow, int]) -> None:
    plan = draw("house", dict.fromkeys(ROOMS, 1), arrows)
    few = set(needed(plan))

    def reached(room: str, ways: set[Arrow]) -> set[str]:
        next_ones = {lower for upper, lower in ways if upper == room}
        return next_ones.union(*(reached(lower, ways) for lower in next_ones))

    for room in ROOMS:
        assert reached(room, few) == reached(room, set(arrows) - plan.upward)


def test_a_room_is_a_folder_or_a_file_at_the_top() -> None:
    assert room_of("postroom.dns", "postroom.dns.spf.record") == "spf"
    assert room_of("postroom.dns", "postroom.dns.planning") == "planning"
    assert room_of("postroom", "postroom.dns.planning") == "dns"


def test_the_plan_of_the_program_is_the_one_that_its_contracts_want() -> None:
    floors = floor_plan("postroom").floors
    assert floors["cli"] > floors["controller"] > floors["reconcile"] > floors["dns"]
    assert floors["api"] == floors["concurrency"] == 1
    assert {"postroom", "postroom.dns", "postroom.mail"} <= set(packages())
