# SPDX-License-Identifier: Apache-2.0
"""Asking a provider or a server about identities: with what, how often, and what stands meanwhile.

Covers: the pace of both methods, what asks at once, what stands while nobody can be asked and what
does not, and consent of Secrets.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postroom.api.identities import IdentityState
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.mail.identities.values import Discovered, DiscoveryFailure
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.operations import (
    Answer,
)
from postroom.mail.replies.model import FailureClass
from unit.reconcile.identity_worlds import (
    BILLING,
    ENVELOPE,
    IDENTITIES,
    LATER,
    NO,
    OWN,
    SALES,
    UNASKED,
    VERIFIED,
    YES,
    Post,
    gmail,
    one,
    states,
)
from unit.reconcile.mail_worlds import (
    ACCOUNT,
    REFUSED,
    verdict,
)

HOURLY = DiscoveryFailure(Reason.OAUTH_SCOPE_MISSING, "Enable it.")
PASSING = DiscoveryFailure(Reason.PROBE_INCONCLUSIVE, "Wait.", passing=True)


async def test_the_token_for_mail_is_what_is_asked_with() -> None:
    world = Post().at_gmail()
    await world.seen()
    ((grant, cloud),) = world.lister.asked
    assert (grant.subject, grant.provider.value, cloud) == (OWN, "Google", None)


async def test_nobody_is_asked_before_signing_in_worked() -> None:
    world = Post().at_gmail(BILLING)
    world.asker.refuses = {"token-1": REFUSED}
    status = await world.seen()
    assert world.lister.asked == []
    assert states(status) == {OWN: ("Unverifiable", None), BILLING: ("Unverifiable", None)}
    assert one(status, BILLING).reason == "NotAttempted"
    assert verdict(status, IDENTITIES) == ("Unknown", "IdentityUnverifiable")


async def test_method_none_asks_nobody() -> None:
    world = Post().at_gmail(BILLING, identityVerification={"method": "None"})
    status = await world.seen()
    assert (world.lister.asked, world.asker.envelopes) == ([], [])
    assert states(status) == {OWN: ("Verified", "SignIn"), BILLING: ("Unverifiable", None)}


@pytest.mark.parametrize(
    ("found", "minutes"),
    [
        (gmail(BILLING), 60),
        (gmail(BILLING, state=IdentityState.PENDING), 5),
        (gmail(), 5),
        (HOURLY, 60),
        (PASSING, 5),
        (replace(PASSING, retry_after=1800.0), 30),
    ],
    ids=["well", "pending", "rejected", "refused", "outage", "throttled"],
)
async def test_how_often_a_provider_is_asked(
    found: Discovered | DiscoveryFailure, minutes: int
) -> None:
    world = Post(found).at_gmail(BILLING)
    await world.seen()
    for _ in range(minutes - 1):
        await world.seen(timedelta(minutes=1))
    assert len(world.lister.asked) == 1
    await world.seen(timedelta(minutes=1))
    assert len(world.lister.asked) == 2


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (None, "SendingDomainNotFound"),
        ({"dkim": "none"}, "ReferenceInvalid"),
        ({}, "DependencyUnknown"),
    ],
)
async def test_what_our_own_objects_hold_back_makes_nobody_ask_more_often(
    spec: dict[str, Any] | None, reason: str
) -> None:
    other = "billing@other.example"
    world = Post(gmail(other)).at_gmail(other)
    world.declaring(other, domainPolicy="Required")
    for name, domain in (("own", "example.com"), ("other", "other.example")):
        key = Key(Kind.SENDING_DOMAIN, ACCOUNT.namespace, name)
        if name == "own":
            world.add(key, domain=domain)
        elif spec is not None:
            world.add(key, domain=domain, **spec)
    status = await world.seen()
    assert (one(status, other).state.value, one(status, other).reason) == ("Pending", reason)
    for _ in range(59):
        await world.seen(timedelta(minutes=1))
    assert len(world.lister.asked) == 1


async def test_an_edit_a_new_secret_and_a_request_ask_at_once() -> None:
    world = Post().at_gmail()
    await world.seen()
    world.declaring(BILLING)
    await world.seen(timedelta(minutes=1))
    world.add_secret("oauth", version="2", value="refresh")
    await world.seen(timedelta(minutes=1))
    annotations = {"postroom.dev/requested-at": "now"}
    world.objects[ACCOUNT]["metadata"]["annotations"] = annotations
    await world.seen(timedelta(minutes=1))
    assert len(world.lister.asked) == 4
    await world.seen(timedelta(minutes=1))
    assert len(world.lister.asked) == 4


async def test_an_outage_leaves_what_was_found() -> None:
    world = Post(gmail(BILLING, SALES), PASSING).at_gmail(BILLING)
    before = await world.seen()
    after = await world.seen(timedelta(hours=2))
    assert len(world.lister.asked) == 2
    assert after.identities == before.identities


@pytest.mark.parametrize("memory", ["kept", "lost"])
async def test_a_server_that_is_away_leaves_what_was_found(memory: str) -> None:
    world = Post(gmail(BILLING, SALES)).at_gmail(BILLING)
    before = await world.seen()
    outage = FailureClass.TRANSIENT
    world.scripted.script = [TokenFailure(OAuthReason.ENDPOINT_UNAVAILABLE, outage, "Away.")]
    if memory == "lost":
        world._memories.clear()
    after = await world.seen(timedelta(hours=2))
    assert after.identities == before.identities
    assert verdict(after, IDENTITIES) == VERIFIED


async def test_the_name_that_the_provider_gave_stays_while_it_is_away() -> None:
    world = Post(gmail(), PASSING).at_gmail()
    await world.seen()
    world._memories.clear()
    assert one(await world.seen(timedelta(hours=2)), OWN).display_name == "Support"


async def test_what_can_no_longer_be_asked_does_not_stand() -> None:
    world = Post(gmail(BILLING, SALES), HOURLY).at_gmail(BILLING)
    await world.seen()
    status = await world.seen(timedelta(hours=2))
    assert states(status) == {OWN: ("Verified", "SignIn"), BILLING: ("Unverifiable", None)}
    assert one(status, BILLING).message == "Enable it."


async def test_a_secret_that_names_its_hosts_must_name_the_api() -> None:
    hosts = ("oauth2.googleapis.com", "smtp.gmail.com")
    world = Post().at_gmail(BILLING)
    world.add_secret("oauth", hosts, value="refresh")
    status = await world.seen()
    assert world.lister.asked == []
    assert one(status, BILLING).reason == "ReferenceNotPermitted"
    assert "gmail.googleapis.com" in one(status, BILLING).message
    world.add_secret("oauth", (*hosts, "gmail.googleapis.com"), version="2", value="refresh")
    await world.seen()
    assert len(world.lister.asked) == 1


async def test_the_envelope_is_asked_only_on_request() -> None:
    world = Post().at_a_server(BILLING)
    await world.seen()
    assert world.asker.envelopes == []
    world.declaring(BILLING, identityVerification=ENVELOPE)
    status = await world.seen()
    assert world.asker.envelopes == [("password", (OWN, BILLING), OWN)]
    assert states(status)[BILLING] == ("Verified", "Envelope")
    assert verdict(status, IDENTITIES) == VERIFIED


@pytest.mark.parametrize(("answer", "hours"), [(YES, 24), (NO, 24), (LATER, 24), (UNASKED, 1)])
async def test_how_often_a_server_is_asked(answer: Answer, hours: int) -> None:
    world = Post().at_a_server(BILLING, identityVerification=ENVELOPE)
    world.asker.says = {OWN: UNASKED, BILLING: answer}
    await world.seen()
    await world.seen(timedelta(hours=hours) - timedelta(minutes=1))
    assert len(world.asker.envelopes) == 1
    await world.seen(timedelta(minutes=1))
    assert len(world.asker.envelopes) == 2


@pytest.mark.parametrize("answer", [LATER, UNASKED])
async def test_a_server_that_does_not_answer_leaves_what_was_found(answer: Answer) -> None:
    world = Post().at_a_server(BILLING, identityVerification=ENVELOPE)
    before = await world.seen()
    world.asker.says = {OWN: answer, BILLING: answer}
    after = await world.seen(timedelta(hours=25))
    assert len(world.asker.envelopes) == 2
    assert after.identities == before.identities


async def test_what_was_found_by_a_method_ends_with_it() -> None:
    world = Post().at_a_server(BILLING, identityVerification=ENVELOPE)
    await world.seen()
    status = await world.declaring(BILLING, identityVerification={}).seen()
    assert states(status)[BILLING] == ("Unverifiable", None)


async def test_it_does_not_outlive_its_method_while_the_server_is_away() -> None:
    world = Post().at_a_server(BILLING, identityVerification=ENVELOPE)
    await world.seen()
    world.asker.refuses = {"password": REFUSED}
    world.add_secret("login", version="2", username=OWN, password="password")
    assert states(await world.seen())[BILLING] == ("Verified", "Envelope")
    status = await world.declaring(BILLING, identityVerification={}).seen()
    assert states(status)[BILLING] == ("Unverifiable", None)


async def test_the_envelope_proves_nothing_at_gmail() -> None:
    world = Post().at_gmail(BILLING, identityVerification=ENVELOPE)
    status = await world.seen()
    assert (world.asker.envelopes, world.lister.asked) == ([], [])
    assert states(status)[BILLING] == ("Unverifiable", None)
    assert one(status, BILLING).message.startswith("Gmail judges senders only after")


async def test_the_own_address_is_asked_about_where_another_name_signs_in() -> None:
    world = Post().at_a_server(username="apikey", identityVerification=ENVELOPE)
    status = await world.seen()
    assert world.asker.envelopes == [("password", (OWN,), OWN)]
    assert states(status) == {OWN: ("Verified", "Envelope")}


async def test_nothing_is_asked_where_nothing_is_open() -> None:
    world = Post().at_a_server(identityVerification=ENVELOPE)
    await world.seen()
    assert world.asker.envelopes == []
