# SPDX-License-Identifier: Apache-2.0
"""Bounded maps: against a list that does the same in the plainest way."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.concurrency.acting import acting_for
from postroom.concurrency.bounded import BoundedMap, ExpiringMap

#: (what is done, with which key, with which value)
Step = tuple[str, str, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "use", "make", "pop", "clear"]),
        st.sampled_from("abcdefgh"),
        st.integers(0, 9),
    ),
    max_size=60,
)


def plain(done: Sequence[Step], limit: int, heaviest: int | None) -> list[tuple[str, int]]:
    """What is held after all steps, in the order in which it would go."""
    held: list[tuple[str, int]] = []
    for what, key, value in done:
        there = dict(held).get(key)
        if what == "clear":
            held = []
        elif what == "pop":
            held = [entry for entry in held if entry[0] != key]
        elif what == "put" or (what == "make" and there is None):
            held = [entry for entry in held if entry[0] != key] + [(key, value)]
        elif what in ("use", "make") and there is not None:
            held = [entry for entry in held if entry[0] != key] + [(key, there)]
        while len(held) > limit or sum(weight for _, weight in held) > (heaviest or 10_000):
            del held[0]
    return held


@given(steps, st.integers(1, 5), st.none() | st.integers(9, 20))
def test_the_least_recently_put_or_used_goes_first(
    done: list[Step], limit: int, heaviest: int | None
) -> None:
    # A weight that everything fits into is none.
    entries: BoundedMap[str, int] = (
        BoundedMap(limit)
        if heaviest is None
        else BoundedMap(limit, weigh=lambda value: value, heaviest=heaviest)
    )
    for count, (what, key, value) in enumerate(done, 1):
        before = dict(plain(done[: count - 1], limit, heaviest)).get(key)
        match what:
            case "put":
                entries.put(key, value)
            case "get":
                assert entries.get(key) == before
            case "use":
                assert entries.use(key) == before
            case "make":
                made = entries.use_or_make(key, lambda value=value: value)  # type: ignore[misc]
                assert made == (value if before is None else before)
            case "pop":
                assert entries.pop(key) == before
            case _:
                entries.clear()
        held = plain(done[:count], limit, heaviest)
        assert [(name, entries.get(name)) for name in entries] == held
        assert len(entries) == len(held) <= limit
        assert (key in entries) == (key in dict(held))


def test_what_is_too_heavy_alone_is_not_held() -> None:
    entries: BoundedMap[str, str] = BoundedMap(3, weigh=len, heaviest=4)
    entries.put("a", "aa")
    entries.put("b", "bbbbb")
    assert list(entries) == []
    entries.put("a", "aaaa")
    assert list(entries) == ["a"]


def test_a_value_counts_until_its_time_has_come() -> None:
    now = 100.0
    entries: ExpiringMap[str, str] = ExpiringMap(2, lambda: now)
    entries.put("a", "first", 5)
    now = 104.9
    assert (entries.get("a"), entries.use("a")) == ("first", "first")
    now = 105.0
    assert (entries.get("a"), entries.use("a")) == (None, None)
    entries.put("a", "second", 5)
    assert entries.get("a") == "second"
    entries.pop("a")
    entries.pop("never there")
    assert entries.get("a") is None


@pytest.mark.parametrize(("read", "gone"), [("get", "a"), ("use", "b")])
def test_reading_keeps_a_value_only_where_that_counts_as_use(read: str, gone: str) -> None:
    entries: ExpiringMap[str, str] = ExpiringMap(2, lambda: 0.0)
    entries.put("a", "a", 60)
    entries.put("b", "b", 60)
    assert getattr(entries, read)("a") == "a"
    entries.put("c", "c", 60)
    assert [key for key in "abc" if entries.get(key) is None] == [gone]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 10), st.floats(0, 5)), max_size=40))
def test_nothing_is_returned_after_its_end_and_no_more_is_held_than_may_be(
    puts: list[tuple[str, float, float]],
) -> None:
    now, ends = 0.0, dict[str, float]()
    entries: ExpiringMap[str, str] = ExpiringMap(2, lambda: now)
    for key, seconds, passed in puts:
        entries.put(key, key, seconds)
        ends[key] = now + seconds
        now += passed
        assert len(entries) <= 2
        for name, end in ends.items():
            assert entries.get(name) in ((None,) if end <= now else (None, name))


def test_what_is_in_use_does_not_go() -> None:
    used = {1, 2}
    held: BoundedMap[int, int] = BoundedMap(2, in_use=lambda number: number in used)
    for number in (1, 2, 3):
        held.put(number, number)
    assert list(held) == [2, 3, 1]
    used.clear()
    held.put(4, 4)
    assert list(held) == [1, 4]


def test_many_in_use_are_not_all_looked_at() -> None:
    looks: list[int] = []
    held: BoundedMap[int, int] = BoundedMap(1, in_use=lambda number: looks.append(number) is None)
    for number in range(100):
        held.put(number, number)
    assert len(held) == 100
    assert len(looks) <= 8 * 99


#: (who does it, what, with which key, with which weight)
Turn = tuple[str, str, int, int]

turns = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["put", "put", "use", "pop"]),
        st.integers(0, 11),
        st.integers(0, 4),
    ),
    max_size=80,
)


@given(turns, st.integers(3, 12), st.none() | st.integers(12, 40))
def test_who_has_no_more_than_an_even_share_loses_nothing(
    done: list[Turn], limit: int, heaviest: int | None
) -> None:
    entries: BoundedMap[tuple[str, int], int] = (
        BoundedMap(limit)
        if heaviest is None
        else BoundedMap(limit, weigh=lambda value: value, heaviest=heaviest)
    )
    #: What each has put and not taken out again, as long as it never was more than its share.
    own: dict[str, dict[int, int]] = {name: {} for name in "abc"}
    modest = set("abc")
    for name, what, key, weight in done:
        with acting_for(name):
            match what:
                case "put":
                    entries.put((name, key), weight)
                    own[name][key] = weight
                case "use":
                    entries.use((name, key))
                case _:
                    entries.pop((name, key))
                    own[name].pop(key, None)
        too_heavy = heaviest is not None and sum(own[name].values()) > heaviest // 3
        if len(own[name]) > limit // 3 or too_heavy:
            modest.discard(name)
        assert len(entries) <= limit
        for quiet in modest:
            held = {key: entries.get((quiet, key)) for key in own[quiet]}
            assert held == own[quiet]


@given(turns, st.integers(3, 9))
def test_a_map_knows_what_it_holds_whoever_shares_what(done: list[Turn], limit: int) -> None:
    entries: BoundedMap[int, int] = BoundedMap(limit)
    for name, what, key, value in done:
        with acting_for(name):
            before, there = entries.get(key), key in entries
            match what:
                case "put":
                    entries.put(key, value)
                    assert entries.get(key) == value
                case "use":
                    assert entries.use(key) == before
                    assert (key in entries) == there
                case _:
                    assert entries.pop(key) == before
                    assert key not in entries
        assert sorted(entries) == sorted(set(entries))
        assert len(list(entries)) == len(entries) <= limit


@pytest.mark.parametrize("first", ["flood", "quiet"])
def test_what_is_shared_with_a_flood_stays_for_who_has_less(first: str) -> None:
    entries: BoundedMap[str, str] = BoundedMap(20)
    with acting_for("flood"):
        for number in range(10):
            entries.put(f"f{number}", "")
    with acting_for(first):
        entries.put("shared", "")
    with acting_for("quiet"):
        assert entries.use("shared") == ""
    for number in range(10, 100):
        with acting_for("flood"):
            entries.use("shared")
            entries.put(f"f{number}", "")
    assert "shared" in entries


def test_of_parties_that_have_as_much_who_rested_longest_gives_first() -> None:
    entries: BoundedMap[str, str] = BoundedMap(3)
    for name in "abc":
        with acting_for(name):
            entries.put(name, "")
    with acting_for("a"):
        entries.use("a")
    with acting_for("d"):
        entries.put("d", "")
    assert sorted(entries) == ["a", "c", "d"]


def test_whose_an_entry_is_may_stand_in_its_key() -> None:
    entries: BoundedMap[str, str] = BoundedMap(4, party_of=lambda key: key[0])
    entries.put("quiet", "")
    for number in range(20):
        entries.put(f"f{number}", "")
    assert sorted(entries) == ["f17", "f18", "f19", "quiet"]


def test_using_again_and_again_takes_no_more_room() -> None:
    entries: BoundedMap[str, str] = BoundedMap(2)
    entries.put("a", "")
    for _ in range(10_000):
        entries.use("a")
    assert len(entries._ranking._notes) < 100
