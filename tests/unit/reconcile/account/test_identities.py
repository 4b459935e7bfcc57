# SPDX-License-Identifier: Apache-2.0
"""Identities through the engine: what status and conditions say.

Covers: merging what is declared, discovered and signed in as, what gates Ready, and accounts that
send with their MailServer's credentials.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from postroom.api.conditions import ConditionType
from postroom.api.identities import IdentityState, IdentityType
from unit.reconcile.identity_worlds import (
    BILLING,
    ENVELOPE,
    IDENTITIES,
    NO,
    OWN,
    SALES,
    VERIFIED,
    Post,
    gmail,
    one,
    states,
)
from unit.reconcile.mail_worlds import (
    ACCOUNT,
    SERVER,
    message,
    verdict,
)


async def test_who_signs_in_as_its_address_has_it_verified() -> None:
    status = await Post().at_a_server().seen()
    assert states(status) == {OWN: ("Verified", "SignIn")}
    assert one(status, OWN).type is IdentityType.PRIMARY
    assert verdict(status, IDENTITIES) is None, "nothing is declared, nothing is wrong"
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")


async def test_another_user_name_says_nothing_of_the_address() -> None:
    status = await Post().at_a_server(username="apikey").seen()
    assert states(status) == {OWN: ("Unverifiable", None)}
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")


async def test_declared_and_discovered_are_merged() -> None:
    world = Post(gmail("Billing@example.com", SALES)).at_gmail(
        {"address": BILLING, "type": "SendAs", "displayName": "Billing", "senderProfile": "b"}
    )
    status = await world.seen()
    assert states(status) == {
        OWN: ("Verified", "SignIn"),
        BILLING: ("Verified", "Provider"),
        SALES: ("Verified", "Provider"),
    }
    facts = [
        (entry.declared, entry.type.value, entry.display_name, entry.sender_profile)
        for entry in status.identities
    ]
    assert facts == [
        (True, "Primary", "Support", None),
        (True, "SendAs", "Billing", "b"),
        (False, "Alias", "From Gmail", None),
    ]
    assert verdict(status, IDENTITIES) == VERIFIED


def off(address: str) -> dict[str, Any]:
    return {"address": address, "enabled": False}


async def test_what_is_turned_off_is_neither_asked_about_nor_judged() -> None:
    world = Post().at_a_server(off(BILLING), SALES, identityVerification=ENVELOPE)
    world.asker.says = {BILLING: NO}
    status = await world.seen()
    assert states(status)[BILLING] == ("Disabled", None)
    assert one(status, BILLING).reason == "IdentityDisabled"
    assert [senders for _, senders, _ in world.asker.envelopes] == [(OWN, SALES)]
    assert verdict(status, IDENTITIES) == VERIFIED
    assert status.findings == []
    world.declaring(BILLING, SALES, identityVerification=ENVELOPE)
    assert states(await world.seen())[BILLING] == ("Rejected", "Envelope")


async def test_what_was_verified_is_turned_off_at_once_and_comes_back() -> None:
    world = Post(gmail(BILLING)).at_gmail(BILLING)
    assert states(await world.seen())[BILLING] == ("Verified", "Provider")
    world.declaring(off(BILLING))
    status = await world.seen()
    assert states(status)[BILLING] == ("Disabled", None)
    assert one(status, BILLING).verified_at is None
    assert verdict(status, IDENTITIES) is None, "nothing else is declared"
    world.declaring(BILLING)
    assert states(await world.seen())[BILLING] == ("Verified", "Provider")


async def test_what_the_provider_lists_by_itself_can_be_turned_off() -> None:
    world = Post(gmail(BILLING)).at_gmail()
    assert states(await world.seen())[BILLING] == ("Verified", "Provider")
    world.declaring(off(BILLING))
    assert states(await world.seen())[BILLING] == ("Disabled", None)


async def test_the_own_address_may_be_declared_for_its_name() -> None:
    entry = {"address": OWN, "displayName": "Help", "senderProfile": "help"}
    status = await Post().at_gmail(entry).seen()
    assert len(status.identities) == 1
    assert (one(status, OWN).type.value, one(status, OWN).display_name) == ("Primary", "Help")
    assert verdict(status, IDENTITIES) == VERIFIED


async def test_the_name_of_the_account_is_that_of_its_address() -> None:
    status = await Post().at_gmail({"address": OWN}, displayName="Help Desk").seen()
    assert one(status, OWN).display_name == "Help Desk"


async def test_a_rejected_identity_keeps_the_account_from_ready() -> None:
    status = await Post(gmail()).at_gmail(BILLING, SALES).seen()
    assert states(status)[BILLING] == ("Rejected", "Provider")
    assert verdict(status, IDENTITIES) == ("False", "IdentityRejected")
    assert verdict(status, ConditionType.READY) == ("False", "IdentityRejected")
    assert message(status).startswith(f"{BILLING}: Gmail would put another sender in its place")
    assert message(status).endswith("So it is with 1 more: read status.identities.")
    found = [(entry.code, entry.subject, entry.severity.value) for entry in status.findings]
    assert found == [
        ("IDENTITY_REJECTED", BILLING, "Error"),
        ("IDENTITY_REJECTED", SALES, "Error"),
    ]


async def test_a_pending_identity_does_not() -> None:
    status = await Post(gmail(BILLING, state=IdentityState.PENDING)).at_gmail(BILLING).seen()
    assert states(status)[BILLING] == ("Pending", "Provider")
    assert verdict(status, IDENTITIES) == ("Unknown", "IdentityPending")
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert [(entry.code, entry.severity.value) for entry in status.findings] == [
        ("IDENTITY_PENDING", "Warning")
    ]


async def test_an_unverifiable_identity_does_not() -> None:
    status = await Post().at_a_server(BILLING).seen()
    assert states(status)[BILLING] == ("Unverifiable", None)
    assert verdict(status, IDENTITIES) == ("Unknown", "IdentityUnverifiable")
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert status.findings == []


async def test_what_the_provider_alone_has_rejected_is_no_matter() -> None:
    status = await Post(gmail(SALES, state=IdentityState.PENDING)).at_gmail(BILLING).seen()
    assert states(status)[SALES] == ("Pending", "Provider")
    assert [entry.subject for entry in status.findings] == [BILLING]


async def test_status_lists_so_many_and_no_more() -> None:
    world = Post(gmail(*(f"a{number}@example.com" for number in range(400)))).at_gmail(BILLING)
    status = await world.seen()
    assert len(status.identities) == 64
    assert [entry.address for entry in status.identities[:2]] == [OWN, BILLING]


async def test_a_round_trip_proves_what_nobody_tells() -> None:
    world = Post().at_a_server(BILLING)
    await world.seen()
    stored = world.objects[ACCOUNT]["status"]["identities"][1]
    stored |= {"state": "Verified", "method": "RoundTrip", "verifiedAt": "2026-11-21T08:00:00Z"}
    status = await world.seen()
    assert states(status)[BILLING] == ("Verified", "RoundTrip")
    assert verdict(status, IDENTITIES) == VERIFIED


async def test_since_when_it_is_verified() -> None:
    world = Post(gmail(BILLING), gmail(BILLING), gmail(), gmail(BILLING)).at_gmail(BILLING)
    first = one(await world.seen(), BILLING).verified_at
    assert first is not None
    assert one(await world.seen(timedelta(hours=2)), BILLING).verified_at == first
    assert one(await world.seen(timedelta(hours=2)), BILLING).verified_at is None
    again = one(await world.seen(timedelta(hours=2)), BILLING).verified_at
    assert again is not None
    assert again > first


async def test_an_identity_that_is_no_longer_declared_is_gone() -> None:
    world = Post().at_a_server(BILLING, SALES)
    await world.seen()
    status = await world.declaring(SALES).seen()
    assert [entry.address for entry in status.identities] == [OWN, SALES]


async def test_a_refused_envelope_is_a_rejection() -> None:
    world = Post().at_a_server(BILLING, identityVerification=ENVELOPE)
    world.asker.says = {BILLING: NO}
    status = await world.seen()
    assert states(status)[BILLING] == ("Rejected", "Envelope")
    assert verdict(status, ConditionType.READY) == ("False", "IdentityRejected")
    assert message(status).startswith(f"{BILLING}: The server does not let {OWN} send as")


async def test_an_account_without_credentials_is_judged_by_those_of_its_server() -> None:
    world = Post()
    world.add_secret("server", username="relay", password="of the server")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "server"})
    world.spec |= {"serverRef": {"name": "smtp"}}
    world.declaring(BILLING, identityVerification=ENVELOPE)
    status = await world.seen()
    assert world.asker.envelopes == [("of the server", (OWN, BILLING), OWN)]
    assert states(status) == {OWN: ("Verified", "Envelope"), BILLING: ("Verified", "Envelope")}


async def test_an_account_that_nobody_signs_in_for() -> None:
    world = Post()
    world.add(SERVER, host="smtp.example.com")
    world.spec |= {"serverRef": {"name": "smtp"}}
    status = await world.declaring(BILLING).seen()
    assert states(status) == {OWN: ("Unverifiable", None), BILLING: ("Unverifiable", None)}
    assert "set credentialsRef" in one(status, BILLING).message
