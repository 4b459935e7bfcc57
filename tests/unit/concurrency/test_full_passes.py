# SPDX-License-Identifier: Apache-2.0
"""Full passes of the garbage collector: long ones are not repeated, circles are freed all the same.

By counts: how long a pass takes is told by a clock that counts what is gone through.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.concurrency.full_passes import GROWTH, FullPasses
from unit.concurrency import circles
from unit.concurrency.circles import FEW, KEPT, Passes


@pytest.fixture
async def passes() -> AsyncIterator[Passes]:
    """Watched over, and counted."""
    before = list(gc.callbacks), gc.get_threshold()
    with circles.watched() as counted:
        yield counted
    assert (gc.callbacks, gc.get_threshold()) == before


async def test_what_is_kept_is_gone_through_until_a_pass_was_long(passes: Passes) -> None:
    kept = []
    for _ in range(12):
        kept += [[number] for number in range(KEPT // 12)]
        gc.collect()
    # Four parts are too much for one pass: there are three of them, and what else the process has.
    assert max(passes.seen) < 2 * FEW
    assert sum(passes.seen) < 4 * KEPT
    assert gc.get_freeze_count() > KEPT - FEW
    passes.seen.clear()
    gc.collect()
    assert max(passes.seen) < FEW


async def test_replacing_what_is_kept_brings_no_pass_through_all(passes: Passes) -> None:
    """As statuses are: each is new to the collector, and there are no more of them."""
    kept = [[number] for number in range(KEPT // 2)]
    passes.settle()
    aside = gc.get_freeze_count()
    passes.seen.clear()
    for turn in range(20):
        for number in range(0, KEPT // 2, 2):
            kept[number + turn % 2] = [number]
        gc.collect()
        await asyncio.sleep(0)
        assert gc.get_freeze_count() < aside + FEW
    assert max(passes.seen) < 2 * FEW


@pytest.mark.parametrize("each", [FEW, 2 * FEW])
def test_circles_that_were_set_aside_do_not_pile_up(each: int) -> None:
    program = [sys.executable, str(Path(circles.__file__)), str(each)]
    done = subprocess.run(program, capture_output=True, check=True, text=True, timeout=300)
    found = json.loads(done.stdout)
    there = found["there"]
    # What was in use when it was set aside is lost, until it is too much: again and again.
    assert each < max(there) <= (GROWTH - 1) * found["settled"] + each
    assert there.count(0) > 1
    told = [one for one in found["told"] if one.startswith("a pass through all that is kept took")]
    assert len(told) == there.count(0)
    assert found["as before"]


async def test_nothing_is_set_aside_where_growth_cannot_be_seen() -> None:
    before = list(gc.callbacks)
    with FullPasses(size=lambda: 0) as watching:
        assert gc.callbacks == before
        watching.settle()
