# SPDX-License-Identifier: Apache-2.0
"""How many objects are asked for: few where they are large, as many as ever once they are not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.controller import page_sizes
from postroom.controller.page_sizes import PAGE, PAGE_LIMIT, PageSizes, fewer, read_page

#: As large as the API server takes an object.
LARGEST = 3 * 2**19
#: Pages that are too large until one is that of one object.
DESCENT = 5


def listing(sizes: PageSizes, objects: list[int]) -> tuple[int, int]:
    """How many requests a list of objects of these octets takes, and how many were for nothing."""
    requests, wasted, begin = 0, 0, 0
    while begin < len(objects):
        requests += 1
        page = objects[begin : begin + (asked := sizes.of("a"))]
        if sum(page) > PAGE_LIMIT and asked > 1:
            sizes.too_large("a", asked)
            wasted += 1
            continue
        sizes.read("a", sum(page), len(page))
        begin += len(page)
    return requests, wasted


def test_fewer_are_asked_for_down_to_one() -> None:
    tried = [PAGE]
    while tried[-1] > 1:
        tried.append(fewer(tried[-1]))
    assert tried == [500, 125, 31, 7, 1]
    assert len(tried) == DESCENT


@pytest.mark.parametrize(("octets", "wasted", "at_once"), [(LARGEST, 3, 5), (6 * LARGEST, 4, 1)])
def test_a_list_of_the_largest_objects_wastes_few_requests_once(
    octets: int, wasted: int, at_once: int
) -> None:
    """Those of characters that are written as six are six times as large."""
    sizes, objects = PageSizes(), [octets] * 2000
    requests, for_nothing = listing(sizes, objects)
    assert for_nothing == wasted and requests <= 2000 // at_once + wasted
    assert listing(sizes, objects) == (2000 // at_once, 0)


def test_small_objects_come_in_whole_pages_again_soon() -> None:
    sizes = PageSizes()
    sizes.too_large("a", 4)
    assert listing(sizes, [3000] * 2000)[1] == 0
    assert sizes.of("a") == PAGE
    assert listing(sizes, [3000] * 2000) == (2000 // PAGE, 0)


@given(st.lists(st.sampled_from([100, 3000, 100_000, LARGEST]), max_size=3000))
def test_whatever_comes_few_requests_are_for_nothing(objects: list[int]) -> None:
    requests, wasted = listing(PageSizes(), objects)
    # Each halves the size twice, and a page that was read doubles it once.
    assert wasted <= DESCENT + requests // 2
    # As many as octets and objects make pages, but for the way down to what is large and up again.
    assert requests <= 8 * (sum(objects) // PAGE_LIMIT + len(objects) // PAGE + 8)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2**25), st.integers(0, 600))),
)
def test_sizes_stay_within_their_bounds(pages: list[tuple[str, int, int]]) -> None:
    sizes = PageSizes()
    for path, octets, objects in pages:
        if octets % 3 == 0:
            sizes.too_large(path, sizes.of(path))
        sizes.read(path, octets, objects)
        assert all(1 <= sizes.of(each) <= PAGE for each in "abc")


def test_of_many_collections_few_are_remembered() -> None:
    sizes = PageSizes()
    for number in range(1000):
        sizes.too_large(str(number), PAGE)
    assert sizes.of("999") == fewer(PAGE)
    assert sum(sizes.of(str(number)) == fewer(PAGE) for number in range(1000)) == 256


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
