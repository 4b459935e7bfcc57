# SPDX-License-Identifier: Apache-2.0
"""Nothing fails open: what an account stands on goes away, and the account says so.

Covers: the SendingDomain deleted and made again (under another name, after a restart, after an
edit); a dangling receiver; the server, its readiness and the password; suspension; a fallback that
nothing speaks for; two accounts of one address in two namespaces; two domains in one; IMAP behind a
password that SMTP has refused; random histories, after which whoever is named may send.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.conditions import ConditionStatus, ConditionType, find
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, REFUSED, SERVER, MailWorld, Probes

ADDRESS = "support@send.example.com"
RELAY_ADDRESS = "noreply@relay.example.net"
DOMAIN = Key(Kind.SENDING_DOMAIN, NAMESPACE, "send")
FALLBACK = Key(Kind.SENDING_DOMAIN, NAMESPACE, "relay")
PEER = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "peer")
#: Older than the account, for the same address; and one of another namespace.
TWIN = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "a-twin")
FOREIGN = Key(Kind.EMAIL_ACCOUNT, "elsewhere", "theirs")


class Mail(MailWorld):
    """A server that is well, a password, and an account that signs in to both protocols."""

    def __init__(self, **spec: Any) -> None:
        super().__init__()
        self.add_secret("mailbox", username=ADDRESS, password="p")
        self.add(SERVER, host="smtp.example.com", credentialsRef={"name": "mailbox"})
        self.ready(SERVER)
        self.spec = {
            "address": ADDRESS,
            "serverRef": {"name": "smtp"},
            "credentialsRef": {"name": "mailbox"},
            "imap": {"host": "imap.example.com"},
            **spec,
        }
        self.add(ACCOUNT, **self.spec)

    def ready(self, key: Key, status: str = "True", **fields: Any) -> None:
        """Store what another look would have found of an object."""
        raw = self.objects[key]
        generation = raw["metadata"]["generation"]
        ready = {
            "type": "Ready",
            "status": status,
            "reason": "Succeeded" if status == "True" else "RecordNotFound",
            "message": "x",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
            "observedGeneration": generation,
        }
        raw["status"] = {"observedGeneration": generation, "conditions": [ready], **fields}

    def domain(
        self, key: Key = DOMAIN, domain: str = "send.example.com", status: str = "True"
    ) -> None:
        self.add(key, domain=domain)
        self.ready(key, status)

    async def account(self) -> EmailAccountStatus:
        return cast("EmailAccountStatus", await self.look(ACCOUNT))


def ready(status: EmailAccountStatus) -> tuple[str, str]:
    found = find(status.conditions, ConditionType.READY)
    assert found is not None
    return found.status.value, found.reason


def message(status: EmailAccountStatus) -> str:
    found = find(status.conditions, ConditionType.READY)
    assert found is not None
    return found.message


def sender(status: EmailAccountStatus) -> tuple[str | None, str]:
    assert status.effective_sender is not None
    return status.effective_sender.address, status.effective_sender.reason


async def test_a_domain_that_is_deleted_is_missed_until_it_is_back() -> None:
    mail = Mail()
    mail.domain()
    assert sender(await mail.account()) == (ADDRESS, "DomainVerified")
    del mail.objects[DOMAIN]
    for _ in range(3):
        gone = await mail.account()
        assert ready(gone) == ("False", "SendingDomainNotFound")
        assert "SendingDomain send is gone" in message(gone)
        assert sender(gone) == (None, "SendingDomainNotFound")
    mail._memories.clear()  # a restart
    assert ready(await mail.account()) == ("False", "SendingDomainNotFound")
    mail.add(ACCOUNT, **mail.spec, displayName="Support")  # an edit of something else
    assert ready(await mail.account()) == ("False", "SendingDomainNotFound")
    mail.domain(Key(Kind.SENDING_DOMAIN, NAMESPACE, "another-name"))
    back = await mail.account()
    assert (ready(back)[0], sender(back)) == ("True", (ADDRESS, "DomainVerified"))


async def test_an_account_that_never_had_a_domain_misses_none() -> None:
    status = await Mail().account()
    assert (ready(status)[0], sender(status)) == ("True", (ADDRESS, "NoDomain"))


@pytest.mark.parametrize("required", [False, True])
async def test_nobody_sends_under_a_domain_that_cannot_be_understood(required: bool) -> None:
    mail = Mail(**{"domainPolicy": "Required"} if required else {})
    mail.domain()
    assert sender(await mail.account()) == (ADDRESS, "DomainVerified")
    mail.add(DOMAIN, domain="send.example.com", dkim="none")
    status = await mail.account()
    assert ready(status) == ("False", "ReferenceInvalid")
    assert sender(status) == (None, "ReferenceInvalid")
    assert "create" not in message(status)
    mail.domain()
    assert sender(await mail.account()) == (ADDRESS, "DomainVerified")


async def test_a_receiver_that_is_not_there_is_a_reference_that_leads_nowhere() -> None:
    mail = Mail(roundTrip={"receiverRef": {"name": "peer"}})
    status = await mail.account()
    assert ready(status) == ("False", "EmailAccountNotFound")
    resolved = find(status.conditions, ConditionType.REFERENCES_RESOLVED)
    assert resolved is not None
    assert resolved.status is ConditionStatus.FALSE
    mail.add(PEER, address="peer@example.net")
    assert ready(await mail.account())[0] == "True"
    del mail.objects[PEER]
    assert ready(await mail.account()) == ("False", "EmailAccountNotFound")


async def test_a_fallback_stands_on_its_domain_and_on_no_account() -> None:
    mail = Mail(fallbackSender=RELAY_ADDRESS)
    mail.domain(status="False")
    mail.domain(FALLBACK, "relay.example.net")
    used = (RELAY_ADDRESS, "FallbackUsed")
    never = await mail.account()
    assert (ready(never)[0], sender(never)) == ("True", used)
    mail.add(PEER, address=RELAY_ADDRESS)
    assert sender(await mail.account()) == used
    del mail.objects[PEER]  # it was for the address, and nothing of it was needed
    gone = await mail.account()
    assert (ready(gone)[0], sender(gone), gone.findings) == ("True", used, never.findings)
    mail.add(PEER, address=RELAY_ADDRESS, connection="Disconnected")
    assert sender(await mail.account()) == (None, "FallbackSenderDisconnected")
    mail.add(PEER, address=RELAY_ADDRESS)
    assert sender(await mail.account()) == used
    del mail.objects[FALLBACK]
    assert sender(await mail.account()) == (None, "FallbackSenderNotVerified")


async def test_a_domain_in_u_labels_is_the_same_domain() -> None:
    written, stored = "support@münchen.example", "support@xn--mnchen-3ya.example"
    mail = Mail(address=written, identities=[{"address": "sales@münchen.example"}])
    mail.add_secret("mailbox", username=stored, password="p")
    mail.domain(domain="xn--mnchen-3ya.example")
    status = await mail.account()
    assert (status.address, sender(status)) == (stored, (stored, "DomainVerified"))
    addresses = [entry.address for entry in status.identities]
    assert addresses == [stored, "sales@xn--mnchen-3ya.example"]
    assert status.identities[0].state.value == "Verified"
    mail.add(TWIN, address=stored)
    assert ready(await mail.account()) == ("False", "DuplicateAddress")


async def test_nobody_sends_without_the_server() -> None:
    mail = Mail()
    assert sender(await mail.account())[0] == ADDRESS
    mail.ready(SERVER, "False")
    assert sender(await mail.account()) == (None, "MailServerNotReady")
    del mail.objects[SERVER]
    assert sender(await mail.account()) == (None, "MailServerNotFound")


async def test_nobody_sends_with_a_password_that_is_refused() -> None:
    mail = Mail()
    assert sender(await mail.account())[0] == ADDRESS
    mail.add_secret("mailbox", version="2", username=ADDRESS, password="wrong")
    mail.probes = Probes(refuses={"wrong": REFUSED})
    assert sender(await mail.account()) == (None, "AuthenticationRejected")
    mail.secrets.clear()
    assert sender(await mail.account()) == (None, "SecretNotFound")


async def test_imap_does_not_stay_good_behind_a_password_that_smtp_refused() -> None:
    mail = Mail()
    before = await mail.account()
    known = find(before.conditions, ConditionType.IMAP_AUTHENTICATED)
    assert known is not None
    assert known.status is ConditionStatus.TRUE
    mail.add_secret("mailbox", version="2", username=ADDRESS, password="wrong")
    mail.probes = Probes(refuses={"wrong": REFUSED})
    after = await mail.account()
    found = find(after.conditions, ConditionType.IMAP_AUTHENTICATED)
    assert found is not None
    assert (found.status, found.reason) == (ConditionStatus.UNKNOWN, "NotAttempted")


async def test_nobody_sends_while_suspended_or_invalid() -> None:
    mail = Mail()
    assert sender(await mail.account())[0] == ADDRESS
    mail.add(ACCOUNT, **mail.spec, suspend=True)
    assert sender(await mail.account()) == (None, "Suspended")
    mail.add(ACCOUNT, **mail.spec)
    assert sender(await mail.account())[0] == ADDRESS
    mail.add(ACCOUNT, **{**mail.spec, "fallbackSender": "x"})
    assert sender(await mail.account()) == (None, "InvalidSpec")


async def test_the_fallback_needs_a_domain_that_is_verified_here() -> None:
    mail = Mail(fallbackSender="someone@gmail.com")
    mail.domain(status="False")
    status = await mail.account()
    assert ready(status) == ("False", "FallbackSenderNotVerified")
    assert sender(status) == (None, "FallbackSenderNotVerified")
    assert "no SendingDomain of this namespace is for gmail.com" in message(status)
    mail.domain()
    well = await mail.account()
    assert (ready(well)[0], sender(well)[0]) == ("True", ADDRESS)
    # It is told before it is needed.
    assert [finding.code for finding in well.findings] == ["FALLBACK_SENDER_NOT_VERIFIED"]


async def test_a_fallback_that_is_verified_stands_in_and_is_named() -> None:
    mail = Mail(fallbackSender="noreply@relay.example.net")
    mail.domain(status="False")
    mail.domain(FALLBACK, "relay.example.net")
    status = await mail.account()
    assert sender(status) == ("noreply@relay.example.net", "FallbackUsed")
    assert message(status).startswith("noreply@relay.example.net sends through MailServer smtp in")
    mail.ready(FALLBACK, "False")
    assert sender(await mail.account()) == (None, "FallbackSenderNotVerified")
    del mail.objects[FALLBACK]
    assert sender(await mail.account()) == (None, "FallbackSenderNotVerified")


async def test_one_address_in_two_namespaces_is_said_to_both_and_names_neither() -> None:
    mail = Mail()
    other = Key(Kind.EMAIL_ACCOUNT, "secret-team", "theirs")
    mail.add(other, address=ADDRESS.upper().replace("SEND.EXAMPLE.COM", "send.example.com"))
    mail.objects[ACCOUNT]["metadata"]["creationTimestamp"] = "2026-11-01T00:00:00Z"
    mail.objects[other]["metadata"]["creationTimestamp"] = "2026-11-02T00:00:00Z"
    status = await mail.account()
    assert [finding.code for finding in status.findings] == ["ADDRESS_CONFLICT"]
    assert ready(status)[0] == "True"  # nobody is kept from working by a neighbour
    refused = cast("EmailAccountStatus", await mail.look(other))
    assert ready(refused) == ("False", "AddressConflict")
    stalled = find(refused.conditions, ConditionType.STALLED)
    assert stalled is not None and stalled.status is ConditionStatus.TRUE
    assert sender(refused) == (None, "AddressConflict")
    for told, foreign in ((status, ("secret-team", "theirs")), (refused, ("support",))):
        shown = told.model_dump_json().replace(ADDRESS, "").replace(ADDRESS.upper(), "")
        assert not any(name in shown.replace("Support@send.example.com", "") for name in foreign)
    mail.add(ACCOUNT, **mail.spec, connection="Disconnected")
    assert ready(cast("EmailAccountStatus", await mail.look(other)))[1] != "AddressConflict"
    mail.add(ACCOUNT, **mail.spec)
    del mail.objects[other]
    assert (await mail.account()).findings == []


STEPS = st.sampled_from(
    [
        "domain", "no domain", "domain fails", "relay", "no relay", "relay fails", "server",
        "no server", "server fails", "secret", "no secret", "wrong secret", "suspend", "resume",
        "fallback", "no fallback", "receiver", "no receiver", "peer", "no peer", "restart", "wait",
        "twin", "no twin", "again", "foreign", "no foreign", "disconnect", "connect",
        "peer disconnects",
    ]
)  # fmt: skip


def step(mail: Mail, name: str, version: int) -> None:
    """What somebody does."""
    named = {
        "domain": DOMAIN, "relay": FALLBACK, "server": SERVER, "peer": PEER, "twin": TWIN,
        "foreign": FOREIGN,
    }  # fmt: skip
    specs = {
        DOMAIN: {"domain": "send.example.com"},
        FALLBACK: {"domain": "relay.example.net"},
        SERVER: {"host": "smtp.example.com", "credentialsRef": {"name": "mailbox"}},
        PEER: {"address": "peer@example.net"},
        # Receivers fold the case of a domain, and so do we of all of it.
        TWIN: {"address": "Support@send.example.com"},
        FOREIGN: {"address": ADDRESS},
    }
    what = name.removeprefix("no ").removesuffix(" fails")
    if what in named:
        key = named[what]
        if name.startswith("no "):
            mail.objects.pop(key, None)
        else:
            mail.add(key, **specs[key])
            mail.ready(key, "False" if name.endswith("fails") else "True")
        return
    match name:
        case "secret" | "wrong secret":
            password = "p" if name == "secret" else "wrong"
            mail.add_secret("mailbox", version=str(version), username=ADDRESS, password=password)
        case "no secret":
            mail.secrets.clear()
        case "restart":
            mail._memories.clear()
        case "again":  # deleted and created again: nothing of its status is left
            del mail.objects[ACCOUNT]
            mail._memories.pop(ACCOUNT, None)
            mail.add(ACCOUNT, **mail.spec)
        case "wait":
            mail.time += timedelta(hours=2)
        case "suspend" | "resume":
            mail.spec = {**mail.spec, "suspend": name == "suspend"}
        case "disconnect":
            mail.spec = {**mail.spec, "connection": "Disconnected"}
        case "connect":
            mail.spec.pop("connection", None)
        case "peer disconnects":  # and with it the address that stands in
            mail.add(PEER, address=RELAY_ADDRESS, connection="Disconnected")
            mail.ready(PEER)
        case "fallback":
            mail.spec = {**mail.spec, "fallbackSender": RELAY_ADDRESS}
        case "no fallback":
            mail.spec.pop("fallbackSender", None)
        case "receiver":
            mail.spec = {**mail.spec, "roundTrip": {"receiverRef": {"name": "peer"}}}
        case "no receiver":
            mail.spec.pop("roundTrip", None)
    if name in (
        "suspend", "resume", "fallback", "no fallback", "receiver", "no receiver", "disconnect",
        "connect",
    ):  # fmt: skip
        mail.add(ACCOUNT, **mail.spec)


def is_well(mail: Mail, key: Key) -> bool:
    raw = mail.objects.get(key)
    return raw is not None and raw["status"]["conditions"][0]["status"] == "True"


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_whoever_is_named_may_send(steps: list[str]) -> None:
    mail = Mail()
    mail.probes = Probes(refuses={"wrong": REFUSED})
    had_domain = False

    async def live() -> None:
        nonlocal had_domain
        for version, name in enumerate(steps, 10):
            step(mail, name, version)
            had_domain = had_domain and name != "again"
            status = await mail.account()
            address = status.effective_sender.address if status.effective_sender else None
            had_domain = had_domain or (
                DOMAIN in mail.objects
                and not mail.spec.get("suspend", False)
                and "connection" not in mail.spec
            )
            if address is None:
                continue
            assert not mail.spec.get("suspend")
            assert "connection" not in mail.spec
            assert status.disconnection is None
            assert is_well(mail, SERVER)
            assert TWIN not in mail.objects
            assert FOREIGN not in mail.objects  # it goes before: all are equally old
            assert mail.secrets["mailbox"].data["password"].reveal() == "p"
            if "roundTrip" in mail.spec:
                assert PEER in mail.objects
            if address == ADDRESS:
                assert is_well(mail, DOMAIN) or not had_domain
            else:
                assert is_well(mail, FALLBACK)
                holder = mail.objects.get(PEER, {"spec": {}})["spec"]
                assert "connection" not in holder

    asyncio.run(live())


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
async def test_of_two_domains_the_older_counts_for_accounts(order: tuple[str, str]) -> None:
    mail = Mail()
    for number, name in enumerate(order):
        key = Key(Kind.SENDING_DOMAIN, NAMESPACE, name)
        mail.domain(key, status="True" if number == 0 else "False")
        mail.objects[key]["metadata"]["creationTimestamp"] = f"2026-11-01T00:00:0{number}Z"
    status = await mail.account()
    assert sender(status) == (ADDRESS, "DomainVerified")
    assert order[0] in [ref.name for ref in status.resolved_refs]


@pytest.mark.parametrize("name", ["send", "other"])
async def test_a_domain_that_is_back_counts_only_once_it_is_judged(name: str) -> None:
    """While it was gone the account had nothing but its server, and that was well."""
    mail = Mail()
    mail.domain()
    await mail.account()
    del mail.objects[DOMAIN]
    assert ready(await mail.account()) == ("False", "SendingDomainNotFound")
    back = Key(Kind.SENDING_DOMAIN, NAMESPACE, name)
    mail.add(back, domain="send.example.com", suspend=True)  # for ever, perhaps
    for _ in range(3):
        status = await mail.account()
        assert ready(status)[0] == "Unknown"
        assert status.effective_sender is not None and status.effective_sender.address is None
    mail.ready(back)
    status = await mail.account()
    assert ready(status) == ("True", "Succeeded")
    assert status.effective_sender is not None and status.effective_sender.address == ADDRESS
