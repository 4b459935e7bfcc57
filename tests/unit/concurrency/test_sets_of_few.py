# SPDX-License-Identifier: Apache-2.0
"""Sets of few are sets, whatever goes in and out."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from postroom.concurrency.sets_of_few import SetsOfFew

STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(0, 3)), max_size=30)


@given(STEPS)
def test_they_hold_what_sets_hold(steps: list[tuple[bool, str, int]]) -> None:
    few: SetsOfFew[str, int] = SetsOfFew()
    sets: defaultdict[str, set[int]] = defaultdict(set)
    for adds, key, member in steps:
        if adds:
            few.add(key, member)
            sets[key].add(member)
        else:
            few.discard(key, member)
            sets[key].discard(member)
        assert sorted(few.of(key)) == sorted(sets[key])
    assert len(few) == sum(bool(members) for members in sets.values())
