# SPDX-License-Identifier: Apache-2.0
"""The memory of fetched policies: how long, and how much of it."""

from __future__ import annotations

from postroom.controller.policy_memory import FAULT_TTL, POLICY_TTL, PolicyMemory
from postroom.dns.tls.mta_sts_host import POLICY_BYTES_LIMIT, FetchedPolicy, PolicyFetchOutcome

LARGE = FetchedPolicy(PolicyFetchOutcome.FETCHED, "x" * POLICY_BYTES_LIMIT)


def test_a_policy_is_kept_longer_than_a_fault() -> None:
    now = [0.0]
    memory = PolicyMemory(clock=lambda: now[0])
    memory.put("policy", LARGE)
    memory.put("fault", FetchedPolicy(PolicyFetchOutcome.NOT_FOUND))
    kept = {}
    for moment in (0.0, FAULT_TTL, POLICY_TTL):
        now[0] = moment
        kept[moment] = [one for one in ("policy", "fault") if memory.get(one) is not None]
    assert kept == {0.0: ["policy", "fault"], FAULT_TTL: ["policy"], POLICY_TTL: []}


def test_what_is_fetched_anew_takes_the_place_of_what_was_known() -> None:
    memory = PolicyMemory()
    for _ in range(1000):
        memory.put("one", LARGE)
    assert memory.get("one") == LARGE


def test_the_oldest_go_when_it_is_too_much() -> None:
    memory = PolicyMemory()
    for number in range(200):
        memory.put(str(number), LARGE)
    kept = [number for number in range(200) if memory.get(str(number)) is not None]
    assert kept == list(range(200 - len(kept), 200))
    assert len(kept) * POLICY_BYTES_LIMIT == 8 * 1024 * 1024


def test_many_small_ones_are_bounded_too() -> None:
    memory = PolicyMemory()
    for number in range(10_001):
        memory.put(str(number), FetchedPolicy(PolicyFetchOutcome.FETCHED))
    assert memory.get("0") is None
    assert memory.get("1") is not None
