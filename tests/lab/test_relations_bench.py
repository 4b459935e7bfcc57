# SPDX-License-Identifier: Apache-2.0
"""What many accounts stand on changes: each of them is looked at once, and few at a time.

Speed is not judged here, but by `make bench`.
"""

from __future__ import annotations

from collections import Counter

from bench import relations
from postroom.settings import Settings


async def test_each_account_is_evaluated_once() -> None:
    count = 24
    storms, most, accounts = await relations.measure(count, beside=2)
    assert len(accounts) == count
    assert [storm.name for storm in storms] == ["the Secret", "the MailServer"]
    for storm in storms:
        evaluated = {key: storm.evaluations[key] for key in accounts}
        assert Counter(evaluated.values()) == {1: count}, storm.name
        taken = {namespace: len(latencies) for namespace, latencies in storm.rest.items()}
        assert taken == {"work": 4, "other": 4}
    assert 1 < most <= Settings().probes_per_target
