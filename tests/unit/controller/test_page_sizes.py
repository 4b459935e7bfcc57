# SPDX-License-Identifier: Apache-2.0
"""How many objects are asked for: few where they are large, as many as ever once they are not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.controller import page_sizes
from postroom.controller.page_sizes import FEWER, PAGE, PAGE_LIMIT, PageSizes, read_page

#: As large as the API server takes an object.
LARGEST = 3 * 2**19


def listing(sizes: PageSizes, objects: list[int]) -> tuple[int, int]:
    """How many requests a list of objects of these octets takes, and how many were for nothing."""
    requests, wasted, begin = 0, 0, 0
    while begin < len(objects):
        requests += 1
        page = objects[begin : begin + sizes.of("a")]
        if sum(page) > PAGE_LIMIT and sizes.of("a") > FEWER:
            sizes.too_large("a")
            wasted += 1
            continue
        sizes.read("a", sum(page), len(page))
        begin += len(page)
    return requests, wasted


def test_a_list_of_the_largest_objects_wastes_one_request_in_all() -> None:
    sizes, objects = PageSizes(), [LARGEST] * 2000
    assert listing(sizes, objects) == (2000 // FEWER + 1, 1)
    assert listing(sizes, objects) == (2000 // FEWER, 0)


def test_small_objects_come_in_whole_pages_again_soon() -> None:
    sizes = PageSizes()
    sizes.too_large("a")
    assert listing(sizes, [3000] * 2000)[1] == 0
    assert sizes.of("a") == PAGE
    assert listing(sizes, [3000] * 2000) == (2000 // PAGE, 0)


@given(st.lists(st.sampled_from([100, 3000, 100_000, LARGEST]), max_size=3000))
def test_whatever_comes_few_requests_are_for_nothing(objects: list[int]) -> None:
    requests, wasted = listing(PageSizes(), objects)
    # One page before each of them was read, and two before it can be too large again.
    assert wasted <= 1 + requests // 2
    assert requests <= 1 + 2 * (1 + len(objects) // FEWER)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2**25), st.integers(0, 600))),
)
def test_sizes_stay_within_their_bounds(pages: list[tuple[str, int, int]]) -> None:
    sizes = PageSizes()
    for path, octets, objects in pages:
        if octets % 3 == 0:
            sizes.too_large(path)
        sizes.read(path, octets, objects)
        assert all(FEWER <= sizes.of(each) <= PAGE for each in "abc")


def test_of_many_collections_few_are_remembered() -> None:
    sizes = PageSizes()
    for number in range(1000):
        sizes.too_large(str(number))
    assert sizes.of("999") == FEWER
    assert sum(sizes.of(str(number)) == FEWER for number in range(1000)) == 256


async def test_a_page_is_read_up_to_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_sizes, "PAGE_LIMIT", 10)
    taken = []

    async def pieces(number: int) -> AsyncIterator[bytes]:
        for each in range(number):
            taken.append(each)
            yield b"abc"

    assert await read_page(pieces(3)) == b"abc" * 3
    assert await read_page(pieces(100)) is None
    assert len(taken) == 3 + 4
