# SPDX-License-Identifier: Apache-2.0
"""The profile through the engine: what status repeats of it, and that nothing of an earlier spec
stays."""

from collections.abc import Mapping
from typing import Any

import pytest

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.identities import IdentityType
from postroom.api.names import Kind
from postroom.api.profile import InboundStatus
from postroom.reconcile.engine import progressing
from postroom.reconcile.world import LookupUnavailable, SecretContent
from unit.reconcile.account.test_identities import BILLING, OWN, SALES, Post, gmail
from unit.reconcile.mail_worlds import ACCOUNT, MailWorld

FULL_AUTO = {"ai": {"enabled": True, "behavior": "FullAuto"}}
OFF = {"ai": {"enabled": False}}


def told(inbound: InboundStatus | None) -> Mapping[str, Any] | None:
    """What the operator writes of incoming mail; the worker that hands it over writes the rest."""
    written = {"ai"}
    return (
        inbound.model_dump(mode="json", by_alias=True, include=written)
        if inbound is not None
        else None
    )


@pytest.mark.parametrize("rest", [{}, {"suspend": True}, {"connection": "Disconnected"}])
async def test_status_repeats_what_an_ai_may_do_also_at_rest(rest: dict[str, Any]) -> None:
    world = MailWorld()
    status = await seen(world, inbound=FULL_AUTO)
    assert told(status.inbound) == FULL_AUTO
    status = await seen(world, inbound=OFF, **rest)
    assert told(status.inbound) == {"ai": {"enabled": False, "behavior": "Disabled"}}
    status = await seen(world, **rest)
    assert status.inbound is None


async def test_what_cannot_be_understood_allows_an_ai_nothing() -> None:
    world = MailWorld()
    await seen(world, inbound=FULL_AUTO)
    contradiction = {"ai": {"enabled": False, "behavior": "FullAuto"}}
    assert (await seen(world, inbound=contradiction)).inbound is None


async def test_the_spec_counts_while_it_is_looked_at_and_when_nobody_can_look() -> None:
    class Away(MailWorld):
        async def secret(self, namespace: str, name: str) -> SecretContent | None:
            raise LookupUnavailable("The API server is away.")

    world: MailWorld = Away()
    world.add(ACCOUNT, address=OWN, inbound=FULL_AUTO, provider="Gmail")
    world.objects[ACCOUNT]["status"] = {
        "inbound": {"ai": {"enabled": True, "behavior": "FullAuto"}}
    }
    status = await seen(world, inbound=OFF, provider="Gmail", credentialsRef={"name": "login"})
    assert told(status.inbound) == {"ai": {"enabled": False, "behavior": "Disabled"}}
    world.objects[ACCOUNT]["status"] = {
        "inbound": {"ai": {"enabled": True, "behavior": "FullAuto"}}
    }
    slow = progressing(Kind.EMAIL_ACCOUNT, world.objects[ACCOUNT], world.now())
    assert isinstance(slow, EmailAccountStatus)
    assert told(slow.inbound) == {"ai": {"enabled": False, "behavior": "Disabled"}}


async def seen(world: MailWorld, **spec: Any) -> EmailAccountStatus:
    world.add(ACCOUNT, address=OWN, **spec)
    status = await world.look(ACCOUNT)
    assert isinstance(status, EmailAccountStatus)
    return status


async def test_discovered_identities_get_the_profile_of_the_first_pattern() -> None:
    post = Post(gmail(BILLING, SALES, "eu@shop.example.com"))
    rules = [
        {"match": "billing@*", "profile": "billing"},
        {"match": "*@*.example.com", "profile": "shop"},
        {"match": "*@example.com", "profile": "desk"},
    ]
    declared = {"address": SALES, "senderProfile": "sales"}
    status = await post.at_gmail(declared, senderProfiles=rules).seen()
    found = {each.address: each.sender_profile for each in status.identities}
    assert found == {OWN: "desk", SALES: "sales", BILLING: "billing", "eu@shop.example.com": "shop"}
    assert {each.address: each.type for each in status.identities}[OWN] is IdentityType.PRIMARY
    post.declaring(declared, senderProfiles=rules[2:])
    found = {each.address: each.sender_profile for each in (await post.seen()).identities}
    assert found == {OWN: "desk", SALES: "sales", BILLING: "desk", "eu@shop.example.com": None}
