# SPDX-License-Identifier: Apache-2.0
"""Looks while datagrams are lost and a server is dead: in virtual time, always the same losses."""

import pytest

from bench.dns_losses import BOUND, looks
from dnsworld.clock import run
from postroom.dns.asking.health import Health


@pytest.mark.parametrize(("pause", "queries"), [(0.15, 13), (60.0, 20)])
def test_a_loss_or_a_dead_server_costs_a_look_little(pause: float, queries: int) -> None:
    found = run(looks(120, pause))
    assert found.quantile(0.99) <= BOUND
    # Where the resolver's answer is lost again and again, too.
    assert max(found.took) <= 1.0
    assert found.queries <= 120 * queries
    assert (found.faults, found.unknown) == (0, 0)


def test_who_answers_evenly_is_asked_again_soon_and_who_does_not_is_given_time() -> None:
    async def scene() -> tuple[float, float]:
        health: Health[str] = Health(0.1, 0.25)
        for number in range(20):
            health.answered("even", 0.02)
            health.answered("uneven", 0.3 if number % 4 == 0 else 0.01)
        return health.wait("even"), health.wait("uneven")

    even, uneven = run(scene())
    assert even == 0.1
    assert 0.3 < uneven < 1.0
