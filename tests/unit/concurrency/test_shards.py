# SPDX-License-Identifier: Apache-2.0
"""Which shard a namespace belongs to: exactly one, and the same one for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.concurrency.shards import MOST, WHOLE, Shard, parse_shard, shard_of

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
numbers = st.integers(1, MOST)


@given(names, numbers)
def test_a_namespace_belongs_to_exactly_one_shard(name: str, number: int) -> None:
    holders = [index for index in range(number) if Shard(index, number).has(name)]
    assert holders == [shard_of(name, number)]


@given(names, st.integers(1, MOST - 1))
def test_one_shard_more_takes_from_others_and_moves_nothing_between_them(
    name: str, number: int
) -> None:
    assert shard_of(name, number + 1) in {shard_of(name, number), number}


def test_shards_are_the_same_in_every_version() -> None:
    """Two versions that run side by side must agree."""
    found = {name: shard_of(name, 5) for name in ("default", "mail", "team-a", "team-b", "team-c")}
    assert found == {"default": 2, "mail": 0, "team-a": 1, "team-b": 4, "team-c": 2}


def test_namespaces_are_spread_evenly() -> None:
    held = [0] * 8
    for number in range(8_000):
        held[shard_of(f"team-{number}", 8)] += 1
    assert all(850 < count < 1150 for count in held), held


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "3/3",
        "0/0",
        "-1/3",
        "1/65",
        "a/b",
        "1/3/5",
        "1.0/3",
        "-2/3",
        "postroom-/3",
        "postroom-1/0",
        "postroom-1/65",
        "postroom1/3",
    ],
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 0/1 to 63/64"):
        parse_shard(text)


@given(numbers.flatmap(lambda number: st.tuples(st.integers(0, number - 1), st.just(number))))
def test_a_shard_is_read_as_it_is_written(parts: tuple[int, int]) -> None:
    shard = Shard(*parts)
    assert parse_shard(str(shard)) == shard


@given(names, st.integers(0, 9999), numbers)
def test_pods_of_a_statefulset_go_round(name: str, ordinal: int, number: int) -> None:
    assert parse_shard(f"{name}-{ordinal}/{number}") == Shard(ordinal % number, number)


@given(st.integers(1, 2000), numbers)
def test_shares_make_the_whole_differ_by_one_and_are_never_nothing(whole: int, number: int) -> None:
    shares = [Shard(index, number).share(whole) for index in range(number)]
    assert sum(shares) == max(whole, number)
    assert max(shares) - min(shares) <= 1
    assert min(shares) >= 1


def test_one_shard_has_the_whole() -> None:
    assert [WHOLE.share(whole) for whole in (1, 6, 300)] == [1, 6, 300]
