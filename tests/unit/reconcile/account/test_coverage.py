# SPDX-License-Identifier: Apache-2.0
"""Which SendingDomain covers an address, and what an account is that nothing covers.

Covers: `domainPolicy` over everything that a namespace may have declared; the longest match; that a
domain above covers nothing below it; the object that the fix prints, applied as it is printed; a
second address under a verified domain; the domain's grace period, which is the account's; random
histories, after which an address stands only while it is covered, by an object of the namespace.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.api.resource import parse_spec
from postroom.controller.dependants import declared
from postroom.reconcile.account.coverage import declaring, references_to
from postroom.reconcile.account.dependencies import references_of
from unit.reconcile.account.test_relations import Mail, message, ready, sender
from unit.reconcile.mail_worlds import NAMESPACE, SERVER

ADDRESS, DEEP = "support@send.example.com", "a@x.send.example.com"
REQUIRED = {"domainPolicy": "Required"}
#: What a look at a domain may have come to, as its status has it.
STATES: dict[str, dict[str, Any]] = {
    "Verified": {"status": "True", "verification": "Verified"},
    "Degraded": {
        "status": "False",
        "verification": "Degraded",
        "degradedAt": "2026-11-01T00:00:00Z",
    },
    "Failed": {"status": "False", "verification": "Failed", "degradedAt": "2026-11-01T00:00:00Z"},
    "Pending": {"status": "False", "verification": "Pending"},
}
SENDING = {"Verified", "Degraded"}


class Covered(Mail):
    """Sending domains by their domain, in the state that is said, of this namespace or another."""

    def declare(self, domain: str, state: str, namespace: str = NAMESPACE) -> None:
        key = self.key(domain, namespace)
        self.add(key, domain=domain)
        self.ready(key, **STATES[state])

    def key(self, domain: str, namespace: str = NAMESPACE) -> Key:
        return Key(Kind.SENDING_DOMAIN, namespace, f"{namespace}-{domain.replace('.', '-')}")


def codes(status: EmailAccountStatus) -> list[str]:
    return [finding.code for finding in status.findings]


def printed(status: EmailAccountStatus) -> dict[str, Any]:
    """The object that the one fix prints which prints any."""
    (manifest,) = [
        finding.fix.manifest
        for finding in status.findings
        if finding.fix is not None and finding.fix.manifest
    ]
    made: dict[str, Any] = yaml.load(manifest, Loader=yaml.CSafeLoader)
    return made


@pytest.mark.parametrize("policy", ["IfDeclared", "Required"])
@pytest.mark.parametrize(
    ("declared", "state"),
    [
        ({}, None),
        ({"example.com": "Verified"}, None),
        ({"send.example.com": "Verified"}, None),
        ({"other.example.com": "Verified", "xx.send.example.com": "Verified"}, None),
        ({"y.x.send.example.com": "Verified"}, None),
        ({"x.send.example.com": "Verified"}, "Verified"),
        ({"x.send.example.com": "Pending", "send.example.com": "Verified"}, "Pending"),
        ({"x.send.example.com": "Degraded", "example.com": "Failed"}, "Degraded"),
        ({"x.send.example.com": "Failed", "example.com": "Verified"}, "Failed"),
    ],
    ids=str,
)
async def test_the_longest_match_decides_and_only_for_its_very_domain(
    policy: str, declared: dict[str, str], state: str | None
) -> None:
    mail = Covered(address=DEEP, domainPolicy=policy)
    for domain, found in declared.items():
        mail.declare(domain, found)
    status = await mail.account()
    if state is not None:
        sends = state in SENDING
        assert ready(status) == (
            ("True", "Succeeded") if sends else ("False", "SendingDomainNotReady")
        )
        assert status.effective_sender is not None
        assert (status.effective_sender.address is not None) is sends
        return
    if policy == "Required":
        assert ready(status) == ("False", "SendingDomainNotFound")
        assert sender(status) == (None, "SendingDomainNotFound")
        assert codes(status).count("SENDING_DOMAIN_NOT_FOUND") == 1
    else:
        assert ready(status) == ("True", "Succeeded")
        assert sender(status) == (DEEP, "NoDomain")
        above = [domain for domain in declared if DEEP.endswith(f".{domain}")]
        assert ("SUBDOMAIN_NOT_COVERED" in codes(status)) is bool(above)


async def test_a_subdomain_is_told_why_it_is_not_covered() -> None:
    mail = Covered(address=DEEP, **REQUIRED)
    mail.declare("example.com", "Verified")
    mail.declare("send.example.com", "Verified")
    assert message(await mail.account()) == (
        "spec.domainPolicy is Required, but no SendingDomain of this namespace is for "
        "x.send.example.com: create one. SendingDomain mail-send-example-com is for "
        "send.example.com alone: SPF is not inherited, and neither DKIM nor DMARC was looked at "
        "for what lies below."
    )


@pytest.mark.parametrize(
    "spec", [REQUIRED, {}, {"fallbackSender": "noreply@y.send.example.com"}], ids=str
)
async def test_the_object_that_the_fix_prints_can_be_applied(spec: dict[str, Any]) -> None:
    mail = Covered(address=DEEP, **spec)
    mail.declare("send.example.com", "Verified")
    if "fallbackSender" in spec:
        mail.declare("x.send.example.com", "Pending")
    made = printed(await mail.account())
    assert (made["kind"], made["metadata"]["namespace"]) == ("SendingDomain", NAMESPACE)
    parse_spec(Kind.SENDING_DOMAIN, made["spec"])
    key = Key(Kind.SENDING_DOMAIN, NAMESPACE, made["metadata"]["name"])
    mail.add(key, **made["spec"])
    mail.ready(key, **STATES["Verified"])
    status = await mail.account()
    assert ready(status) == ("True", "Succeeded")
    assert status.effective_sender is not None and status.effective_sender.address is not None
    assert codes(status) == []


async def test_a_domain_that_is_gone_is_made_again_under_its_name() -> None:
    mail = Covered(**REQUIRED)
    mail.declare("send.example.com", "Verified")
    await mail.account()
    key = mail.key("send.example.com")
    del mail.objects[key]
    status = await mail.account()
    assert message(status) == (
        f"SendingDomain {key.name} is gone, and nothing in this namespace is for "
        "send.example.com any more: create it again."
    )
    assert printed(status)["metadata"] == {"name": key.name, "namespace": NAMESPACE}


@pytest.mark.parametrize("name", ["1.23", "no", "0x1f.example", "a" * 63 + ".example"])
def test_what_the_fix_prints_is_read_as_it_is_meant(name: str) -> None:
    text = declaring(f"{name}.example", name[:63]).manifest
    made = yaml.load(text, Loader=yaml.CSafeLoader)
    assert made["metadata"] == {"name": f"{name}.example", "namespace": name[:63]}


def test_the_longest_names_fit_into_a_fix() -> None:
    domain = ".".join(["a" * 62] * 4)
    assert domain in declaring(domain, "n" * 63, "m" * 253).manifest


def test_nobody_waits_for_a_top_level_domain() -> None:
    assert references_to("x.example.com") == {
        "SendingDomain/domain=x.example.com",
        "SendingDomain/unusable:domain=x.example.com",
        "SendingDomain/domain=example.com",
    }


async def test_a_second_address_under_a_verified_domain_is_ready_at_once() -> None:
    mail = Covered(**REQUIRED)
    mail.declare("send.example.com", "Verified")
    await mail.account()
    second = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "second")
    mail.add(second, **{**mail.spec, "address": "second@send.example.com"})
    status = await mail.look(second, wait=timedelta())
    assert isinstance(status, EmailAccountStatus)
    assert (ready(status)[0], sender(status)[1]) == ("True", "DomainVerified")


@pytest.mark.parametrize("fallback", [False, True])
async def test_an_account_follows_its_domain_and_keeps_no_time_of_its_own(fallback: bool) -> None:
    mail = Covered(**({"fallbackSender": "noreply@example.net"} if fallback else {}))
    mail.declare("example.net", "Verified")
    mail.declare("send.example.com", "Verified")
    await mail.account()
    mail.declare("send.example.com", "Degraded")
    for wait in (timedelta(), timedelta(days=1), timedelta(days=365)):
        # However long it lasts: when it ends is the domain's to say.
        status = await mail.look(Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "support"), wait)
        assert isinstance(status, EmailAccountStatus)
        assert (ready(status)[0], sender(status)) == ("True", (ADDRESS, "DomainDegraded"))
    mail.declare("send.example.com", "Failed")
    status = await mail.account()
    if fallback:
        assert (ready(status)[0], sender(status)) == (
            "True",
            ("noreply@example.net", "FallbackUsed"),
        )
        return
    assert sender(status) == (None, "SendingDomainNotReady")
    assert message(status) == (
        "SendingDomain mail-send-example-com was Degraded for longer than its gracePeriod, and is "
        "Failed: nothing is to be sent under it until it is verified again. Read its status."
    )
    mail.declare("send.example.com", "Verified")
    assert sender(await mail.account()) == (ADDRESS, "DomainVerified")


@pytest.mark.parametrize("interval", ["5m", "24h"])
@pytest.mark.parametrize("unseen", ["domain", "server", "fallback"])
@pytest.mark.parametrize("was", ["Verified", "Degraded"])
async def test_an_account_waits_no_longer_for_what_is_out_of_sight_than_that_does(
    was: str, unseen: str, interval: str
) -> None:
    fallback = {"fallbackSender": "noreply@example.net"} if unseen == "fallback" else {}
    mail = Covered(sync={"interval": interval}, **fallback)
    mail.declare("example.net", was)
    mail.declare("send.example.com", "Failed" if fallback else was)
    stood = sender(await mail.account())
    assert stood[0] == ("noreply@example.net" if fallback else ADDRESS)
    keys = {
        "domain": mail.key("send.example.com"),
        "server": SERVER,
        "fallback": mail.key("example.net"),
    }
    key, support = keys[unseen], Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "support")
    status = mail.objects[key]["status"]
    condition = status["conditions"][0]
    # It is looked at, and nothing is known of it yet: what stood is not taken for a moment.
    condition |= {"status": "Unknown", "reason": "Progressing"}
    held = await mail.look(support, timedelta(minutes=1))
    assert isinstance(held, EmailAccountStatus)
    assert (ready(held)[0], sender(held)[0]) == ("True", stood[0])
    # It says itself that it was not seen for too long.
    condition["reason"] = "ObservationStale"
    gone = await mail.look(support, timedelta(minutes=1))
    assert isinstance(gone, EmailAccountStatus)
    assert (ready(gone), sender(gone)[0]) == (("Unknown", "ObservationStale"), None)
    condition |= {"status": "True", "reason": "Succeeded"}
    back = await mail.look(support, timedelta(minutes=1))
    assert isinstance(back, EmailAccountStatus)
    assert (ready(back)[0], sender(back)[0]) == ("True", stood[0])


async def test_a_fallback_stands_in_for_a_domain_that_is_out_of_sight() -> None:
    mail = Covered(fallbackSender="noreply@example.net")
    mail.declare("example.net", "Verified")
    mail.declare("send.example.com", "Verified")
    await mail.account()
    condition = mail.objects[mail.key("send.example.com")]["status"]["conditions"][0]
    condition |= {"status": "Unknown", "reason": "ObservationStale"}
    assert sender(await mail.account()) == ("noreply@example.net", "FallbackUsed")


#: Of an identity's domain under Required: its state, and the state and reason of the identity.
IDENTITY_STATES = [
    (None, "Pending", "SendingDomainNotFound"),
    ("Verified", "Unverifiable", "IdentityUnverifiable"),
    ("Degraded", "Unverifiable", "IdentityUnverifiable"),
    ("Failed", "Pending", "SendingDomainNotReady"),
    ("Pending", "Pending", "SendingDomainNotReady"),
]


@pytest.mark.parametrize(("state", "expected", "reason"), IDENTITY_STATES)
@pytest.mark.parametrize("policy", ["Required", "IfDeclared"])
async def test_an_identity_needs_its_domain_verified_where_the_policy_asks_for_it(
    policy: str, state: str | None, expected: str, reason: str
) -> None:
    other = "sales@x.send.example.com"
    mail = Covered(domainPolicy=policy, identities=[{"address": other}])
    mail.declare("send.example.com", "Verified")
    if state is not None:
        mail.declare("x.send.example.com", state)
    status = await mail.account()
    own, entry = status.identities
    if policy == "IfDeclared":
        expected, reason = "Unverifiable", "IdentityUnverifiable"
    assert (entry.address, entry.state.value, entry.reason) == (other, expected, reason)
    # What the account sends as itself is not touched.
    assert (ready(status), sender(status)[0]) == (("True", "Succeeded"), ADDRESS)
    assert own.state.value == "Verified"
    if expected != "Pending":
        assert "SENDING_DOMAIN" not in str(codes(status))
        return
    told = [finding for finding in status.findings if finding.subject == other]
    (finding,) = told
    assert finding.fix is not None and finding.severity.value == "Warning"
    if state is None:
        made = printed(status)
        assert made["spec"] == {"domain": "x.send.example.com"}
        assert "SendingDomain mail-send-example-com is for send.example.com alone" in entry.message
    mail.declare("x.send.example.com", "Verified")
    assert (await mail.account()).identities[1].state.value == "Unverifiable"


async def test_an_identity_whose_domain_cannot_be_understood_is_told_so_and_not_to_create_it() -> (
    None
):
    other = "sales@x.send.example.com"
    mail = Covered(identities=[{"address": other}], **REQUIRED)
    mail.declare("send.example.com", "Verified")
    there = mail.key("x.send.example.com")
    mail.add(there, domain="x.send.example.com", dkim="none")
    status = await mail.account()
    entry = status.identities[1]
    assert (entry.state.value, entry.reason) == ("Pending", "ReferenceInvalid")
    assert f"The spec of SendingDomain {there.name} is invalid" in entry.message
    (told,) = [finding for finding in status.findings if finding.subject == other]
    assert told.code == "REFERENCE_INVALID"
    # One for the domain is there: another one is not what it takes.
    assert "apiVersion:" not in str(told.fix)
    assert (ready(status), sender(status)[0]) == (("True", "Succeeded"), ADDRESS)
    mail.declare("x.send.example.com", "Verified")
    assert (await mail.account()).identities[1].state.value == "Unverifiable"


@pytest.mark.parametrize("domain", ["send.example.com", "x.send.example.com"])
async def test_an_identity_is_brought_back_by_its_domain(domain: str) -> None:
    other = {"address": "sales@x.send.example.com"}
    spec = EmailAccountSpec.model_validate({"address": ADDRESS, "identities": [other], **REQUIRED})
    assert f"SendingDomain/domain={domain}" in references_of(spec)
    assert references_of(spec) <= declared(
        Kind.EMAIL_ACCOUNT, {"spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    )


async def test_an_identity_is_not_taken_while_its_domain_is_looked_at_anew() -> None:
    other = "sales@x.send.example.com"
    mail = Covered(identities=[{"address": other}], **REQUIRED)
    for domain in ("send.example.com", "x.send.example.com"):
        mail.declare(domain, "Verified")
    await mail.account()
    condition = mail.objects[mail.key("x.send.example.com")]["status"]["conditions"][0]
    condition |= {"status": "Unknown", "reason": "Progressing"}
    assert (await mail.account()).identities[1].state.value == "Unverifiable"
    condition["reason"] = "ObservationStale"
    status = await mail.account()
    assert (status.identities[1].state.value, status.identities[1].reason) == (
        "Pending",
        "DependencyUnknown",
    )
    assert ready(status)[0] == "True"


PLACES = ("x.send.example.com", "send.example.com", "example.com", "y.x.send.example.com")
#: Those above the address's domain, the nearest first.
ABOVE = PLACES[1:3]
CHANGES = st.one_of(
    st.tuples(st.just("declare"), st.sampled_from(PLACES), st.sampled_from(sorted(STATES))),
    st.tuples(st.just("elsewhere"), st.sampled_from(PLACES), st.sampled_from(sorted(STATES))),
    st.tuples(st.just("edit"), st.sampled_from(PLACES), st.just("")),
    st.tuples(st.just("delete"), st.sampled_from(PLACES), st.just("")),
    st.tuples(st.just("policy"), st.sampled_from(["IfDeclared", "Required"]), st.just("")),
)


@settings(max_examples=60, deadline=None)
@given(history=st.lists(CHANGES, max_size=10), policy=st.sampled_from(["IfDeclared", "Required"]))
def test_after_any_history_an_address_stands_only_while_it_is_covered(
    history: list[tuple[str, str, str]], policy: str
) -> None:
    async def live() -> None:
        mail = Covered(address=DEEP, domainPolicy=policy)
        states: dict[str, str] = {}
        stood_on_one, stood = False, False
        for change, place, state in history:
            match change:
                case "declare":
                    mail.declare(place, state)
                    states[place] = state
                case "elsewhere":
                    mail.declare(place, state, "theirs")
                case "edit" if place in states:
                    mail.add(mail.key(place), domain=place, interval="2h")
                    states[place] = "Unseen"
                case "delete":
                    mail.objects.pop(mail.key(place), None)
                    states.pop(place, None)
                case "policy":
                    mail.spec["domainPolicy"] = place
                    mail.add(Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "support"), **mail.spec)
            status = await mail.account()
            own = states.get(PLACES[0])
            stood_on_one = stood_on_one or own is not None
            assert status.effective_sender is not None
            address = status.effective_sender.address
            if own is None:
                free = mail.spec["domainPolicy"] == "IfDeclared" and not stood_on_one
                assert (address == DEEP) is free
                told = [f"SendingDomain {mail.key(place).name} is for" for place in states]
                nearest = [f"SendingDomain {mail.key(each).name} is for" for each in ABOVE]
                expected = [text for text in nearest if text in told][:1]
                said = status.model_dump_json()
                assert [text for text in told if text in said] == expected or stood_on_one
            elif own != "Unseen":
                assert (address == DEEP) is (own in SENDING)
            else:
                assert address is None or stood  # what stood before is not taken for a moment
            stood = address is not None
            used = [ref.name for ref in status.resolved_refs if ref.kind == "SendingDomain"]
            assert used == ([mail.key(PLACES[0]).name] if own or stood_on_one else [])
            assert "theirs" not in status.model_dump_json()

    asyncio.run(live())
