# SPDX-License-Identifier: Apache-2.0
"""What a bearer token is not shown to: ports that may not be dialled, and addresses within."""

from __future__ import annotations

import pytest

from postroom.api.masked import Masked
from postroom.mail.connect.guard import DEFAULT_PORTS, DialPolicy
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.identities.asking import ApiReply, BearerExchange

TOKEN = Masked("canary")


class Names:
    """Resolves every name to the same addresses, and remembers which were asked for."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.asked = addresses, list[str]()

    async def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        return self.addresses


@pytest.mark.parametrize("port", [22, 25, 587, 993, 8443])
async def test_other_ports_are_not_even_looked_up(port: int) -> None:
    names = Names("8.8.8.8")
    answer = await BearerExchange(DialPolicy(), names).get(f"https://a.example:{port}/", TOKEN)
    assert answer == NoAnswer("The port of a.example may not be dialled.", denied=True)
    assert names.asked == []


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1"])
async def test_addresses_within_are_not_asked(address: str) -> None:
    names = Names("8.8.8.8", address)
    answer = await BearerExchange(DialPolicy(), names).get("https://a.example/me", TOKEN)
    assert isinstance(answer, NoAnswer)
    assert answer.denied
    assert names.asked == ["a.example"]


async def test_a_port_that_the_operator_has_added_may_be_asked() -> None:
    names = Names()
    policy = DialPolicy(allowed_ports=DEFAULT_PORTS | {8443})
    answer = await BearerExchange(policy, names).get("https://a.example:8443/", TOKEN)
    assert isinstance(answer, NoAnswer)
    assert not answer.denied
    assert names.asked == ["a.example"]


async def test_a_refused_question_leaves_its_turn_to_others() -> None:
    exchange = BearerExchange(DialPolicy(), Names(), limit=1)
    for _ in range(40):
        answer = await exchange.get("https://a.example/", TOKEN)
        assert isinstance(answer, NoAnswer)
        assert "has no address" in answer.sentence


def test_a_reply_does_not_show_its_document() -> None:
    assert "canary" not in f"{ApiReply(200, {'token': 'canary'})!r}"
