# SPDX-License-Identifier: Apache-2.0
"""On whose behalf a task works: it inherits that, and what it says itself reaches nobody else."""

from __future__ import annotations

import asyncio

import pytest

from postroom.concurrency.acting import acting_for, party


def test_outside_of_any_party_it_is_the_empty_one() -> None:
    assert party() == ""


def test_the_inner_party_counts_while_its_block_runs_however_it_ends() -> None:
    with acting_for("outer"):
        with pytest.raises(RuntimeError), acting_for("inner"):
            assert party() == "inner"
            raise RuntimeError
        assert party() == "outer"
    assert party() == ""


async def test_tasks_inherit_who_started_them_and_tell_nobody() -> None:
    async def work(own: str | None) -> tuple[str, str]:
        before = party()
        if own is None:
            await asyncio.sleep(0)
            return before, party()
        with acting_for(own):
            await asyncio.sleep(0)
            return before, party()

    with acting_for("a"):
        tasks = [asyncio.ensure_future(work(own)) for own in (None, "b", None)]
    assert party() == ""
    assert await asyncio.gather(*tasks) == [("a", "a"), ("a", "b"), ("a", "a")]
