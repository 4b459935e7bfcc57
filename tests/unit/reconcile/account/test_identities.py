# SPDX-License-Identifier: Apache-2.0
"""Identities through the engine: what status and conditions say, who is asked, and how often.

Covers: merging what is declared, discovered and signed in as, what gates Ready, what stands while
nobody can be asked, the pace of both methods, consent of Secrets, and accounts that send with their
MailServer's credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.identities import IdentityState, IdentityStatus, IdentityType
from postroom.api.oauth import MicrosoftCloud, OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.identities.values import Discovered, DiscoveryFailure, ListedIdentity
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.grant import Grant
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.operations import (
    Acceptance,
    Answer,
    AskSenders,
    EnvelopeReport,
    Operation,
    OperationReport,
)
from postroom.mail.replies.model import FailureClass
from postroom.mail.report import Login
from unit.reconcile.mail_worlds import (
    ACCOUNT,
    REFUSED,
    SERVER,
    WELL,
    MailWorld,
    Probes,
    message,
    verdict,
)

OWN, BILLING, SALES = "support@example.com", "billing@example.com", "sales@example.com"
IDENTITIES = ConditionType.IDENTITIES_VERIFIED
REFERENCE = {"name": "oauth", "key": "value"}
OAUTH = {"provider": "Google", "clientID": "gid", "refreshTokenRef": REFERENCE}
ENVELOPE = {"method": "Envelope"}
VERIFIED = ("True", "IdentitiesVerified")
ALL = frozenset(IdentityType)


def gmail(*others: str, state: IdentityState = IdentityState.VERIFIED) -> Discovered:
    listed = [ListedIdentity(OWN, IdentityType.PRIMARY, IdentityState.VERIFIED, "Support")]
    listed += [ListedIdentity(other, IdentityType.ALIAS, state, "From Gmail") for other in others]
    return Discovered(OAuthProvider.GOOGLE, OWN, tuple(listed), ALL)


@dataclass
class Source:
    """Lists what is scripted, one after the other, the last one for ever."""

    script: list[Discovered | DiscoveryFailure]
    asked: list[tuple[Grant, MicrosoftCloud | None]] = field(default_factory=list)

    async def identities(
        self, grant: Grant, cloud: MicrosoftCloud | None
    ) -> Discovered | DiscoveryFailure:
        self.asked.append((grant, cloud))
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


YES = Answer(Acceptance.ACCEPTED, Reason.PROBE_SUCCEEDED, "Accepted.", 250)
NO = Answer(Acceptance.REFUSED, Reason.SENDER_NOT_AUTHORIZED, "Refused.", 553, "5.7.1")
LATER = Answer(Acceptance.DEFERRED, Reason.TEMPORARY_FAILURE, "Later.", 450)
UNASKED = Answer(Acceptance.UNKNOWN, Reason.PROBE_INCONCLUSIVE, "Broken off.")


@dataclass
class EnvelopeProbes(Probes):
    """Says yes to every sender, or what `says` has for it."""

    says: Mapping[str, Answer] = field(default_factory=dict)
    envelopes: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)

    async def do(self, login: Login, operation: Operation[Any]) -> OperationReport:
        if not isinstance(operation, AskSenders):
            return await super().do(login, operation)
        senders = tuple(operation.senders)
        self.envelopes.append((login.password.reveal(), senders, operation.recipient))
        return EnvelopeReport(WELL, {sender: self.says.get(sender, YES) for sender in senders})


class Post(MailWorld):
    """A world with one account, at Gmail with a token, or at a server of its own."""

    def __init__(self, *script: Discovered | DiscoveryFailure) -> None:
        super().__init__()
        self.lister = Source(list(script) or [gmail()])
        self.identity_source = self.lister
        self.asker = EnvelopeProbes()
        self.probes = self.asker
        self.spec: dict[str, Any] = {"address": OWN}
        self.add_secret("oauth", value="refresh")

    def at_gmail(self, *declared: Any, **spec: Any) -> Post:
        self.spec |= {"provider": "Gmail", "oauth": OAUTH}
        return self.declaring(*declared, **spec)

    def at_a_server(self, *declared: Any, username: str = OWN, **spec: Any) -> Post:
        self.add_secret("login", username=username, password="password")
        self.add(SERVER, host="smtp.example.com")
        self.spec |= {"serverRef": {"name": "smtp"}, "credentialsRef": {"name": "login"}}
        return self.declaring(*declared, **spec)

    def declaring(self, *declared: Any, **spec: Any) -> Post:
        entries = [one if isinstance(one, dict) else {"address": one} for one in declared]
        self.spec |= {"identities": entries, **spec}
        self.add(ACCOUNT, **self.spec)
        return self

    async def seen(self, wait: timedelta = timedelta(minutes=5)) -> EmailAccountStatus:
        if SERVER in self.objects:
            await self.look(SERVER, timedelta())
        status = await self.look(ACCOUNT, wait)
        assert isinstance(status, EmailAccountStatus)
        return status


def states(status: EmailAccountStatus) -> dict[str, tuple[str, str | None]]:
    """By address: its state and the method."""
    return {
        identity.address: (identity.state.value, identity.method.value if identity.method else None)
        for identity in status.identities
    }


def one(status: EmailAccountStatus, address: str) -> IdentityStatus:
    (found,) = [entry for entry in status.identities if entry.address == address]
    return found


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


HOURLY = DiscoveryFailure(Reason.OAUTH_SCOPE_MISSING, "Enable it.")
PASSING = DiscoveryFailure(Reason.PROBE_INCONCLUSIVE, "Wait.", passing=True)


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


async def test_a_refused_envelope_is_a_rejection() -> None:
    world = Post().at_a_server(BILLING, identityVerification=ENVELOPE)
    world.asker.says = {BILLING: NO}
    status = await world.seen()
    assert states(status)[BILLING] == ("Rejected", "Envelope")
    assert verdict(status, ConditionType.READY) == ("False", "IdentityRejected")
    assert message(status).startswith(f"{BILLING}: The server does not let {OWN} send as")


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
